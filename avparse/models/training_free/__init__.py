"""Parsing without training: class scorers on frozen networks, and thresholds that need no labels."""

from avparse.models.training_free.parser import Judge, TrainingFreeParser
from avparse.models.training_free.scorer import ClassScorer
from avparse.models.training_free.thresholds import THRESHOLDS, LabelFreeThreshold, LogOdds

__all__ = ["THRESHOLDS", "ClassScorer", "Judge", "LabelFreeThreshold", "LogOdds", "TrainingFreeParser"]
