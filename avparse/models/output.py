"""What every parser returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass
class Hidden:
    """Encoded segments of both modalities, each ``[B, T, H]``.

    Attributes:
        stem: what was encoded; a parser sets it for its decoder.
        cross: whether the modalities could see each other; likewise.
        levels: of an encoder that encodes at several scales, what each of them made; the decodings of all are averaged.
    """

    audio: Tensor
    visual: Tensor
    stem: Hidden | None = None
    cross: bool = True
    levels: tuple[Hidden, ...] = ()


@dataclass
class Uncertainty:
    """How little evidence there is for or against, in (0, 1]; one where a modality is absent.

    Attributes:
        audio, visual: ``[B, C]``.
        video: ``[B]``, over all classes.
        audio_segments, visual_segments: ``[B, T, C]``.
    """

    audio: Tensor
    visual: Tensor
    video: Tensor
    audio_segments: Tensor
    visual_segments: Tensor


@dataclass
class Mixed:
    """What was encoded of the videos of a batch with the picture of another one each.

    Attributes:
        partners: ``[B]``, whose picture.
        hidden: the encoding.
        time_logits: ``[2, B, T, C]``, of the decoder's weights over time.
    """

    partners: Tensor
    hidden: Hidden
    time_logits: Tensor


@dataclass
class Guidance:
    """What two networks say, of which one hears and the other one sees.

    Attributes:
        probabilities: ``[2, B, C]``, audio and visual, that the modality contains the class; zero where it is absent.
        tokens: ``[2, B, C]``, the same as class tokens have it, where the networks have such.
        hidden: the segments as they encode them, where they show them.
    """

    probabilities: Tensor
    tokens: Tensor | None = None
    hidden: Hidden | None = None


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
        audio_logits, visual_logits: ``[B, T, C]``, of the segment probabilities, where the decoder has them; a loss
            that reads them stays exact where a probability is 0 or 1 in float32.
        attention: ``[2, B, T, C]``, audio and visual: how a class that is decoded by attention spreads it over the
            segments of the video (a softmax over time; zero everywhere in a modality that is absent).
        token_logits: ``[2, C, C]``, audio and visual: which class each learned class token is taken for.
        uncertainty: where the decoder gathers evidence.
        time_logits: ``[2, B, T, C]``, the weights over time before their softmax, of a decoder that pools.
        mixed: the videos of the batch with foreign pictures, in training, where the parser is told to mix.
        guides: what networks of one modality each say of audio and of visual, in training.
        tokens: ``[2, B, C]``, audio and visual: the probabilities that class tokens in the video end with.

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
    audio_logits: Tensor | None = None
    visual_logits: Tensor | None = None
    attention: Tensor | None = None
    token_logits: Tensor | None = None
    uncertainty: Uncertainty | None = None
    time_logits: Tensor | None = None
    mixed: Mixed | None = None
    guides: Guidance | None = None
    tokens: Tensor | None = None


def mean_output(outputs: Sequence[ParserOutput]) -> ParserOutput:
    """Return the mean of the probabilities, and of the attention where all have one."""
    names = ["audio_segments", "visual_segments", "audio", "visual", "video"]
    if all(output.attention is not None for output in outputs):
        names.append("attention")
    means: dict[str, Any] = {name: torch.stack([getattr(o, name) for o in outputs]).mean(dim=0) for name in names}
    return ParserOutput(**means)
