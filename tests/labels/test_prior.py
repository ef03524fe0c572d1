"""Denoisers fitted on validation truth: the class prior, the classifier of labels, calibrated parser probabilities."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from avparse.data.datasets.llp import read_llp
from avparse.foundation.errors import UserError
from avparse.foundation.logistic import fit_logistic
from avparse.labels.reinforced.actions import greedy
from avparse.labels.statistics.prior import ClassPrior, ValidationClassifier
from avparse.labels.statistics.rates import RightRates

GIVEN = torch.tensor([[1, 1, 0], [1, 0, 0], [1, 0, 0], [1, 1, 0]]).bool()
TRUTH = torch.tensor(
    [[[1, 1, 1], [1, 0, 0], [1, 0, 0], [1, 1, 0]], [[0, 1, 0], [0, 0, 0], [1, 0, 0], [0, 0, 0]]]
).bool()


# Class prior


def test_counts_by_hand() -> None:
    prior = ClassPrior.count(GIVEN, TRUTH)
    assert prior.rate.tolist() == [[1, 1, 1], [0.25, 0.5, pytest.approx(2 / 6)]], "an unseen class follows all others"
    assert prior.keep().tolist() == [[True] * 3, [False, True, False]]
    assert prior.keep(threshold=0.2).all()
    assert prior.keep_probability(GIVEN)[1].tolist() == [[0.25, 0.5, 0], [0.25, 0, 0], [0.25, 0, 0], [0.25, 0.5, 0]]
    shrunk = ClassPrior.count(GIVEN, TRUTH, shrinkage=2.0)
    assert shrunk.rate[1].tolist() == pytest.approx([(1 + 2 / 3) / 6, (1 + 2 / 3) / 4, 1 / 3])


def test_bits_and_logits_make_the_same_decisions() -> None:
    prior = ClassPrior.count(GIVEN, TRUTH)
    logits = prior.keep_logits(bound=4.0)
    assert logits.abs().max() <= 4
    from_logits = greedy(logits.unsqueeze(1), GIVEN, may_empty=True)
    from_probability = greedy(prior.keep_probability(GIVEN).logit(), GIVEN, may_empty=True)
    assert torch.equal(from_logits.labels, GIVEN & prior.keep().unsqueeze(1))
    assert torch.equal(from_probability.labels, from_logits.labels)


def test_bad_input_is_refused() -> None:
    with pytest.raises(UserError, match=r"truth has shape \(4, 3\); labels \(4, 3\) need \(2, 4, 3\)"):
        ClassPrior.count(GIVEN, TRUTH[0])
    with pytest.raises(UserError, match="no video has a label"):
        ClassPrior.count(torch.zeros_like(GIVEN), TRUTH)
    with pytest.raises(UserError, match=r"features have shape \(3, 2\)"):
        ValidationClassifier.fit(torch.zeros(3, 2), GIVEN, TRUTH, folds=2)
    with pytest.raises(UserError, match="folds is 5 for 4 videos"):
        ValidationClassifier.fit(torch.zeros(4, 2), GIVEN, TRUTH)
    with pytest.raises(UserError, match="numbers above 0"):
        ValidationClassifier.fit(torch.zeros(4, 2), GIVEN, TRUTH, penalties=(0.0, 1.0), folds=2)
    with pytest.raises(UserError, match=r"truth has shape \(4, 3\)"):
        RightRates.fit(GIVEN, TRUTH[0])


def test_golden_bits_of_the_validation_truth(shared: Path) -> None:
    tables = read_llp(shared / "data" / "llp")
    videos = tables.of_split("val")
    weak = torch.from_numpy(np.stack([tables.videos[v].weak for v in videos]))
    truth = [[tables.dense(v, m, 10).any(axis=0) for v in videos] for m in ("audio", "visual")]  # type: ignore[union-attr]
    prior = ClassPrior.count(weak, torch.from_numpy(np.array(truth)))
    dropped = [(m, tables.vocabulary.names[c]) for m, c in (~prior.keep()).nonzero().tolist()]
    assert dropped == [(1, "Speech"), (1, "Cheering"), (1, "Clapping")]
    assert float(prior.rate[1, 0]) == pytest.approx(80 / 365)


# Logistic regression


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_fit_is_the_minimum(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = 3 * torch.randn(30, 4, generator=generator, dtype=torch.float64)
    y = (torch.rand(30, generator=generator) < (2 * x[:, 0]).sigmoid()).double()  # often separable
    offset, weight = torch.randn(30, generator=generator), torch.rand(30, generator=generator)
    penalty = 10 ** torch.empty(4).uniform_(-4, 1, generator=generator)

    def objective(w: Tensor) -> Tensor:
        cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits
        return cross_entropy(offset + x @ w, y, weight=weight, reduction="sum") + (penalty * w * w).sum() / 2

    fit = fit_logistic(x, y, penalty, offset, weight)
    (gradient,) = torch.autograd.grad(objective(leaf := fit.weights.clone().requires_grad_()), leaf)
    assert float(gradient.abs().max()) < 1e-6
    hessian = torch.autograd.functional.hessian(objective, fit.weights)
    assert torch.allclose(fit.covariance @ hessian, torch.eye(4, dtype=torch.float64), atol=1e-5)


def test_a_batch_of_fits_is_each_fit_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20, 3, generator=generator)
    y = (torch.rand(5, 1, 20, generator=generator) < 0.5).double()
    weight = torch.randint(0, 3, (4, 20), generator=generator)
    penalty = torch.tensor([0.1, 1, 10])
    together = fit_logistic(x, y, penalty, 0.3, weight)
    assert together.weights.shape == (5, 4, 3)
    assert together.covariance.shape == (5, 4, 3, 3)
    for i, j in itertools.product(range(5), range(4)):
        alone = fit_logistic(x, y[i, 0], penalty, 0.3, weight[j])
        assert torch.allclose(alone.weights, together.weights[i, j], atol=1e-8)
        assert torch.allclose(alone.covariance, together.covariance[i, j], atol=1e-8)
    empty = fit_logistic(x[:0], y[0, 0, :0], penalty)
    assert torch.equal(empty.weights, torch.zeros(3, dtype=torch.float64))
    assert torch.allclose(empty.covariance, torch.diag(1 / penalty).double())


# Classifier


def _world(videos: int, strength: float, seed: int, classes: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    """Features of each class ``[N, C, 3]`` (audio evidence, visual evidence, nothing), labels and truth."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.rand(videos, classes, generator=generator) < 0.3
    right = torch.tensor([[0.95] * classes, [0.2, *torch.linspace(0.55, 0.9, classes - 1).tolist()]])
    truth = (torch.rand(2, videos, classes, generator=generator) < right.unsqueeze(1)) & labels
    noise = torch.randn(3, videos, classes, generator=generator)
    bias = torch.arange(classes) * 0.7  # classes are scored on scales of their own
    evidence = noise[:2] + strength * truth + bias
    return torch.stack((*evidence, noise[2]), dim=-1), labels, truth


