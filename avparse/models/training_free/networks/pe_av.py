"""PE-AV: any class, from its name, heard every 40 ms and seen frame by frame."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from avparse.media.extractors.pe_av import chosen_pe_av
from avparse.models.training_free.networks.checkpoints import is_held
from avparse.models.training_free.networks.texts import text_scorer
from avparse.models.training_free.parser import Judge
from avparse.models.training_free.thresholds import THRESHOLDS, LogOdds
from avparse.models.training_free.unrelated import unrelated_mean

_HEARD_CUT = 0.3  # probability at which the authors' own tool cuts what is heard; what is seen has no such figure
_NEEDED = {"audio": ("transformers",), "visual": ("transformers", "timm")}
_NAMES = {"audio": "pe-a-frame-small", "visual": "pe-av-small"}


class PeAv:
    """The networks of the extractor ``pe-av``, asked by text; the modalities have scales and biases of their own."""

    def missing(self, modality: str) -> str:
        """Return what is not installed or not on this machine."""
        for module in _NEEDED[modality]:
            if importlib.util.find_spec(module) is None:
                return f"PE-AV needs '{module}': pip install 'avparse[teachers]'"
        name = dict(zip(("audio", "visual"), chosen_pe_av(), strict=True))[modality]
        return "" if is_held(name) else f"no copy of {name}: avparse weights fetch {_NAMES[modality]}"

    def judge(self, modality: str, classes: tuple[str, ...], class_map: Path | None = None) -> Judge:
        """Return the judge of a modality, which compares segments with prompts of the classes and of other things.

        Args:
            modality: "audio" or "visual".
            classes: names of the wanted classes.
            class_map: path of a class map, which texts do not need.

        Raises:
            UserError: the checkpoint is damaged, or a prompt is too long.
        """
        from avparse.media.towers.pe_av import PeAvHearing, PeAvSeeing  # noqa: PLC0415

        heard, seen = chosen_pe_av()
        if modality == "audio":
            return Judge(text_scorer(PeAvHearing(heard), "pe-av", "heard", classes, "PE-AV", None), LogOdds(_HEARD_CUT))
        tower = PeAvSeeing(seen)
        scorer = text_scorer(tower, "pe-av", "seen", classes, "PE-AV", unrelated_mean(tower))
        return Judge(scorer, THRESHOLDS["z-score"]())
