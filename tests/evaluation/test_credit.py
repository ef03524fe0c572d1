"""The credit of a class is the difference that its decisions make, found here by scoring exchanged decisions."""

from __future__ import annotations

import numpy as np
import pytest

from avparse.evaluation.credit import class_credit
from avparse.evaluation.parsing import METRICS, Counts, count_blocks, score_parsing
from avparse.foundation.arrays import BoolArray

Decisions = tuple[BoolArray, BoolArray]


def _random(seed: int, shape: tuple[int, ...] = (40, 10, 5)) -> Decisions:
    rng = np.random.default_rng(seed)
    return rng.random(shape) < 0.3, rng.random(shape) < 0.3


def _counts(decisions: Decisions, truth: Decisions) -> Counts:
    return Counts.of_blocks(count_blocks(*decisions, *truth))


def _with_class(decisions: Decisions, number: int, other: Decisions) -> Decisions:
    audio, visual = (x.copy() for x in decisions)
    audio[..., number], visual[..., number] = (x[..., number] for x in other)
    return audio, visual


def test_credit_is_that_of_exchanged_decisions() -> None:
    truth, mine, theirs = _random(0), _random(1), _random(2)

    def score(decisions: Decisions) -> np.ndarray:
        return np.array(list(score_parsing(*decisions, *truth).as_dict().values()))

    credit = class_credit(_counts(mine, truth), _counts(theirs, truth))
    assert credit.shape == (5, len(METRICS))
    for number in range(5):
        put_in = score(_with_class(theirs, number, mine)) - score(theirs)
        left_out = score(mine) - score(_with_class(mine, number, theirs))
        np.testing.assert_allclose(credit[number], (put_in + left_out) / 2, atol=1e-10)


def test_a_class_that_alone_differs_has_the_whole_difference() -> None:
    truth, theirs = _random(0), _random(1)
    mine = _with_class(theirs, 3, _random(2))
    credit = class_credit(_counts(mine, truth), _counts(theirs, truth))
    gain = [a - b for a, b in zip(*(score_parsing(*x, *truth).as_dict().values() for x in (mine, theirs)), strict=True)]
    assert credit[3].tolist() == pytest.approx(gain)
    assert np.abs(np.delete(credit, 3, axis=0)).max() == pytest.approx(0, abs=1e-12)
