"""Three branches and the maximum over time: the decoder of AVE and AVSDN, as the authors of HAN extended both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from avparse.foundation.settings import PartConfig
from avparse.models.attention import stack_masks
from avparse.models.output import Hidden, ParserOutput


class BranchesDecoder(nn.Module):
    """Each modality, and both side by side, have linear maps to class logits; a video has its best segment's.

    AVE (ECCV 2018) has the branch of both alone, trained by its maximum over time. The branches of one modality are
    what the authors of HAN (ECCV 2020) added to compare it and AVSDN on parsing. They released no code: the form of
    the branches is our reading.
    """

    class Config(PartConfig):
        """Settings: ``size`` between the two maps (AVE: 64); None: one map only (AVSDN)."""

        name: Literal["branches"] = "branches"
        size: int | None = Field(64, ge=1)

    def __init__(self, config: Config, width: int, classes: Sequence[str]) -> None:
        super().__init__()
        sizes = {"audio": width, "visual": width, "video": 2 * width}
        self.branches = nn.ModuleDict({of: _branch(inputs, config.size, len(classes)) for of, inputs in sizes.items()})

    def forward(self, hidden: Hidden, audio_mask: Tensor | None, visual_mask: Tensor | None) -> ParserOutput:
        """Decode ``[B, T, H]`` a modality into probabilities of C classes."""
        x = torch.stack((hidden.audio, hidden.visual))
        mask = stack_masks(audio_mask, visual_mask, x)
        real = None if mask is None else mask.unsqueeze(-1)  # [2, B, T, 1]
        if real is not None:
            x = x * real
        inputs = {"audio": x[0], "visual": x[1], "video": torch.cat((x[0], x[1]), dim=-1)}
        logits = {of: self.branches[of](y).float() for of, y in inputs.items()}  # each [B, T, C]
        segments = {of: y.sigmoid() for of, y in logits.items()}
        if real is not None:
            exists = {"audio": real[0], "visual": real[1], "video": real.any(dim=0)}
            segments = {of: p * exists[of] for of, p in segments.items()}
        return ParserOutput(
            audio_segments=segments["audio"],
            visual_segments=segments["visual"],
            audio=segments["audio"].amax(dim=1),
            visual=segments["visual"].amax(dim=1),
            video=segments["video"].amax(dim=1),
            audio_logits=logits["audio"],
            visual_logits=logits["visual"],
            hidden=hidden,
        )


def _branch(inputs: int, size: int | None, classes: int) -> nn.Sequential:
    if size is None:
        return nn.Sequential(nn.ReLU(), nn.Linear(inputs, classes))
    return nn.Sequential(nn.ReLU(), nn.Linear(inputs, size), nn.ReLU(), nn.Linear(size, classes))
