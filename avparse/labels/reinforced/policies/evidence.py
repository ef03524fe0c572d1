"""A linear policy over the predictions of trained parsers."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from avparse.data.features import Features, TaskSpec
from avparse.foundation.errors import UserError
from avparse.labels.reinforced.policies.policy import KeepPolicy, PolicyConfig


class EvidencePolicy(KeepPolicy):
    """A linear policy over the predictions of trained parsers for each label.

    The summary holds K values per class, ``[B, C K]`` in that order. Their weights are shared by all classes of a
    modality, plus deviations of each class; :meth:`penalty` draws both towards zero, which leaves the starting point.
    """

    class Config(PolicyConfig):
        """Settings of the policy ``evidence``, which are those of every policy."""

        name: Literal["evidence"] = "evidence"

    def __init__(self, config: Config, spec: TaskSpec, summary: int = 0) -> None:
        super().__init__(config, spec, summary)
        if not summary or summary % self.classes:
            raise UserError(f"policy 'evidence': {summary} values for {self.classes} classes; give K per class")
        size = summary // self.classes + 1
        self.shared = nn.Parameter(torch.zeros(2, 1, 1, size))
        self.own = nn.Parameter(torch.zeros(2, 1, self.classes, size))

    def learned(self, features: Features, labels: Tensor, summary: Tensor | None) -> Tensor:
        """Return the learned logits ``[2, B, C]``; the streams are not read."""
        if summary is None:
            raise RuntimeError("the evidence policy reads a summary")
        x = functional.pad(summary.view(len(summary), self.classes, -1), (0, 1), value=1.0)
        return ((self.shared + self.own) * x).sum(dim=-1)

    def penalty(self) -> Tensor:
        """Return half the squared norm of all weights."""
        return (self.shared.square().sum() + self.own.square().sum()) / 2
