"""Dropout: the share that is dropped, the scale of the rest, the gradient, and what it depends on."""

from __future__ import annotations

import pytest
import torch

from avparse.models.layers.dropout import drop


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_share_scale_and_gradient(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.full((333, 1001), 2.0, dtype=dtype, requires_grad=True)
    y = drop(x, p)
    kept = y != 0
    assert kept.float().mean().item() == pytest.approx(1 - p, abs=4 * (p * (1 - p) / x.numel()) ** 0.5 + 2**-16)
    assert y.dtype == dtype
    torch.testing.assert_close(y[kept], torch.full_like(y[kept], 2 / (1 - p)), rtol=1e-2, atol=0)
    (slope,) = torch.autograd.grad(y.float().sum(), x)
    torch.testing.assert_close(slope, y.detach() / 2)
    # Neighbours, which share a draw, are dropped independently of each other.
    flat = kept.flatten().float()
    for distance in (1, 2, 3, 4):
        both = (flat[:-distance] * flat[distance:]).mean().item()
        assert both == pytest.approx((1 - p) ** 2, abs=0.005)


def test_nothing_is_dropped_outside_training_or_at_zero() -> None:
    x = torch.randn(7, 3)
    assert drop(x, 0.5, training=False) is x
    assert drop(x, 0.0) is x


def test_a_seed_repeats_it_and_the_next_call_differs() -> None:
    x = torch.ones(5, 13)
    torch.manual_seed(3)
    first, second = drop(x, 0.5), drop(x, 0.5)
    torch.manual_seed(3)
    assert torch.equal(drop(x, 0.5), first)
    assert not torch.equal(first, second)
    assert drop(x.t(), 0.5).shape == (13, 5)
    assert drop(x[:0], 0.5).shape == (0, 13)
