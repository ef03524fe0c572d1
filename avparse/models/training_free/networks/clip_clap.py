"""CLIP and CLAP: any class, from its name, seen and heard."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from avparse.media.extractors.clip_clap import chosen_checkpoints
from avparse.media.towers.tower import Tower
from avparse.models.training_free.networks.checkpoints import is_held
from avparse.models.training_free.networks.texts import text_scorer
from avparse.models.training_free.parser import Judge
from avparse.models.training_free.thresholds import THRESHOLDS
from avparse.models.training_free.unrelated import unrelated_mean

_THRESHOLD = "z-score"  # benchmarks/thresholds.py compares them
_STREAMS = {"audio": "clap", "visual": "clip"}


class ClipClap:
    """The networks of the extractor ``clip-clap``, asked by text."""

    def missing(self, modality: str) -> str:
        """Return what is not installed or not on this machine."""
        if importlib.util.find_spec("transformers") is None:
            return "CLIP and CLAP need 'transformers': pip install 'avparse[teachers]'"
        absent = [name for name in chosen_checkpoints() if not is_held(name)]
        if absent:
            return f"no copy of {' and '.join(absent)}: avparse weights fetch clip clap"
        return ""

    def judge(self, modality: str, classes: tuple[str, ...], class_map: Path | None = None) -> Judge:
        """Return the judge of a modality, which compares segments with prompts of the classes and of other things.

        Args:
            modality: "audio" or "visual".
            classes: names of the wanted classes.
            class_map: path of a class map, which texts do not need.

        Raises:
            UserError: the checkpoint is damaged, or a prompt is too long.
        """
        tower = _TOWERS[modality]()
        stream = _STREAMS[modality]
        scorer = text_scorer(tower, "clip-clap", stream, classes, stream.upper(), unrelated_mean(tower))
        return Judge(scorer, THRESHOLDS[_THRESHOLD]())


def _clip() -> Tower:
    from avparse.media.towers.clip import ClipTower  # noqa: PLC0415

    return ClipTower(chosen_checkpoints()[0], frames="mean", resize="squash")


def _clap() -> Tower:
    from avparse.media.towers.clap import ClapTower  # noqa: PLC0415

    return ClapTower(chosen_checkpoints()[1])


_TOWERS: dict[str, Callable[[], Tower]] = {"audio": _clap, "visual": _clip}
