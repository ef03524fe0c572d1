"""Warnings where there are too few videos to learn a class from, or to tell methods apart."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from avparse.evaluation import score_parsing
from avparse.evaluation.comparison import COPIED, PARSER_ONLY
from avparse.evaluation.parsing import ParsingScores
from avparse.evaluation.sufficiency import doubts, rare_classes
from avparse.training.recipe import load_recipe
from avparse.training.train import train
from tests.toy import toy_store


def scores_of(videos: int, right: int, copied: int, seed: int = 0) -> dict[str, ParsingScores]:
    """Score a parser that has ``right`` of ten segments right in every video, beside labels with ``copied`` right."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((videos, 10, 3), dtype=bool)
    truth[..., 0] = rng.random((videos, 10)) < 0.5
    truth[:, 0, 0] = True

    def flipped(count: int) -> ParsingScores:
        said = truth.copy()
        for video in said:
            video[rng.permutation(10)[count + rng.integers(-1, 2) :], 0] ^= True
        return score_parsing(said, said, truth, truth)

    return {PARSER_ONLY: flipped(right), COPIED: flipped(copied)}


def test_a_parser_worse_than_copied_labels_is_told() -> None:
    found = doubts(scores_of(400, right=4, copied=8), "validation")
    assert len(found) == 1
    assert "not better than the weak labels copied into every segment" in found[0]
    assert "on 400 validation videos" in found[0]


def test_a_parser_that_is_clearly_better_raises_no_doubt() -> None:
    assert doubts(scores_of(400, right=9, copied=6), "validation") == []


def test_few_videos_cannot_tell_methods_apart() -> None:
    found = doubts(scores_of(6, right=6, copied=5, seed=3), "validation")
    assert any("too few to tell methods apart" in doubt for doubt in found)
    assert any("6 validation videos" in doubt for doubt in found)


def test_classes_with_under_a_handful_of_videos_are_named_with_their_number(tmp_path: Path) -> None:
    store = toy_store(tmp_path / "toy", videos=120)
    few = np.arange(3)
    warning = rare_classes(store, few, "training")
    assert warning is not None
    counts = store.weak[few].sum(axis=0)
    for name, count in zip(store.vocabulary, counts, strict=True):
        assert f"{name} {count}" in warning
    assert rare_classes(store, np.arange(len(store)), "training") is None


def test_training_tells_both(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = toy_store(tmp_path / "toy", videos=20, noise=30.0)
    small = ["parser.stem.width=16", "parser.encoder.feedforward=16", "training.epochs=1"]
    with caplog.at_level(logging.WARNING):
        train(load_recipe("han", small), store, tmp_path / "run")
    assert "few validation videos of" in caplog.text
    assert "copied" in caplog.text
