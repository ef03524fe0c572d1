"""Quality of pseudo labels where the truth is known: they are scored like a parser's decisions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from avparse.data.store import FeatureStore
from avparse.data.vocabulary import MODALITIES
from avparse.evaluation.comparison import score_table
from avparse.evaluation.parsing import Binary, ParsingScores, score_parsing
from avparse.evaluation.per_class import ClassScores, score_classes
from avparse.labels.segments import SegmentLabels, SegmentTable

_DECIDED = 0.5


@dataclass(frozen=True, eq=False)
class PseudoQuality:
    """Quality of the segment labels of some videos.

    Attributes:
        scores: the ten metrics of the labels.
        classes: precision, recall and F of every class over all videos.
    """

    scores: ParsingScores
    classes: ClassScores

    def micro(self) -> dict[str, dict[str, float]]:
        """Return precision, recall and F over all segments and classes together, in percent, for each modality."""
        found = {}
        for track, modality in enumerate(MODALITIES):
            right, wrong, missed = (
                int(x[0, track].sum()) for x in (self.classes.right, self.classes.wrong, self.classes.missed)
            )
            found[modality] = {
                "precision": 100 * right / max(right + wrong, 1),
                "recall": 100 * right / max(right + missed, 1),
                "f": 200 * right / max(2 * right + wrong + missed, 1),
            }
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return the ten metrics, ``micro`` and ``per_class`` as plain JSON values, in percent."""
        return {"scores": self.scores.as_dict(), "micro": self.micro(), "per_class": self.classes.as_rows()}

    def as_markdown(self, caption: str, per_class: bool = False) -> str:
        """Return a table of the ten metrics, then precision, recall and F of segments, on request per class."""
        lines = [score_table({"pseudo labels": self.scores.as_dict()}, caption)]
        lines += ["| segments of | precision | recall | F |", "|---|---:|---:|---:|"]
        lines += [_row(modality, *values.values()) for modality, values in self.micro().items()]
        if per_class:
            measures = np.stack((self.classes.precision, self.classes.recall, self.classes.f))[:, 0]  # [3, track, C]
            lines += [
                _row(f"{name}, {modality}", *(100 * measures[:, track, c]).tolist())
                for c, name in enumerate(self.classes.classes)
                for track, modality in enumerate(MODALITIES)
            ]
        return "\n".join(lines) + "\n"


def score_segment_labels(labels: SegmentLabels, store: FeatureStore) -> PseudoQuality:
    """Score segment labels against the dense truth; a target of at least one half counts as a label.

    A modality without segment labels is scored as it would be trained: with the weak label in every segment.

    Raises:
        UserError: a video is not in the store or has no dense truth, or the labels were made for other data.
    """
    indices = np.array([store.position(video) for video in labels.videos], dtype=np.int64)
    audio_true, visual_true, mask = store.dense_truth(indices)
    copied = store.weak[indices][:, None] & mask[:, :, None]
    sides = SegmentTable(labels, store)(torch.from_numpy(indices))
    audio, visual = (copied if side is None else (side >= _DECIDED).numpy() for side in sides)
    return score_decisions(audio, visual, audio_true, visual_true, store.vocabulary, mask)


def score_decisions(
    audio: Binary, visual: Binary, audio_true: Binary, visual_true: Binary, classes: Iterable[str], mask: Binary
) -> PseudoQuality:
    """Score decisions ``[N, T, C]`` over all segments; arguments and errors are those of ``score_classes``."""
    arrays = audio, visual, audio_true, visual_true
    return PseudoQuality(score_parsing(*arrays, mask), score_classes(*arrays, classes, mask))


def _row(title: str, *values: float) -> str:
    return f"| {title} | " + " | ".join("–" if np.isnan(x) else f"{x:.1f}" for x in values) + " |"
