"""Thresholds without labels, one file each, listed by name."""

from collections.abc import Callable

from avparse.models.training_free.thresholds.log_odds import LogOdds
from avparse.models.training_free.thresholds.threshold import LabelFreeThreshold

THRESHOLDS: dict[str, Callable[..., LabelFreeThreshold]] = {"log-odds": LogOdds}

__all__ = ["THRESHOLDS", "LabelFreeThreshold", "LogOdds"]
