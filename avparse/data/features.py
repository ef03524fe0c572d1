"""Features of a batch of videos for a parser, the specification of the data, and the current training step."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from pydantic import Field, model_validator
from torch import Tensor

from avparse.foundation.settings import Settings
from avparse.media.card import Card


class TaskSpec(Settings):
    """Specification of the data for a parser: the contract between data, model and decoding.

    Attributes:
        classes: class names, in order.
        streams: feature dimension of each stream, by name.
        segment_seconds: length of a segment, seconds.
        segments: usual number of segments of a training video (the window when longer videos are parsed).
        extractors: text of the extractor of each stream, by name of the stream: its name, and its settings after a
            colon; empty where unknown.
        cards: card of each stream, by name of the stream; those of a store of earlier versions are unknown.
    """

    classes: tuple[str, ...]
    streams: dict[str, int]
    segment_seconds: float = 1.0
    segments: int
    extractors: dict[str, str] = Field(default_factory=dict)
    cards: dict[str, Card] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _one_extractor(cls, values: Any) -> Any:
        """Read the format of earlier versions: one ``extractor`` of all streams."""
        if isinstance(values, dict) and "extractor" in values and isinstance(values.get("streams"), dict):
            values = dict(values)
            values["extractors"] = dict.fromkeys(values["streams"], values.pop("extractor"))
        return values

    def extractable(self, known: Container[str]) -> bool:
        """Return whether the extractor of every stream is among ``known``."""
        return all(self.extractors.get(name, "").partition(":")[0] in known for name in self.streams)

    def differences(self, data: TaskSpec) -> list[str]:
        """Return the differences of ``data`` to those that a parser of this specification reads; empty if they fit.

        Classes are compared by name and order, since a head belongs to a position; streams by name, dimension and,
        where both are known, card, or else extractor; the length of a segment exactly. Streams that the parser does not
        know are no difference.

        Args:
            data: specification of the store that the parser will read.
        """
        found = []
        lacking, new = (
            [f"'{name}'" for name in these if name not in others]
            for these, others in ((self.classes, data.classes), (data.classes, self.classes))
        )
        if lacking or new:
            named = (("without", lacking), ("with", new))
            parts = " and ".join(f"{which} {', '.join(names[:5])}" for which, names in named if names)
            found.append(f"other classes ({parts})")
        elif self.classes != data.classes:
            order = f"{', '.join(data.classes[:5])} in place of {', '.join(self.classes[:5])}"
            found.append(f"the same classes in another order ({order})")
        if self.segment_seconds != data.segment_seconds:
            found.append(f"segments of {data.segment_seconds:g} s in place of {self.segment_seconds:g} s")
        for name, size in self.streams.items():
            if name not in data.streams:
                found.append(f"no stream '{name}'")
            elif data.streams[name] != size:
                found.append(f"stream '{name}' of dimension {data.streams[name]} in place of {size}")
        return found + self._other_features(data)

    def _other_features(self, data: TaskSpec) -> list[str]:
        """Return in what the features of the streams were made differently, where it is known of both."""
        found: list[str] = []
        made_by: dict[tuple[str | None, str | None], None] = {}
        for name in self.streams:
            ours, theirs = self.cards.get(name), data.cards.get(name)
            if ours is not None and theirs is not None:
                found += [f"stream '{name}' with {line}" for line in ours.differences(theirs)]
            else:
                made_by[self.extractors.get(name), data.extractors.get(name)] = None
        for before, now in made_by:
            if before and now and before != now:
                found.append(f"features of the extractor '{now}' in place of '{before}'")
        return found


@dataclass
class Features:
    """Streams of a padded batch.

    Attributes:
        streams: floating-point features ``[B, T, D]`` by name of the stream.
        audio_mask, visual_mask: ``[B, T]`` boolean, True where the segment exists *and* the modality is present
            there; None means everywhere (no padding, nothing absent), which lets models skip all masking.
    """

    streams: Mapping[str, Tensor]
    audio_mask: Tensor | None = None
    visual_mask: Tensor | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(B, T)."""
        stream = next(iter(self.streams.values()))
        return stream.shape[0], stream.shape[1]

    def videos(self, which: slice) -> Features:
        """Return a part of the batch."""
        return replace(
            self,
            streams={name: x[which] for name, x in self.streams.items()},
            audio_mask=None if self.audio_mask is None else self.audio_mask[which],
            visual_mask=None if self.visual_mask is None else self.visual_mask[which],
        )

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Features:
        """Return a copy on ``device``, streams in ``dtype``."""
        return replace(
            self,
            streams={name: x.to(device, dtype) for name, x in self.streams.items()},
            audio_mask=None if self.audio_mask is None else self.audio_mask.to(device),
            visual_mask=None if self.visual_mask is None else self.visual_mask.to(device),
        )


@dataclass
class Batch:
    """Features of some videos of a store with their weak labels.

    Attributes:
        index: positions ``[B]`` of the videos in the store.
        features: streams ``[B, T, D]`` and masks.
        weak: weak labels ``[B, C]`` as float (0 or 1).
    """

    index: Tensor
    features: Features
    weak: Tensor


@dataclass(frozen=True)
class Step:
    """Position in the training: ``step`` of ``steps`` in ``epoch``, both from 0."""

    epoch: int
    step: int
    steps: int

    @property
    def progress(self) -> float:
        """Number of finished epochs, with the fraction of the current one."""
        return self.epoch + self.step / self.steps
