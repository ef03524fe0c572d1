"""A parser of three parts: stem, encoder and decoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from avparse.data.features import Features, TaskSpec
from avparse.foundation.errors import UserError
from avparse.foundation.settings import PartConfig, build, part_of
from avparse.models.decoders import DECODERS
from avparse.models.encoders import ENCODERS
from avparse.models.guides import GUIDES
from avparse.models.output import Hidden, Mixed, ParserOutput, mean_output
from avparse.models.stem import STEMS, LinearStem


class ParserConfig(PartConfig):
    """Settings of a composed parser; each part is chosen by its name in the registry of its kind.

    Attributes:
        twins: whether to train two such parsers of different initialisation, whose outputs are averaged.
        mixing: whether to encode, in training, each video's audio also with the visual track of another video of the
            batch (CVCMS).
        guides: settings of networks of one modality each that are trained next to the parser and are not used
            afterwards (DHHN, CoLeaF).
    """

    name: Literal["composed"] = "composed"
    stem: Annotated[PartConfig, *part_of(STEMS, "stem")]
    encoder: Annotated[PartConfig, *part_of(ENCODERS, "encoder")]
    decoder: Annotated[PartConfig, *part_of(DECODERS, "decoder")]
    twins: bool = False
    mixing: bool = False
    guides: Annotated[PartConfig | None, *part_of(GUIDES, "guides", default="modality")] = None

    @property
    def audio(self) -> tuple[str, ...]:
        """Names of the audio streams."""
        names: tuple[str, ...] = self.stem.audio  # type: ignore[attr-defined]
        return names


class Parser(nn.Module):
    """Maps the feature streams of a batch of videos to probabilities of every class, segment and modality.

    It takes any number of segments and classes; the result for a video does not depend on the padding of its batch.

    Args:
        config: settings of the stem, the encoder and the decoder.
        spec: classes, stream dimensions and segment length of the data.

    Raises:
        UserError: the data lack a stream that a part reads.
    """

    Config = ParserConfig

    def __init__(self, config: ParserConfig, spec: TaskSpec) -> None:
        super().__init__()
        self.config = config
        self.spec = spec
        self.stem: LinearStem = build(STEMS, config.stem, spec.streams)
        self.encoder = build(ENCODERS, config.encoder, self.stem.width)
        self.decoder: Any = build(DECODERS, config.decoder, self.stem.width, spec.classes)
        if config.mixing and not hasattr(self.decoder, "time_logits"):
            raise UserError(f"parser: mixing needs a decoder that pools over time, not '{config.decoder.name}'")
        self.guides: Any = None if config.guides is None else build(GUIDES, config.guides, config.stem, spec)

    @property
    def needs_statistics(self) -> bool:
        """Whether :meth:`calibrate` needs the mean and deviation of the training streams."""
        return bool(self.stem.needs_statistics)

    def calibrate(self, statistics: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Store mean and deviation ``[D]`` of each stream, before training."""
        self.stem.calibrate(statistics)
        if self.guides is not None:
            self.guides.calibrate(statistics)

    def forward(self, features: Features, cross: bool = True) -> ParserOutput:
        """Parse streams ``[B, T, D_s]``; :class:`ParserOutput` lists the shapes of the result.

        Without ``cross`` the modalities do not attend to each other (JoMoLD's pass for judging labels).
        """
        stem = self.stem(features, cross)
        encoded = self.encoder(stem, features.audio_mask, features.visual_mask, cross)
        hidden = replace(encoded, stem=stem, cross=cross)
        decoded: list[ParserOutput] = [
            self.decoder(replace(level, stem=stem, cross=cross), features.audio_mask, features.visual_mask)
            for level in encoded.levels or (encoded,)
        ]
        output = replace(mean_output(decoded), hidden=hidden) if encoded.levels else decoded[0]
        if self.training and torch.is_grad_enabled():  # only in passes that are trained on
            if self.config.mixing:
                output.mixed = self._mix(stem, features, cross)
            if self.guides is not None:
                output.guides = self.guides(features)
        return replace(output, stem=stem)

    def _mix(self, stem: Hidden, features: Features, cross: bool) -> Mixed | None:
        """Encode each video's audio with a random other video's visual track; None where there is only one video."""
        count = len(stem.audio)
        if count < 2:
            return None
        steps = torch.randint(1, count, (count,), device=stem.audio.device)
        partners = (torch.arange(count, device=stem.audio.device) + steps) % count
        seen = None if features.visual_mask is None else features.visual_mask[partners]
        foreign = Hidden(stem.audio, stem.visual[partners])
        hidden: Hidden = self.encoder(foreign, features.audio_mask, seen, cross)
        return Mixed(partners, hidden, self.decoder.time_logits(hidden))
