"""Heads on frozen features: what a few examples teach about each class, judged on files that they did not see.

Each class has a ridge regression of plus and minus one on standardised features (least-squares form of a discriminant
with a shrunken covariance): closed form, and so is the score of each file by a head that was fitted without it. The
logistic regression of those held-out scores gives the logits, whose zero is the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from avparse.data.examples.rows import ExampleRows
from avparse.foundation.arrays import BoolArray, Float32Array, Float64Array, IntArray
from avparse.foundation.logistic import fit_logistic

_PENALTIES = (0.01, 0.03, 0.1, 0.3)  # per feature, relative to the mean weight of a file
_SHARED = 100.0  # prior variance of the intercept, relative to that of all weights together: hardly penalised
_SLOPE = 0.01  # penalty of the slope of the calibration, on scores of deviation one
_TRUST = 3  # files of a class at which its own threshold counts as much as the midpoint between classes
_MOST, _TOTAL = 20, 1000  # segments of a file, and about of all, that are learned from, evenly spread over each file
_LEAST = 2  # of a file, however many files there are
_FILES = 2  # of a class, and of others, without which there is no head


@dataclass(frozen=True, eq=False)
class ExampleHead:
    """Heads of all classes for one modality.

    Attributes:
        modality: "audio" or "visual".
        stream: name of the stream of features.
        judges: ``[C]`` classes that have a head.
        weights, bias: logits are ``features @ weights + bias``, ``[D, C]`` and ``[C]``; NaN where there is no head.
        held_out: ``[F, C]`` mean logit of each file by heads that were fitted without it; NaN for files without the
            modality and for classes without a head.
    """

    modality: str
    stream: str
    judges: BoolArray
    weights: Float32Array
    bias: Float32Array
    held_out: Float64Array


@dataclass(frozen=True, eq=False)
class _Rows:
    """Standardised segments ``[n, D]`` with their files ``[n]``, the weight of each, and signs ``[n, C]``."""

    x: Float64Array
    file: IntArray
    weight: Float64Array
    signs: Float64Array


def fit_head(examples: ExampleRows) -> ExampleHead:
    """Fit the heads of the classes that have examples of and against them in this modality; deterministic."""
    labels, files = examples.labels, examples.counts > 0
    positive = examples.files_of()
    judges: BoolArray = (positive >= _FILES) & (files.sum() - positive >= _FILES)
    dimension, classes = examples.features.shape[1], labels.shape[1]
    weights, bias = np.full((dimension, classes), np.nan), np.full(classes, np.nan)
    held_out = np.full(labels.shape, np.nan)
    if judges.any():
        kept = _spread(examples.file)
        features, file = examples.features[kept].astype(np.float64), examples.file[kept]
        share = 1.0 / np.bincount(file)[file]  # every file weighs one
        mean, scale = _moments(features, share)
        rows = _Rows((features - mean) / scale, file, share, np.where(labels[file][:, judges], 1.0, -1.0))
        slopes, offsets, scores = _regress(rows)
        gain, shift = _calibrate(scores, rows)
        weights[:, judges] = slopes / scale[:, None] * gain
        bias[judges] = (offsets - (mean / scale) @ slopes) * gain + shift
        means = np.stack([np.bincount(file, share * one, len(labels)) for one in (scores * gain + shift).T], axis=1)
        held_out[np.ix_(files, judges)] = means[files]
    return ExampleHead(
        examples.modality,
        examples.stream,
        judges,
        weights.astype(np.float32),
        bias.astype(np.float32),
        held_out,
    )


def _spread(file: IntArray) -> IntArray:
    """Return positions of at most so many segments of each file, evenly spread, so that the cost is bounded."""
    places = [np.flatnonzero(file == number) for number in np.unique(file)]
    most = max(_LEAST, min(_MOST, _TOTAL // len(places)))
    picked = [p[np.linspace(0, len(p) - 1, min(len(p), most)).round().astype(int)] for p in places]
    return np.concatenate(picked)


def _moments(features: Float64Array, share: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return mean and deviation ``[D]``; an infinite deviation, which leaves it out, for a constant feature."""
    share = share / share.sum()
    mean = share @ features
    deviation = np.sqrt(share @ np.square(features - mean))
    constant = deviation <= 1e-4 * (1.0 + np.abs(mean))
    return mean, np.where(constant, np.inf, deviation)


def _regress(rows: _Rows) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Return slopes ``[D, C]``, offsets ``[C]`` and held-out scores ``[n, C]``, at the penalty that holds out best."""
    gram = rows.x @ rows.x.T / rows.x.shape[1] + _SHARED
    files = [np.flatnonzero(rows.file == number) for number in np.unique(rows.file)]
    best: tuple[float, Float64Array, Float64Array] | None = None
    for penalty in _PENALTIES:
        duals, scores = np.empty_like(rows.signs), np.empty_like(rows.signs)
        error = 0.0
        for c, signs in enumerate(rows.signs.T):
            weight = _balanced(rows.weight, signs)
            inverse = np.linalg.inv(gram + np.diag(penalty / weight))
            duals[:, c] = inverse @ signs
            for segments in files:
                # The residual of a group that is left out of a ridge regression, without another fit.
                residual = np.linalg.solve(inverse[np.ix_(segments, segments)], duals[segments, c])
                scores[segments, c] = signs[segments] - residual
            error += float(weight @ np.square(signs - scores[:, c]))
        if best is None or error < best[0]:
            best = error, duals, scores
    assert best is not None
    _, duals, scores = best
    return rows.x.T @ duals / rows.x.shape[1], _SHARED * duals.sum(axis=0), scores


def _balanced(weight: Float64Array, signs: Float64Array) -> Float64Array:
    """Return weights ``[n]`` in which the class and all else weigh equally, and one file as much as before."""
    half, total = signs > 0, weight.sum()
    factor = np.where(half, 0.5 * total / weight[half].sum(), 0.5 * total / weight[~half].sum())
    balanced: Float64Array = weight * factor
    return balanced


def _calibrate(scores: Float64Array, rows: _Rows) -> tuple[Float64Array, Float64Array]:
    """Return gain and shift ``[C]`` that turn scores into logits, of zero at the threshold.

    With few files of a class the threshold is drawn towards zero, the midpoint of a regression in which the class and
    all else weigh equally.
    """
    deviation = np.sqrt(np.square(scores).mean(axis=0))
    x = np.stack([(scores / deviation).T, np.ones_like(scores.T)], axis=2)
    target = (rows.signs.T > 0).astype(np.float64)
    fit = fit_logistic(
        torch.from_numpy(x),
        torch.from_numpy(target),
        torch.tensor([_SLOPE, 1e-6]),
        weight=torch.from_numpy(rows.weight),
    )
    slope, shift = fit.weights.numpy().T
    slope = np.maximum(slope, 1e-3)  # held-out scores that say the opposite give no head that does
    positive = target @ rows.weight
    threshold = -shift / slope * positive / (positive + _TRUST)
    return slope / deviation, -threshold * slope
