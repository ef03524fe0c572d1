"""Heads on frozen features: fitted in closed form, and judged by files that they did not see."""

from __future__ import annotations

import numpy as np
import pytest

from avparse.data.examples import ExampleRows, fit_head
from avparse.data.examples.head import _balanced, _regress, _Rows, _spread

CLASSES = 3


def rows(files: int, segments: int, noise: float, seed: int = 0, classes: int = CLASSES) -> ExampleRows:
    """Files of each class and of none, whose segments lie around the class's own direction."""
    draw = np.random.default_rng(seed)
    labels = np.repeat(np.vstack([np.eye(classes), np.zeros((1, classes))]), files, axis=0) > 0
    file = np.repeat(np.arange(len(labels)), segments)
    centres = 3 * draw.standard_normal((classes, 40))
    own = labels @ centres + noise * draw.standard_normal((len(labels), 40))
    features = own[file] + noise * draw.standard_normal((len(file), 40))
    return ExampleRows("audio", "sounds", features.astype(np.float32), file, labels)


def logits(examples: ExampleRows, features: np.ndarray) -> np.ndarray:
    head = fit_head(examples)
    return features @ head.weights + head.bias


def test_classes_are_told_apart_and_may_hold_at_once() -> None:
    examples = rows(4, 3, 0.5)
    found = logits(examples, examples.features) > 0
    assert (found == examples.labels[examples.file]).all()
    both = np.concatenate([examples.features[:1], examples.features[-1:]])
    assert (logits(examples, both) > 0).tolist() == [[True, False, False], [False, False, False]]


def test_held_out_scores_are_those_of_heads_fitted_without_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avparse.data.examples.head._PENALTIES", (0.1,))
    draw = np.random.default_rng(3)
    file = np.repeat(np.arange(6), [1, 2, 3, 1, 2, 3])
    signs = np.where(np.arange(6)[file] < 3, 1.0, -1.0)[:, None]
    x, weight = draw.standard_normal((12, 5)), 1.0 / np.bincount(file)[file]
    slopes, offsets, held = _regress(_Rows(x, file, weight, signs))
    # The same objective by ordinary least squares, with the intercept as a feature.
    design = np.column_stack([x / np.sqrt(5), np.full(12, 10.0)])
    balanced = _balanced(weight, signs[:, 0])

    def fit(keep: np.ndarray) -> np.ndarray:
        w, z = balanced[keep], design[keep]
        return np.linalg.solve(z.T @ (w[:, None] * z) + 0.1 * np.eye(6), z.T @ (w * signs[keep, 0]))

    whole = fit(np.ones(12, dtype=bool))
    assert np.allclose(x @ slopes[:, 0] + offsets[0], design @ whole, atol=1e-8)
    for number in range(6):
        out = file == number
        assert np.allclose(held[out, 0], design[out] @ fit(~out), atol=1e-8)


def test_noise_is_not_known_again() -> None:
    """Held-out scores of labels that mean nothing say so, where those of the fitted files would look perfect."""
    examples = rows(5, 4, 1.0, seed=1)
    shuffled = examples.labels[np.random.default_rng(0).permutation(len(examples.labels))]
    noise = np.random.default_rng(1).standard_normal(examples.features.shape).astype(np.float32)
    head = fit_head(ExampleRows("audio", "sounds", noise, examples.file, shuffled))
    known = (head.held_out > 0)[shuffled].mean()
    assert known < 0.6


def test_a_class_without_examples_has_no_head() -> None:
    examples = rows(3, 2, 0.5)
    keep = ~examples.labels[examples.file][:, 1]
    without = ExampleRows("audio", "sounds", examples.features[keep], examples.file[keep], examples.labels)
    head = fit_head(without)
    assert head.judges.tolist() == [True, False, True]
    assert np.isnan(head.weights[:, 1]).all()
    assert np.isnan(head.held_out[:, 1]).all()
    nothing = ExampleRows("audio", "sounds", examples.features[:0], examples.file[:0], examples.labels)
    assert not fit_head(nothing).judges.any()


def test_the_fit_is_deterministic_and_long_files_cost_no_more() -> None:
    examples = rows(3, 200, 0.5)
    first, second = fit_head(examples), fit_head(examples)
    assert (first.weights == second.weights).all()
    assert (first.held_out == second.held_out).all()


def test_the_cost_is_bounded_by_learning_from_fewer_segments_of_each_of_many_files() -> None:
    assert len(_spread(np.repeat(np.arange(4), 300))) == 4 * 20
    assert len(_spread(np.repeat(np.arange(250), 10))) == 250 * 4
    assert len(_spread(np.repeat(np.arange(900), 10))) == 900 * 2
    assert _spread(np.array([0, 1, 1])).tolist() == [0, 1, 2]


def test_constant_features_do_no_harm() -> None:
    examples = rows(3, 2, 0.5)
    constant = np.full((len(examples.features), 1), 1e4, dtype=np.float32)
    wide = ExampleRows(
        "audio", "sounds", np.concatenate([examples.features, constant], axis=1), examples.file, examples.labels
    )
    assert np.isfinite(fit_head(wide).weights).all()
    assert (fit_head(wide).weights[-1] == 0).all()
