"""A parser of one modality, with class tokens among its segments (Sardari et al.: CoLeaF, ECCV 2024)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from avparse.data.features import Features, TaskSpec
from avparse.foundation.settings import PartConfig, build, part_of
from avparse.models.layers.attention import masked_softmax
from avparse.models.layers.dropout import drop
from avparse.models.output import Hidden, ParserOutput
from avparse.models.stem import STEMS, LinearStem


class UnimodalConfig(PartConfig):
    """Settings of the parser of one modality.

    Attributes:
        of: modality that is parsed; the other one has probability zero.
        stem: settings of the stem, of which only the streams of the parsed modality are read.
        dropout: dropout probability in the attention layer.
        head_dropout: dropout probability of the encoded segments before their probabilities.
    """

    name: Literal["unimodal"] = "unimodal"
    of: Literal["audio", "visual"]
    stem: Annotated[PartConfig, *part_of(STEMS, "stem")] = LinearStem.Config()
    heads: int = Field(1, ge=1)
    feedforward: int = Field(512, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    head_dropout: float = Field(0.5, ge=0, lt=1)

    @property
    def audio(self) -> tuple[str, ...]:
        """Names of the audio streams."""
        names: tuple[str, ...] = self.stem.audio  # type: ignore[attr-defined]
        return names


class UnimodalParser(nn.Module):
    """One learned token per class is prepended to the segments, and one layer of self-attention runs over all of them.

    The mean of a token's final values is the logit that its class is in the video, so that co-occurrence of classes can
    be learned. Segment probabilities are read from the segments, and the video's are their means, weighted by attention
    over time.
    """

    Config = UnimodalConfig

    def __init__(self, config: UnimodalConfig, spec: TaskSpec) -> None:
        super().__init__()
        self.config, self.spec = config, spec
        other = "visual" if config.of == "audio" else "audio"
        self.stem: LinearStem = build(STEMS, config.stem.model_copy(update={other: ()}), spec.streams)
        width, classes = self.stem.width, len(spec.classes)
        self.tokens = nn.Parameter(torch.zeros(1, classes, width))
        self.layer = nn.TransformerEncoderLayer(
            width, config.heads, config.feedforward, config.dropout, batch_first=True
        )
        self.probability = nn.Linear(width, classes)
        self.attention = nn.Linear(width, classes)  # over time

    @property
    def needs_statistics(self) -> bool:
        """Whether :meth:`calibrate` needs the mean and deviation of the training streams."""
        return self.stem.needs_statistics

    def calibrate(self, statistics: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Store mean and deviation ``[D]`` of each stream, before training."""
        self.stem.calibrate(statistics)

    def forward(self, features: Features, cross: bool = True) -> ParserOutput:
        """Parse the streams of one modality; ``cross`` has no effect."""
        mask = features.audio_mask if self.config.of == "audio" else features.visual_mask
        x = self.stem.modality(features, self.config.of)
        tokens, x = self._encode(x, mask)
        dropped = drop(x, self.config.head_dropout, self.training)
        segments = self.probability(dropped).float().sigmoid()
        real = None if mask is None else mask.unsqueeze(-1)
        weights = masked_softmax(self.attention(x).float(), real, dim=1)
        of_tokens = tokens.float().mean(dim=-1).sigmoid()
        if real is not None:
            segments, of_tokens = segments * real, of_tokens * real.any(dim=1)
        video = (weights * segments).sum(dim=1)
        return self._output(segments, video, x, of_tokens)

    def _encode(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the tokens ``[B, C, D]`` and the segments ``[B, T, D]`` after attention to each other."""
        count = self.tokens.shape[1]
        absent = None if mask is None else functional.pad(~mask, (count, 0), value=False)
        both = torch.cat((self.tokens.to(x.dtype).expand(len(x), -1, -1), x), dim=1)
        encoded = self.layer(both, src_key_padding_mask=absent)
        return encoded[:, :count], encoded[:, count:]

    def _output(self, segments: Tensor, video: Tensor, hidden: Tensor, of_tokens: Tensor) -> ParserOutput:
        """Return the output in which the other modality is zero."""

        def sides(own: Tensor) -> tuple[Tensor, Tensor]:
            other = torch.zeros_like(own)
            return (own, other) if self.config.of == "audio" else (other, own)

        return ParserOutput(
            *sides(segments), *sides(video), video, hidden=Hidden(*sides(hidden)), tokens=torch.stack(sides(of_tokens))
        )
