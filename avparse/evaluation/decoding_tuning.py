"""Tuning of the thresholds of a trained parser's decoding rule on validation, for all classes or per class.

A parser that was trained on segment labels is calibrated, and then the best threshold for an F score lies below one
half; one threshold for all classes is enough. CMPAE chooses one gate threshold per class (Gao, Chen, Xu, CVPR 2023).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from avparse.data.batching import FeatureTable, Indices
from avparse.evaluation.comparison import MEAN
from avparse.evaluation.parsing import METRICS, score_parsing
from avparse.evaluation.prediction import predict
from avparse.foundation.arrays import BoolArray
from avparse.foundation.errors import nearest
from avparse.foundation.settings import Settings
from avparse.models.decoding import DecodingRule, Probability
from avparse.models.output import Parse

_Decide = Callable[[DecodingRule], tuple[BoolArray, BoolArray]]
_Score = Callable[[BoolArray, BoolArray], float]


class DecodingTuning(Settings):
    """Settings of the tuning of decoding thresholds.

    Attributes:
        of: thresholds to tune, one after the other, each with the others at their current values.
        metric: metric to maximise: one of the ten, or their ``mean``.
        by_class: whether each class gets a threshold of its own, tuned with the other classes at the rule's; otherwise
            one threshold serves all classes.
        candidates: thresholds to try; among equally good ones the largest is chosen.
        rounds: number of times that each threshold is tuned.
    """

    renamed: ClassVar[dict[str, str]] = {"figure": "metric"}
    of: tuple[Literal["segment", "audio_gate", "visual_gate"], ...] = Field(
        ("segment", "audio_gate", "visual_gate"), min_length=1
    )
    metric: str = MEAN
    by_class: bool = False
    candidates: tuple[Probability, ...] = Field(
        (0.03, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7), min_length=1
    )
    rounds: int = Field(2, ge=1)

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str) -> str:
        if metric not in (*METRICS, MEAN):
            raise ValueError(f"unknown metric{nearest(metric, (*METRICS, MEAN))}")
        return metric


def tune_decoding(
    parser: Parse, table: FeatureTable, indices: Indices, rule: DecodingRule, tuning: DecodingTuning
) -> DecodingRule:
    """Return the decoding rule with the best thresholds on the given videos.

    Args:
        parser: parser in evaluation mode.
        table: feature table that the videos are read from.
        indices: positions of annotated videos; those of validation, never those of test.
        rule: decoding rule to start from.
        tuning: settings of the tuning.
    """
    output = predict(rule.reading(parser), table, indices)
    audio_true, visual_true, mask = table.store.dense_truth(indices)

    def decide(rule: DecodingRule) -> tuple[BoolArray, BoolArray]:
        audio, visual = rule.decide(output)
        return audio.numpy(), visual.numpy()

    def score(audio: BoolArray, visual: BoolArray) -> float:
        metrics = score_parsing(audio, visual, audio_true, visual_true, mask).as_dict()
        return float(np.mean(list(metrics.values()))) if tuning.metric == MEAN else metrics[tuning.metric]

    for _ in range(tuning.rounds):
        for name in tuning.of:
            tried = [rule.model_copy(update={f"{name}_threshold": c}) for c in sorted(tuning.candidates)]
            if tuning.by_class:
                best: object = _by_class(rule, tried, f"{name}_threshold", decide, score)
            else:
                best = getattr(_best(tried, [score(*decide(r)) for r in tried]), f"{name}_threshold")
            rule = rule.model_copy(update={f"{name}_threshold": best})
    return rule


def _by_class(
    rule: DecodingRule, tried: Sequence[DecodingRule], field: str, decide: _Decide, score: _Score
) -> tuple[float, ...]:
    """Return the best threshold of each class, the other classes decided by ``rule``."""
    base, decided = decide(rule), [decide(r) for r in tried]
    best = []
    for c in range(base[0].shape[-1]):
        metrics = []
        for decisions in decided:
            changed = [own.copy() for own in base]
            for own, other in zip(changed, decisions, strict=True):
                own[..., c] = other[..., c]
            metrics.append(score(changed[0], changed[1]))
        best.append(getattr(_best(tried, metrics), field))
    return tuple(best)


def _best(tried: Sequence[DecodingRule], metrics: Sequence[float]) -> DecodingRule:
    """Return the rule with the best metric; among equal ones the last."""
    return tried[max(range(len(tried)), key=lambda i: (metrics[i], i))]
