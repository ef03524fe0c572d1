"""Import of published feature folders, one ``.npy`` a video and extractor, into a feature store."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from avparse.data.datasets.llp import LLPAnnotations, read_llp
from avparse.data.store.npy import read_data, read_header
from avparse.data.store.writer import Block, StoreWriter, StreamInfo
from avparse.data.vocabulary import LLP_FRAMES, MODALITIES
from avparse.foundation.arrays import BoolArray
from avparse.foundation.errors import UserError
from avparse.foundation.progress import track

SEGMENT_SECONDS = 1.0
FEATURE_NAME = 11  # a feature file is named by the YouTube id, the first eleven characters of the video's name
_BLOCK_VIDEOS, _BLOCK_ROWS = 64, 4096


@dataclass(frozen=True)
class FeatureFolder:
    """A folder of feature files that becomes a stream.

    Attributes:
        stream: name of the stream.
        folder: name of the folder.
        dimension: numbers in a row of a file.
        sampled: whether a file may hold several rows a segment.
        kept: how many of those stand one after the other in a row of the stream; 1: their average.
    """

    stream: str
    folder: str
    dimension: int
    sampled: bool = False
    kept: int = 1


LLP_FOLDERS = (
    FeatureFolder("audio", "vggish", 128),
    FeatureFolder("frames", "res152", 2048, sampled=True),
    FeatureFolder("clips", "r2plus1d_18", 512),
)


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Attributes:
        store: the folder.
        imported: videos added now.
        already: videos that an earlier, interrupted import had added.
        problems: one line for each missing or damaged file; its video is not in the store.
        notes: one line for each kind of dirt in the annotation tables.
    """

    store: Path
    imported: int
    already: int
    problems: list[str]
    notes: list[str]

    def __str__(self) -> str:
        lines = [f"{self.store}: {self.imported} videos imported, {self.already} were there already", *self.notes]
        if self.problems:
            lines += [f"{len(self.problems)} missing or damaged files; their videos are left out:", *self.problems]
        return "\n".join(lines)


@dataclass(frozen=True)
class _Video:
    """The features of one video, or what is wrong with its files."""

    name: str
    split: str
    streams: dict[str, npt.NDArray[Any]]
    problems: list[str]

    @property
    def segments(self) -> int:
        return len(next(iter(self.streams.values())))


def import_llp(
    features: Path,
    annotations: Path,
    out: Path,
    dtype: Literal["float32", "float16"] = "float32",
    keep_frames: bool = False,
) -> ImportReport:
    """Import the official LLP features and annotations; call it again to go on with an import that was killed.

    Frame features of several rows a segment are averaged over each segment, or kept one after the other. Any number of
    segments is accepted if the three files of a video agree. A missing or damaged file costs its video and is listed;
    it does not stop the import.

    Args:
        features: holds the folders of ``LLP_FOLDERS``.
        annotations: holds the LLP tables.
        out: the store, new or of an earlier import with the same arguments.
        dtype: type of the features on disk.
        keep_frames: keep the ``LLP_FRAMES`` frames of a segment, as ``stem.rates`` reads them.

    Raises:
        UserError: a folder or the tables are missing, or ``out`` is something else.
    """
    folders = tuple(replace(f, kept=LLP_FRAMES if keep_frames and f.sampled else 1) for f in LLP_FOLDERS)
    for folder in folders:
        if not (features / folder.folder).is_dir():
            raise UserError(f"{features / folder.folder}: no such folder of features; check --features")
    tables = read_llp(annotations)
    splits = {video: split for split, videos in tables.splits.items() for video in videos}
    _check_names(splits, annotations)
    problems: list[str] = []
    with _writer(out, tables, folders, dtype) as writer:
        already = len(writer.done)
        todo = [(video, split) for video, split in splits.items() if video not in writer.done]
        read = _read_all(features, folders, todo, dtype)
        videos = track(read, "importing", total=len(splits), first=len(splits) - len(todo))
        for group in _blocks(videos, problems):
            writer.append(_block(group, tables, folders, "LLP"))
        return ImportReport(out, len(writer.done) - already, already, problems, tables.report)


def _writer(
    out: Path, tables: LLPAnnotations, folders: Iterable[FeatureFolder], dtype: Literal["float32", "float16"]
) -> StoreWriter:
    streams = {f.stream: StreamInfo(dimension=f.kept * f.dimension, dtype=dtype, extractor=f.folder) for f in folders}
    truth = bool(tables.annotated)
    if out.exists():
        return StoreWriter.reopen(
            out, vocabulary=tables.vocabulary, streams=streams, segment_seconds=SEGMENT_SECONDS, truth=truth
        )
    return StoreWriter.create(
        out,
        vocabulary=tables.vocabulary,
        streams=streams,
        segment_seconds=SEGMENT_SECONDS,
        truth=truth,
        description="imported from the published LLP features",
    )


