"""Rewards of a label policy: the figures of the specification, exact expectations, unbiased gradients, baselines."""

from __future__ import annotations

import itertools
import json
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from avparse.foundation.errors import UserError
from avparse.labels.reinforced.actions import act, log_probability, sample
from avparse.labels.reinforced.rewards import Baseline, InterReward, leave_one_out

REWARD = InterReward()


def _set(count: int, classes: int = 25) -> Tensor:
    return (torch.arange(classes) < count).double()


# Inter-reward


@pytest.mark.parametrize(
    ("count", "kept", "soft", "mixed"),
    [(1, 1, 1, 1), (3, 3, 1, 1), (2, 1, 0.694, 0.461), (3, 2, 0.768, 0.623), (3, 1, 0.575, 0.351)],
)
def test_figures_of_the_specification(count: int, kept: int, soft: float, mixed: float) -> None:
    labels, revised = _set(count), _set(kept)
    assert float(REWARD.resemblance(labels, revised)) == pytest.approx(soft, abs=6e-4)
    assert float(InterReward(mix_uniform=True).resemblance(labels, revised)) == pytest.approx(mixed, abs=6e-4)
    assert float(REWARD.resemblance(labels.bool(), revised.bool())) == pytest.approx(soft, abs=6e-4)


def test_inter_reward_is_the_formula_class_by_class() -> None:
    labels, revised = torch.tensor([1.0, 1, 0, 0]), torch.tensor([0.0, 1, 0, 0])
    p = [0.95 / 2, 0.95 / 2, 0.05 / 2, 0.05 / 2]
    q = [0.05 / 1.1, 0.95 / 1.1, 0.05 / 1.1, 0.05 / 1.1]
    p = [x / sum(p) for x in p]
    log = [torch.log(torch.tensor(a / b)) for a, b in zip(p, q, strict=True)]
    divergence = sum(a * x for a, x in zip(p, log, strict=True)) - sum(b * x for b, x in zip(q, log, strict=True))
    dot = sum(a * b for a, b in zip(p, q, strict=True))
    cosine = dot / (sum(a * a for a in p) * sum(b * b for b in q)) ** 0.5
    expected = 0.6 * torch.exp(-divergence / 2) + 0.4 * cosine
    assert float(REWARD.resemblance(labels, revised)) == pytest.approx(float(expected), abs=1e-6)


@given(st.integers(1, 8), st.integers(8, 40), st.floats(0.05, 0.99), st.booleans())
@settings(max_examples=40, deadline=None)
def test_nothing_scores_as_high_as_keeping_all(count: int, classes: int, smoothing: float, mix: bool) -> None:
    reward = InterReward(smoothing=smoothing, mix_uniform=mix)
    values = [float(reward.resemblance(_set(count, classes), _set(kept, classes))) for kept in range(count, 0, -1)]
    assert values[0] == pytest.approx(1, abs=1e-6)
    assert all(-1 < value < 1 for value in values[1:])
    if smoothing >= 0.9 and 3 * count <= classes:  # the size of real label sets: each removal costs more
        assert values == sorted(values, reverse=True)


def test_a_violation_replaces_the_reward() -> None:
    labels = torch.tensor([[1.0, 1, 0], [1, 0, 0], [0, 0, 0]])
    actions = act(torch.tensor([[[1, 0, 0], [0, 1, 1], [1, 1, 1]]]).bool(), labels)
    assert REWARD.sampled(actions, labels)[0].tolist() == pytest.approx(
        [float(REWARD.resemblance(_set(2, 3), _set(1, 3))), -1, 1]
    )


# Expectation


def _enumerated(reward: InterReward, logits: Tensor, labels: Tensor, may_empty: bool) -> tuple[Tensor, Tensor]:
    """The plain twin: sum over all draws of all classes; also the score-function gradient, draw by draw."""
    expected, gradient = torch.zeros((), dtype=torch.float64), torch.zeros_like(logits)
    for bits in itertools.product([False, True], repeat=len(labels)):
        keep = torch.tensor([bits])
        leaf = logits.detach().requires_grad_()
        log_p = log_probability(leaf, keep[0], labels, all_classes=True)
        (slope,) = torch.autograd.grad(log_p, leaf)
        r = reward.sampled(act(keep, labels[None], may_empty), labels[None])[0]
        expected += log_p.exp().detach() * r
        gradient += log_p.exp().detach() * r * slope
    return expected, gradient


