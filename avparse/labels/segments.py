"""Segment labels: targets of every segment, class and modality, as made by teachers and by self-training.

A target of NaN is unknown: no loss reads it; where a value is needed, the video-level target is used instead.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes
from torch import Tensor

from avparse.data.store import FeatureStore
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.arrays import Float16Array, Float32Array, IntArray
from avparse.foundation.errors import UserError
from avparse.foundation.files import atomic_file
from avparse.foundation.reading import RECORDS, check_file, parse_json
from avparse.labels.table import RefinedLabels

_KIND = "avparse segment labels"


@dataclass(frozen=True)
class SegmentLabels:
    """Targets in [0, 1] of the segments of some videos; NaN where the label is unknown.

    Attributes:
        videos: video ids, each once.
        classes: class names, in the order of the last axis.
        lengths: number of segments ``[N]`` of each video.
        audio, visual: targets ``[sum T, C]`` of the videos' segments, one video after the other; None for a modality
            without segment labels.
    """

    videos: tuple[str, ...]
    classes: tuple[str, ...]
    lengths: IntArray
    audio: Float16Array | None
    visual: Float16Array | None

    def __post_init__(self) -> None:
        shape = (int(self.lengths.sum()), len(self.classes))
        for modality in MODALITIES:
            targets = self.side(modality)
            if targets is None:
                continue
            if targets.shape != shape:
                raise UserError(f"segment labels: '{modality}' has shape {targets.shape}, expected {shape}")
            if not (((targets >= 0) & (targets <= 1)) | np.isnan(targets)).all():
                raise UserError(f"segment labels: a target of {modality} is outside [0, 1]")
            object.__setattr__(self, modality, targets.astype(np.float16, copy=False))

    def side(self, modality: str) -> Float16Array | None:
        """Return the targets of a modality."""
        found: Float16Array | None = getattr(self, modality)
        return found

    def video_level(self, modality: str) -> Float32Array | None:
        """Return the highest target of each video and class, ``[N, C]``; NaN if one of them is unknown."""
        targets = self.side(modality)
        if targets is None:
            return None
        starts = np.concatenate(([0], np.cumsum(self.lengths)[:-1]))
        highest: Float32Array = np.maximum.reduceat(targets, starts).astype(np.float32)
        return highest

    def masked(self, labels: RefinedLabels) -> SegmentLabels:
        """Return these labels times the video-level targets of ``labels``, so that dropped classes are dropped here.

        Labels outside the given ones are kept (those of a recipe without a filter, and LSLD's soft negatives).

        Raises:
            UserError: ``labels`` holds other videos.
        """
        rows = np.repeat(self._rows(labels), self.lengths)
        sides = []
        for modality in MODALITIES:
            kept = np.where(labels.given, labels.side(modality)[0], np.float32(1))
            targets = self.side(modality)
            # A dropped label is known to be absent, also where the segment was unknown.
            sides.append(None if targets is None else np.where(kept[rows] == 0, np.float16(0), targets * kept[rows]))
        return SegmentLabels(self.videos, self.classes, self.lengths, *sides)

    def bound(self, labels: RefinedLabels) -> RefinedLabels:
        """Return video-level labels bounded by their highest segment target, so that the two do not disagree.

        A label with an unknown segment is not changed.

        Raises:
            UserError: ``labels`` holds other videos.
        """
        rows, sides = self._rows(labels), []
        for modality in MODALITIES:
            highest, targets = self.video_level(modality), labels.side(modality)[0].copy()
            if highest is not None:
                targets[rows] = np.where(labels.given[rows], np.fmin(targets[rows], highest), targets[rows])
            sides.append(targets)
        return replace(labels, audio=sides[0], visual=sides[1])

    def _rows(self, labels: RefinedLabels) -> IntArray:
        """Return the row of each of these videos in ``labels``."""
        at = {video: row for row, video in enumerate(labels.videos)}
        missing = next((video for video in self.videos if video not in at), None)
        if missing is not None:
            raise UserError(f"refined labels: no video '{missing}', which has segment labels; make both for one split")
        return np.array([at[video] for video in self.videos], dtype=np.int64)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file atomically.

        Raises:
            UserError: the file cannot be written.
        """
        arrays = {m: targets for m in MODALITIES if (targets := self.side(m)) is not None}
        about = {"kind": _KIND, "videos": json.dumps(self.videos), "classes": json.dumps(self.classes)}
        with atomic_file(path) as file:
            file.write(to_bytes({"lengths": self.lengths, **arrays}, about))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SegmentLabels:
        """Read a file that :meth:`save` wrote.

        Raises:
            UserError: the file cannot be read as segment labels.
        """
        check_file(path)
        try:
            with safe_open(path, framework="np") as file:
                about = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
        except (OSError, SafetensorError) as error:
            reason = str(error).splitlines()[0][:120]
            raise UserError(f"{path}: cannot be read as segment labels ({reason}); check the path") from None
        if about.get("kind") != _KIND:
            raise UserError(f"{path}: not a file of segment labels; make it with 'avparse'")
        videos, classes = (tuple(parse_json(about[name], str(path), RECORDS)) for name in ("videos", "classes"))
        return cls(videos, classes, arrays["lengths"], arrays.get("audio"), arrays.get("visual"))


class SegmentTable:
    """Segment labels as padded batches, by the videos' positions in a store.

    Args:
        labels: segment labels of the videos in batches; all other videos get zeros.
        store: store in which positions are counted.
        device: device on which batches are returned.

    Raises:
        UserError: a video or class is unknown to the store, or has another number of segments there.
    """

    def __init__(self, labels: SegmentLabels, store: FeatureStore, device: torch.device | str = "cpu") -> None:
        if labels.classes != store.vocabulary.names:
            raise UserError("segment labels: made for other classes than the data have; make them again")
        where = np.array([store.position(video) for video in labels.videos], dtype=np.int64)
        wrong = np.flatnonzero(store.lengths[where] != labels.lengths)
        if len(wrong):
            raise UserError(
                f"segment labels: video '{labels.videos[wrong[0]]}' has {labels.lengths[wrong[0]]} segments, "
                f"in the data {store.lengths[where[wrong[0]]]}; make them again"
            )
        self._first = np.full(len(store), -1, dtype=np.int64)
        self._first[where] = np.cumsum(labels.lengths) - labels.lengths
        self._lengths = store.lengths
        self._tables: list[Tensor | None] = []
        for modality in MODALITIES:
            targets = labels.side(modality)
            # A final row of zeros serves padding and the videos without labels.
            blank = np.zeros((1, len(labels.classes)), dtype=np.float16)
            rows = None if targets is None else np.concatenate((targets, blank))
            self._tables.append(None if rows is None else torch.from_numpy(rows).to(device))

    def __call__(self, index: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Return the targets ``[B, T, C]`` of audio and visual of the videos at positions ``index``, padded with zeros.

        They are NaN where the label is unknown.
        """
        at = index.cpu().numpy()
        lengths, first = self._lengths[at][:, None], self._first[at][:, None]
        steps = np.arange(int(lengths.max()))
        rows = torch.from_numpy(np.where((steps < lengths) & (first >= 0), first + steps, -1))
        audio, visual = (self._gather(table, rows) for table in self._tables)
        return audio, visual

    @staticmethod
    def _gather(table: Tensor | None, rows: Tensor) -> Tensor | None:
        return None if table is None else table[rows.to(table.device)].float()


def from_padded(store: FeatureStore, indices: IntArray, audio: Tensor | None, visual: Tensor | None) -> SegmentLabels:
    """Return the labels of the videos at ``indices`` from padded targets ``[N, T, C]``, without the padding."""
    lengths = store.lengths[indices]
    real = np.arange(int(lengths.max(initial=0))) < lengths[:, None]
    sides = [None if x is None else x.cpu().numpy().astype(np.float16)[real] for x in (audio, visual)]
    videos = tuple(store.videos[i] for i in indices)
    return SegmentLabels(videos, store.vocabulary.names, lengths, *sides)
