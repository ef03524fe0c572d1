"""poiBin, our reading: the law of the number of positive segments, the estimate, the loss, masks, and the recipe."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from avparse.data.features import Batch, Features, Step
from avparse.labels.targets import Targets
from avparse.losses.positive_count import PositiveCount, at_least, count_law
from avparse.models import ParserOutput
from avparse.training.recipe import load_recipe
from avparse.training.train import train
from tests.toy import toy_store

probability = st.floats(0.01, 0.99)


def _loss(p: Tensor, labels: Tensor, mask: Tensor | None = None, epoch: int = 9, **config: float) -> Tensor:
    video = labels.float()
    output = ParserOutput(p, p * 0, video, video, video)
    loss = PositiveCount(PositiveCount.Config(of="audio", **config))
    return loss(output, Targets(video, video, video), Batch(video, Features({}, mask), video), Step(epoch, 0, 1))


@settings(max_examples=30, deadline=None)
@given(st.lists(probability, min_size=1, max_size=7))
def test_the_law_by_enumeration(values: list[float]) -> None:
    p = torch.tensor(values, dtype=torch.float64)
    expected = torch.zeros(len(values) + 1, dtype=torch.float64)
    for draw in itertools.product((0, 1), repeat=len(values)):
        on = torch.tensor(draw, dtype=torch.bool)
        expected[sum(draw)] += torch.where(on, p, 1 - p).prod()
    law = count_law(p.view(1, -1, 1))[0, 0]
    torch.testing.assert_close(law, expected)
    tail = at_least(law)
    assert tail[0].item() == pytest.approx(1)
    torch.testing.assert_close(tail[1], 1 - (1 - p).prod())


def test_the_law_of_many_segments() -> None:
    p = torch.full((2, 300, 3), 0.5, requires_grad=True)
    tail = at_least(count_law(p))
    assert tail[0, 0, 0].item() == pytest.approx(1, abs=1e-5)
    assert tail[0, 0, 150].item() == pytest.approx(0.523, abs=0.001)
    _loss(p, torch.tensor([[1, 0, 1], [0, 0, 1]])).backward()
    assert p.grad.isfinite().all()


def test_estimate_and_loss_by_hand() -> None:
    p = torch.tensor([[[0.9, 0.9], [0.8, 0.8], [0.1, 0.1]]])
    tail = at_least(count_law(p))[0, 0]  # at least one 0.982, two 0.746, three 0.072
    labels = torch.tensor([[1, 0]])
    absent = -(torch.log(1 - p[0, :, 1])).mean()
    for confidence, k in ((1.0, 1), (0.9, 1), (0.7, 2), (0.05, 3)):
        value = _loss(p, labels, confidence=confidence)
        assert value.item() == pytest.approx(((-tail[k].log() + absent) / 2).item(), rel=1e-5), confidence
    assert _loss(p, labels, confidence=0.7, epoch=1).item() == pytest.approx(_loss(p, labels, confidence=1).item())


def test_the_estimate_carries_no_gradient_and_raises_segments() -> None:
    p = torch.tensor([[[0.95], [0.9], [0.3], [0.05]]], requires_grad=True)
    labels = torch.ones(1, 1)
    (one,) = torch.autograd.grad(_loss(p, labels, confidence=1), p)
    (more,) = torch.autograd.grad(_loss(p, labels, confidence=0.8), p)
    assert (one < 0).all()
    assert (more < one).all()  # one sure segment no longer satisfies the label
    (absent,) = torch.autograd.grad(_loss(p, 1 - labels), p)
    assert (absent > 0).all()


def test_a_flat_expectation_over_counts_is_at_least_one() -> None:
    """Why k is estimated: the expectation of log P(K = k) under its own posterior has the gradient of log P(K >= 1)."""
    p = torch.rand(3, 6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    law = count_law(p)
    posterior = (law[..., 1:] / law[..., 1:].sum(dim=-1, keepdim=True)).detach()
    (expected,) = torch.autograd.grad((posterior * law[..., 1:].log()).sum(), p, retain_graph=True)
    (plain,) = torch.autograd.grad(at_least(law)[..., 1].log().sum(), p)
    torch.testing.assert_close(expected, plain)


def test_padding_and_absence_do_not_count() -> None:
    p = torch.rand(3, 5, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[1, 0, 0, 1], [0, 1, 0, 0], [1, 1, 1, 1]])
    mask = torch.arange(5) < torch.tensor([[5], [2], [0]])
    masked = p * mask.unsqueeze(-1)
    expected = [_loss(p[:1], labels[:1]), _loss(p[1:2, :2], labels[1:2])]
    assert torch.allclose(_loss(masked, labels, mask), torch.stack(expected).mean())
    assert _loss(masked[2:], labels[2:], mask[2:]) == 0


def test_recipe_trains(tmp_path: Path) -> None:
    store = toy_store(tmp_path / "toy", videos=60, ragged=True)
    run = train(load_recipe("poibin", ["parser.stem.width=8", "training.epochs=3"]), store, tmp_path / "run")
    logged = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert all(0 < line[f"loss/positive_count_{m}"] < 10 for line in logged for m in ("audio", "visual"))
