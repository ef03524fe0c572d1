"""Batches of a store's videos, gathered from tensors on the device or from the memory map."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import torch
from torch import Tensor

from avparse.data.features import Batch, Features, TaskSpec
from avparse.data.store import FeatureStore
from avparse.foundation.arrays import BoolArray, IntArray
from avparse.foundation.errors import UserError

Indices = IntArray
_CHECKED_ROWS = 4096  # rows checked at once, which bounds the memory of the check


def task_spec(store: FeatureStore) -> TaskSpec:
    """Return the specification of ``store`` for a parser; its usual length is the median number of segments.

    Raises:
        UserError: the store has no video yet.
    """
    if not len(store):
        raise UserError(f"{store.path}: the store holds no video; extract or import some first")
    return TaskSpec(
        classes=store.vocabulary.names,
        streams={name: info.dimension for name, info in store.streams.items()},
        segment_seconds=store.segment_seconds,
        segments=int(np.median(store.lengths)),
        extractors={name: info.extractor for name, info in store.streams.items()},
        cards={name: info.card for name, info in store.streams.items() if info.card is not None},
    )


def epoch_order(count: int, seed: int, epoch: int) -> Indices:
    """Return the order of ``count`` items in an epoch, a function of seed and epoch alone."""
    return np.random.default_rng(np.random.SeedSequence([seed, epoch])).permutation(count)


def batches(indices: Indices, size: int) -> Iterator[Indices]:
    """Cut ``indices`` into pieces of ``size``; the last may be smaller."""
    for first in range(0, len(indices), size):
        yield indices[first : first + size]


class FeatureTable:
    """Random access to the videos of a store.

    Args:
        store: store whose videos are read.
        streams: names of the streams to read; None for all.
        device: device on which batches are returned.
        resident: whether to hold the streams as tensors on the device; otherwise every batch is gathered from the
            memory map, which needs memory for one batch only. None: resident iff they fit into half of the free memory.

    Raises:
        UserError: a feature is NaN or infinite (its stream and video are named); without ``resident``, by the batch
            that holds it.
    """

    def __init__(
        self,
        store: FeatureStore,
        streams: Iterable[str] | None = None,
        device: torch.device | str = "cpu",
        resident: bool | None = None,
    ) -> None:
        self.store = store
        self.device = torch.device(device)
        names = list(store.streams) if streams is None else list(streams)
        self._maps = {name: store.stream(name) for name in names}
        size = sum(m.nbytes for m in self._maps.values())
        self.resident = 2 * size < free_memory(self.device) if resident is None else resident
        self._tables: dict[str, Tensor] = {}
        if self.resident:
            everywhere = np.arange(store.manifest.rows)
            for name, rows in self._maps.items():
                table = np.array(rows)
                self._check(name, table, everywhere)
                self._tables[name] = torch.from_numpy(table).to(self.device)
        self._weak = torch.from_numpy(store.weak.astype(np.float32)).to(self.device)
        present = np.array(store.present, dtype=bool)
        self._present = None if present.all() else present  # [sum T, 2]

    def with_streams(self, rows: Mapping[str, Tensor]) -> FeatureTable:
        """Return a resident table of the same videos with other streams.

        Args:
            rows: features ``[sum T, D]`` of all segments of the store, by name of the stream.
        """
        table = copy(self)
        table._maps, table.resident = {}, True
        table._tables = {name: values.to(self.device) for name, values in rows.items()}
        return table

    def rows(self, index: Indices) -> Indices:
        """Return the rows ``[B, T]`` of the streams that hold the videos at positions ``index``.

        Videos shorter than the longest repeat their last row.
        """
        lengths = self.store.lengths[index]
        steps = np.arange(int(lengths.max()))
        rows: Indices = self.store.first_row[index][:, None] + np.minimum(steps, lengths[:, None] - 1)
        return rows

    def batch(self, index: Indices) -> Batch:
        """Gather the videos at positions ``index`` ``[B]``, padded to the longest of them."""
        lengths = self.store.lengths[index]
        steps = np.arange(int(lengths.max()))
        rows = self.rows(index)
        audio_mask, visual_mask = self._masks(rows, steps < lengths[:, None])
        where = torch.from_numpy(index).to(self.device)
        return Batch(
            index=where,
            features=Features(self._gather(rows), audio_mask, visual_mask),
            weak=self._weak.index_select(0, where),
        )

    def _gather(self, rows: Indices) -> dict[str, Tensor]:
        flat = rows.reshape(-1)
        if not self.resident:
            gathered = {}
            for name, m in self._maps.items():
                self._check(name, found := m[flat], flat)
                gathered[name] = torch.from_numpy(found).reshape(*rows.shape, -1).to(self.device)
            return gathered
        where = torch.from_numpy(flat).to(self.device)
        return {name: t.index_select(0, where).view(*rows.shape, -1) for name, t in self._tables.items()}

    def _check(self, stream: str, values: npt.NDArray[Any], rows: Indices) -> None:
        """Refuse features ``[n, D]`` of the given rows of the store that are not finite."""
        for first in range(0, len(values), _CHECKED_ROWS):
            finite = np.isfinite(values[first : first + _CHECKED_ROWS]).all(axis=1)
            for row in rows[first + np.flatnonzero(~finite)]:
                video = int(np.searchsorted(self.store.first_row, row, side="right")) - 1
                if video < 0 or row >= self.store.first_row[video] + self.store.lengths[video]:
                    continue  # of a video that is left out of the store
                raise UserError(
                    f"{self.store.path}: video '{self.store.videos[video]}', stream '{stream}': NaN or infinity; "
                    "make the store again"
                )

    def _masks(self, rows: Indices, real: BoolArray) -> tuple[Tensor | None, Tensor | None]:
        masks = []
        for modality in range(2):
            mask = real if self._present is None else real & self._present[rows, modality]
            masks.append(None if mask.all() else torch.from_numpy(mask).to(self.device))
        return masks[0], masks[1]


def stream_statistics(store: FeatureStore, indices: Indices, block: int = 4096) -> dict[str, tuple[Tensor, Tensor]]:
    """Return mean and standard deviation ``[D]`` of every stream over the given videos, in bounded memory.

    Segments in which a modality is absent still count, because the streams of a store are not assigned to modalities.
    """
    rows = np.concatenate(
        [np.arange(f, f + t) for f, t in zip(store.first_row[indices], store.lengths[indices], strict=True)]
    )
    statistics = {}
    for name in store.streams:
        stream = store.stream(name)
        total = np.zeros(stream.shape[1])
        squares = np.zeros(stream.shape[1])
        for piece in batches(rows, block):
            x = stream[piece].astype(np.float64)
            total += x.sum(axis=0)
            squares += (x * x).sum(axis=0)
        mean = total / len(rows)
        deviation = np.sqrt(np.maximum(squares / len(rows) - mean**2, 0))
        statistics[name] = (torch.from_numpy(mean).float(), torch.from_numpy(deviation).float())
    return statistics


def free_memory(device: torch.device) -> int:
    """Return the bytes that may still be allocated on ``device``."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)
