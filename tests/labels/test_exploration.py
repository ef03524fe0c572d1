"""Exploration by class: the mean of the shifts ascends what its pairs of opposite shifts earn."""

from __future__ import annotations

import json

import torch

from avparse.labels.reinforced.exploration import ClassShift


def _explore(shift: ClassShift, best: torch.Tensor, scale: torch.Tensor, pairs: int, first: int = 0) -> None:
    """Play pairs whose reward falls with the squared distance of the shift from ``best``."""

    def reward(value: torch.Tensor) -> torch.Tensor:
        return -scale * (value - best).square()

    for number in range(first, first + pairs):
        drawn = shift.draw(torch.Generator().manual_seed(number))
        gain = reward(shift.mean + drawn) - reward(shift.mean - drawn)
        shift.ascend(drawn, gain, torch.zeros_like(gain))


def test_the_mean_finds_the_best_shift_whatever_the_unit_of_the_reward() -> None:
    best = torch.tensor([[3.0, -3.0, 0.0], [-2.0, 1.0, 4.0]], dtype=torch.float64)
    scale = torch.tensor([[1.0, 1.0, 1.0], [0.01, 100.0, 0.1]], dtype=torch.float64)
    shift = ClassShift(ClassShift.Config(), classes=3)
    assert shift.averaged().abs().max() == 0
    _explore(shift, best, scale, pairs=80)
    assert (shift.averaged() - best).abs().max() < 1.0
    assert (shift.mean.abs() <= 6).all()


def test_a_class_that_changes_nothing_does_not_move() -> None:
    shift = ClassShift(ClassShift.Config(), classes=2)
    for number in range(30):
        drawn = shift.draw(torch.Generator().manual_seed(number))
        gain = torch.stack((torch.zeros(2), 1e-6 * torch.randn(2, generator=torch.Generator().manual_seed(number))))
        shift.ascend(drawn, gain.double(), torch.zeros(2, 2, dtype=torch.float64))
    assert shift.mean[0].abs().max() == 0
    assert shift.mean[1].abs().max() < 0.1


def test_an_exact_gradient_moves_it_as_well() -> None:
    shift = ClassShift(ClassShift.Config(rate=0.1), classes=1)
    for number in range(10):
        drawn = shift.draw(torch.Generator().manual_seed(number))
        shift.ascend(drawn, torch.zeros(2, 1, dtype=torch.float64), torch.tensor([[0.5], [-0.5]], dtype=torch.float64))
    assert torch.allclose(shift.mean, torch.tensor([[1.0], [-1.0]], dtype=torch.float64), atol=0.01)


def test_a_restored_exploration_goes_on_as_if_unbroken() -> None:
    best, scale = torch.ones(2, 4, dtype=torch.float64), torch.ones(2, 4, dtype=torch.float64)
    whole, first = (ClassShift(ClassShift.Config(), classes=4) for _ in range(2))
    _explore(whole, best, scale, pairs=9)
    _explore(first, best, scale, pairs=5)
    second = ClassShift(ClassShift.Config(), classes=4)
    second.load(json.loads(json.dumps(first.state())))
    _explore(second, best, scale, pairs=4, first=5)
    assert torch.equal(whole.mean, second.mean)
    assert torch.equal(whole.averaged(), second.averaged())
