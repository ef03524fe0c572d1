"""Grouping blocks: vectors gather the segments that are assigned to them (MGN, NeurIPS 2022)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from avparse.foundation.settings import PartConfig
from avparse.models.layers.attention import attend, masked_softmax

Assignment = Literal["soft", "hard"]


class GroupingConfig(PartConfig):
    """Sizes of the grouping blocks.

    Attributes:
        heads: number of heads of every attention but the assignment, which has one.
        mix: inner width of the map that mixes the groups with each other.
        feedforward: inner width of the maps that process each vector separately.
        drop_path: probability of skipping a block's residual branch for a whole video, in training.
    """

    heads: int = Field(8, ge=1)
    mix: int = Field(64, ge=1)
    feedforward: int = Field(512, ge=1)
    drop_path: float = Field(0.1, ge=0, lt=1)


class ClassGrouping(nn.Module):
    """Attention among segments and class tokens, then grouping of the segments by the tokens."""

    def __init__(self, config: GroupingConfig, width: int, classes: int, depth: int, assignment: Assignment) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(SelfBlock(config, width) for _ in range(depth))
        self.grouping = Grouping(config, width, classes, assignment)

    def attend(self, x: Tensor, tokens: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Let segments ``[B, T, D]`` and tokens ``[C, D]`` (or one set per video) attend to all that exist."""
        joined = torch.cat((x, tokens.expand(len(x), -1, -1)), dim=1)
        real = None if mask is None else functional.pad(mask, (0, tokens.shape[-2]), value=True).unsqueeze(1)
        for block in self.blocks:
            joined = block(joined, real)
        return joined[:, : x.shape[1]], joined[:, x.shape[1] :]

    def group(self, x: Tensor, tokens: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the grouped class vectors ``[B, C, D]``, and the share ``[B, C, T]`` of each class in a segment."""
        grouped: tuple[Tensor, Tensor] = self.grouping(x, tokens, mask)
        return grouped


class SelfBlock(nn.Module):
    """Self-attention and a feed-forward map, each normalised before and residual."""

    def __init__(self, config: GroupingConfig, width: int) -> None:
        super().__init__()
        self.heads, self.drop_path = config.heads, config.drop_path
        self.attention_norm, self.feedforward_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project_in, self.project_out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feedforward = _map(width, config.feedforward)

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        """Map ``[B, N, D]`` to the same shape; ``real`` ``[B, 1, N]`` marks the vectors that may be attended to."""
        query, key, value = self.project_in(self.attention_norm(x)).chunk(3, dim=-1)
        x = x + self._drop(self.project_out(attend(query, key, value, self.heads, real, 0.0)))
        return x + self._drop(self.feedforward(self.feedforward_norm(x)))

    def _drop(self, x: Tensor) -> Tensor:
        """Skip the whole branch for some videos of the batch."""
        return functional.dropout(x.new_ones(len(x), 1, 1), self.drop_path, self.training) * x


class Grouping(nn.Module):
    """Groups are read from the segments, then each segment is assigned to groups and added to them.

    The residual connection is that of the groups. A segment that is assigned to a group with share p is added with
    weight p / (1 + the sum of the group's shares).

    Args:
        config: sizes of the blocks.
        width: feature size D.
        groups: usual number of groups, which sets the size of the mixing map.
        assignment: kind of assignment: ``soft`` in shares, or ``hard`` to one group each.
    """

    def __init__(self, config: GroupingConfig, width: int, groups: int, assignment: Assignment) -> None:
        super().__init__()
        self.heads, self.size, self.assignment = config.heads, groups, assignment
        self.group_norm, self.segment_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.mixed_norm = _map(groups, config.mix), nn.LayerNorm(width)
        self.read_query, self.read_segments = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.read_out = nn.Linear(width, width)
        self.read_feedforward_norm, self.read_feedforward = nn.LayerNorm(width), _map(width, config.feedforward)
        self.read_norm = nn.LayerNorm(width)
        self.query, self.segments, self.out = (nn.Linear(width, n * width) for n in (1, 2, 1))
        self.feedforward_norm, self.feedforward = nn.LayerNorm(width), _map(width, config.feedforward)

    def forward(
        self, x: Tensor, groups: Tensor, mask: Tensor | None, real: Tensor | None = None, over_time: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Assign the segments to the groups, and add them up.

        Args:
            x: segments ``[B, S, D]`` that are assigned.
            groups: initial group vectors ``[B, G, D]``.
            mask: existing segments ``[B, S]``; None if all exist.
            real: existing groups ``[B, G]``; None if all exist.
            over_time: whether the groups are themselves segments, of any number.

        Returns:
            The groups ``[B, G, D]`` and the shares ``[B, G, S]``, which sum to one over the groups of a segment.
        """
        x = self.segment_norm(x)
        allowed = None if mask is None else mask.unsqueeze(1)
        groups = self.mixed_norm(self._mixed(self.group_norm(groups), real, over_time))
        key, value = self.read_segments(x).chunk(2, dim=-1)
        groups = groups + self.read_out(attend(self.read_query(groups), key, value, self.heads, allowed, 0.0))
        groups = self.read_norm(groups + self.read_feedforward(self.read_feedforward_norm(groups)))
        key, value = self.segments(x).chunk(2, dim=-1)
        logits = self.query(groups) @ key.transpose(1, 2) * x.shape[-1] ** -0.5
        shares = self._assign(logits, None if real is None else real.unsqueeze(-1))
        if allowed is not None:
            shares = shares * allowed
        weights = shares / (shares.sum(dim=-1, keepdim=True) + 1)
        groups = groups + self.out(weights.to(value.dtype) @ value)
        return groups + self.feedforward(self.feedforward_norm(groups)), shares

    def _mixed(self, groups: Tensor, real: Tensor | None, over_time: bool) -> Tensor:
        """Mix ``[B, G, D]`` over the groups."""
        if not over_time or (real is None and groups.shape[1] == self.size):
            mixed: Tensor = self.mix(groups.transpose(1, 2)).transpose(1, 2)
            return mixed
        there, back = stretches(groups.shape[1], self.size, real, groups)
        stretched: Tensor = back @ self.mix((there @ groups).transpose(1, 2)).transpose(1, 2)
        return stretched

    def _assign(self, logits: Tensor, real: Tensor | None) -> Tensor:
        """Return the shares; ``real`` ``[B, G, 1]`` marks the groups that exist."""
        if self.assignment == "soft":
            return masked_softmax(logits, real, dim=1)
        if self.training:
            logits = logits - torch.empty_like(logits).exponential_().log()  # plus Gumbel noise
        soft = masked_softmax(logits, real, dim=1)
        hard = torch.zeros_like(soft).scatter_(1, soft.argmax(dim=1, keepdim=True), 1.0)
        return (hard - soft).detach() + soft


def stretches(segments: int, size: int, real: Tensor | None, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return the linear maps that stretch the existing ones of ``segments`` to ``size`` positions, and back.

    Args:
        segments: number of segments T.
        size: number of positions P.
        real: existing segments ``[B, T]``; the n existing ones are stretched from the first to the last position.
        like: tensor whose device and type the result gets.

    Returns:
        Maps ``[B or 1, P, T]`` and ``[B or 1, T, P]``; both are the identity where n = P.
    """
    exists = like.new_ones(1, segments) if real is None else real.to(like.dtype)  # [B, T]
    rank, last = exists.cumsum(dim=1) - 1, (exists.sum(dim=1, keepdim=True) - 1).clamp_min(0)
    position = torch.arange(size, device=like.device, dtype=like.dtype)
    in_ranks = position * (last / max(size - 1, 1))  # [B, P]
    in_positions = rank * ((size - 1) / last.clamp_min(1))  # [B, T]
    there = (1 - (in_ranks.unsqueeze(2) - rank.unsqueeze(1)).abs()).relu() * exists.unsqueeze(1)
    back = (1 - (in_positions.unsqueeze(2) - position).abs()).relu() * exists.unsqueeze(2)
    return there, back


def _map(size: int, inner: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, inner), nn.GELU(), nn.Linear(inner, size))
