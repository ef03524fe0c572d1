"""The slow, obvious twin of ``avparse.evaluation``: loops over videos, classes, segments and pairs of events."""

from __future__ import annotations

from typing import Any

METRICS = [
    f"{level}_{column}"
    for level in ("segment", "event")
    for column in ("audio", "visual", "audio_visual", "type", "event")
]


def runs_of(row: list[bool]) -> list[tuple[int, int]]:
    """Maximal runs of ones as (first, one past the last)."""
    found = []
    first = None
    for position, bit in enumerate([*row, False]):
        if bit and first is None:
            first = position
        if not bit and first is not None:
            found.append((first, position))
            first = None
    return found


def overlap(a: tuple[int, int], b: tuple[int, int]) -> float:
    """Intersection over union of two intervals, segment by segment."""
    one, other = set(range(*a)), set(range(*b))
    return len(one & other) / len(one | other)


def count_segments(pred: list[bool], true: list[bool], iou: float) -> tuple[int, int, int]:
    """(TP, FP, FN) of one class; ``iou`` plays no part."""
    pairs = list(zip(pred, true, strict=True))
    return pairs.count((True, True)), pairs.count((True, False)), pairs.count((False, True))


def count_events(pred: list[bool], true: list[bool], iou: float) -> tuple[int, int, int]:
    """(TP, FP, FN) of one class; the misses come from a search of their own."""
    predicted, real = runs_of(pred), runs_of(true)
    right = sum(any(overlap(p, t) >= iou for t in real) for p in predicted)
    missed = sum(not any(overlap(t, p) >= iou for p in predicted) for t in real)
    return right, len(predicted) - right, missed


def mean_f(counts: list[tuple[int, int, int]]) -> float:
    """Mean of F over the classes where anything is; 1 where nothing is."""
    values = [2 * tp / (2 * tp + fp + fn) for tp, fp, fn in counts if tp + fp + fn > 0]
    return sum(values) / len(values) if values else 1.0


def score_video(pred: dict[str, Any], true: dict[str, Any], segments: int, classes: int, iou: float) -> list[float]:
    """Ten F values of one video; ``pred`` and ``true`` hold ``audio`` and ``visual`` as ``[T][C]``."""
    values = []
    for count in (count_segments, count_events):
        counts: dict[str, list[tuple[int, int, int]]] = {"audio": [], "visual": [], "audio_visual": [], "event": []}
        for c in range(classes):
            rows = []
            for side in (pred, true):
                audio = [bool(side["audio"][t][c]) for t in range(segments)]
                visual = [bool(side["visual"][t][c]) for t in range(segments)]
                both = [a and v for a, v in zip(audio, visual, strict=True)]
                rows.append({"audio": audio, "visual": visual, "audio_visual": both})
            for track in rows[0]:
                counts[track].append(count(rows[0][track], rows[1][track], iou))
            a, v = counts["audio"][-1], counts["visual"][-1]
            counts["event"].append((a[0] + v[0], a[1] + v[1], a[2] + v[2]))
        audio_f, visual_f, both_f = (mean_f(counts[track]) for track in ("audio", "visual", "audio_visual"))
        values += [audio_f, visual_f, both_f, (audio_f + visual_f + both_f) / 3, mean_f(counts["event"])]
    return values


def plain_scores(
    audio_pred: Any, visual_pred: Any, audio_true: Any, visual_true: Any, mask: Any = None, iou: float = 0.5
) -> list[list[float]]:
    """F values (0 to 1) ``[N][10]`` in the order of ``METRICS``; arrays ``[N, T, C]``, ``mask [N, T]`` of prefixes."""
    _, length, classes = audio_pred.shape
    return [
        score_video(
            {"audio": audio_pred[n].tolist(), "visual": visual_pred[n].tolist()},
            {"audio": audio_true[n].tolist(), "visual": visual_true[n].tolist()},
            length if mask is None else int(mask[n].sum()),
            classes,
            iou,
        )
        for n in range(len(audio_pred))
    ]