def _check_names(videos: Iterable[str], where: Path) -> None:
    owners: dict[str, str] = {}
    for video in videos:
        name = video[:FEATURE_NAME]
        if owners.setdefault(name, video) != video:
            both = f"videos '{owners[name]}' and '{video}'"
            raise UserError(f"{where}: {both} would share the feature files '{name}.npy'; rename one")


def _read_all(
    features: Path, folders: Sequence[FeatureFolder], todo: Sequence[tuple[str, str]], dtype: str
) -> Iterator[_Video]:
    """Read the videos in order, at most a block ahead of what is asked for."""
    waiting: deque[Future[_Video]] = deque()
    with ThreadPoolExecutor((os.cpu_count() or 1) + 1) as pool:
        for video, split in todo:
            waiting.append(pool.submit(_read_video, features, folders, video, split, dtype))
            if len(waiting) == _BLOCK_VIDEOS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _read_video(features: Path, folders: Sequence[FeatureFolder], video: str, split: str, dtype: str) -> _Video:
    paths = {folder: features / folder.folder / f"{video[:FEATURE_NAME]}.npy" for folder in folders}
    arrays: dict[FeatureFolder, npt.NDArray[Any]] = {}
    streams: dict[str, npt.NDArray[Any]] = {}
    problems: list[str] = []
    for folder, path in paths.items():
        try:
            arrays[folder] = _read_file(path, folder.dimension)
        except UserError as error:
            problems.append(str(error))
    if problems:
        return _Video(video, split, streams, problems)
    segments = next(len(array) for folder, array in arrays.items() if not folder.sampled)
    if any(len(a) % segments if folder.sampled else len(a) != segments for folder, a in arrays.items()):
        rows = ", ".join(f"{folder.folder} {len(array)}" for folder, array in arrays.items())
        return _Video(video, split, streams, [f"{features}: rows of '{video}' do not agree ({rows}); extract again"])
    for folder, array in arrays.items():
        if folder.kept > 1 and len(array) != segments * folder.kept:
            each = f"{len(array) // segments} rows a segment, not the {folder.kept} to keep"
            problems.append(f"{paths[folder]}: {each}; extract again, or import averages (without --keep-frames)")
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            kept = array.reshape(segments, folder.kept, -1, folder.dimension).mean(axis=2, dtype=np.float32)
            streams[folder.stream] = kept.reshape(segments, -1).astype(dtype)
        if not np.isfinite(streams[folder.stream]).all():
            problems.append(f"{paths[folder]}: NaN or infinity as {dtype}; extract again")
    return _Video(video, split, streams, problems)


def _read_file(path: Path, dimension: int) -> npt.NDArray[Any]:
    """Read real numbers ``[rows, dimension]``; the header is judged before the data are read."""
    if not path.is_file():
        raise UserError(f"{path}: missing")
    try:
        with open(path, "rb") as file:
            header = read_header(file, path)
            if header.dtype.kind not in "fiu" or len(header.shape) != 2:
                raise UserError(f"{path}: {header.dtype} of shape {list(header.shape)}, not numbers in rows")
            if header.shape[1] != dimension or header.shape[0] < 1:
                raise UserError(f"{path}: shape {list(header.shape)}, not [rows, {dimension}]")
            return read_data(file, header)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


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


def _block(group: Sequence[_Video], tables: LLPAnnotations, folders: Iterable[FeatureFolder], source: str) -> Block:
    truth = {modality: np.concatenate([_truth(tables, video, modality) for video in group]) for modality in MODALITIES}
    return Block(
        videos=[video.name for video in group],
        splits=[video.split for video in group],
        lengths=[video.segments for video in group],
        durations=[video.segments * SEGMENT_SECONDS for video in group],
        sources=[source] * len(group),
        weak=np.stack([tables.weak[video.name] for video in group]),
        streams={f.stream: np.concatenate([video.streams[f.stream] for video in group]) for f in folders},
        truth=truth if tables.annotated else None,
        annotated=np.array([video.name in tables.annotated for video in group]),
    )


def _truth(tables: LLPAnnotations, video: _Video, modality: str) -> BoolArray:
    dense = tables.dense(video.name, modality, video.segments, SEGMENT_SECONDS)
    return np.zeros((video.segments, len(tables.vocabulary)), dtype=bool) if dense is None else dense