def _accuracy(probability: Tensor, labels: Tensor, truth: Tensor) -> float:
    return float(((probability >= 0.5) == truth)[:, labels].double().mean())


def test_classifier_beats_the_prior_where_features_tell_and_equals_it_where_not() -> None:
    for strength, gain in ((2.0, 0.04), (0.0, -0.005)):
        features, labels, truth = _world(400, strength, seed=1)
        classifier = ValidationClassifier.fit(features, labels, truth)
        features, labels, truth = _world(20_000, strength, seed=2)
        ours = _accuracy(classifier.keep_probability(features, labels), labels, truth)
        prior = _accuracy(classifier.prior.keep_probability(labels), labels, truth)
        assert ours >= prior + gain
        if not strength:
            assert classifier.penalty >= 100


def test_classifier_is_calibrated_on_new_videos() -> None:
    classifier = ValidationClassifier.fit(*_world(400, 2.0, seed=1))
    features, labels, truth = _world(20_000, 2.0, seed=2)
    probability = classifier.keep_probability(features, labels)
    assert not probability[:, ~labels].any(), "a class that is not given is not kept"
    for low in (0.1, 0.3, 0.5, 0.7, 0.9):
        there = (probability > low - 0.1) & (probability <= low + 0.1) & labels
        assert float(truth[there].double().mean()) == pytest.approx(float(probability[there].mean()), abs=0.08)


