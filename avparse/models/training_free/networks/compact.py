"""Small networks with fixed lists of names: an ImageNet classifier for what is seen, a speech detector for sound."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from avparse.data.class_names import NameList, find_classes
from avparse.data.class_names.class_map import shipped_map
from avparse.foundation.errors import closest
from avparse.media.networks.efficientnet_lite0 import FEATURES, imagenet_classes, load_classifier
from avparse.media.weights import WEIGHTS, find_weights
from avparse.media.weights.cache import weights_folder
from avparse.models.training_free.parser import Judge
from avparse.models.training_free.scorers.listed import ListedScorer
from avparse.models.training_free.thresholds import LogOdds

_PICTURES = "efficientnet-lite0"
_FILES = (_PICTURES, "aisfx")
SEEN_CUT = 0.2  # probability of the classifier; benchmarks/real_pictures.py


class Compact:
    """The networks whose weights come out of small Python packages."""

    def missing(self, modality: str) -> str:
        """Return what is not installed or not on this machine."""
        if modality == "audio":
            return "the small networks judge no sound"
        if importlib.util.find_spec("torchvision") is None:
            return "the names of ImageNet's classes need 'torchvision': pip install 'avparse[teachers]'"
        # The extractor makes both of its streams of features, or none.
        absent = [name for name in _FILES if WEIGHTS[name].source.held(weights_folder()) is None]
        return f"small ones for pictures: avparse weights fetch {' '.join(absent)}" if absent else ""

    def judge(self, modality: str, classes: tuple[str, ...], class_map: Path | None = None) -> Judge:
        """Return the ImageNet classifier as a judge of what is seen.

        Args:
            modality: "audio" or "visual".
            classes: names of the wanted classes.
            class_map: path of a class map of one's own; None for the shipped one alone.

        Raises:
            UserError: the file of weights is another one.
        """
        names = NameList("imagenet", imagenet_classes(), exclusive=True)
        listed = find_classes(classes, names, class_map)
        known = [*shipped_map().entries, *names.names]
        head = load_classifier(find_weights(_PICTURES, fetch=False))
        title = "EfficientNet-Lite0 with ImageNet's 1000 names"
        scorer = ListedScorer("visual", "compact", "pictures", FEATURES, head, listed, title)
        return Judge(scorer, LogOdds(SEEN_CUT), {name: closest(name, known) for name in listed.unknown})
