"""Precision, recall and F of every class over a whole data set.

The ten metrics of :mod:`avparse.evaluation.parsing` average within each video first, so they have no value per class.
Here the counts of a class are summed over all videos before precision, recall and F are formed (a micro average per
class). The mean of these F measures over the classes is therefore none of the ten metrics.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from avparse.evaluation.parsing import LEVELS, TRACKS, Binary, count_blocks
from avparse.foundation.arrays import Float64Array, IntArray
from avparse.foundation.errors import UserError


@dataclass(frozen=True, eq=False)
class ClassScores:
    """Counts of every class, summed over the videos.

    Attributes:
        classes: class names, in the order of the last axis.
        right, wrong, missed: counts ``[level, track, C]`` of segments or events, in the order of ``LEVELS`` and
            ``TRACKS``.
    """

    classes: tuple[str, ...]
    right: IntArray
    wrong: IntArray
    missed: IntArray

    @property
    def precision(self) -> Float64Array:
        """Share ``[level, track, C]``, 0 to 1, of right ones among the predicted; NaN where nothing is predicted."""
        return _share(self.right, self.right + self.wrong)

    @property
    def recall(self) -> Float64Array:
        """Share ``[level, track, C]``, 0 to 1, of right ones among the true; NaN where nothing is true."""
        return _share(self.right, self.right + self.missed)

    @property
    def f(self) -> Float64Array:
        """F measure ``[level, track, C]``, 0 to 1: 2TP / (2TP + FP + FN); NaN where nothing is predicted or true."""
        return _share(2 * self.right, 2 * self.right + self.wrong + self.missed)

    def as_rows(self) -> list[dict[str, str | int | float | None]]:
        """Return a row per class, level and track: F, precision, recall in percent (None: undefined), and counts."""
        measures = {"f": self.f, "precision": self.precision, "recall": self.recall}
        counts = {"right": self.right, "wrong": self.wrong, "missed": self.missed}
        return [
            {
                "class": name,
                "level": level,
                "track": track,
                **{m: None if np.isnan(x[i, j, c]) else 100 * float(x[i, j, c]) for m, x in measures.items()},
                **{m: int(x[i, j, c]) for m, x in counts.items()},
            }
            for c, name in enumerate(self.classes)
            for i, level in enumerate(LEVELS)
            for j, track in enumerate(TRACKS)
        ]

    def __str__(self) -> str:
        width = max(len("F (%)"), *(len(name) for name in self.classes))
        head = "".join(f"{level + ' ' + short:>12}" for level in LEVELS for short in ("A", "V", "AV"))
        values = 100 * self.f.reshape(-1, len(self.classes)).T
        cells = ["".join(f"{'-' if np.isnan(x) else format(x, '.1f'):>12}" for x in row) for row in values]
        rows = [f"{name:<{width}}{line}" for name, line in zip(self.classes, cells, strict=True)]
        return "\n".join([f"{'F (%)':<{width}}{head}", *rows])


def score_classes(
    audio_pred: Binary,
    visual_pred: Binary,
    audio_true: Binary,
    visual_true: Binary,
    classes: Iterable[str],
    mask: Binary | None = None,
    iou: float = 0.5,
) -> ClassScores:
    """Score every class against dense truth, over all videos together.

    Args:
        audio_pred: audio decisions ``[N, T, C]``, boolean or exact 0/1.
        visual_pred: visual decisions ``[N, T, C]``, boolean or exact 0/1.
        audio_true: true audio events ``[N, T, C]``, boolean or exact 0/1.
        visual_true: true visual events ``[N, T, C]``, boolean or exact 0/1.
        classes: names of the C classes.
        mask: existing segments ``[N, T]``; None means that all segments exist.
        iou: smallest intersection over union at which an event matches.

    Raises:
        UserError: the arrays are not accepted by :func:`avparse.evaluation.parsing.score_parsing`, or the number of
            names is not the number of classes.
    """
    names = tuple(classes)
    if audio_pred.ndim == 3 and len(names) != audio_pred.shape[2]:
        raise UserError(f"classes: {len(names)} names for {audio_pred.shape[2]} classes; give one name a class")
    blocks = list(count_blocks(audio_pred, visual_pred, audio_true, visual_true, mask, iou))
    sums = {
        kind: np.sum([getattr(counts, kind).sum(axis=2) for counts in blocks], axis=0)
        for kind in ("right", "wrong", "missed")
    }
    return ClassScores(names, **sums)


def _share(part: IntArray, whole: IntArray) -> Float64Array:
    share: Float64Array = np.full(part.shape, np.nan)
    return np.divide(part, whole, out=share, where=whole > 0)
