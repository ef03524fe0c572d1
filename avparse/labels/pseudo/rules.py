"""Rules of the published methods that turn a teacher's scores into labels, for the segments of many videos at once.

In all functions the rows of an array ``[n, C]`` are segments, with the videos one after the other.
"""

from __future__ import annotations

import numpy as np

from avparse.data.scores import TeacherScores
from avparse.foundation.arrays import BoolArray, Float32Array, IntArray, segment_rows
from avparse.foundation.errors import UserError


def softmax(scores: Float32Array, temperature: float = 1.0) -> Float32Array:
    """Return the share of each class in a segment, computed over all classes, whatever the weak label."""
    shares = scores / np.float32(temperature)
    shares -= shares.max(axis=1, keepdims=True)
    np.exp(shares, out=shares)
    shares /= shares.sum(axis=1, keepdims=True)
    return shares


def most_probable(shares: Float32Array, mass: float) -> BoolArray:
    """Mark, in each segment, the largest k classes whose shares sum to at most ``mass``, and at least one.

    It is RLLD's rule in place of VALOR's thresholds (arXiv 2412.19563, section 4.5), on :func:`softmax` over all
    classes.
    """
    order = np.argsort(-shares, axis=1, kind="stable")
    within = np.cumsum(np.take_along_axis(shares, order, axis=1), axis=1, dtype=np.float64) <= mass
    within[:, 0] = True
    chosen = np.zeros(shares.shape, dtype=bool)
    np.put_along_axis(chosen, order, within, axis=1)
    return chosen


def best_subset(teacher: TeacherScores, rows: IntArray, weak: BoolArray, lengths: IntArray) -> BoolArray:
    """Mark the classes of the subset of the weak label whose prompt is most similar to the segment (LSLD, section 3.2).

    The empty subset ("other") takes part, so a segment may have no label; there is no threshold.

    Args:
        teacher: scores of a teacher that has prompts for subsets.
        rows: rows ``[n]`` of the segments in the teacher's arrays.
        weak: weak labels ``[N, C]`` of the videos.
        lengths: number of segments ``[N]`` of each video.

    Raises:
        UserError: the prompt of a subset is missing.
    """
    members = teacher.known_subsets.members
    starts = np.cumsum(lengths) - lengths
    chosen = np.zeros((len(rows), members.shape[1]), dtype=bool)
    label_sets, of_set = np.unique(weak, axis=0, return_inverse=True)
    for number, labels in enumerate(label_sets):
        which = np.flatnonzero(~(members & ~labels).any(axis=1))
        if len(which) != 2 ** int(labels.sum()):
            named = " and ".join(c for c, given in zip(teacher.info.classes, labels, strict=True) if given)
            raise UserError(
                f"teacher '{teacher.info.teacher}': lacks prompts for subsets of {named or 'no label'}; run it again"
            )
        videos = np.flatnonzero(of_set.reshape(-1) == number)
        where = segment_rows(starts[videos], lengths[videos])
        best = teacher.subset_cosines(rows[where], which).argmax(axis=1)
        chosen[where] = members[which[best]]
    return chosen


def likeliest_subset(logits: Float32Array, weak: BoolArray) -> BoolArray:
    """Mark the subset of the weak label that is most probable by the logits of single classes.

    It is LSLD's decision for a teacher of logits, which has no prompts of subsets: the product of p of the classes in
    a subset and 1 - p of the others is largest for the classes whose p is above one half.

    Args:
        logits: logits ``[n, C]`` of the segments.
        weak: weak label ``[n, C]`` of the video of each segment.
    """
    chosen: BoolArray = (logits > 0) & weak
    return chosen


def sigmoid_margin(scores: Float32Array, threshold: Float32Array) -> Float32Array:
    """Return ``sigmoid(score - threshold)``, which is one half at the threshold (UWAV)."""
    margin = np.clip(scores - threshold, -30, 30)
    soft: Float32Array = (1 / (1 + np.exp(-margin))).astype(np.float32)
    return soft


def overlap(labels: BoolArray, similarities: Float32Array, positive: float, negative: float) -> Float32Array:
    """Soften labels where positives and negatives of a class overlap in similarity (LSLD, section 3.3).

    For a class, let P be its labelled segments and N all others. If the most similar of N is above the least similar of
    P, each of P below that maximum gets ``positive`` times its similarity, and each of N above that minimum
    ``negative`` times its similarity, also outside the weak label. A value outside (0, 1) is not used. P and N are sets
    of the given segments.

    Args:
        labels: hard labels ``[n, C]`` of all training segments.
        similarities: similarities ``[n, C]`` of the segments with the plain class names.
        positive: factor of labelled segments (published: 4).
        negative: factor of the other segments (published: 0.4).
    """
    low = np.where(labels, similarities, np.inf).min(axis=0, initial=np.inf)
    high = np.where(labels, -np.inf, similarities).max(axis=0, initial=-np.inf)
    doubtful = np.where(labels, similarities < high, similarities > low) & (high > low)
    value = np.where(labels, np.float32(positive), np.float32(negative)) * similarities
    written = doubtful & (value > 0) & (value < 1)
    softened: Float32Array = np.where(written, value, labels).astype(np.float32)
    return softened