def test_a_heavy_penalty_gives_the_class_prior() -> None:
    features, labels, truth = _world(200, 2.0, seed=3)
    classifier = ValidationClassifier.fit(features, labels, truth, penalties=(1e9,))
    prior = ClassPrior.count(labels, truth, shrinkage=2.0)
    assert torch.allclose(classifier.keep_probability(features, labels), prior.keep_probability(labels), atol=2e-3)


def test_penalty_is_chosen_on_videos_that_were_held_out() -> None:
    features, labels, truth = _world(60, 1.0, seed=4)
    penalties = (1.0, 10.0, 100.0)
    chosen = ValidationClassifier.fit(features, labels, truth, penalties, folds=3)
    loss = torch.zeros(3, dtype=torch.float64)
    for fold, (p, penalty) in itertools.product(range(3), enumerate(penalties)):
        out = torch.arange(60) % 3 == fold
        # The fit centres features on all videos, which carries no truth; here on the fold's own, hence the tolerance.
        shown = ValidationClassifier.fit(features, labels & ~out[:, None], truth, (penalty,), folds=3)
        probability = shown.keep_probability(features[out], labels[out])[:, labels[out]]
        target = truth[:, out][:, labels[out]].double()
        loss[p] += torch.nn.functional.binary_cross_entropy(probability, target, reduction="sum")
    assert torch.allclose(chosen.held_out_loss, loss / (2 * int(labels.sum())), rtol=0.03)
    assert chosen.penalty == penalties[int(chosen.held_out_loss.argmin())]


def test_shared_features_of_videos_and_modalities_that_are_absent() -> None:
    features, labels, truth = _world(200, 2.0, seed=5)
    shared = torch.cat((features.flatten(1), torch.zeros(200, 4)), dim=1)  # constant columns: a modality nobody has
    classifier = ValidationClassifier.fit(shared, labels, truth)
    probability = classifier.keep_probability(shared, labels)
    assert probability.isfinite().all()
    truth[0] = False  # and one in which nothing ever holds
    deaf = ValidationClassifier.fit(shared, labels, truth)
    assert float(deaf.keep_probability(shared, labels)[0].max()) < 0.05
    lonely = labels.clone()
    lonely[:, 5] = False  # a class without a label
    assert ValidationClassifier.fit(features, lonely, truth).keep_probability(features, labels).isfinite().all()


# Shares of right labels


def test_rates_of_many_labels_are_counted_and_those_of_few_are_drawn_to_the_others() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.ones(3000, 5, dtype=torch.bool)
    labels[3:, 3] = False  # three labels
    labels[:, 4] = False  # none
    share = torch.tensor([[0.75, 0.8, 0.85, 0.8, 0.8], [0.2, 0.5, 0.9, 0.5, 0.5]])
    truth = torch.rand(2, 3000, 5, generator=generator) < share.unsqueeze(1)
    truth[0, :3, 3] = False
    rates = RightRates.fit(labels, truth).draw(4000, torch.Generator().manual_seed(1))
    assert rates.shape == (2, 5, 4000)
    counted = truth[:, :, :3].double().mean(dim=1)
    assert torch.allclose(rates[:, :3].mean(dim=2), counted, atol=0.003)
    deviation = (counted * (1 - counted) / 3000).sqrt()  # of a share of 3,000 labels
    assert torch.allclose(rates[:, :3].std(dim=2), deviation, rtol=0.1)
    assert 0.3 < rates[0, 3].mean() < 0.75  # none of three is right where four of five are
    assert rates[0, 4].mean() == pytest.approx(0.8, abs=0.1)
    assert (rates[:, 3:].std(dim=2) > 4 * rates[:, :3].std(dim=2).amax(dim=1, keepdim=True)).all()
