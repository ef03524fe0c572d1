"""The ten metrics of audio-visual video parsing, at segment and at event level.

The protocol is that of LLP (Tian, Li and Xu, "Unified Multisensory Perception: Weakly-Supervised Audio-Visual Video
Parsing", ECCV 2020). Both levels follow from the maximal runs of ones of three bit fields: the prediction, the truth
and their overlap. The overlap of a predicted and a true event is an interval, hence exactly one run of the overlap
field, and every run of that field lies in exactly one predicted and one true event. The runs of the overlap are
therefore the pairs of events that intersect, their lengths are the intersections, and the sum of their lengths is the
number of right segments. Time and memory are linear in the number of segments (except for a binary search per pair),
for any T and C.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from avparse.foundation.arrays import BoolArray, Float64Array, IntArray
from avparse.foundation.errors import UserError

Binary = npt.NDArray[Any] | Tensor

LEVELS = ("segment", "event")
TRACKS = ("audio", "visual", "audio_visual")
METRICS = tuple(f"{level}_{column}" for level in LEVELS for column in (*TRACKS, "type", "event"))

_BLOCK = 1 << 15  # segments times classes in one pass: small enough to stay in the processor's cache


@dataclass(frozen=True, eq=False)
class ParsingScores:
    """The ten metrics of every video.

    The scores of a part of the videos are ``ParsingScores(scores.per_video[part])``.

    Attributes:
        per_video: F measures ``[N, 10]`` (0 to 1) of every video, with columns in the order of ``METRICS``. Type is the
            mean of audio, visual and audio-visual.
    """

    per_video: Float64Array

    def as_dict(self) -> dict[str, float]:
        """Return the metrics in percent, each the mean over the videos."""
        return dict(zip(METRICS, (100 * self.per_video.mean(axis=0)).tolist(), strict=True))

    def __str__(self) -> str:
        return as_text({"": self.as_dict()})

    def __repr__(self) -> str:
        return f"ParsingScores of {len(self.per_video)} videos\n{self}"


def as_text(scores: Mapping[str, Mapping[str, float]]) -> str:
    """Return the ten metrics in percent as plain text, two lines a system, under one head."""
    width = max(len(level) for level in LEVELS) + 1
    head = f"{'F (%)':<{width}}" + "".join(f"{name:>7}" for name in ("A", "V", "AV", "Type", "Event"))
    lines = [head]
    for system, metrics in scores.items():
        lines += [system] if system else []
        for level, row in zip(LEVELS, np.reshape([metrics[name] for name in METRICS], (len(LEVELS), -1)), strict=True):
            lines.append(f"{level:<{width}}" + "".join(f"{x:7.1f}" for x in row))
    return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Counts:
    """Number of segments and events that are right, wrong (false positives) and missed (false negatives).

    Attributes:
        right, wrong, missed: integer counts ``[level, track, N, C]``, in the order of ``LEVELS`` and ``TRACKS``.
    """

    right: IntArray
    wrong: IntArray
    missed: IntArray

    @classmethod
    def of_blocks(cls, blocks: Iterable[Counts]) -> Counts:
        """Return the counts of all blocks of videos together, in their order."""
        parts = [(block.right, block.wrong, block.missed) for block in blocks]
        return cls(*(np.concatenate(part, axis=2) for part in zip(*parts, strict=True)))

    def with_class(self, number: int, other: Counts) -> Counts:
        """Return these counts with those of one class taken from the counts of other decisions on the same videos."""
        pairs = ((self.right, other.right), (self.wrong, other.wrong), (self.missed, other.missed))
        changed = [mine.copy() for mine, _ in pairs]
        for mine, (_, theirs) in zip(changed, pairs, strict=True):
            mine[..., number] = theirs[..., number]
        return Counts(*changed)

    def scores(self) -> Float64Array:
        """Return the ten F measures ``[N, 10]`` (0 to 1) of every video, in the order of ``METRICS``."""
        right, wrong, missed = (
            np.concatenate([x, x[:, :1] + x[:, 1:2]], axis=1) for x in (self.right, self.wrong, self.missed)
        )
        size = 2 * right + wrong + missed
        classes = np.count_nonzero(size, axis=-1)
        total = (2 * right / np.maximum(size, 1)).sum(axis=-1)
        score = np.where(classes > 0, total / np.maximum(classes, 1), 1.0)  # [level, the three tracks and event, N]
        kinds = score[:, :3].mean(axis=1, keepdims=True)
        columns = np.concatenate([score[:, :3], kinds, score[:, 3:]], axis=1)
        return columns.reshape(len(METRICS), -1).T


def score_parsing(
    audio_pred: Binary,
    visual_pred: Binary,
    audio_true: Binary,
    visual_true: Binary,
    mask: Binary | None = None,
    iou: float = 0.5,
) -> ParsingScores:
    """Score decisions against dense truth.

    Per video and class F = 2TP / (2TP + FP + FN). The score of a video is the mean over the classes that are predicted
    or true there, and 1 where there is none; the metric is the mean over the videos. The audio-visual track is the
    product of both tracks; "event" adds the counts of audio and visual per class before it computes F.

    Args:
        audio_pred: audio decisions ``[N, T, C]``, boolean or exact 0/1.
        visual_pred: visual decisions ``[N, T, C]``, boolean or exact 0/1.
        audio_true: true audio events ``[N, T, C]``, boolean or exact 0/1.
        visual_true: true visual events ``[N, T, C]``, boolean or exact 0/1.
        mask: existing segments ``[N, T]``; values elsewhere count as empty. None means that all segments exist.
        iou: smallest intersection over union, inclusive, at which an event matches; in (0, 1].

    Raises:
        UserError: there are no videos, shapes disagree, values are not 0 or 1, or ``iou`` is outside its range.

    Example:
        >>> import numpy as np
        >>> truth = np.zeros((1, 10, 25), dtype=bool)
        >>> truth[0, 2:5, 7] = True
        >>> score_parsing(truth, truth, truth, truth).as_dict()["segment_type"]
        100.0
    """
    blocks = count_blocks(audio_pred, visual_pred, audio_true, visual_true, mask, iou)
    return ParsingScores(np.concatenate([counts.scores() for counts in blocks]))


def count_blocks(
    audio_pred: Binary,
    visual_pred: Binary,
    audio_true: Binary,
    visual_true: Binary,
    mask: Binary | None = None,
    iou: float = 0.5,
) -> Iterator[Counts]:
    """Yield counts of right, wrong and missed segments and events, one block of videos after the other.

    The arguments and errors are those of :func:`score_parsing`. A predicted event is right if its intersection over
    union with any true event of its class reaches ``iou``, even one that is matched already, and a true event is missed
    if no predicted one reaches it: two searches, as in the official code. From 0.5 on both searches agree, because an
    event cannot share half of its length with each of two others that are separated by a gap; below 0.5 one true event
    may make several predictions right.
    """
    if not 0 < iou <= 1:
        raise UserError(f"iou is {iou}; give a number above 0 and at most 1 (the official protocol has 0.5)")
    tracks = {
        "audio_pred": audio_pred,
        "visual_pred": visual_pred,
        "audio_true": audio_true,
        "visual_true": visual_true,
    }
    arrays, exists = _checked(tracks, mask)
    videos, segments, classes = arrays[0].shape
    step = max(1, _BLOCK // (segments * classes))
    for first in range(0, videos, step):
        part = slice(first, first + step)
        block = [x[part] for x in arrays]
        yield _count(block, None if exists is None else exists[part], iou)


def _count(block: list[BoolArray], exists: BoolArray | None, iou: float) -> Counts:
    videos, segments, classes = block[0].shape
    pred, true = _bit_field(block[0], block[1], exists), _bit_field(block[2], block[3], exists)
    found, real, shared = (_runs(bits, segments + 1) for bits in (pred, true, pred & true))

    of_found = np.searchsorted(found.start, shared.start, side="right") - 1
    of_real = np.searchsorted(real.start, shared.start, side="right") - 1
    union = found.length[of_found] + real.length[of_real] - shared.length
    match = shared.length / union >= iou
    hit, caught = np.zeros(len(found.start), dtype=bool), np.zeros(len(real.start), dtype=bool)
    hit[of_found[match]] = True
    caught[of_real[match]] = True

    def per_row(row: IntArray, weights: IntArray | None = None) -> npt.NDArray[Any]:
        return np.bincount(row, weights, minlength=len(TRACKS) * videos * classes)

    def both(of_segments: npt.NDArray[Any], of_events: npt.NDArray[Any]) -> IntArray:
        stacked = np.asarray((of_segments, of_events), dtype=np.int64)
        return stacked.reshape(len(LEVELS), len(TRACKS), videos, classes)

    overlap = per_row(shared.row, shared.length)
    return Counts(
        right=both(overlap, per_row(found.row[hit])),
        wrong=both(per_row(found.row, found.length) - overlap, per_row(found.row[~hit])),
        missed=both(per_row(real.row, real.length) - overlap, per_row(real.row[~caught])),
    )


class _Runs(NamedTuple):
    """Maximal runs of ones of a bit field in ascending order: position of the first bit, length and row."""

    start: IntArray
    length: IntArray
    row: IntArray


def _bit_field(audio: BoolArray, visual: BoolArray, exists: BoolArray | None) -> BoolArray:
    """Lay out audio, visual and their product as flat rows ``[track, N, C]``, separated by zeros.

    The zeros keep runs from crossing into the next row.
    """
    videos, segments, classes = audio.shape
    bits = np.zeros(len(TRACKS) * videos * classes * (segments + 1) + 1, dtype=bool)
    rows = bits[1:].reshape(len(TRACKS), videos, classes, segments + 1)
    rows[0, ..., :segments] = audio.transpose(0, 2, 1)
    rows[1, ..., :segments] = visual.transpose(0, 2, 1)
    if exists is not None:
        rows[:2, ..., :segments] &= exists[:, np.newaxis]
    np.logical_and(rows[0], rows[1], out=rows[2])
    return bits


def _runs(bits: BoolArray, width: int) -> _Runs:
    edges = np.flatnonzero(bits[1:] != bits[:-1])  # alternating: first bit of a run, then one past its last bit
    start = edges[::2]
    return _Runs(start, edges[1::2] - start, start // width)


def _checked(tracks: dict[str, Binary], mask: Binary | None) -> tuple[list[BoolArray], BoolArray | None]:
    """Return the tracks and the mask as boolean arrays of one shape."""
    shapes = {name: tuple(values.shape) for name, values in tracks.items()}
    first = next(iter(shapes.values()))
    if len(set(shapes.values())) > 1 or len(first) != 3:
        found = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise UserError(f"scoring needs four arrays of one shape [N, T, C], found {found}")
    if 0 in first:
        raise UserError(f"nothing to score: the arrays have shape {first} [N, T, C]; give at least one video")
    if mask is not None and tuple(mask.shape) != first[:2]:
        raise UserError(
            f"mask has shape {tuple(mask.shape)}, but audio_pred {first} [N, T, C] needs {first[:2]} [N, T]"
        )
    arrays = [_boolean(name, values) for name, values in tracks.items()]
    return arrays, None if mask is None else _boolean("mask", mask)


def _boolean(name: str, values: Binary) -> BoolArray:
    values = values.detach().cpu() if isinstance(values, Tensor) else np.asarray(values)
    if values.dtype not in (torch.bool, np.dtype(bool)):
        ones = values == 1
        if not bool((ones | (values == 0)).all()):
            raise UserError(f"{name} holds values other than 0 and 1; decide first (for example with a threshold)")
        values = ones
    return np.asarray(values)
