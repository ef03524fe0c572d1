"""Cohen's kappa, against a published example, a plain twin and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest

from avparse.foundation.errors import UserError
from avparse.labels.reviewing.agreement import Agreements, kappa
from avparse.labels.reviewing.decision import Decision, Verdict
from avparse.labels.reviewing.item import KeyParts, Modality

_VERDICTS = list(Verdict)


def _said(n: int, verdict: Verdict, author: str, name: str = "Dog", modality: Modality = "audio") -> Decision:
    return Decision(KeyParts(f"v{n}", name, modality).key(), verdict, author)


def _two(first: list[Verdict], second: list[Verdict]) -> Agreements:
    pairs = enumerate(zip(first, second, strict=True))
    return kappa([_said(n, v, author) for n, pair in pairs for v, author in zip(pair, "ab", strict=True)])


def _plain(first: list[Verdict], second: list[Verdict]) -> float:
    count = len(first)
    observed = sum(a is b for a, b in zip(first, second, strict=True)) / count
    chance = sum(first.count(v) / count * second.count(v) / count for v in _VERDICTS)
    return (observed - chance) / (1 - chance)


def test_the_example_of_the_definition() -> None:
    """Twenty both yes, fifteen both no, five and ten divided: observed 0.7, by chance 0.5, kappa 0.4."""
    cells = [("keep", "keep", 20), ("keep", "remove", 5), ("remove", "keep", 10), ("remove", "remove", 15)]
    first, second = ([Verdict(row[side]) for row in cells for _ in range(row[2])] for side in (0, 1))
    found = _two(first, second)
    assert found.total.kappa == pytest.approx(0.4)
    assert found.total.observed == pytest.approx(0.7)
    assert found.total.pairs == 50
    assert found.by_reviewers["a", "b"] == found.by_group["Dog", "audio"] == found.total


def _drawn(seed: int) -> tuple[list[Verdict], list[Verdict]]:
    random = np.random.default_rng(seed)
    first = [_VERDICTS[n] for n in random.choice(3, 40, p=(0.6, 0.3, 0.1))]
    return first, [v if random.random() < 0.7 else _VERDICTS[random.integers(3)] for v in first]


@pytest.mark.parametrize("seed", range(5))
def test_it_equals_a_plain_twin(seed: int) -> None:
    assert _two(*_drawn(seed)).total.kappa == pytest.approx(_plain(*_drawn(seed)))


@pytest.mark.slow  # for the import of scikit-learn
def test_it_equals_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    for seed in range(5):
        assert _two(*_drawn(seed)).total.kappa == pytest.approx(metrics.cohen_kappa_score(*_drawn(seed)))


def test_degenerate_cases() -> None:
    nothing = kappa([])
    assert math.isnan(nothing.total.kappa)
    assert math.isnan(nothing.total.observed)
    assert nothing.total.pairs == 0
    assert kappa([_said(0, Verdict.KEEP, "a"), _said(1, Verdict.KEEP, "b")]).by_group == {}
    same = _two([Verdict.KEEP] * 3, [Verdict.KEEP] * 3).total
    assert math.isnan(same.kappa)  # chance alone would agree as often
    assert (same.observed, same.pairs) == (1.0, 3)
    assert _two([Verdict.KEEP], [Verdict.REMOVE]).total.kappa == 0
    assert _two([Verdict.KEEP, Verdict.REMOVE], [Verdict.REMOVE, Verdict.KEEP]).total.kappa == -1


def test_three_reviewers_and_two_classes() -> None:
    decisions = [_said(n, _VERDICTS[n % 2], author) for n in range(4) for author in "ab"]
    decisions += [_said(n, Verdict.KEEP, "c") for n in range(4)]
    decisions += [_said(9, Verdict.REMOVE, author, "Cat", "visual") for author in "bc"]
    found = kappa(decisions)
    assert list(found.by_reviewers) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert found.by_reviewers["a", "b"].kappa == 1
    assert found.by_reviewers["a", "c"].kappa == 0
    assert found.by_group["Dog", "audio"].pairs == 12
    assert found.by_group["Dog", "audio"].kappa == pytest.approx(1 / 3)
    assert math.isnan(found.by_group["Cat", "visual"].kappa)


def test_of_two_decisions_of_one_reviewer_the_last_counts() -> None:
    found = kappa([_said(0, Verdict.KEEP, "a"), _said(0, Verdict.REMOVE, "a"), _said(0, Verdict.REMOVE, "b")])
    assert found.total.observed == 1


def test_a_key_of_no_item_is_refused() -> None:
    with pytest.raises(UserError, match="not the key"):
        kappa([Decision("Dog", Verdict.KEEP, "a"), Decision("Dog", Verdict.KEEP, "b")])
