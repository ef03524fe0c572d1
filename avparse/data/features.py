"""What a parser sees in training: feature streams of a batch of videos, and the step that the run stands at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from avparse.foundation.settings import Settings


class TaskSpec(Settings):
    """What a parser must know of the data: the contract between data, model and decoding.

    Attributes:
        classes: event names in order.
        streams: stream name -> feature dimension.
        segment_seconds: length of a segment, seconds.
        segments: the usual number of segments of a training video (the window when longer videos are parsed).
        extractor: name of the extractor that made the streams, empty where unknown.
    """

    classes: tuple[str, ...]
    streams: dict[str, int]
    segment_seconds: float = 1.0
    segments: int
    extractor: str = ""


@dataclass
class Features:
    """Streams of a padded batch.

    Attributes:
        streams: name -> ``[B, T, D]`` floating point.
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
        index: ``[B]`` positions of the videos in the store.
        features: streams ``[B, T, D]`` and masks.
        weak: ``[B, C]`` float weak labels (0 or 1).
    """

    index: Tensor
    features: Features
    weak: Tensor


@dataclass(frozen=True)
class Step:
    """Where a run stands: ``step`` of ``steps`` in ``epoch``, both from 0."""

    epoch: int
    step: int
    steps: int

    @property
    def progress(self) -> float:
        """Epochs done, with the fraction of the current one."""
        return self.epoch + self.step / self.steps
