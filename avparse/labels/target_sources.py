"""Target sources, which make the targets of a batch before any refinement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, Protocol

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from avparse.data.features import Batch
from avparse.foundation.arrays import BoolArray, Float32Array
from avparse.foundation.settings import PartConfig
from avparse.labels.segments import SegmentTable
from avparse.labels.table import RefinedLabels
from avparse.labels.targets import Targets


class SmoothingConfig(PartConfig):
    """Settings of the smoothing of labels, which every target source has.

    Attributes:
        keep_audio, keep_visual: share ``v`` of a label that smoothing keeps, for each modality.
        smooth_epochs: number of first epochs with smoothing, after which labels are used unsmoothed; None: all epochs.
    """

    keep_audio: float = Field(1.0, gt=0, le=1)
    keep_visual: float = Field(0.9, gt=0, le=1)
    smooth_epochs: int | None = Field(None, ge=0)


class TargetSource(Protocol):
    """Makes the targets of a batch."""

    def __call__(self, batch: Batch) -> Targets:
        """Return the targets of a batch."""


class WeakLabels:
    """The weak label as target of both modalities, smoothed towards one half (Tian, Li, Xu, ECCV 2020, section 4.3).

    ``s(y) = v y + (1 - v) / 2``: HAN smooths only the visual target, with v = 0.9, because fewer labels are visible
    than audible.
    """

    class Config(SmoothingConfig):
        """Settings of the target source ``weak``, which are those of the smoothing."""

        name: Literal["weak"] = "weak"

    def __init__(self, config: Config) -> None:
        self.config = config

    def __call__(self, batch: Batch) -> Targets:
        """Return the targets of a batch."""
        return Targets(
            video=batch.weak,
            audio=smooth(batch.weak, self.config.keep_audio),
            visual=smooth(batch.weak, self.config.keep_visual),
        )


class RefinedSource:
    """Targets from a table of refined labels, smoothed like weak labels; only removed labels are exactly zero.

    Videos that the table lacks keep their weak label in both modalities.

    Args:
        labels: table of refined labels.
        videos: ids of the store's videos, in order; ``Batch.index`` counts in them.
        weak: weak labels ``[N, C]`` of the store.
        smoothing: settings of the smoothing.
        video: rule of the video's target: the label as ``given``, the ``union`` (maximum) of the modalities' targets,
            or the target of ``audio``.
        device: device on which batches are returned.

    Raises:
        UserError: the table has a video that the store lacks, or was made for other weak labels.
    """

    def __init__(
        self,
        labels: RefinedLabels,
        videos: Sequence[str],
        weak: BoolArray,
        smoothing: SmoothingConfig,
        video: Literal["given", "union", "audio"] = "given",
        device: torch.device | str = "cpu",
    ) -> None:
        rows = labels.rows(videos, weak)
        audio, visual = (np.array(weak, dtype=np.float32) for _ in range(2))
        audio[rows], visual[rows] = labels.audio, labels.visual
        whole = {"given": weak, "union": np.maximum(audio, visual), "audio": audio}[video]
        self._tables = [
            torch.from_numpy(table).to(device)
            for table in (
                np.array(whole, dtype=np.float32),
                _smooth_kept(audio, weak, smoothing.keep_audio),
                _smooth_kept(visual, weak, smoothing.keep_visual),
            )
        ]

    def __call__(self, batch: Batch) -> Targets:
        """Return the targets of a batch."""
        return Targets(*(table.index_select(0, batch.index) for table in self._tables))


class SegmentSource:
    """Targets of another source, with segment labels added.

    Args:
        base: source of the video-level targets.
        segments: segment labels of the training videos.
        video_level: whether to replace ``audio`` and ``visual`` of the base by the highest target of any segment, in
            each modality that has segment labels (the published objectives of VAPLAN and LEAP). Where a segment is
            unknown, the base's target is kept.
    """

    def __init__(self, base: TargetSource, segments: SegmentTable, video_level: bool) -> None:
        self.base, self.segments, self.video_level = base, segments, video_level

    def __call__(self, batch: Batch) -> Targets:
        """Return the targets of a batch."""
        audio, visual = self.segments(batch.index)
        targets = replace(self.base(batch), audio_segments=audio, visual_segments=visual)
        if not self.video_level:
            return targets
        return replace(targets, audio=_highest(audio, targets.audio), visual=_highest(visual, targets.visual))


def _highest(segments: Tensor | None, otherwise: Tensor) -> Tensor:
    """Return the highest of segment targets ``[B, T, C]``, ``otherwise`` where one of them is unknown."""
    if segments is None:
        return otherwise
    highest = segments.amax(dim=1)  # NaN where any is
    return torch.where(highest.isnan(), otherwise, highest)


def _smooth_kept(targets: Float32Array, given: BoolArray, keep: float) -> Float32Array:
    smoothed = smooth(torch.from_numpy(targets), keep).numpy()
    return np.where(given & (targets == 0), np.float32(0), smoothed)


def smooth(labels: Tensor, keep: float) -> Tensor:
    """Return ``keep * labels + (1 - keep) / 2``."""
    return labels if keep == 1.0 else keep * labels + (1.0 - keep) / 2


TARGET_SOURCES: dict[str, type[WeakLabels]] = {"weak": WeakLabels}
