"""Grouping: vectors gather the segments that are given to them (the blocks of MGN, NeurIPS 2022)."""

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
    """Sizes of the blocks.

    Attributes:
        heads: of every attention but the assignment, which has one.
        mix: width of the map that mixes the groups with each other.
        feedforward: width of the maps that work on each vector alone.
        drop_path: probability of leaving a block's addition out for a whole video, in training.
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
        """Let segments ``[B, T, D]`` and tokens ``[C, D]`` (or one set a video) attend to all that is real."""
        joined = torch.cat((x, tokens.expand(len(x), -1, -1)), dim=1)
        real = None if mask is None else functional.pad(mask, (0, tokens.shape[-2]), value=True).unsqueeze(1)
        for block in self.blocks:
            joined = block(joined, real)
        return joined[:, : x.shape[1]], joined[:, x.shape[1] :]

    def group(self, x: Tensor, tokens: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return what the classes become ``[B, C, D]``, and the share ``[B, C, T]`` that each has in a segment."""
        grouped: tuple[Tensor, Tensor] = self.grouping(x, tokens, mask)
        return grouped


class SelfBlock(nn.Module):
    """Self-attention and a feed-forward map, each of what was normalised, each added."""

    def __init__(self, config: GroupingConfig, width: int) -> None:
        super().__init__()
        self.heads, self.drop_path = config.heads, config.drop_path
        self.attention_norm, self.feedforward_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project_in, self.project_out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feedforward = _map(width, config.feedforward)

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        """Map ``[B, N, D]`` to the same shape; ``real`` ``[B, 1, N]`` marks what may be attended to."""
        query, key, value = self.project_in(self.attention_norm(x)).chunk(3, dim=-1)
        x = x + self._drop(self.project_out(attend(query, key, value, self.heads, real, 0.0)))
        return x + self._drop(self.feedforward(self.feedforward_norm(x)))

    def _drop(self, x: Tensor) -> Tensor:
        """Leave the whole addition out for some videos of the batch."""
        return functional.dropout(x.new_ones(len(x), 1, 1), self.drop_path, self.training) * x


class Grouping(nn.Module):
    """Groups read from the segments, then each segment is given to groups and adds to what they are.

    The residual is the groups': what comes out is groups, with what was gathered into them. A segment of which a group
    has the share p adds with weight p / (1 + the sum of the group's shares).

    Args:
        config: sizes.
        width: D.
        groups: how many there usually are.
        assignment: in shares or to one group each.
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
        """Group.

        Args:
            x: ``[B, S, D]``, segments.
            groups: ``[B, G, D]``.
            mask: ``[B, S]``, the segments that exist.
            real: ``[B, G]``, the groups that exist.
            over_time: groups are segments too, of any number.

        Returns:
            The groups ``[B, G, D]`` and the shares ``[B, G, S]``, which add up to one over the groups of a segment.
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
    """Return the linear maps that stretch the real ones of ``segments`` to ``size`` positions, and back.

    Args:
        segments: T.
        size: P.
        real: ``[B, T]``; the n segments of a video that exist are stretched from the first to the last position.
        like: of the device and type of the result.

    Returns:
        ``[B or 1, P, T]`` and ``[B or 1, T, P]``; both are the identity where n = P.
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
