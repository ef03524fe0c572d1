"""An audio tagger: AudioSet's 527 names, heard."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from avparse.data.taggers import TAGGERS
from avparse.media.extractors.audioset import chosen_tagger
from avparse.models.training_free.networks.checkpoints import is_held
from avparse.models.training_free.networks.listed import listed_judge
from avparse.models.training_free.parser import Judge

HEARD_CUT = 0.2  # probability of the tagger; not measured


class Audioset:
    """The network of the extractor ``audioset``."""

    def missing(self, modality: str) -> str:
        """Return what is not installed or not on this machine."""
        if modality == "visual":
            return "the audio tagger sees nothing"
        if importlib.util.find_spec("transformers") is None:
            return "audio taggers need 'transformers': pip install 'avparse[teachers]'"
        name = chosen_tagger()
        return "" if is_held(name) else f"no copy of {name}: avparse weights fetch ast-audioset"

    def judge(self, modality: str, classes: tuple[str, ...], class_map: Path | None = None) -> Judge:
        """Return the tagger as a judge of what is heard.

        Args:
            modality: modality to judge, which is "audio".
            classes: names of the wanted classes.
            class_map: path of a class map of one's own; None for the shipped one alone.

        Raises:
            UserError: the checkpoint is damaged.
        """
        return listed_judge(TAGGERS["audioset"](), HEARD_CUT, classes, class_map)
