"""The parser: stem, encoder, decoder."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from avparse.data.features import Features, TaskSpec
from avparse.data.vocabulary import Vocabulary
from avparse.foundation.errors import UserError
from avparse.foundation.settings import PartConfig, build, part_of
from avparse.models.decoders import DECODERS
from avparse.models.encoders import ENCODERS
from avparse.models.guides import GUIDES
from avparse.models.label_embeddings import LabelEmbedding
from avparse.models.mgn import MGNParser
from avparse.models.output import Hidden, Mixed, ParserOutput, mean_output
from avparse.models.stem import STEMS, LinearStem
from avparse.models.unimodal import UnimodalParser


class ParserConfig(PartConfig):
    """The three parts of a composed parser, each by the name it has in its registry.

    Attributes:
        twins: two such parsers of different initialisation, whose outputs are averaged.
        mixing: in training, encode each video's sound also with the picture of another video of the batch (CVCMS).
        guides: networks of one modality each that learn beside the parser and are not used afterwards (DHHN, CoLeaF).
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
        """Names of the streams that are sound."""
        names: tuple[str, ...] = self.stem.audio  # type: ignore[attr-defined]
        return names


class Parser(nn.Module):
    """Feature streams of a batch of videos -> probabilities of every class, segment and modality.

    Any number of segments and classes; in a padded batch the result for a video is what it is alone.

    Args:
        config: the parts.
        spec: classes, stream dimensions and segment length of the data.

    Raises:
        UserError: a part needs a stream that the data lack.
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
        """Whether :meth:`calibrate` wants the mean and deviation of the training streams."""
        return bool(self.stem.needs_statistics)

    def calibrate(self, statistics: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Store mean and deviation ``[D]`` of each stream, before training."""
        self.stem.calibrate(statistics)
        if self.guides is not None:
            self.guides.calibrate(statistics)

    def forward(self, features: Features, cross: bool = True) -> ParserOutput:
        """Parse streams ``[B, T, D_s]``; see :class:`ParserOutput` for the shapes.

        Without ``cross`` neither modality sees the other (JoMoLD's pass for judging labels).
        """
        stem = self.stem(features, cross)
        encoded = self.encoder(stem, features.audio_mask, features.visual_mask, cross)
        hidden = replace(encoded, stem=stem, cross=cross)
        decoded: list[ParserOutput] = [
            self.decoder(replace(level, stem=stem, cross=cross), features.audio_mask, features.visual_mask)
            for level in encoded.levels or (encoded,)
        ]
        output = replace(mean_output(decoded), hidden=hidden) if encoded.levels else decoded[0]
        if self.training and torch.is_grad_enabled():  # a pass to learn from, not one that judges labels
            if self.config.mixing:
                output.mixed = self._mix(stem, features, cross)
            if self.guides is not None:
                output.guides = self.guides(features)
        return replace(output, stem=stem)

    def _mix(self, stem: Hidden, features: Features, cross: bool) -> Mixed | None:
        """Encode each video's sound with a random other video's picture; None where there is one video only."""
        count = len(stem.audio)
        if count < 2:
            return None
        steps = torch.randint(1, count, (count,), device=stem.audio.device)
        partners = (torch.arange(count, device=stem.audio.device) + steps) % count
        seen = None if features.visual_mask is None else features.visual_mask[partners]
        foreign = Hidden(stem.audio, stem.visual[partners])
        hidden: Hidden = self.encoder(foreign, features.audio_mask, seen, cross)
        return Mixed(partners, hidden, self.decoder.time_logits(hidden))


