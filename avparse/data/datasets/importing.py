"""Import of a data set with published features into a feature store."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from avparse.data.datasets.annotations import Annotations
from avparse.data.datasets.dataset import Dataset, FeatureSource
from avparse.data.datasets.relabelling import relabel_open
from avparse.data.store.stamp import UNKNOWN, Stamp, modified_ns, stamp_of_arrays
from avparse.data.store.writer import Block, StoreWriter, StreamInfo
from avparse.foundation.errors import UserError
from avparse.foundation.progress import track

_BLOCK_VIDEOS, _BLOCK_ROWS = 64, 4096


@dataclass(frozen=True)
class ImportReport:
    """Result of an import.

    Attributes:
        store: path of the feature store.
        imported: number of videos that this import added.
        already: number of videos that an earlier, interrupted import had added.
        problems: one line for each missing or damaged file; its video is not in the store.
        notes: one line for each kind of dirt in the annotation tables, and for each change since an earlier import.
    """

    store: Path
    imported: int
    already: int
    problems: list[str]
    notes: list[str]

    def __str__(self) -> str:
        lines = [f"{self.store}: {self.imported} videos imported, {self.already} were there already", *self.notes]
        if self.problems:
            lines += [
                f"{len(self.problems)} missing or damaged files, whose videos are not imported:",
                *self.problems,
            ]
        return "\n".join(lines)


@dataclass(frozen=True)
class _Video:
    """The features of one video, or the problem with its files."""

    name: str
    split: str
    streams: dict[str, npt.NDArray[Any]]
    problems: list[str]
    stamp: Stamp = UNKNOWN

    @property
    def segments(self) -> int:
        return len(next(iter(self.streams.values())))


@dataclass(frozen=True)
class _Reading:
    """Settings for reading the features of videos.

    Attributes:
        features: folder that holds the sources of all streams.
        sources: source of each stream.
        dtype: type of the features in the store.
        keep_frames: whether the vectors of a segment are kept one after the other, and not averaged.
    """

    features: Path
    sources: Sequence[FeatureSource]
    dtype: Literal["float32", "float16"]
    keep_frames: bool

    def kept(self, source: FeatureSource) -> int:
        """Return the number of feature vectors that make up one row of the stream."""
        return source.per_segment if self.keep_frames else 1

    def streams(self) -> dict[str, StreamInfo]:
        """Return the description of each stream in the store."""
        return {
            s.stream: StreamInfo(dimension=self.kept(s) * s.dimension, dtype=self.dtype, extractor=s.name)
            for s in self.sources
        }

    def video(self, name: str, split: str, file: str) -> _Video:
        """Read the features of one video."""
        time = self.modified_ns(file)
        arrays, problems = self._arrays(file)
        if problems:
            return _Video(name, split, {}, problems)
        found = list(zip(self.sources, arrays, strict=True))
        single = [len(array) for source, array in found if source.per_segment == 1]
        segments = single[0] if single else max(1, len(arrays[0]) // self.sources[0].per_segment)
        if any(len(a) % segments if source.per_segment > 1 else len(a) != segments for source, a in found):
            rows = ", ".join(f"{source.name} {len(array)}" for source, array in found)
            problem = f"{self.features}: rows of '{name}' do not agree ({rows}); extract again"
            return _Video(name, split, {}, [problem])
        streams: dict[str, npt.NDArray[Any]] = {}
        for source, array in found:
            try:
                streams[source.stream] = self._rows(source, array, segments)
            except UserError as error:
                problems.append(f"{source.path(self.features, file)}: {error}")
        return _Video(name, split, streams, problems, stamp_of_arrays(arrays, time))

    def modified_ns(self, file: str) -> int:
        """Return the time of the last change of the files of a video; 0 where one is missing."""
        try:
            return modified_ns(source.holder(self.features, file) for source in self.sources)
        except OSError:
            return 0

    def has_changed(self, file: str, stamp: Stamp) -> bool:
        """Return whether the features of a video are there and others than when they were stamped."""
        time = self.modified_ns(file)
        if not stamp.sha256 or time in (0, stamp.modified_ns):
            return False
        arrays, problems = self._arrays(file)
        return bool(problems) or not stamp.same_content(stamp_of_arrays(arrays, time))

    def _arrays(self, file: str) -> tuple[list[npt.NDArray[Any]], list[str]]:
        """Return the features of a video as published, and a line for each source of which they cannot be read."""
        arrays: list[npt.NDArray[Any]] = []
        problems: list[str] = []
        for source in self.sources:
            try:
                arrays.append(source.read(self.features, file))
            except UserError as error:
                problems.append(str(error))
        return arrays, problems

    def _rows(self, source: FeatureSource, array: npt.NDArray[Any], segments: int) -> npt.NDArray[Any]:
        """Return the rows ``[T, D]`` of a stream."""
        kept = self.kept(source)
        if kept > 1 and len(array) != segments * kept:
            each = f"{len(array) // segments} rows a segment, not the {kept} to keep"
            raise UserError(f"{each}; extract again, or import averages (without --keep-frames)")
        with np.errstate(over="ignore", invalid="ignore"):
            mean = array.reshape(segments, kept, -1, source.dimension).mean(axis=2, dtype=np.float32)
            rows: npt.NDArray[Any] = mean.reshape(segments, -1).astype(self.dtype)
        if not np.isfinite(rows).all():
            raise UserError(f"NaN or infinity as {self.dtype}; extract again")
        return rows


def import_dataset(
    dataset: Dataset,
    features: str | Path,
    annotations: str | Path,
    out: str | Path,
    dtype: Literal["float32", "float16"] = "float32",
    keep_frames: bool = False,
) -> ImportReport:
    """Import published features and annotations; a repeated call continues an import that was killed.

    A store of an earlier import gets the annotations as they are now, and the features of videos whose files have
    changed; the notes of the report say which.

    Features of several vectors per segment are averaged over each segment, or kept one after the other. Any number of
    segments is accepted if the streams of a video agree. A video with a missing or damaged file is left out and listed;
    it does not stop the import.

    Args:
        dataset: data set to import, from ``avparse.data.datasets.DATASETS``.
        features: folder of the published features.
        annotations: folder of the annotations.
        out: path of the store, new or of an earlier import with the same arguments.
        dtype: type of the features on disk.
        keep_frames: whether to keep the vectors of a segment if there are several, as ``parser.stem.rates`` reads them.

    Raises:
        UserError: features or annotations are missing, or ``out`` is something else.
    """
    features, annotations, out = Path(features), Path(annotations), Path(out)
    reading = _Reading(features, dataset.sources(features), dtype, keep_frames)
    for source in reading.sources:
        source.check(features)
    known = dataset.read(annotations)
    _check_files(known, annotations)
    problems, notes, begun = list[str](), list(known.notes), out.exists()
    with _writer(dataset, known, reading, out) as writer:
        if begun:
            known, changes = relabel_open(writer, known)
            notes += changes.told()
        already = len(writer.done)
        there = [name for name in known.videos if name in writer.done]
        changed = [name for name in there if reading.has_changed(known.videos[name].file, writer.done[name])]
        gone = [name for name in there if not reading.modified_ns(known.videos[name].file)]
        for names, what in ((changed, "have changed, imported anew"), (gone, "are gone; those in the store stay")):
            if names:
                notes.append(f"{features}: the features of {len(names)} videos (such as '{names[0]}') {what}")
        again = set(changed)
        todo = [video for video in known.videos if video not in writer.done or video in again]
        first = len(known.videos) - len(todo)
        videos = track(_read_all(reading, known, todo), "importing", total=len(known.videos), first=first)
        for group in _blocks(videos, problems):
            writer.append(_block(group, known, dataset.origin))
        return ImportReport(out, len(writer.done) - already, already, problems, notes)


def _writer(dataset: Dataset, known: Annotations, reading: _Reading, out: Path) -> StoreWriter:
    settings: dict[str, Any] = {
        "streams": reading.streams(),
        "segment_seconds": known.segment_seconds,
    }
    if out.exists():
        return StoreWriter.reopen(out, **settings)
    settings |= {"vocabulary": known.vocabulary, "truth": known.has_truth}
    return StoreWriter.create(out, description=dataset.description, **settings)


def _check_files(known: Annotations, where: Path) -> None:
    owners: dict[str, str] = {}
    for name, video in known.videos.items():
        if owners.setdefault(video.file, name) != name:
            both = f"videos '{owners[video.file]}' and '{name}'"
            raise UserError(f"{where}: {both} would share the feature files '{video.file}.npy'; rename one")


def _read_all(reading: _Reading, known: Annotations, todo: Sequence[str]) -> Iterator[_Video]:
    """Read the videos in order, at most one block ahead of the consumer."""
    waiting: deque[Future[_Video]] = deque()
    with ThreadPoolExecutor((os.cpu_count() or 1) + 1) as pool:
        for name in todo:
            video = known.videos[name]
            waiting.append(pool.submit(reading.video, name, video.split, video.file))
            if len(waiting) == _BLOCK_VIDEOS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _blocks(videos: Iterable[_Video], problems: list[str]) -> Iterator[list[_Video]]:
    """Group whole videos into blocks of bounded size; the problems of the others are collected."""
    group: list[_Video] = []
    for video in videos:
        if video.problems:
            problems += video.problems
            continue
        group.append(video)
        if len(group) == _BLOCK_VIDEOS or sum(v.segments for v in group) >= _BLOCK_ROWS:
            yield group
            group = []
    if group:
        yield group


def _block(group: Sequence[_Video], known: Annotations, origin: str) -> Block:
    names, lengths = [video.name for video in group], [video.segments for video in group]
    return Block(
        videos=names,
        splits=[video.split for video in group],
        lengths=lengths,
        durations=[length * known.segment_seconds for length in lengths],
        origins=[origin] * len(group),
        weak=np.stack([known.videos[name].weak for name in names]),
        streams={name: np.concatenate([video.streams[name] for video in group]) for name in group[0].streams},
        truth=known.dense_rows(names, lengths) if known.has_truth else None,
        annotated=np.array([known.videos[name].events is not None for name in names]),
        stamps=[video.stamp for video in group],
    )
