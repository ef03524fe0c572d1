"""Thresholds without labels, one file each, listed by name."""

from collections.abc import Callable

from avparse.models.training_free.thresholds.competing import Competing
from avparse.models.training_free.thresholds.log_odds import LogOdds
from avparse.models.training_free.thresholds.quantile import Quantile
from avparse.models.training_free.thresholds.threshold import LabelFreeThreshold
from avparse.models.training_free.thresholds.z_score import ZScore

THRESHOLDS: dict[str, Callable[..., LabelFreeThreshold]] = {
    "log-odds": LogOdds,
    "z-score": ZScore,
    "competing": Competing,
    "quantile": Quantile,
}

__all__ = ["THRESHOLDS", "Competing", "LabelFreeThreshold", "LogOdds", "Quantile", "ZScore"]
