"""MM-Pyramid (Yu et al.: Multimodal Pyramid Attentional Network, ACM MM 2022), in the form of the released code."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from avparse.foundation.settings import PartConfig
from avparse.models.layers.attention import AttentionBlock, stack_masks
from avparse.models.output import Hidden


class MMPyramidEncoder(nn.Module):
    """A pyramid of levels with growing windows, whose results are fused segment by segment.

    Level i covers 2^i segments to either side. Within it each modality attends to itself and to the other one, gates
    weigh both results, and a dilated convolution makes the input of the next level. The levels' results for a segment
    attend to each other, and their weighted sum is the encoding. Self-attention, gates, convolutions and fusion are
    separate for each modality; the cross-modal attention of a level is shared.

    A padded or absent segment is never attended to and counts as zero in convolutions, as if the video ended there.
    Without ``cross`` the cross-modal attention has nothing to attend to: each modality is encoded exactly as in a video
    in which the other one is absent.
    """

    class Config(PartConfig):
        """Settings of the encoder ``mm_pyramid``.

        Attributes:
            attention_dropout: dropout probability of attention weights.
            dropout: dropout probability of everything but attention weights.
            slot_order: order of the two outputs: ``visual_audio`` returns the visual encoding as audio and the reverse,
                as the released parser does, in training and in evaluation. It serves only for comparison with the
                released results.
        """

        name: Literal["mm_pyramid"] = "mm_pyramid"
        levels: int = Field(4, ge=1)
        heads: int = Field(8, ge=1)
        feedforward: int = Field(512, ge=1)
        attention_dropout: float = Field(0.1, ge=0, lt=1)
        dropout: float = Field(0.2, ge=0, lt=1)
        slot_order: Literal["audio_visual", "visual_audio"] = "audio_visual"

    def __init__(self, config: Config, width: int) -> None:
        super().__init__()
        self.swapped = config.slot_order == "visual_audio"
        self.levels = nn.ModuleList(PyramidLevel(config, width, reach=2**level) for level in range(config.levels))
        self.fusions = nn.ModuleList(LevelFusion(config, width) for _ in range(2))

    def forward(
        self, stem: Hidden, audio_mask: Tensor | None, visual_mask: Tensor | None, cross: bool = True
    ) -> Hidden:
        """Encode both modalities, each ``[B, T, D]`` to the same shape; without ``cross`` each is encoded by itself."""
        x = torch.stack((stem.audio, stem.visual))
        mask = stack_masks(audio_mask, visual_mask, x)
        made = []
        for level in self.levels:
            x = level(x, mask, cross)
            made.append(x)
        levels = torch.stack(made, dim=3)  # [2, B, T, levels, D]
        audio, visual = (fuse(y) for fuse, y in zip(self.fusions, levels, strict=True))
        return Hidden(visual, audio) if self.swapped else Hidden(audio, visual)


class PyramidLevel(nn.Module):
    """One level: attention within ``reach`` segments to either side, and a convolution with that dilation."""

    def __init__(self, config: MMPyramidEncoder.Config, width: int, reach: int) -> None:
        super().__init__()
        self.reach = reach
        self.cross = _block(config, width)
        self.sides = nn.ModuleList(PyramidSide(config, width, reach) for _ in range(2))

    def forward(self, x: Tensor, mask: Tensor | None, cross: bool) -> Tensor:
        """Map ``[2, B, T, D]`` to the same shape; ``mask`` ``[2, B, T]`` marks existing segments."""
        steps = torch.arange(x.shape[2], device=x.device)
        near = (steps - steps.unsqueeze(1)).abs() <= self.reach
        own = near.expand(2, 1, -1, -1) if mask is None else near & mask.unsqueeze(2)  # [2, B or 1, T, T]
        other = (own.flip(0) & cross).expand(-1, x.shape[1], -1, -1)
        crossed = self.cross(x.flatten(0, 1), x.flip(0).flatten(0, 1), other.flatten(0, 1)).view(x.shape)
        real = (None, None) if mask is None else mask.unsqueeze(-1)
        return torch.stack([side(*given) for side, *given in zip(self.sides, x, crossed, own, real, strict=True)])


class PyramidSide(nn.Module):
    """Part of a level that is separate for each modality: self-attention, gates, and two residual convolutions."""

    def __init__(self, config: MMPyramidEncoder.Config, width: int, reach: int) -> None:
        super().__init__()
        self.block = _block(config, width)
        self.gates = nn.Linear(2 * width, 2 * width)  # for the self-attended and for the cross-attended half
        self.convolve = nn.Conv1d(width, width, 3, padding=reach, dilation=reach)
        self.mix = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor, crossed: Tensor, near: Tensor, real: Tensor | None) -> Tensor:
        """Map ``[B, T, D]``, with the result of the cross-modal attention, to the same shape.

        Args:
            x: input ``[B, T, D]`` of the level.
            crossed: result ``[B, T, D]`` of the cross-modal attention on the same input.
            near: positions ``[B, T, T]`` (or one matrix for all videos) that may be attended to.
            real: existing segments ``[B, T, 1]``.
        """
        both = torch.cat((self.block(x, x, near), crossed), dim=-1)
        x = sum((self.gates(both).sigmoid() * both).chunk(2, dim=-1))
        if real is not None:
            x = x.masked_fill(~real, 0.0)
        x = x.transpose(1, 2)  # [B, D, T]
        convolved: Tensor = self.mix(self.convolve(x).relu())
        return (x + convolved).relu().transpose(1, 2)


class LevelFusion(nn.Module):
    """The levels' vectors of a segment attend to each other; each is then given a weight, and they are summed.

    The weights are independent of each other and need not sum to one.
    """

    def __init__(self, config: MMPyramidEncoder.Config, width: int) -> None:
        super().__init__()
        self.block = _block(config, width)
        self.weigh = nn.Linear(width, 1)

    def forward(self, levels: Tensor) -> Tensor:
        """Map ``[B, T, levels, D]`` to ``[B, T, D]``."""
        x = levels.flatten(0, 1)
        x = self.block(x, x).view(levels.shape)
        fused: Tensor = (self.weigh(x).sigmoid() * x).sum(dim=2)
        return fused


def _block(config: MMPyramidEncoder.Config, width: int) -> AttentionBlock:
    return AttentionBlock(width, config.heads, config.feedforward, config.attention_dropout, config.dropout)
