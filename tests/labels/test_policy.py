"""Label policies and their actions: masks, start, bounds, cost; the rules of the environment; learning from reward."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from avparse.data.features import Features, TaskSpec
from avparse.foundation.errors import UserError
from avparse.foundation.settings import PartConfig, build
from avparse.labels.reinforced.actions import act, greedy, log_probability, repair_union, sample
from avparse.labels.reinforced.policies import POLICIES, KeepPolicy, Policy, PooledPolicy, PriorPolicy
from avparse.labels.reinforced.rewards import Baseline, leave_one_out
from avparse.models import Parser, ParserConfig

SPEC = TaskSpec(classes=("a", "b", "c", "d"), streams={"audio": 6, "frames": 9, "clips": 4}, segments=7)
STEM = {"name": "linear", "width": 16}
HAN = {"name": "han", "stem": STEM, "encoder": {"name": "han", "heads": 2, "feedforward": 24, "dropout": 0.0}}
VARIANTS = {
    "mean": HAN,
    "attentive": {**HAN, "pooling": "attentive"},
    "max": {**HAN, "pooling": "max"},
    "separate": {**HAN, "separate_heads": True, "pooling": "attentive"},
    "pooled": {"name": "pooled", "stem": STEM, "hidden": 12},
    "prior": {"name": "prior"},
}


def _policy(variant: str, summary: int = 0, spec: TaskSpec = SPEC, **changes: object) -> KeepPolicy:
    values = {**VARIANTS[variant], **changes}
    config: PartConfig = POLICIES[str(values["name"])].Config.read(values, "test")
    torch.manual_seed(0)
    return build(POLICIES, config, spec, summary)


def _moved(variant: str, summary: int = 0, **changes: object) -> KeepPolicy:
    """A policy that has left its starting point."""
    policy = _policy(variant, summary, **changes)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return policy


def _features(batch: int, segments: int, seed: int = 0) -> Features:
    generator = torch.Generator().manual_seed(seed)
    return Features({n: torch.randn(batch, segments, d, generator=generator) for n, d in SPEC.streams.items()})


def _labels(batch: int, seed: int = 0) -> torch.Tensor:
    labels = (torch.rand(batch, len(SPEC.classes), generator=torch.Generator().manual_seed(seed)) < 0.5).float()
    labels[:, 1] = 1
    return labels


# Networks


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_logit_for_every_modality_video_and_class(variant: str) -> None:
    start, policy = _policy(variant), _moved(variant)
    assert torch.equal(start(_features(32, 7), _labels(32)), torch.full((2, 32, 4), 2.2)), "keeps with 0.9 at first"
    audio, visual = policy(_features(32, 7), _labels(32))
    assert audio.shape == visual.shape == (32, 4)
    assert not torch.equal(audio, visual)
    assert torch.equal(policy(_features(32, 7), _labels(32)), torch.stack((audio, visual))), (
        "no dropout, even in training"
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_padded_video_is_judged_as_it_is_alone(variant: str) -> None:
    policy, features, labels = _moved(variant), _features(3, 7), _labels(3)
    lengths = torch.tensor([7, 4, 2])
    real = torch.arange(7) < lengths[:, None]
    audio_mask = real.clone()
    audio_mask[0, 3:] = False  # present at the start alone
    together = policy(Features(features.streams, audio_mask, real), labels)
    for i, length in enumerate(lengths.tolist()):
        alone = Features(
            {n: x[i : i + 1, :length] for n, x in features.streams.items()}, audio_mask[i : i + 1, :length], None
        )
        assert torch.allclose(together[:, i], policy(alone, labels[i : i + 1])[:, 0], atol=1e-5)
    spoilt = {n: x.masked_fill(~real.unsqueeze(-1), 1e6) for n, x in features.streams.items()}
    assert torch.allclose(policy(Features(spoilt, audio_mask, real), labels), together, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_modality_that_a_video_lacks_stays_at_the_start(variant: str) -> None:
    policy, features = (_policy if variant == "prior" else _moved)(variant), _features(3, 7)
    mask = torch.ones(3, 7, dtype=torch.bool)
    mask[1] = False
    logits = policy(Features(features.streams, None, mask), _labels(3))
    assert logits.isfinite().all()
    assert torch.equal(logits[1, 1], torch.full((4,), 2.2))
    if variant != "prior":
        assert (logits[0, 1] != 2.2).all()


@pytest.mark.parametrize("variant", ["mean", "pooled"])
def test_labels_act_unless_they_are_left_out_of_the_state(variant: str) -> None:
    features, labels = _features(5, 7), _labels(5)
    policy = _moved(variant)
    change = policy(features, labels) - policy(features, 1 - labels)
    assert bool((change != 0).all())
    assert bool(((change - change[:, :1]).abs() > 1e-3).any()), "the same labels act on each video in its own way"
    blind = _moved(variant, labels_in_state=False)
    assert torch.equal(blind(features, labels), blind(features, 1 - labels))


def test_modalities_share_the_last_map_unless_told() -> None:
    twins = Features({"audio": torch.ones(1, 3, 6), "frames": torch.ones(1, 3, 9), "clips": torch.ones(1, 3, 4)})
    for variant, shared in (("mean", True), ("separate", False)):
        policy = _moved(variant)
        assert isinstance(policy, Policy)
        policy.encoder = torch.nn.Identity()
        policy.encoder.forward = lambda stem, *_: type(stem)(stem.audio, stem.audio)  # type: ignore[method-assign]
        audio, visual = policy(twins, torch.ones(1, 4))
        assert torch.allclose(audio, visual) == shared


def test_pooling_over_time_is_what_its_name_says() -> None:
    for variant in ("mean", "max", "attentive"):
        policy = _policy(variant)
        assert isinstance(policy, Policy)
        logits = torch.randn(2, 3, 5, 4)
        scores = torch.randn(2, 3, 5, 4)
        real = torch.rand(2, 3, 5, 1) < 0.6
        real[:, :, 0] = True
        pooled = policy.pool(logits, scores, real)
        for m, b, c in itertools.product(range(2), range(3), range(4)):
            here = real[m, b, :, 0]
            x, s = logits[m, b, here, c], scores[m, b, here, c]
            expected = {"mean": x.mean(), "max": x.max(), "attentive": (s.softmax(0) * x).sum()}[variant]
            assert float(pooled[m, b, c]) == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_starts_from_the_logits_of_a_prior(variant: str) -> None:
    policy = _moved(variant)
    before = policy(_features(4, 7), _labels(4))
    prior = torch.linspace(-3, 3, 8).view(2, 4)
    policy.start_from(prior)
    after = policy(_features(4, 7), _labels(4))
    assert torch.allclose(after, (before - 2.2 + prior.unsqueeze(1)).clamp(-4, 4), atol=1e-5)
    assert "start" in policy.state_dict(), "a saved policy starts where it did"


def test_bounds_hold_and_a_logit_beyond_them_comes_back() -> None:
    policy = _policy("prior")
    assert isinstance(policy, PriorPolicy)
    with torch.no_grad():
        policy.change[0] = 50.0
        policy.change[1] = -50.0
    optimizer = torch.optim.SGD(policy.parameters(), lr=1.0)
    logits = policy(_features(2, 3), _labels(2))
    assert torch.equal(logits, torch.tensor([4.0, -4.0]).view(2, 1, 1).expand_as(logits))
    (logits[1].sum() - logits[0].sum()).backward(retain_graph=True)
    optimizer.step()
    assert torch.equal(policy.change.abs(), torch.full((2, 1, 4), 50.0)), "no further out"
    optimizer.zero_grad()
    (logits[0].sum() - logits[1].sum()).backward()
    optimizer.step()
    assert (policy.change.abs() < 50).all(), "but back"


def test_the_summary_has_the_size_that_was_agreed_and_receives_no_gradient() -> None:
    for variant in VARIANTS:
        policy, summary = _moved(variant, summary=3), torch.randn(4, 3, requires_grad=True)
        logits = policy(_features(4, 7), _labels(4), summary)
        logits.sum().backward()
        assert summary.grad is None
        with pytest.raises(UserError, match="made for a summary of 3 values per video, received 2"):
            policy(_features(4, 7), _labels(4), torch.zeros(4, 2))
        with pytest.raises(UserError, match="received 0"):
            policy(_features(4, 7), _labels(4))
        if variant != "prior":
            assert not torch.equal(policy(_features(4, 7), _labels(4), summary + 1), logits)


def test_no_gradient_flows_from_the_pooled_policy_into_the_streams() -> None:
    streams = {n: x.requires_grad_() for n, x in _features(4, 7).streams.items()}
    _moved("pooled")(Features(streams), _labels(4)).sum().backward()
    assert all(x.grad is None for x in streams.values())


def test_statistics_are_wanted_only_by_a_stem_that_standardises() -> None:
    assert not any(_policy(v).needs_statistics for v in VARIANTS)
    policy = _moved("pooled", stem={**STEM, "standardize": True})
    assert policy.needs_statistics
    streams = _features(6, 7).streams
    policy.calibrate({n: (x.mean((0, 1)) + 1, x.std((0, 1)) * 2) for n, x in streams.items()})
    shifted = {n: (x - x.mean((0, 1)) - 1) / (x.std((0, 1)) * 2) for n, x in streams.items()}
    plain = _moved("pooled")
    assert torch.allclose(policy(Features(streams), _labels(6)), plain(Features(shifted), _labels(6)), atol=1e-5)


def test_full_size_costs_what_the_specification_says() -> None:
    spec = TaskSpec(
        classes=tuple(map(str, range(25))), streams={"audio": 128, "frames": 2048, "clips": 512}, segments=10
    )
    parts = {"stem": "linear", "encoder": "han", "decoder": "mmil"}
    parser = Parser(ParserConfig.read(parts, "test"), spec).eval()
    policy = Policy(Policy.Config(), spec)
    pooled = PooledPolicy(PooledPolicy.Config(), spec, summary=50)
    size = {m: sum(p.numel() for p in m.parameters()) for m in (parser, policy)}
    assert size[policy] / size[parser] == pytest.approx(1.0, abs=0.1), "twice the MMIL network with it"

    features = Features({n: torch.randn(8, 10, d) for n, d in spec.streams.items()})
    labels = torch.ones(8, 25)

    def flops(call: object, *inputs: object) -> int:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            call(*inputs)  # type: ignore[operator]
        return counter.get_total_flops()

    han = flops(parser, features)
    assert flops(policy, features, labels) < 1.15 * han
    assert flops(pooled, features, labels, torch.zeros(8, 50)) < 0.1 * han


def test_unknown_settings_are_refused_by_name() -> None:
    with pytest.raises(UserError, match="unknown key 'poling'; did you mean 'pooling'"):
        Policy.Config.read({"poling": "max"}, "recipe")
    with pytest.raises(UserError, match="no stream 'clips'"):
        PooledPolicy(PooledPolicy.Config(), SPEC.model_copy(update={"streams": {"audio": 6, "frames": 9}}))


# Actions


def _case(seed: int, batch: int = 6, classes: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, batch, classes, generator=generator)
    return logits, (torch.rand(batch, classes, generator=generator) < 0.4).float()


@given(st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_rules_of_the_environment(seed: int) -> None:
    logits, labels = _case(seed)
    for actions in (sample(logits, labels, torch.Generator().manual_seed(seed)), greedy(logits, labels)):
        assert (actions.labels <= labels).all(), "labels are only removed"
        assert torch.equal(actions.labels.any(-1), labels.bool().any(-1).expand(2, -1)), "never empty"
        emptied = labels.bool().any(-1) & ~(actions.keep & labels.bool()).any(-1)
        assert torch.equal(actions.violated, emptied)
        free = ~emptied
        assert torch.equal(actions.labels[free], (labels * actions.keep)[free])
        assert torch.equal(actions.labels[emptied], labels.expand(2, -1, -1)[emptied])
        repaired = repair_union(actions, logits, labels)
        assert torch.equal(repaired.labels.amax(0), labels), "the union is the given set"
        assert (repaired.labels >= actions.labels).all()
        assert torch.equal(repaired.keep, actions.keep)


def test_draws_follow_the_probabilities_and_the_generator() -> None:
    logits = torch.tensor([[-2.0, 0.0, 1.0, 3.0]]).expand(2, 20_000, -1)
    labels = torch.ones(20_000, 4)
    first, again, other = (sample(logits, labels, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first.keep, again.keep)
    assert not torch.equal(first.keep, other.keep)
    assert torch.allclose(first.keep.float().mean((0, 1)), logits[0, 0].sigmoid(), atol=0.01)


def test_labels_keep_their_type_and_an_empty_set_stays_empty() -> None:
    for labels in (
        torch.tensor([[True, False], [False, False]]),
        torch.tensor([[1.0, 0], [0, 0]], dtype=torch.float64),
    ):
        actions = act(torch.zeros(2, 2, 2, dtype=torch.bool), labels)
        assert actions.labels.dtype == labels.dtype
        assert actions.violated.tolist() == [[True, False], [True, False]], "nothing was given to the second video"
        assert torch.equal(actions.labels, labels.expand(2, -1, -1))
        allowed = act(torch.zeros(2, 2, 2, dtype=torch.bool), labels, may_empty=True)
        assert not allowed.violated.any()
        assert not allowed.labels.any()


def test_greedy_threshold_is_inclusive() -> None:
    logits = torch.tensor([[[0.0, -0.1, 5.0]], [[-1.0, -3.0, 5.0]]])
    labels = torch.tensor([[1.0, 1, 0]])
    assert greedy(logits, labels).labels.tolist() == [[[1, 0, 0]], [[1, 1, 0]]]
    assert greedy(logits, labels, threshold=0.01).labels.tolist() == [[[1, 1, 0]], [[1, 1, 0]]]


def test_repair_gives_a_label_back_to_the_more_probable_modality() -> None:
    logits = torch.tensor([[[-1.0, 2.0, -1.0, -2.0]], [[-2.0, 2.0, -1.0, -1.0]]])
    labels = torch.ones(1, 4)
    repaired = repair_union(greedy(logits, labels), logits, labels)
    assert repaired.labels.tolist() == [[[1, 1, 1, 0]], [[0, 1, 0, 1]]]


def test_log_probability_is_that_of_the_draw_over_the_given_labels() -> None:
    logits, labels = _case(3)
    keep = sample(logits, labels, torch.Generator().manual_seed(0)).keep
    bernoulli = torch.distributions.Bernoulli(logits=logits)
    assert torch.allclose(log_probability(logits, keep, labels), (bernoulli.log_prob(keep.float()) * labels).sum(-1))
    assert torch.allclose(
        log_probability(logits, keep, labels, all_classes=True), bernoulli.log_prob(keep.float()).sum(-1)
    )
    # The probabilities of all draws of one video sum to one, over the given labels and over all classes.
    one = logits[:, :1, :3].double()
    draws = torch.tensor(list(itertools.product([False, True], repeat=3)))
    total = log_probability(one.expand(-1, 8, -1), draws, torch.ones(8, 3)).exp().sum(-1)
    assert torch.allclose(total, torch.ones(2, dtype=torch.float64))


# Learning


def test_reinforcement_learns_which_class_to_drop() -> None:
    """Plain REINFORCE with the moving baseline; a modality is judged by one noisy scalar an episode."""
    labels, features = _labels(96, seed=2), _features(96, 2)
    truth = labels.repeat(2, 1, 1)
    truth[1, :, 1] = 0  # class b is never visible
    truth[0, ::7] = 0  # and a seventh of the videos lack all of their sound
    policy, generator = _policy("prior"), torch.Generator().manual_seed(5)
    optimizer = torch.optim.Adam(policy.parameters(), lr=0.05)
    baselines = [Baseline(Baseline.Config()) for _ in range(2)]
    for _ in range(400):
        logits = policy(features, labels)
        actions = sample(logits, labels, generator, may_empty=True)
        right = ((actions.labels == truth) * labels).sum((1, 2)) / labels.sum()
        rewards = (right + 0.005 * torch.randn(2, generator=generator)).tolist()
        advantages = [b.advantage(r) for b, r in zip(baselines, rewards, strict=True)]
        if None not in advantages:
            score = log_probability(logits, actions.keep, labels).sum(-1)
            optimizer.zero_grad()
            (-(torch.tensor(advantages) * score).sum()).backward()
            optimizer.step()
    keep = policy(features, labels)[:, 0] >= 0
    assert keep.tolist() == [[True] * 4, [True, False, True, True]]


def test_reinforcement_learns_from_the_state_which_label_to_drop() -> None:
    """Leave-one-out advantages of four rollouts, each video with a reward of its own."""
    labels, features = torch.ones(96, 4), _features(96, 2)
    wrong = features.streams["audio"][:, :, 0].mean(1) > 0
    truth = labels.repeat(2, 1, 1)
    truth[1, wrong, 2] = 0  # class c is seen only where the first audio feature is low
    policy, generator = _policy("pooled"), torch.Generator().manual_seed(5)
    optimizer = torch.optim.Adam(policy.parameters(), lr=0.01)
    for _ in range(200):
        logits = policy(features, labels).expand(4, -1, -1, -1)
        actions = sample(logits, labels, generator, may_empty=True)
        advantage = leave_one_out((actions.labels == truth).float().mean(-1))
        loss = -(advantage * log_probability(logits, actions.keep, labels)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    probability = policy(features, labels).detach().sigmoid()
    assert float(probability[1, wrong, 2].mean()) < 0.2
    assert float(probability[1, ~wrong, 2].mean()) > 0.8
    assert float(probability[0].mean()) > 0.9
