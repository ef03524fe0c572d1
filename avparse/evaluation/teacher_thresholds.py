"""Tuning of the thresholds that turn a teacher's scores into labels, on validation.

For every class and modality the threshold with the best F over segments is drawn towards the best common threshold; the
fewer videos have the class, the closer. Then all thresholds are moved, one by one, as long as the segment-level Type
rises, because that metric averages over videos and the F of a class does not. Validation is no longer unseen
afterwards, so the metrics to report are cross-validated. Tuning on test is not offered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from pydantic import Field

from avparse.data.vocabulary import MODALITIES
from avparse.evaluation.parsing import ParsingScores, score_parsing
from avparse.foundation.arrays import BoolArray, Float32Array, Float64Array, IntArray
from avparse.foundation.errors import UserError
from avparse.foundation.settings import Settings

Thresholds = dict[str, Float32Array]
_CANDIDATES = 24  # number of quantiles of a class's scores that are tried as thresholds


class Tuning(Settings):
    """Settings of the tuning of a teacher's thresholds.

    Attributes:
        shared: whether all classes of a modality share one threshold.
        prior: number of videos with a class at which its own threshold counts as much as the common one.
        passes: number of passes over all thresholds in the ascent on Type; 0 skips the ascent.
        folds: number of folds of the cross-validation.
    """

    shared: bool = False
    prior: float = Field(10.0, ge=0)
    passes: int = Field(3, ge=0)
    folds: int = Field(5, ge=2)


@dataclass(frozen=True, eq=False)
class ScoredVideos:
    """A teacher's scores of annotated videos.

    Attributes:
        scores: scores ``[N, T, C]`` by modality; minus infinity where no label may be on (outside the weak label, the
            video or the modality), so that a label is on iff its score is above the threshold.
        truth: true labels ``[N, T, C]`` by modality.
        fixed: modalities that keep the thresholds they have.
    """

    scores: Mapping[str, Float32Array]
    truth: Mapping[str, BoolArray]
    fixed: tuple[str, ...] = ()

    def part(self, videos: IntArray) -> ScoredVideos:
        """Return the same for some of the videos."""
        scores = {m: x[videos] for m, x in self.scores.items()}
        return replace(self, scores=scores, truth={m: x[videos] for m, x in self.truth.items()})

    def decide(self, thresholds: Thresholds) -> tuple[BoolArray, BoolArray]:
        """Return the labels of audio and of visual at the given thresholds."""
        audio, visual = (self.scores[m] > thresholds[m] for m in MODALITIES)
        return audio, visual

    def score(self, thresholds: Thresholds) -> ParsingScores:
        """Return the ten metrics of the labels at the given thresholds."""
        audio, visual = (self.truth[m] for m in MODALITIES)
        return score_parsing(*self.decide(thresholds), audio, visual)


def tune(videos: ScoredVideos, given: Thresholds, tuning: Tuning) -> Thresholds:
    """Return the tuned thresholds ``[C]`` of each modality; fixed modalities keep those of ``given``."""
    found = dict(given)
    for modality in MODALITIES:
        if modality not in videos.fixed:
            found[modality] = _fit(videos.scores[modality], videos.truth[modality], tuning)
    ascent = _Ascent(videos, found)
    for _ in range(tuning.passes):
        if not ascent.climb(tuning.shared):
            break
    return ascent.thresholds


def cross_validate(videos: ScoredVideos, given: Thresholds, tuning: Tuning) -> ParsingScores:
    """Return the metrics of all videos, each labelled with thresholds that were tuned on the other folds.

    Raises:
        UserError: there are fewer videos than folds.
    """
    count = len(videos.scores[MODALITIES[0]])
    if tuning.folds > count:
        raise UserError(f"--folds is {tuning.folds}, but there are {count} videos to tune on; give at most {count}")
    fold = np.random.default_rng(0).permutation(count) % tuning.folds
    per_video = np.empty((0, 0))
    for number in range(tuning.folds):
        held_out = np.flatnonzero(fold == number)
        thresholds = tune(videos.part(np.flatnonzero(fold != number)), given, tuning)
        scored = videos.part(held_out).score(thresholds).per_video
        if not per_video.size:
            per_video = np.empty((count, scored.shape[1]))
        per_video[held_out] = scored
    return ParsingScores(per_video)


def _fit(scores: Float32Array, truth: BoolArray, tuning: Tuning) -> Float32Array:
    """Return the threshold of each class with the best F, drawn towards the threshold of all classes together."""
    possible = np.isfinite(scores)
    common = best_threshold(scores[possible], truth[possible], int((truth & ~possible).sum()))
    if tuning.shared:
        return np.full(scores.shape[2], common, dtype=np.float32)
    found = np.empty(scores.shape[2], dtype=np.float32)
    for c in range(scores.shape[2]):
        where = possible[..., c]
        count = int(where.any(axis=1).sum())
        own = (
            best_threshold(scores[where, c], truth[where, c], int((truth[..., c] & ~where).sum())) if count else common
        )
        weight = count / (count + tuning.prior) if count else 0.0
        found[c] = weight * own + (1 - weight) * common
    return found


def best_threshold(scores: Float32Array, truth: BoolArray, missed: int) -> float:
    """Return the threshold, one of the scores or just below all, with the best F; among equal ones the lowest.

    Args:
        scores: scores ``[n]`` of a class; a label is on where its score is above the threshold.
        truth: true labels ``[n]`` of the class.
        missed: number of further true labels that can never be on.
    """
    if not len(scores):
        return 0.0
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))  # of each run of equal scores
    on = len(scores) - np.concatenate(([0], last + 1))
    right = truth.sum() - np.concatenate(([0], np.cumsum(truth[order])[last]))
    size = on + truth.sum() + missed
    f = np.where(size > 0, 2 * right / np.maximum(size, 1), 1.0)
    best = int(np.argmax(f))
    below = np.nextafter(ordered[0], np.float32(-np.inf))
    return float(below if best == 0 else ordered[last[best - 1]])


class _Ascent:
    """Coordinate ascent on segment-level Type, which recounts only what a changed threshold affects."""

    def __init__(self, videos: ScoredVideos, thresholds: Thresholds) -> None:
        self.videos = videos
        self.thresholds = {m: x.copy() for m, x in thresholds.items()}
        self.on = dict(zip(MODALITIES, videos.decide(thresholds), strict=True))
        truth = videos.truth
        self.truth = {**truth, "both": truth[MODALITIES[0]] & truth[MODALITIES[1]]}
        on = {**self.on, "both": self.on[MODALITIES[0]] & self.on[MODALITIES[1]]}
        self.f = {track: _f(on[track], self.truth[track]) for track in on}  # by track, [N, C]; NaN is not counted

    def climb(self, shared: bool) -> bool:
        """Try every threshold once; return whether any was changed."""
        moved = False
        for modality in MODALITIES:
            if modality in self.videos.fixed:
                continue
            count = len(self.thresholds[modality])
            for classes in [np.arange(count)] if shared else np.arange(count)[:, None]:
                moved |= self._move(modality, classes)
        return moved

    def _move(self, modality: str, classes: IntArray) -> bool:
        """Give ``classes`` the common threshold that is best for Type, if it is better than their present ones."""
        scores = self.videos.scores[modality][..., classes]
        finite = scores[np.isfinite(scores)]
        if not len(finite):
            return False
        candidates = np.unique(np.quantile(finite, np.linspace(0, 1, _CANDIDATES), method="lower"))
        candidates = np.append(np.nextafter(candidates[0], np.float32(-np.inf)), candidates).astype(np.float32)
        other = self.on[next(m for m in MODALITIES if m != modality)][..., classes]
        best, chosen = self._mean(modality) + self._mean("both") + 1e-9, None
        for threshold in candidates:  # ascending, so that among equal ones the lowest is kept
            on = scores > threshold
            new = {modality: _f(on, self.truth[modality][..., classes])}
            new["both"] = _f(on & other, self.truth["both"][..., classes])
            value = sum(self._mean(track, classes, f) for track, f in new.items())
            if value > best:
                best, chosen = value, (threshold, on, new)
        if chosen is None:
            return False
        threshold, on, new = chosen
        self.thresholds[modality][classes] = threshold
        self.on[modality][..., classes] = on
        for track, f in new.items():
            self.f[track][:, classes] = f
        return True

    def _mean(self, track: str, classes: IntArray | None = None, new: Float64Array | None = None) -> float:
        """Return the metric of a track, with the values ``new`` ``[N, c]`` of some classes in place of theirs."""
        f = self.f[track]
        if classes is not None and new is not None:
            f = f.copy()
            f[:, classes] = new
        counted = np.count_nonzero(~np.isnan(f), axis=1)
        return float(np.where(counted > 0, np.nansum(f, axis=1) / np.maximum(counted, 1), 1.0).mean())


def _f(on: BoolArray, truth: BoolArray) -> Float64Array:
    """Return F ``[N, C]`` over the segments of each video; NaN where a class is neither predicted nor true anywhere."""
    size = on.sum(axis=1) + truth.sum(axis=1)
    f: Float64Array = np.where(size > 0, 2 * (on & truth).sum(axis=1) / np.maximum(size, 1), np.nan)
    return f
