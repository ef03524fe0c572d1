"""Evaluation of parsers and labels: the ten metrics of LLP, scores per class, bootstrap intervals, noise rates."""

from avparse.evaluation.bootstrap import bootstrap, bootstrap_difference
from avparse.evaluation.parsing import METRICS, ParsingScores, score_parsing
from avparse.evaluation.per_class import ClassScores, score_classes
from avparse.foundation.interval import Interval

__all__ = [
    "METRICS",
    "ClassScores",
    "Interval",
    "ParsingScores",
    "bootstrap",
    "bootstrap_difference",
    "score_classes",
    "score_parsing",
]
