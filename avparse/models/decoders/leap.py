"""The decoder of LEAP, with classes as queries (Zhou et al.: Label-anticipated Event Disentanglement, ECCV 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from avparse.foundation.settings import PartConfig, part_of
from avparse.models.class_vectors import CLASS_VECTORS
from avparse.models.class_vectors.config import ClassVectorConfig
from avparse.models.class_vectors.embedding import ClassEmbedding
from avparse.models.class_vectors.orthogonal import OrthogonalVectors
from avparse.models.layers.attention import AttentionBlock, masked_softmax, stack_masks
from avparse.models.output import Hidden, ParserOutput

_RARE = -3.0  # logit of a probability of one in twenty


class LEAPDecoder(nn.Module):
    """Class vectors attend to the encoded segments of a modality, in attention blocks of that modality.

    The logit of a class in a segment is the attention logit of the class query after the last block (before the
    softmax, mean over heads). Its logit in the modality is one linear map of the final query. No weight belongs to a
    class, so the classes may change after training (:func:`avparse.models.parsers.classes.with_classes`).

    ``video`` is the higher of the two modalities' probabilities. With a gate of 0.5 that equals the union of the
    published decoder, which joins decisions instead of probabilities and therefore gives a loss no gradient.
    """

    class Config(PartConfig):
        """Settings of the decoder ``leap``.

        Attributes:
            labels: settings of the source of class vectors.
            attention_dropout: dropout probability of attention weights.
            dropout: dropout probability of everything but attention weights.
        """

        name: Literal["leap"] = "leap"
        labels: Annotated[ClassVectorConfig, *part_of(CLASS_VECTORS, "source of class vectors")] = (
            OrthogonalVectors.Config()
        )
        blocks: int = Field(2, ge=1)
        heads: int = Field(8, ge=1)
        feedforward: int = Field(512, ge=1)
        attention_dropout: float = Field(0.1, ge=0, lt=1)
        dropout: float = Field(0.2, ge=0, lt=1)

    def __init__(self, config: Config, width: int, classes: Sequence[str]) -> None:
        super().__init__()
        self.labels = ClassEmbedding(config.labels, classes)
        self.project_labels = nn.Linear(self.labels.dimension, width)
        self.sides = nn.ModuleList(LabelQueries(config, width) for _ in range(2))

    def forward(self, hidden: Hidden, audio_mask: Tensor | None, visual_mask: Tensor | None) -> ParserOutput:
        """Decode encoded segments ``[B, T, H]`` of both modalities into probabilities of C classes."""
        queries = self.project_labels(self.labels()).unsqueeze(0)
        x = (hidden.audio, hidden.visual)
        masks = (audio_mask, visual_mask)
        decoded = [side(queries, *given) for side, *given in zip(self.sides, x, masks, strict=True)]
        # In float32 for any precision of the encoder, because probabilities near one need the digits.
        logits, occurs = (torch.stack(both).float() for both in zip(*decoded, strict=True))  # [2, B, T, C], [2, B, C]
        segments, videos = logits.sigmoid(), occurs.sigmoid()
        mask = stack_masks(audio_mask, visual_mask, logits)
        real = None if mask is None else mask.unsqueeze(-1)
        if real is not None:
            segments, videos = segments * real, videos * real.any(dim=2)
        return ParserOutput(
            audio_segments=segments[0],
            visual_segments=segments[1],
            audio=videos[0],
            visual=videos[1],
            video=videos.amax(dim=0),
            audio_logits=logits[0],
            visual_logits=logits[1],
            hidden=hidden,
            attention=masked_softmax(logits, real, dim=2),
        )


class LabelQueries(nn.Module):
    """The attention blocks of one modality, from class queries to logits."""

    def __init__(self, config: LEAPDecoder.Config, width: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            AttentionBlock(width, config.heads, config.feedforward, config.attention_dropout, config.dropout)
            for _ in range(config.blocks)
        )
        self.occurs = nn.Linear(width, 1)
        # Few classes are present, so training starts from a low probability (Lin et al., "Focal Loss", ICCV 2017, 4.1).
        last = cast(AttentionBlock, self.blocks[-1])
        for bias, size in zip(last.logit_biases(), (1.0, -1.0), strict=True):
            nn.init.constant_(bias, size * (-_RARE * (config.heads / width) ** 0.5) ** 0.5)
        nn.init.constant_(self.occurs.bias, _RARE)

    def forward(self, queries: Tensor, segments: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the logits of segments ``[B, T, C]`` and of the video ``[B, C]``.

        Args:
            queries: class queries ``[1, C, H]``, the same for all videos.
            segments: encoded segments ``[B, T, H]``.
            mask: existing segments ``[B, T]``; None if all exist.
        """
        allowed = None if mask is None else mask.unsqueeze(1)
        for block in self.blocks[:-1]:
            queries = block(queries, segments, allowed)
        last = cast(AttentionBlock, self.blocks[-1])
        looking, key = last.read(queries, segments, allowed)
        return last.logits(looking, key).transpose(1, 2), self.occurs(last.feed(looking)).squeeze(-1)
