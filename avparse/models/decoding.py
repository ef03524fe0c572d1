"""The decoding rule: thresholds and gates that turn probabilities into decisions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from avparse.data.features import Features
from avparse.foundation.errors import UserError
from avparse.foundation.settings import Settings
from avparse.models.output import ParserOutput

Probability = Annotated[float, Field(ge=0, le=1)]
Threshold = Probability | tuple[Probability, ...]
_BLENDED = ("audio_segments", "visual_segments", "audio", "visual", "video")


class DecodingRule(Settings):
    """A class is on in a segment iff the segment's probability and the gate both reach their thresholds.

    Thresholds are inclusive, as in the published evaluation codes. Each may be one number or one number per class.

    Attributes:
        gate: video-level probability that gates a modality: ``union`` the video's (HAN, MM-Pyramid, MGN, VALOR),
            ``own`` the modality's (MA, JoMoLD, RLLD), ``mixed`` the video's for audio and the modality's for visual.
        segment_threshold: threshold of segment probabilities, in both modalities.
        audio_gate_threshold, visual_gate_threshold: threshold of the gate of each modality.
        unimodal_share: share of every probability that comes from a second, unimodal pass without cross-modal attention
            (CMPAE, CoLeaF: 0.3).
    """

    renamed: ClassVar[dict[str, str]] = {"alone": "unimodal_share"}
    gate: Literal["union", "own", "mixed"] = "union"
    segment_threshold: Threshold = 0.5
    audio_gate_threshold: Threshold = 0.5
    visual_gate_threshold: Threshold = 0.5
    unimodal_share: float = Field(0.0, ge=0, lt=1)

    @property
    def by_class(self) -> bool:
        """Whether a threshold is given per class, so that the rule belongs to a certain list of classes."""
        thresholds = (self.segment_threshold, self.audio_gate_threshold, self.visual_gate_threshold)
        return any(isinstance(threshold, tuple) for threshold in thresholds)

    def reading(self, parser: Callable[..., ParserOutput]) -> Callable[[Features], ParserOutput]:
        """Return what to parse with before :meth:`decide`: the parser, or a blend of its two passes."""
        if not self.unimodal_share:
            return parser

        def blended(features: Features) -> ParserOutput:
            together, unimodal = parser(features), parser(features, cross=False)
            values = {
                name: getattr(together, name).lerp(getattr(unimodal, name), self.unimodal_share) for name in _BLENDED
            }
            return replace(together, **values)

        return blended

    def gates(self, output: ParserOutput) -> tuple[Tensor, Tensor]:
        """Return the gate probabilities ``[B, C]`` of audio and of visual."""
        audio = output.audio if self.gate == "own" else output.video
        visual = output.video if self.gate == "union" else output.visual
        return audio, visual

    def decide(self, output: ParserOutput, allowed: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return boolean decisions ``[B, T, C]`` for audio and visual.

        Args:
            output: probabilities of a parser; gates may be ``[B, C]`` or, for windows of a long video, ``[B, T, C]``.
            allowed: boolean ``[B, C]``; classes outside it stay off (a video whose weak label is known).
        """
        decisions = []
        sides = zip(
            (output.audio_segments, output.visual_segments),
            self.gates(output),
            (self.audio_gate_threshold, self.visual_gate_threshold),
            strict=True,
        )
        for segments, gate, gate_threshold in sides:
            if gate.dim() == segments.dim() - 1:
                gate = gate.unsqueeze(-2)
            on = (segments >= _tensor(self.segment_threshold, segments)) & (gate >= _tensor(gate_threshold, gate))
            # An absent modality has probability zero and stays off even at a threshold of zero.
            on &= segments > 0
            decisions.append(on if allowed is None else on & allowed.unsqueeze(-2))
        return decisions[0], decisions[1]


def _tensor(threshold: Threshold, like: Tensor) -> Tensor:
    value = torch.as_tensor(threshold, dtype=like.dtype, device=like.device)
    if value.dim() and value.shape[0] != like.shape[-1]:
        raise UserError(
            f"decoding: {value.shape[0]} thresholds for {like.shape[-1]} classes; give one, or one per class"
        )
    return value
