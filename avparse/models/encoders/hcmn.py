"""HCMN, a hybrid attention network at several time scales: the encoder of DHHN (Jiang et al., ACM MM 2022)."""

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

    The layer's output at a scale is expanded to the segments (each step to all segments that it covers) and added to
    that of the previous scales. The sums are the levels of the encoding; the last one gives its segments.

    Padded and absent segments count as zero in the convolutions, as if the video ended there, and take no part in the
    batch normalisation. A step exists where any segment that it covers exists.
    """

    class Config(PartConfig):
        """Settings of the encoder ``hcmn``.

        Attributes:
            strides: number of segments per step, one value per scale.
            kernels: number of segments that a step is computed from, an odd value per scale.
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
                raise ValueError("give as many strides as kernels, one per scale, and odd kernels")
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
        """Encode both modalities, each ``[B, T, D]`` to the same shape; without ``cross`` each is encoded by itself."""
        x = torch.stack((stem.audio, stem.visual))
        mask = stack_masks(audio_mask, visual_mask, x)
        total, levels = torch.zeros_like(x), []
        for stride, scale in zip(self.strides, self.scales, strict=True):
            encoded = self.layer(*scale(x, mask), cross)
            total = total + encoded.repeat_interleave(stride, dim=2)[:, :, : x.shape[2]]
            levels.append(Hidden(total[0], total[1]))
        return replace(levels[-1], levels=tuple(levels))


class TimeScale(nn.Module):
    """Convolution over time, batch normalisation and rectification, separate for each modality."""

    def __init__(self, width: int, stride: int, kernel: int) -> None:
        super().__init__()
        self.stride = stride
        self.convolve = nn.ModuleList(
            nn.Conv1d(width, width, kernel, stride, padding=kernel // 2, bias=False) for _ in MODALITIES
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in MODALITIES)

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Map ``[2, B, T, D]`` to ``[2, B, ceil(T / stride), D]``, with a mask of the steps if there was one."""
        real = None
        if mask is not None:
            x = x.masked_fill(~mask.unsqueeze(-1), 0.0)
            whole = functional.pad(mask, (0, -mask.shape[2] % self.stride))
            real = whole.view(*mask.shape[:2], -1, self.stride).any(dim=-1)
        steps = [convolve(y.transpose(1, 2)).transpose(1, 2) for convolve, y in zip(self.convolve, x, strict=True)]
        masks = (None, None) if real is None else real.unbind()
        return torch.stack([_normalised(*one).relu() for one in zip(steps, masks, self.norms, strict=True)]), real


def _normalised(steps: Tensor, real: Tensor | None, norm: Any) -> Tensor:
    """Normalise ``[B, T, D]``, in training by the statistics of the existing steps; a single step has no statistics."""
    rows = steps.flatten(0, 1) if real is None else steps[real]
    learn = norm.training and len(rows) > 1
    statistics = (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    rows = functional.batch_norm(rows, *statistics, learn, norm.momentum, norm.eps)
    if real is None:
        return rows.view(steps.shape)
    normalised = rows.new_zeros(steps.shape)
    normalised[real] = rows
    return normalised