class TwinParser(nn.Module):
    """Two parsers that see the same videos; for co-teaching and agreement losses.

    The output is the mean of theirs, which is also what is decoded at the end; ``peers`` holds the two.
    """

    def __init__(self, config: ParserConfig, spec: TaskSpec) -> None:
        super().__init__()
        self.config = config
        self.spec = spec
        self.first, self.second = Parser(config, spec), Parser(config, spec)

    @property
    def needs_statistics(self) -> bool:
        """Whether :meth:`calibrate` wants the mean and deviation of the training streams."""
        return self.first.needs_statistics

    def calibrate(self, statistics: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Store mean and deviation ``[D]`` of each stream, before training."""
        self.first.calibrate(statistics)
        self.second.calibrate(statistics)

    def forward(self, features: Features, cross: bool = True) -> ParserOutput:
        """Parse with both; see :meth:`Parser.forward`."""
        a, b = self.first(features, cross), self.second(features, cross)
        return replace(mean_output((a, b)), peers=(a, b))


class SplitParser(TwinParser):
    """Audio by the first trained parser, visual by the second; ``video`` is the mean of theirs."""

    def __init__(self, first: Any, second: Any) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = first.config, first.spec
        self.first, self.second = first, second

    def forward(self, features: Features, cross: bool = True) -> ParserOutput:
        """Parse with both; see :meth:`Parser.forward`."""
        a, b = self.first(features, cross), self.second(features, cross)
        return replace(
            mean_output((a, b)),
            audio_segments=a.audio_segments,
            audio=a.audio,
            visual_segments=b.visual_segments,
            visual=b.visual,
        )


PARSERS: dict[str, Callable[[Any, TaskSpec], Any]] = {"composed": Parser, "mgn": MGNParser, "unimodal": UnimodalParser}


def build_parser(config: PartConfig, spec: TaskSpec, cross: bool = True) -> Parser | TwinParser:
    """Return the parser that ``config`` names: ours, or any module with the ``forward`` of :class:`Parser`.

    Without ``cross`` neither modality ever sees the other, whatever a caller of ``forward`` asks for.
    """
    parser: Parser | TwinParser
    if isinstance(config, ParserConfig) and config.twins:
        parser = TwinParser(config, spec)
    else:
        parser = build(PARSERS, config, spec)
    # A module from outside need not know what only training and the parsing of files ask for.
    for name, value in (("spec", spec), ("needs_statistics", False)):
        if not hasattr(parser, name):
            setattr(parser, name, value)
    if not cross:
        parser.register_forward_pre_hook(_apart, with_kwargs=True)
    return parser


def networks(parser: nn.Module) -> list[list[nn.Parameter]]:
    """Return the parameters of each network that learns for itself: either twin, the parser, each of its guides."""
    if isinstance(parser, TwinParser):
        return [*networks(parser.first), *networks(parser.second)]
    guides = getattr(parser, "guides", None)
    beside = [] if guides is None else [list(guide.parameters()) for guide in guides.children()]
    theirs = {id(p) for parameters in beside for p in parameters}
    return [[p for p in parser.parameters() if id(p) not in theirs], *beside]


def with_classes(
    parser: Parser | TwinParser, classes: Sequence[str], vectors: Tensor | Path | None = None
) -> Parser | TwinParser:
    """Return a copy of a trained parser for other classes: their label vectors change, every weight is kept.

    Args:
        parser: one whose decoder reads class names (LEAP).
        classes: the new names, of which any may be old ones.
        vectors: see :meth:`avparse.models.label_embeddings.LabelEmbedding.replace`.

    Raises:
        UserError: the parser has outputs of fixed classes, a name is unusable, or the source has no vector for it.
    """
    names = Vocabulary(tuple(classes)).names
    changed = copy.deepcopy(parser)
    labels = label_embeddings(changed)
    if not labels:
        raise UserError("this parser learned one output a class and knows no others; train one with the decoder 'leap'")
    for embedding in labels:
        embedding.replace(names, vectors)
    changed.spec = parser.spec.model_copy(update={"classes": names})
    if isinstance(changed, TwinParser):
        changed.first.spec = changed.second.spec = changed.spec
    return changed


def label_embeddings(parser: nn.Module) -> list[LabelEmbedding]:
    """Return the parts of a parser that hold the vectors of class names; none where outputs belong to classes."""
    return [part for part in parser.modules() if isinstance(part, LabelEmbedding)]


def _apart(parser: nn.Module, features: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return features[:1], {**options, "cross": False}
