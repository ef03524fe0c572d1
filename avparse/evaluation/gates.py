"""Gate thresholds of a trained parser, one a class, tuned on validation (Gao, Chen, Xu: CMPAE, CVPR 2023)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from avparse.data.batching import FeatureTable, Indices
from avparse.evaluation.parsing import FIGURES, score_parsing
from avparse.evaluation.prediction import Parse, predict
from avparse.foundation.errors import nearest
from avparse.foundation.settings import Settings
from avparse.models.decoding import DecodingRule, Probability


class GateTuning(Settings):
    """How gate thresholds are tuned.

    Attributes:
        of: the modality whose gates are tuned.
        figure: which of the ten figures decides.
        candidates: thresholds to try.
    """

    of: Literal["audio", "visual"] = "visual"
    figure: str = "event_visual"
    candidates: tuple[Probability, ...] = Field((0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7), min_length=1)

    @field_validator("figure")
    @classmethod
    def _known(cls, figure: str) -> str:
        if figure not in FIGURES:
            raise ValueError(f"unknown figure{nearest(figure, FIGURES)}")
        return figure


def tune_gates(
    parser: Parse, table: FeatureTable, indices: Indices, rule: DecodingRule, tuning: GateTuning
) -> DecodingRule:
    """Return the rule with the best threshold for each class, all others at the rule's own; of equal ones the largest.

    Args:
        parser: in evaluation mode.
        table: the data.
        indices: positions of annotated videos: those of validation, never those of test.
        rule: what to start from.
        tuning: how.
    """
    output = predict(rule.reading(parser), table, indices)
    audio_true, visual_true, mask = table.store.dense_truth(indices)
    field = f"{tuning.of}_gate_threshold"
    candidates = sorted(tuning.candidates)

    def decide(threshold: object) -> dict[str, np.ndarray]:
        changed = rule.model_copy(update={field: threshold})
        return dict(zip(("audio", "visual"), (x.numpy() for x in changed.decide(output)), strict=True))

    base, tried = decide(getattr(rule, field)), [decide(candidate)[tuning.of] for candidate in candidates]
    best = []
    for c in range(audio_true.shape[-1]):
        figures = []
        for on in tried:
            changed = base[tuning.of].copy()
            changed[..., c] = on[..., c]
            decisions = {**base, tuning.of: changed}
            scores = score_parsing(decisions["audio"], decisions["visual"], audio_true, visual_true, mask)
            figures.append(scores.as_dict()[tuning.figure])
        best.append(candidates[max(range(len(candidates)), key=lambda i: (figures[i], i))])
    return rule.model_copy(update={field: tuple(best)})
