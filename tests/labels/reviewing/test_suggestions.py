"""What decisions tell about undecided items of the same class and modality."""

from __future__ import annotations

import numpy as np
import pytest

from avparse.labels.reviewing.calibration import expected_probability
from avparse.labels.reviewing.decision import Decision, Verdict
from avparse.labels.reviewing.item import Modality, ReviewItem
from avparse.labels.reviewing.noise_left import noise_left
from avparse.labels.reviewing.order import ActiveOrder, _crossing
from avparse.labels.reviewing.state import ReviewState, suggestions


def _group(name: str, modality: Modality, count: int, probability: float) -> list[ReviewItem]:
    return [ReviewItem(f"{name}{n}", name, modality, probability) for n in range(count)]


def _all(items: list[ReviewItem], verdict: Verdict) -> list[Decision]:
    return [Decision(item.key, verdict) for item in items]


def test_a_few_answers_turn_their_group_and_no_other_modality() -> None:
    dogs, cats = _group("Dog", "visual", 20, 0.6), _group("Cat", "visual", 20, 0.95)
    heard = _group("Dog", "audio", 20, 0.6)
    found = suggestions([*dogs, *cats, *heard], _all(dogs[:6], Verdict.REMOVE))
    assert not any(found[item.key] for item in dogs)
    assert all(found[item.key] for item in (*cats, *heard))
    own = suggestions([*dogs, *cats, *heard], _all(dogs[:6], Verdict.REMOVE), propagate=False)
    assert [own[item.key] for item in dogs] == [False] * 6 + [True] * 14


def test_an_unseen_class_follows_the_others_a_part_of_the_way() -> None:
    groups = [_group(f"c{n}", "audio", 8, 0.7) for n in range(5)]
    items = [item for group in groups for item in group]
    decisions = [d for group in groups[:-1] for d in _all(group, Verdict.REMOVE)]
    before, after = (ReviewState(items, some).probability() for some in ((), decisions))
    assert before[-1] == pytest.approx(0.7, abs=0.05)
    assert after[-1] < 0.5


def test_many_answers_give_the_share_of_right_ones() -> None:
    items = _group("Dog", "audio", 600, 0.5)
    decisions = _all(items[:100], Verdict.KEEP) + _all(items[100:400], Verdict.REMOVE)
    assert ReviewState(items, decisions).probability()[-1] == pytest.approx(0.25, abs=0.01)


def test_the_expected_probability_is_that_of_drawn_logits() -> None:
    drawn = np.random.default_rng(0).standard_normal(200_000)
    for mean, variance in ((0.5, 1.0), (-2.0, 0.5), (3.0, 4.0)):
        plain = (1 / (1 + np.exp(-(mean + np.sqrt(variance) * drawn)))).mean()
        assert expected_probability(np.array(mean), np.array(variance)) == pytest.approx(plain, abs=0.015)


def test_the_gain_of_a_step_is_that_of_drawn_steps() -> None:
    drawn = np.random.default_rng(0).standard_normal(200_000)
    for distance, step in ((0.1, 0.2), (0.3, 0.1), (0.0, 0.5)):
        plain = (np.abs(distance + step * drawn) - distance).mean() / 2
        assert _crossing(np.array([distance]), np.array([[step]]))[0, 0] == pytest.approx(plain, abs=0.002)


def test_the_first_question_is_about_the_largest_of_equally_uncertain_groups() -> None:
    items = [*_group("Cat", "audio", 3, 0.65), *_group("Dog", "audio", 40, 0.65)]
    first = ActiveOrder(items).next()
    assert first is not None
    assert first.class_name == "Dog"


def test_what_decisions_say_of_noise() -> None:
    sure, unsure = _group("Cat", "audio", 50, 0.99), _group("Dog", "visual", 50, 0.7)
    items = [*sure, *unsure]
    before = noise_left(items, draws=400)
    assert before.kept["visual"].low < 30 < before.kept["visual"].high
    assert before.kept["audio"].value < 5
    assert before.kept["audio"].value < before.kept["both"].value < before.kept["visual"].value
    after = noise_left(items, _all(unsure[:40], Verdict.KEEP), draws=400)
    assert after.kept["visual"].value < before.kept["visual"].value / 4
    assert after.kept["visual"].high - after.kept["visual"].low < before.kept["visual"].high - before.kept["visual"].low
    done = noise_left(items, _all(items, Verdict.REMOVE), draws=10)
    assert done.undecided == {}
    assert done.kept == {}
