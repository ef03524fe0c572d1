"""HCMN: HAN at several time scales, the encoder of DHHN (Jiang et al., ACM MM 2022)."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from avparse.data.vocabulary import MODALITIES
from avparse.foundation.settings import PartConfig
from avparse.models.encoders.han import HybridAttentionLayer
from avparse.models.layers.attention import stack_masks
from avparse.models.output import Hidden

Stride = Annotated[int, Field(ge=1)]


class HCMNEncoder(nn.Module):
    """Convolutions of growing stride shorten the video; one hybrid attention layer serves every scale.

    What the layer makes of a scale is given back to the segments (a step to all segments that it stands for) and added
    to that of the scales before. The sums are the levels of the encoding, the last one its segments.

    Padded and absent segments count as zero in the convolutions, as if the video ended there, and take no part in the
    batch normalisation. A step exists where any segment that it stands for does.
    """

    class Config(PartConfig):
        """Settings of the encoder.

        Attributes:
            strides: segments to a step, one a scale.
            kernels: segments that a step is computed from, odd, one a scale.
        """

        name: Literal["hcmn"] = "hcmn"
        strides: tuple[Stride, ...] = Field((1, 2, 5), min_length=1)
        kernels: tuple[Stride, ...] = Field((1, 3, 5), min_length=1)
        heads: int = Field(1, ge=1)
        feedforward: int = Field(512, ge=1)
        dropout: float = Field(0.1, ge=0, lt=1)

        @model_validator(mode="after")
        def _consistent(self) -> Self:
            if len(self.strides) != len(self.kernels) or not all(kernel % 2 for kernel in self.kernels):
                raise ValueError("strides and kernels are as many as scales, and kernels are odd")
            return self

    def __init__(self, config: Config, width: int) -> None:
        super().__init__()
        self.strides = config.strides
        self.scales = nn.ModuleList(
            TimeScale(width, stride, kernel) for stride, kernel in zip(config.strides, config.kernels, strict=True)
        )
        self.layer = HybridAttentionLayer(
            width, config.heads, config.feedforward, config.dropout, order="parallel", norm="post"
        )

    def forward(
        self, stem: Hidden, audio_mask: Tensor | None, visual_mask: Tensor | None, cross: bool = True
    ) -> Hidden:
        """Encode ``[B, T, D]`` a modality into the same shapes; without ``cross`` neither sees the other."""
        x = torch.stack((stem.audio, stem.visual))
        mask = stack_masks(audio_mask, visual_mask, x)
        total, levels = torch.zeros_like(x), []
        for stride, scale in zip(self.strides, self.scales, strict=True):
            encoded = self.layer(*scale(x, mask), cross)
            total = total + encoded.repeat_interleave(stride, dim=2)[:, :, : x.shape[2]]
            levels.append(Hidden(total[0], total[1]))
        return replace(levels[-1], levels=tuple(levels))


class TimeScale(nn.Module):
    """A convolution over time, batch normalisation and rectification, of each modality its own."""

    def __init__(self, width: int, stride: int, kernel: int) -> None:
        super().__init__()
        self.stride = stride
        self.convolve = nn.ModuleList(
            nn.Conv1d(width, width, kernel, stride, padding=kernel // 2, bias=False) for _ in MODALITIES
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in MODALITIES)

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Map ``[2, B, T, D]`` to ``[2, B, ceil(T / stride), D]``, with a mask of the steps where there was one."""
        real = None
        if mask is not None:
            x = x.masked_fill(~mask.unsqueeze(-1), 0.0)
            whole = functional.pad(mask, (0, -mask.shape[2] % self.stride))
            real = whole.view(*mask.shape[:2], -1, self.stride).any(dim=-1)
        steps = [convolve(y.transpose(1, 2)).transpose(1, 2) for convolve, y in zip(self.convolve, x, strict=True)]
        masks = (None, None) if real is None else real.unbind()
        return torch.stack([_normalised(*one).relu() for one in zip(steps, masks, self.norms, strict=True)]), real


def _normalised(steps: Tensor, real: Tensor | None, norm: Any) -> Tensor:
    """Normalise ``[B, T, D]``, in training by the statistics of the real ones; those of a single one would be none."""
    rows = steps.flatten(0, 1) if real is None else steps[real]
    learn = norm.training and len(rows) > 1
    statistics = (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    rows = functional.batch_norm(rows, *statistics, learn, norm.momentum, norm.eps)
    if real is None:
        return rows.view(steps.shape)
    normalised = rows.new_zeros(steps.shape)
    normalised[real] = rows
    return normalised
