"""Quality of refined labels where the truth is known: how many wrong labels were removed, and how many right ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from avparse.data.vocabulary import MODALITIES
from avparse.evaluation.parsing import Binary
from avparse.foundation.arrays import BoolArray, Float64Array, IntArray
from avparse.foundation.errors import UserError

MEASURES = ("noise_before", "noise_after", "precision", "recall", "f", "true_kept", "accuracy")
_HEADS = ("noise before", "after", "precision", "recall", "F", "true kept", "accuracy")


@dataclass(frozen=True, eq=False)
class DenoisingQuality:
    """Counts of removed, kept and added labels of each modality.

    A given label of a modality is wrong if the class does not occur there at any time.

    Attributes:
        classes: class names, in the order of the last axis.
        removed_wrong, removed_right: number of wrong and of right given labels that were removed, ``[2, C]`` (audio,
            visual).
        kept_wrong, kept_right: number of wrong and of right given labels that were kept, ``[2, C]``.
        added_wrong, added_right: number of wrong and of right labels that were added, ``[2, C]``; only a refiner that
            repairs labels adds any.
    """

    classes: tuple[str, ...]
    removed_wrong: IntArray
    removed_right: IntArray
    kept_wrong: IntArray
    kept_right: IntArray
    added_wrong: IntArray
    added_right: IntArray

    def measures(self) -> dict[str, Float64Array]:
        """Return every measure of :data:`MEASURES` as ``[3, C + 1]``, 0 to 1; NaN where undefined.

        Rows: audio, visual, both together. Columns: the classes, then all of them together.

        - ``noise_before``, ``noise_after``: share of wrong labels among the given and among the refined labels;
        - ``precision``, ``recall``, ``f``: quality of the removals, where a removed wrong label is a true positive;
        - ``true_kept``: share of the right given labels that were kept;
        - ``accuracy``: share of the given labels that were rightly kept or rightly removed.
        """
        removed_wrong, removed_right = _with_sums(self.removed_wrong), _with_sums(self.removed_right)
        kept_wrong, kept_right = _with_sums(self.kept_wrong), _with_sums(self.kept_right)
        added_wrong, added_right = _with_sums(self.added_wrong), _with_sums(self.added_right)
        given = removed_wrong + removed_right + kept_wrong + kept_right
        refined_wrong = kept_wrong + added_wrong
        wrong = removed_wrong + kept_wrong
        removed = removed_wrong + removed_right
        return {
            "noise_before": _share(wrong, given),
            "noise_after": _share(refined_wrong, refined_wrong + kept_right + added_right),
            "precision": _share(removed_wrong, removed),
            "recall": _share(removed_wrong, wrong),
            "f": _share(2 * removed_wrong, removed + wrong),
            "true_kept": _share(kept_right, kept_right + removed_right),
            "accuracy": _share(kept_right + removed_wrong, given),
        }

    def as_dict(self) -> dict[str, Any]:
        """Return ``{"total": {modality: metrics}, "per_class": {class: {modality: metrics}}}``.

        Modalities are ``audio``, ``visual`` and ``both``. Metrics are the measures in percent (None where undefined)
        and the counts, as plain JSON values.
        """
        measures = self.measures()
        counts = {name: _with_sums(getattr(self, name)) for name in _COUNTS}

        def metrics(column: int) -> dict[str, dict[str, float | int | None]]:
            return {
                side: {
                    **{
                        k: None if np.isnan(x[row, column]) else 100 * float(x[row, column])
                        for k, x in measures.items()
                    },
                    **{k: int(x[row, column]) for k, x in counts.items()},
                }
                for row, side in enumerate((*MODALITIES, "both"))
            }

        return {"total": metrics(-1), "per_class": {name: metrics(c) for c, name in enumerate(self.classes)}}

    def as_markdown(self, per_class: bool = False) -> str:
        """Return a table in percent with rows for audio, visual and both, and on request for each class with labels."""
        measures = np.stack(list(self.measures().values()))  # [measure, 3, C + 1]
        removed = _with_sums(self.removed_wrong + self.removed_right)
        given = removed + _with_sums(self.kept_wrong + self.kept_right)
        lines = [
            f"| labels of | given | removed | {' | '.join(_HEADS)} |",
            "|---|" + "---:|" * (2 + len(_HEADS)),
        ]

        def row(title: str, side: int, column: int) -> str:
            cells = ["–" if np.isnan(x) else f"{100 * x:.1f}" for x in measures[:, side, column]]
            return f"| {title} | {given[side, column]} | {removed[side, column]} | {' | '.join(cells)} |"

        lines += [row(side, i, -1) for i, side in enumerate((*MODALITIES, "both"))]
        if per_class:
            lines += [
                row(f"{name}, {side}", i, c)
                for c, name in enumerate(self.classes)
                for i, side in enumerate(MODALITIES)
                if given[i, c]
            ]
        return "\n".join(lines) + "\n"


_COUNTS = ("removed_wrong", "removed_right", "kept_wrong", "kept_right", "added_wrong", "added_right")


def score_denoising(
    given: Binary,
    kept_audio: Binary,
    kept_visual: Binary,
    true_audio: Binary,
    true_visual: Binary,
    classes: Iterable[str],
) -> DenoisingQuality:
    """Compare refined labels with the truth.

    Args:
        given: labels before denoising, boolean ``[N, C]``.
        kept_audio: audio labels after denoising, boolean ``[N, C]``.
        kept_visual: visual labels after denoising, boolean ``[N, C]``.
        true_audio: true audio labels, boolean ``[N, C]``: whether the class is heard in the video at any time.
        true_visual: true visual labels, boolean ``[N, C]``: whether the class is seen in the video at any time.
        classes: names of the C classes.

    Raises:
        UserError: an array is not boolean, shapes disagree, or the number of names is not the number of classes.
    """
    names = tuple(classes)
    named = {"kept_audio": kept_audio, "kept_visual": kept_visual, "true_audio": true_audio, "true_visual": true_visual}
    before = _boolean("given", given)
    if before.ndim != 2 or before.shape[1] != len(names):
        raise UserError(f"given has shape {before.shape}; give [N, C] with C = {len(names)} classes")
    arrays = {name: _boolean(name, values) for name, values in named.items()}
    for name, array in arrays.items():
        if array.shape != before.shape:
            raise UserError(f"{name} has shape {array.shape}, given {before.shape}; give the same videos and classes")
    after = np.stack((arrays["kept_audio"], arrays["kept_visual"]))
    truth = np.stack((arrays["true_audio"], arrays["true_visual"]))

    def count(which: BoolArray) -> IntArray:
        counts: IntArray = which.sum(axis=1, dtype=np.int64)
        return counts

    return DenoisingQuality(
        classes=names,
        removed_wrong=count(before & ~after & ~truth),
        removed_right=count(before & ~after & truth),
        kept_wrong=count(before & after & ~truth),
        kept_right=count(before & after & truth),
        added_wrong=count(~before & after & ~truth),
        added_right=count(~before & after & truth),
    )


def _with_sums(counts: IntArray) -> IntArray:
    """Append a row for both modalities and a column for all classes."""
    rows = np.concatenate([counts, counts.sum(axis=0, keepdims=True)])
    return np.concatenate([rows, rows.sum(axis=1, keepdims=True)], axis=1)


def _share(part: IntArray, whole: IntArray) -> Float64Array:
    share: Float64Array = np.full(part.shape, np.nan)
    return np.divide(part, whole, out=share, where=whole > 0)


def _boolean(name: str, values: Binary) -> BoolArray:
    array = np.asarray(values)
    if array.dtype != np.dtype(bool):
        raise UserError(f"{name} is {array.dtype}, not boolean; decide first (for example with a threshold)")
    return array
