"""The evidence decoder of CMPAE (Gao, Chen, Xu: Collecting Cross-Modal Presence-Absence Evidence, CVPR 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from avparse.data.vocabulary import MODALITIES
from avparse.foundation.settings import PartConfig
from avparse.models.layers.attention import masked_softmax, stack_masks
from avparse.models.layers.dropout import drop
from avparse.models.output import Hidden, ParserOutput, Uncertainty

_SLOPE = 0.2
_LARGEST, _TEMPERATURE = 10.0, 0.8


class EvidenceDecoder(nn.Module):
    """Evidence for a class, from one modality, is weighed against evidence against it, from both modalities.

    Evidence for the class is read from the segment's own modality; evidence against it from that modality plus a gated
    map of both modalities' sum. A logit becomes evidence alpha = exp(logit / 0.8) + 1, with logits clamped to 10 around
    zero. The probability is the share of the evidence for the class, the uncertainty 2 / (sum of both). The logits of a
    video are attention-weighted sums over its segments, with separate weights for either kind of evidence.

    ``video`` is read from the stem's output instead of the encoder's: the mean over segments of a class probability of
    both modalities together.
    """

    class Config(PartConfig):
        """Settings of the decoder ``evidence``.

        Attributes:
            visual_dropout: dropout probability of the encoded visual segments before all heads.
            gate_dropout: dropout probability of the gated maps.
            unimodal_absence: modality from which evidence against a class is read in the unimodal pass: the ``own``
                one, as if the other were absent, or ``both``, as in the released code.
        """

        renamed: ClassVar[dict[str, str]] = {"apart": "unimodal_absence"}
        name: Literal["evidence"] = "evidence"
        visual_dropout: float = Field(0.5, ge=0, lt=1)
        gate_dropout: float = Field(0.2, ge=0, lt=1)
        unimodal_absence: Literal["own", "both"] = "own"

    def __init__(self, config: Config, width: int, classes: Sequence[str]) -> None:
        super().__init__()
        self.config = config
        self.presence = nn.Linear(width, len(classes))
        self.absence = nn.Linear(width, len(classes))
        self.gates = nn.ModuleList(nn.Linear(width, width) for _ in MODALITIES)
        self.attention = nn.Linear(width, 2 * len(classes))
        self.video_map = nn.Linear(width, width)
        self.video_head = nn.Linear(width, len(classes))

    def forward(self, hidden: Hidden, audio_mask: Tensor | None, visual_mask: Tensor | None) -> ParserOutput:
        """Decode encoded segments ``[B, T, H]`` of both modalities into probabilities of C classes."""
        if hidden.stem is None:
            raise RuntimeError("the evidence decoder reads the stem's output; set Hidden.stem")
        visual = drop(hidden.visual, self.config.visual_dropout, self.training)
        x = torch.stack((hidden.audio, visual))
        mask = stack_masks(audio_mask, visual_mask, x)
        real = None if mask is None else mask.unsqueeze(-1)  # [2, B, T, 1]
        logits = self._logits(x, real, hidden.cross)  # [2, B, T, C, 2], for and against
        over_time = self.attention(x).float().unflatten(-1, (-1, 2))
        weights = masked_softmax(over_time, None if real is None else real.unsqueeze(-1), dim=2)
        segments, segments_unsure = weigh_evidence(logits)
        videos, videos_unsure = weigh_evidence((weights * logits).sum(dim=2))
        if real is not None:
            present = real.any(dim=2)
            segments, segments_unsure = segments * real, segments_unsure.masked_fill(~real, 1.0)
            videos, videos_unsure = videos * present, videos_unsure.masked_fill(~present, 1.0)
        video, video_unsure = self._video(hidden.stem, real)
        return ParserOutput(
            audio_segments=segments[0],
            visual_segments=segments[1],
            audio=videos[0],
            visual=videos[1],
            video=video,
            hidden=hidden,
            uncertainty=Uncertainty(
                audio=videos_unsure[0],
                visual=videos_unsure[1],
                video=video_unsure,
                audio_segments=segments_unsure[0],
                visual_segments=segments_unsure[1],
            ),
        )

    def _logits(self, x: Tensor, real: Tensor | None, cross: bool) -> Tensor:
        """Return the logits ``[2, B, T, C, 2]`` of evidence for and against, in float32."""
        both = x if real is None else x.masked_fill(~real, 0.0)
        if cross or self.config.unimodal_absence == "both":
            both = both.sum(dim=0).expand_as(x)
        gated = torch.stack([gate(y) for gate, y in zip(self.gates, both, strict=True)])
        gated = functional.leaky_relu(drop(gated, self.config.gate_dropout, self.training), _SLOPE)
        return torch.stack((self.presence(x), self.absence(x + gated)), dim=-1).float()

    def _video(self, stem: Hidden, real: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the probabilities ``[B, C]`` and the uncertainty ``[B]`` of the video as a whole."""
        mapped = functional.leaky_relu(self.video_map(torch.stack((stem.audio, stem.visual))), _SLOPE)
        if real is not None:
            mapped = mapped.masked_fill(~real, 0.0)
        logits = self.video_head(mapped.sum(dim=0)).float()  # [B, T, C]
        if real is None:
            p, mean = logits.sigmoid().mean(dim=1), logits.mean(dim=1)
        else:
            either = real.any(dim=0)  # [B, T, 1]
            count = either.sum(dim=1).clamp_min(1)
            p, mean = ((y * either).sum(dim=1) / count for y in (logits.sigmoid(), logits))
        alpha = _evidence(mean)
        return p, alpha.shape[-1] / alpha.sum(dim=-1)


def weigh_evidence(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return the probability and the uncertainty, both ``[...]``, of logits ``[..., 2]`` for and against."""
    alpha = _evidence(logits)
    total = alpha.sum(dim=-1)
    return alpha[..., 0] / total, 2 / total


def _evidence(logits: Tensor) -> Tensor:
    return (logits.clamp(-_LARGEST, _LARGEST) / _TEMPERATURE).exp() + 1
