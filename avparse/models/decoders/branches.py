"""Three linear branches with plain pooling over time: the decoder of AVE and AVSDN, as extended by HAN's authors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from avparse.foundation.settings import PartConfig
from avparse.models.layers.attention import stack_masks
from avparse.models.output import Hidden, ParserOutput


class BranchesDecoder(nn.Module):
    """Each modality, and both concatenated, have linear maps to class logits, which are pooled over the segments.

    AVE (ECCV 2018) has only the branch of both modalities. The authors of HAN (ECCV 2020) added the branches of one
    modality to compare AVE and AVSDN on parsing. They released no code, so the form of the branches is our reading.
    """

    class Config(PartConfig):
        """Settings of the decoder ``branches``.

        Attributes:
            size: width between the two maps (AVE: 64); None for a single map (AVSDN).
            pooling: reduction of segment logits to the video's logit: their ``mean``, or their ``max`` (AVE's released
                code).
        """

        name: Literal["branches"] = "branches"
        size: int | None = Field(64, ge=1)
        pooling: Literal["mean", "max"] = "mean"

    def __init__(self, config: Config, width: int, classes: Sequence[str]) -> None:
        super().__init__()
        self.pooling = config.pooling
        sizes = {"audio": width, "visual": width, "video": 2 * width}
        self.branches = nn.ModuleDict({of: _branch(inputs, config.size, len(classes)) for of, inputs in sizes.items()})

    def forward(self, hidden: Hidden, audio_mask: Tensor | None, visual_mask: Tensor | None) -> ParserOutput:
        """Decode encoded segments ``[B, T, H]`` of both modalities into probabilities of C classes."""
        x = torch.stack((hidden.audio, hidden.visual))
        mask = stack_masks(audio_mask, visual_mask, x)
        real = None if mask is None else mask.unsqueeze(-1)  # [2, B, T, 1]
        if real is not None:
            x = x * real
        inputs = {"audio": x[0], "visual": x[1], "video": torch.cat((x[0], x[1]), dim=-1)}
        logits = {of: self.branches[of](y).float() for of, y in inputs.items()}  # [B, T, C] of each branch
        exists: dict[str, Tensor | None] = dict.fromkeys(inputs)
        if real is not None:
            exists = {"audio": real[0], "visual": real[1], "video": real.any(dim=0)}
        videos = {of: self._pooled(y, exists[of]) for of, y in logits.items()}
        segments = {of: y.sigmoid() if (e := exists[of]) is None else y.sigmoid() * e for of, y in logits.items()}
        return ParserOutput(
            audio_segments=segments["audio"],
            visual_segments=segments["visual"],
            audio=videos["audio"],
            visual=videos["visual"],
            video=videos["video"],
            audio_logits=logits["audio"],
            visual_logits=logits["visual"],
            hidden=hidden,
        )

    def _pooled(self, logits: Tensor, exists: Tensor | None) -> Tensor:
        """Return probabilities ``[B, C]`` of logits ``[B, T, C]``; zero for a video without any segment."""
        if exists is None:
            return (logits.mean(dim=1) if self.pooling == "mean" else logits.amax(dim=1)).sigmoid()
        if self.pooling == "max":
            return (logits.sigmoid() * exists).amax(dim=1)
        mean = (logits * exists).sum(dim=1) / exists.sum(dim=1).clamp_min(1)
        return mean.sigmoid() * exists.any(dim=1)


def _branch(inputs: int, size: int | None, classes: int) -> nn.Sequential:
    if size is None:
        return nn.Sequential(nn.ReLU(), nn.Linear(inputs, classes))
    return nn.Sequential(nn.ReLU(), nn.Linear(inputs, size), nn.ReLU(), nn.Linear(size, classes))
