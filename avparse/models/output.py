"""What every parser returns."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass
class Hidden:
    """Encoded segments of both modalities, each ``[B, T, H]``."""

    audio: Tensor
    visual: Tensor


@dataclass
class ParserOutput:
    """Probabilities of a batch.

    Attributes:
        audio_segments, visual_segments: ``[B, T, C]``, per segment.
        audio, visual: ``[B, C]``, that the class occurs anywhere in that modality.
        video: ``[B, C]``, that it occurs in either. Attentive pooling does not normalise its weights jointly, so
            this value may exceed one (as in the published code); losses clamp it.
        hidden: what the encoder made, for losses on representations.
        stem: what the encoder read, likewise.
        peers: the outputs that this one is the mean of, for losses that compare two parsers.

    A modality that a video lacks, and padded segments, have probability zero.
    """

    audio_segments: Tensor
    visual_segments: Tensor
    audio: Tensor
    visual: Tensor
    video: Tensor
    hidden: Hidden | None = None
    stem: Hidden | None = None
    peers: tuple[ParserOutput, ParserOutput] | None = None