@given(st.integers(0, 10_000), st.integers(0, 7), st.booleans(), st.booleans())
@settings(max_examples=25, deadline=None)
def test_expectation_and_gradient_equal_the_enumeration(seed: int, count: int, may_empty: bool, mix: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    reward = InterReward(mix_uniform=mix)
    labels = _set(count, 8)[torch.randperm(8, generator=generator)]
    logits = (2 * torch.randn(8, generator=generator, dtype=torch.float64)).requires_grad_()
    expected = reward.expected(logits[None], labels[None], may_empty)
    value, slope = _enumerated(reward, logits.detach(), labels, may_empty)
    assert float(expected.detach()) == pytest.approx(float(value), abs=1e-12)
    if count:
        (gradient,) = torch.autograd.grad(expected.sum(), logits)
        assert torch.allclose(gradient, slope, atol=1e-12)
        assert (gradient[labels == 0] == 0).all()


def test_expectation_of_a_batch_is_that_of_its_videos() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(2, 50, 25, generator=generator, dtype=torch.float64)
    labels = torch.stack([_set(k % 26)[torch.randperm(25, generator=generator)] for k in range(50)])  # up to all 25
    together = REWARD.expected(logits, labels)
    assert together.shape == (2, 50)
    for m, i in itertools.product(range(2), range(50)):
        alone = REWARD.expected(logits[m, i : i + 1], labels[i : i + 1])
        assert float(alone) == pytest.approx(float(together[m, i]), abs=1e-12)
    assert torch.allclose(REWARD.expected(logits.float(), labels.bool()).double(), together, atol=1e-5)


def test_gradient_by_finite_differences() -> None:
    labels = torch.stack([_set(3, 6), _set(1, 6)])
    logits = torch.randn(2, 2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: REWARD.expected(z, labels), (logits,))


def test_reinforce_converges_to_the_exact_gradient() -> None:
    labels, draws = torch.stack([_set(1, 5), _set(3, 5)]), 40_000
    logits = torch.tensor([[0.5, -1, 2, 0, 1], [1.0, -0.5, 0, 2, -1]], dtype=torch.float64).requires_grad_()
    (exact,) = torch.autograd.grad(REWARD.expected(logits, labels).sum(), logits)
    actions = sample(logits.expand(draws, -1, -1), labels, torch.Generator().manual_seed(3))
    each = REWARD.sampled(actions, labels)
    keep = actions.keep.double()
    for baseline in (0.0, float(each.mean())):
        slopes = (each - baseline).unsqueeze(-1) * (keep - logits.detach().sigmoid()) * labels  # [draws, 2, 5]
        error = slopes.mean(0) - exact
        assert (error.abs() <= 4 * slopes.std(0) / draws**0.5 + 1e-12).all()
    estimate = torch.autograd.grad((each * log_probability(logits, actions.keep, labels)).mean(0).sum(), logits)[0]
    assert float((estimate - exact).abs().max()) < 0.02


# Baselines


def test_moving_average_by_hand() -> None:
    baseline = Baseline(Baseline.Config())
    assert baseline.advantage(2.0) is None
    assert baseline.advantage(3.0) == pytest.approx(1.0)
    assert baseline.value == pytest.approx(2.1)
    assert baseline.advantage(2.1) == pytest.approx(0.0)
    assert Baseline(Baseline.Config(decay=None)).advantage(5.0) == 5.0


def test_standardised_advantages() -> None:
    baseline, plain = Baseline(Baseline.Config(standardize=20)), Baseline(Baseline.Config())
    rewards = torch.randn(60, generator=torch.Generator().manual_seed(0)).tolist()
    seen, standard = [], []
    for reward in rewards:
        advantage = plain.advantage(reward)
        standard.append(baseline.advantage(reward))
        if advantage is not None:
            seen.append(advantage)
            window = seen[-20:]
            if len(window) > 1:
                expected = (advantage - statistics.fmean(window)) / statistics.pstdev(window)
                assert standard[-1] == pytest.approx(expected)
    assert standard[:2] == [None, None]
    constant = Baseline(Baseline.Config(standardize=5))
    assert [constant.advantage(1.0) for _ in range(4)] == [None, None, 0.0, 0.0]


@pytest.mark.parametrize("settings_", [{}, {"standardize": 4}, {"decay": None}])
def test_a_baseline_goes_on_where_it_stopped(settings_: dict) -> None:
    config = Baseline.Config.read(settings_, "test")
    rewards = torch.randn(30, generator=torch.Generator().manual_seed(1)).tolist()
    for stop in (0, 1, 2, 13):
        whole, first, second = Baseline(config), Baseline(config), Baseline(config)
        expected = [whole.advantage(r) for r in rewards]
        before = [first.advantage(r) for r in rewards[:stop]]
        second.load(json.loads(json.dumps(first.state())))
        assert before + [second.advantage(r) for r in rewards[stop:]] == expected


def test_leave_one_out_is_reward_less_the_mean_of_the_others() -> None:
    rewards = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    expected = torch.stack([rewards[k] - torch.cat((rewards[:k], rewards[k + 1 :])).mean(0) for k in range(4)])
    assert torch.allclose(leave_one_out(rewards), expected)
    with pytest.raises(UserError, match="at least 2 rollouts, found 1"):
        leave_one_out(rewards[:1])


def test_leave_one_out_is_unbiased_and_less_noisy() -> None:
    labels, count = _set(3, 3)[None], 4
    logits = torch.tensor([[0.5, -1.0, 2.0]], dtype=torch.float64).requires_grad_()
    (exact,) = torch.autograd.grad(REWARD.expected(logits, labels).sum(), logits)
    actions = sample(logits.expand(count, 20_000, 1, -1), labels, torch.Generator().manual_seed(3))
    rewards = REWARD.sampled(actions, labels) + 5.0
    slopes = actions.keep.double() - logits.detach().sigmoid()  # [K, draws, 1, C]
    ours = (leave_one_out(rewards).unsqueeze(-1) * slopes).mean(0)
    plain = (rewards.unsqueeze(-1) * slopes).mean(0)
    assert ((ours.mean(0) - exact).abs() <= 4 * ours.std(0) / 20_000**0.5).all()
    assert (ours.std(0) < 0.2 * plain.std(0)).all()
