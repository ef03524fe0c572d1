"""Small networks with fixed lists of names: an ImageNet classifier for what is seen, a speech detector for sound."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from avparse.data.taggers import TAGGERS
from avparse.media.weights import WEIGHTS
from avparse.media.weights.cache import weights_folder
from avparse.models.training_free.networks.listed import listed_judge
from avparse.models.training_free.parser import Judge

_PICTURES = "efficientnet-lite0"
_FILES = {"audio": ("silero-vad",), "visual": (_PICTURES, "aisfx")}  # the extractor makes both streams, or none
SEEN_CUT = 0.2  # probability of the classifier; benchmarks/real_pictures.py
SPEECH_SHARE = 0.5  # of a segment, from which on it counts as speech; not measured


class Compact:
    """The networks whose weights come out of small Python packages."""

    def missing(self, modality: str) -> str:
        """Return what is not installed or not on this machine."""
        if modality == "visual" and importlib.util.find_spec("torchvision") is None:
            return "the names of ImageNet's classes need 'torchvision': pip install 'avparse[teachers]'"
        absent = [name for name in _FILES[modality] if WEIGHTS[name].source.held(weights_folder()) is None]
        kind = "a small one for speech" if modality == "audio" else "small ones for pictures"
        return f"{kind}: avparse weights fetch {' '.join(absent)}" if absent else ""

    def judge(self, modality: str, classes: tuple[str, ...], class_map: Path | None = None) -> Judge:
        """Return the ImageNet classifier as a judge of what is seen, or the speech detector of what is heard.

        Args:
            modality: "audio" or "visual".
            classes: names of the wanted classes.
            class_map: path of a class map of one's own; None for the shipped one alone.

        Raises:
            UserError: the file of weights is another one.
        """
        key, cut = ("speech", SPEECH_SHARE) if modality == "audio" else ("imagenet", SEEN_CUT)
        return listed_judge(TAGGERS[key](), cut, classes, class_map)
