"""The output of every parser, and the parts that it may carry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from avparse.data.features import Features
from avparse.foundation.errors import UserError

VIDEO_LEVEL = ("audio", "visual", "video")
# The fields of an output that outlive its batch, each with the dimension that counts the videos.
KEPT = {"audio_segments": 0, "visual_segments": 0, **dict.fromkeys(VIDEO_LEVEL, 0), "attention": 1}


@dataclass
class Hidden:
    """Encoded segments of both modalities, each ``[B, T, H]``.

    Attributes:
        audio, visual: encoded segments of each modality.
        stem: output of the stem, which the encoder read; a parser sets it for its decoder.
        cross: whether the modalities could attend to each other; a parser sets it for its decoder.
        levels: encodings of each scale, of an encoder that has several; their decodings are averaged.
    """

    audio: Tensor
    visual: Tensor
    stem: Hidden | None = None
    cross: bool = True
    levels: tuple[Hidden, ...] = ()


@dataclass
class Uncertainty:
    """Lack of evidence for or against a class, in (0, 1]; one where a modality is absent.

    Attributes:
        audio, visual: uncertainty ``[B, C]`` of each class in the modality.
        video: uncertainty ``[B]`` of the video over all classes.
        audio_segments, visual_segments: uncertainty ``[B, T, C]`` of each class in the segments.
    """

    audio: Tensor
    visual: Tensor
    video: Tensor
    audio_segments: Tensor
    visual_segments: Tensor


@dataclass
class Mixed:
    """Encodings of the videos of a batch, each with the visual track of another video.

    Attributes:
        partners: position ``[B]`` in the batch of the video whose visual track is used.
        hidden: encoding of the mixed videos.
        time_logits: logits ``[2, B, T, C]`` of the decoder's temporal pooling weights.
    """

    partners: Tensor
    hidden: Hidden
    time_logits: Tensor


@dataclass
class Guidance:
    """Predictions of two networks of one modality each, audio and visual.

    Attributes:
        probabilities: probability ``[2, B, C]`` that the modality contains the class; zero where it is absent.
        tokens: probability ``[2, B, C]`` that the modality contains the class according to its class token, where the
            networks have class tokens.
        hidden: encoded segments, where the networks return them.
    """

    probabilities: Tensor
    tokens: Tensor | None = None
    hidden: Hidden | None = None


@dataclass
class ParserOutput:
    """Probabilities of the classes in a batch of videos, and further outputs for losses.

    Attributes:
        audio_segments, visual_segments: probability ``[B, T, C]`` of each class in each segment.
        audio, visual: probability ``[B, C]`` that the class occurs anywhere in that modality.
        video: probability ``[B, C]`` that the class occurs in either modality. Attentive pooling does not normalise its
            weights jointly, so this value may exceed one (as in the published code); losses clamp it.
        hidden: output of the encoder, for losses on representations.
        stem: output of the stem, for losses on representations.
        peers: outputs of which this one is the mean, for losses that compare two parsers.
        audio_logits, visual_logits: logits ``[B, T, C]`` of the segment probabilities, where the decoder has them; a
            loss that reads them stays exact where a probability is 0 or 1 in float32.
        attention: attention ``[2, B, T, C]`` (audio, visual) of each class over the segments of the video, where the
            decoder has one (a softmax over time; zero everywhere in a modality that is absent).
        token_logits: class logits ``[2, C, C]`` (audio, visual) of each learned class token.
        uncertainty: uncertainty of the predictions, where the decoder estimates evidence.
        time_logits: logits ``[2, B, T, C]`` of the temporal pooling weights, where the decoder pools.
        mixed: the videos of the batch with other videos' visual tracks, in training of a parser with ``mixing``.
        guides: predictions of the guides, networks of one modality each, in training.
        tokens: probabilities ``[2, B, C]`` (audio, visual) of the class tokens in the video.

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

    def kept(self) -> dict[str, Tensor]:
        """Return the probabilities, and the attention where there is one, by name; on the CPU in float32.

        Raises:
            UserError: a probability is not finite.
        """
        values = {name: getattr(self, name) for name in KEPT}
        kept = {name: value.float().cpu() for name, value in values.items() if value is not None}
        broken = next((name for name in KEPT if name != "attention" and not kept[name].isfinite().all()), None)
        if broken is not None:
            raise UserError(
                f"the parser's output '{broken}' is not finite: its weights are damaged, or training diverged; restore "
                "the run, or train again with a lower training.optimizer.rate"
            )
        return kept

    @classmethod
    def from_kept(cls, values: Mapping[str, Any]) -> ParserOutput:
        """Return an output of such values as :meth:`kept` returns, by name."""
        return cls(**values)


Parse = Callable[[Features], ParserOutput]


def mean_output(outputs: Sequence[ParserOutput]) -> ParserOutput:
    """Return the mean of the probabilities, and of the attention where all have one."""
    names = ["audio_segments", "visual_segments", "audio", "visual", "video"]
    if all(output.attention is not None for output in outputs):
        names.append("attention")
    means: dict[str, Any] = {name: torch.stack([getattr(o, name) for o in outputs]).mean(dim=0) for name in names}
    return ParserOutput(**means)
