"""Structured exploration: the draws of an episode share one random shift of the keep logits per class and modality.

Independent draws of thousands of labels hide behind one reward. A shift that all labels of a class share is a decision
that an episode can judge: two episodes with opposite shifts, which differ in nothing else, tell by the difference of
their rewards in which direction the mean of the shifts has to move. That is REINFORCE on the parameters of the policy
(parameter-exploring policy gradients; Sehnke et al., 2010) with antithetic pairs.
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from avparse.foundation.settings import Settings


class ClassShift:
    """A normal distribution of shifts ``[2, C]`` whose mean ascends the reward.

    For a shift ``d`` from the mean and the rewards of both signs, ``(R(+d) - R(-d)) d / (2 deviation^2)`` is an
    unbiased estimate of the gradient of the mean. Each component has a step of its own, as in Adam: the average
    gradient, divided by its root mean square plus ``least``, so that a class whose shift changes nothing does not move.

    Attributes:
        mean: mean ``[2, C]`` of the shifts, float64.
    """

    class Config(Settings):
        """Settings of the exploration.

        Attributes:
            deviation: standard deviation of a shift, in units of the logit.
            rate: largest step of the mean, in units of the logit.
            least: gradient, in reward per unit of the logit, below which steps become smaller.
            bound: bound on the absolute value of the mean.
            average: share of the last episodes whose means are averaged in the end.
        """

        deviation: float = Field(1.5, gt=0)
        rate: float = Field(0.5, gt=0)
        least: float = Field(3e-4, gt=0)
        bound: float = Field(6.0, gt=0)
        average: float = Field(0.5, gt=0, le=1)

    def __init__(self, config: Config, classes: int) -> None:
        self.config = config
        self.mean = torch.zeros(2, classes, dtype=torch.float64)
        self._first, self._second = torch.zeros_like(self.mean), torch.zeros_like(self.mean)
        self._means: list[Tensor] = []

    def draw(self, generator: torch.Generator) -> Tensor:
        """Return a deviation ``[2, C]`` from the mean; the other episode of the pair has its opposite."""
        drawn = torch.randn(self.mean.shape, generator=generator, dtype=torch.float64)
        return self.config.deviation * drawn

    def ascend(self, drawn: Tensor, gain: Tensor, gradient: Tensor) -> None:
        """Move the mean.

        Args:
            drawn: the deviation ``[2, C]`` of the pair.
            gain: reward ``[2, C]`` of its first episode less that of its second, as far as a class is its cause.
            gradient: exact gradient ``[2, C]`` of further rewards.
        """
        config, count = self.config, len(self._means) + 1
        found = gain * drawn / (2 * config.deviation**2) + gradient
        self._first = self._first.lerp(found, 1 - _FIRST)
        self._second = self._second.lerp(found.square(), 1 - _SECOND)
        first, second = self._first / (1 - _FIRST**count), self._second / (1 - _SECOND**count)
        step = config.rate * first / (second.sqrt() + config.least)
        self.mean = (self.mean + step).clamp(-config.bound, config.bound)
        self._means.append(self.mean)

    def averaged(self) -> Tensor:
        """Return the average ``[2, C]`` of the means after the last episodes; zeros before the first."""
        if not self._means:
            return torch.zeros_like(self.mean)
        last = max(1, round(self.config.average * len(self._means)))
        return torch.stack(self._means[-last:]).mean(dim=0)

    def state(self) -> dict[str, Any]:
        """Return the state that later steps depend on, as JSON values."""
        moments = {"first": self._first.tolist(), "second": self._second.tolist()}
        return moments | {"means": [mean.tolist() for mean in self._means]}

    def load(self, state: dict[str, Any]) -> None:
        """Restore the state that :meth:`state` returned."""
        self._first, self._second = (torch.tensor(state[k], dtype=torch.float64) for k in ("first", "second"))
        self._means = [torch.tensor(mean, dtype=torch.float64) for mean in state["means"]]
        self.mean = self._means[-1] if self._means else torch.zeros_like(self._first)


_FIRST, _SECOND = 0.8, 0.95  # shares of the old averages that are kept, for some tens of episodes
