"""MGN, whose segments are grouped by class tokens (Mo, Tian: Multi-modal Grouping Network, NeurIPS 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from avparse.data.features import Features, TaskSpec
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.settings import PartConfig, build, part_of
from avparse.models.layers.attention import masked_softmax
from avparse.models.layers.grouping import Assignment, ClassGrouping, Grouping, GroupingConfig
from avparse.models.output import Hidden, ParserOutput
from avparse.models.stem import STEMS, LinearStem


class MGNConfig(GroupingConfig):
    """Settings of the parser ``mgn``.

    Attributes:
        audio_depth, visual_depth, cross_depth: number of attention blocks before each of the three groupings.
        assignment: assignment of segments to classes: ``soft`` in shares, or ``hard`` to one class (with Gumbel noise
            in training, and the gradient of the shares). Where visual and audio are grouped together, the other kind is
            used, as released.
        cross_assignment: assignment of the classes of audio to those of visual, ``soft`` or ``hard``.
        segments: form of the segment probability. ``paper``: the class probability times the segment's share of the
            class. ``released``, with soft assignment: the class probability times 1 + the softmax over time of the
            shares, which lies between 1.04 and 1.23 at ten segments, so that a class is on nearly everywhere or nowhere
            and a probability may exceed one.
    """

    name: Literal["mgn"] = "mgn"
    stem: Annotated[PartConfig, *part_of(STEMS, "stem")] = LinearStem.Config(width=128)
    audio_depth: int = Field(3, ge=0)
    visual_depth: int = Field(3, ge=0)
    cross_depth: int = Field(6, ge=0)
    assignment: Assignment = "soft"
    cross_assignment: Assignment = "soft"
    segments: Literal["paper", "released"] = "paper"

    @property
    def audio(self) -> tuple[str, ...]:
        """Names of the audio streams."""
        names: tuple[str, ...] = self.stem.audio  # type: ignore[attr-defined]
        return names


class MGNParser(nn.Module):
    """Learned class tokens group the segments of each modality; then the classes of both modalities are grouped.

    The probability of a class in a modality is one linear map of its grouped token, the same for all classes; its
    probability in a segment is that times the segment's share of the class. Before the audio is grouped by classes, it
    is grouped by the visual segments (outputs of the stem): each audio segment then represents what is heard along with
    one visual segment.

    The released code handles ten full segments only; our extensions are:

    * An audio segment without a visual one, or any without ``cross``, is its own anchor in place of the visual segment.
    * The map that mixes those anchors over time has as many positions as videos usually have segments. A shorter or
      longer video is stretched to it and back, linearly.
    * Where there is no audio, the grouping across modalities is empty; ``video`` then depends on visual only.

    Without ``cross``, ``video`` still joins both modalities, as pooling does in other parsers.
    """

    Config = MGNConfig

    def __init__(self, config: MGNConfig, spec: TaskSpec) -> None:
        super().__init__()
        self.config, self.spec = config, spec
        self.stem: LinearStem = build(STEMS, config.stem, spec.streams)
        width, classes = self.stem.width, len(spec.classes)
        self.tokens = nn.ParameterList(nn.Parameter(torch.zeros(classes, width)) for _ in MODALITIES)
        self.audio = ClassGrouping(config, width, classes, config.audio_depth, config.assignment)
        self.visual = ClassGrouping(config, width, classes, config.visual_depth, config.assignment)
        self.across = ClassGrouping(config, width, classes, config.cross_depth, config.cross_assignment)
        other: Assignment = "hard" if config.assignment == "soft" else "soft"
        self.anchors = Grouping(config, width, spec.segments, other)
        self.occurs = nn.ModuleList(nn.Linear(width, 1) for _ in ("audio", "visual", "video"))
        self.identify = nn.Linear(width, classes)
        self.apply(_initialise)

    @property
    def needs_statistics(self) -> bool:
        """Whether :meth:`calibrate` needs the mean and deviation of the training streams."""
        return self.stem.needs_statistics

    def calibrate(self, statistics: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Store mean and deviation ``[D]`` of each stream, before training."""
        self.stem.calibrate(statistics)

    def forward(self, features: Features, cross: bool = True) -> ParserOutput:
        """Parse streams ``[B, T, D_s]``; without ``cross`` no modality's own probabilities depend on the other."""
        stem = self.stem(features, cross)
        heard, seen = features.audio_mask, features.visual_mask
        visual, visual_tokens = self.visual.attend(stem.visual, self.tokens[1], seen)
        visual_classes, visual_shares = self.visual.group(visual, visual_tokens, seen)
        audio, audio_tokens = self.audio.attend(stem.audio, self.tokens[0], heard)
        audio, _ = self.anchors(audio, _anchors(audio, stem.visual, seen, cross), heard, heard, over_time=True)
        audio_classes, audio_shares = self.audio.group(audio, audio_tokens, heard)
        sounds = None if heard is None else heard.any(dim=1, keepdim=True).expand(-1, audio_classes.shape[1])
        both, _ = self.across.group(*self.across.attend(audio_classes, visual_classes, sounds), sounds)
        classes = (audio_classes, visual_classes, both)
        # In float32 for any precision of the network, because probabilities near one need the digits.
        p = [occurs(x).squeeze(-1).float().sigmoid() for occurs, x in zip(self.occurs, classes, strict=True)]  # [B, C]
        if heard is not None:
            p[0] = p[0] * heard.any(dim=1, keepdim=True)
        if seen is not None:
            p[1] = p[1] * seen.any(dim=1, keepdim=True)
        if heard is not None and seen is not None:
            p[2] = p[2] * (heard | seen).any(dim=1, keepdim=True)
        return ParserOutput(
            audio_segments=self._segments(p[0], audio_shares, heard),
            visual_segments=self._segments(p[1], visual_shares, seen),
            audio=p[0],
            visual=p[1],
            video=p[2],
            hidden=Hidden(audio, visual),
            stem=stem,
            token_logits=torch.stack([self.identify(tokens).float() for tokens in self.tokens]),
        )

    def _segments(self, p: Tensor, shares: Tensor, mask: Tensor | None) -> Tensor:
        """Return ``[B, T, C]`` from the classes' probabilities ``[B, C]`` and their shares ``[B, C, T]``."""
        shares = shares.float()
        if self.config.segments == "released" and self.config.assignment == "soft":
            shares = 1 + masked_softmax(shares, None if mask is None else mask.unsqueeze(1), dim=-1)
        segments = (p.unsqueeze(-1) * shares).transpose(1, 2)
        return segments if mask is None else segments * mask.unsqueeze(-1)


def _anchors(audio: Tensor, visual: Tensor, seen: Tensor | None, cross: bool) -> Tensor:
    if not cross:
        return audio
    return visual if seen is None else torch.where(seen.unsqueeze(-1), visual, audio)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
