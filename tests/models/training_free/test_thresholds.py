"""Thresholds without labels against their formulas."""

from __future__ import annotations

import pytest
import torch

from avparse.models.training_free.scorers.texts import TextScorer
from avparse.models.training_free.thresholds import THRESHOLDS, Competing, Quantile, ZScore

LOGITS = torch.tensor([[9.0, 1.0, 0.0, 2.0], [3.0, 3.0, 3.0, 3.0]])


def test_a_z_score_is_taken_over_the_classes_and_the_other_things_of_a_segment() -> None:
    probabilities = ZScore(cut=1.0)(LOGITS, 2)
    z = (LOGITS[0] - LOGITS[0].mean()) / LOGITS[0].std(correction=0)
    torch.testing.assert_close(probabilities[0], (z[:2] - 1).sigmoid())
    assert (probabilities[1] < 0.5).all()  # nothing stands out where all are equal


def test_a_class_competes_with_the_best_other_thing_and_not_with_classes() -> None:
    decided = Competing(margin=1.5)(torch.tensor([[4.0, 3.0, 2.0, -1.0]]), 2) >= 0.5
    assert decided.tolist() == [[True, False]]
    with pytest.raises(ValueError, match="no other things"):
        Competing()(LOGITS, 4)


def test_a_quantile_finds_the_expected_share() -> None:
    logits = torch.randn(200, 10, generator=torch.Generator().manual_seed(0))
    assert float((Quantile(rate=0.05)(logits, 10) >= 0.5).float().mean()) == pytest.approx(0.05, abs=0.002)


@pytest.mark.parametrize("name", THRESHOLDS)
def test_probabilities_grow_with_the_logit_of_the_class(name: str) -> None:
    more = LOGITS + torch.tensor([0.5, 0, 0, 0])
    rule = THRESHOLDS[name]()
    assert (rule(more, 2)[0, 0] > rule(LOGITS, 2)[0, 0]) or name == "quantile"
    assert rule(LOGITS, 2).shape == (2, 2)


def test_texts_lose_what_unrelated_material_scores() -> None:
    texts, unrelated = torch.randn(3, 4), torch.randn(4)
    scorer = TextScorer("audio", "clip-clap", "clap", ("Dog", "Cat"), texts, 2.0, "CLAP", unrelated=unrelated)
    features = torch.randn(5, 4)
    expected = 2 * (features @ texts.T - texts @ unrelated)
    torch.testing.assert_close(scorer.logits(features), expected)
    assert scorer.judges.tolist() == [True, True]
