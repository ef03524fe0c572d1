"""Source of a teacher's input: video files, decoded ahead on other threads, or published embeddings."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from avparse.data.datasets.annotations import YOUTUBE_ID
from avparse.data.store import FeatureStore
from avparse.foundation.arrays import Float32Array
from avparse.foundation.errors import UserError
from avparse.foundation.npy import read_data, read_header
from avparse.foundation.platform import cores
from avparse.media.files import files_in
from avparse.media.pipeline import Failed
from avparse.media.towers.tower import Tower, unit
from avparse.media.video_ids import file_id, video_id

_log = logging.getLogger(__name__)
_MOST_THREADS = 8  # that decode; each holds a piece of a file
_SURPLUS = 1  # segments that a file may have more than the store: other tools round its duration otherwise

Result = tuple[str, Float32Array | Failed]
Pieces = Iterator[Any]


def find_files(store: FeatureStore, videos: Iterable[str], folder: str | None) -> dict[str, Path | Failed]:
    """Find the file of each video: named as in the store, else by the video's id, else by the first part of it.

    Args:
        store: store that records the origin of its videos.
        videos: ids of the videos.
        folder: folder of the files; None if the store names them with their folder.

    Raises:
        UserError: there is no such folder, or the store names files without one.
    """
    if folder is not None and not Path(folder).is_dir():
        raise UserError(f"{folder}: no such folder of videos; check --videos")
    files = {} if folder is None else {file_id(path): path for path in files_in(folder)}
    found: dict[str, Path | Failed] = {}
    for video in videos:
        origin = Path(store.origins[store.position(video)])
        if folder is None and not origin.is_absolute():
            raise UserError(f"{store.path}: names its videos without their folder ('{origin}'); give it: --videos DIR")
        exact = origin if folder is None else Path(folder) / origin.name
        named = (files[name] for name in (video_id(video), video[:YOUTUBE_ID]) if name in files)
        path = exact if exact.is_file() else next(named, None)
        missing = Failed(str(exact), f"{exact}: no file of video '{video}' there; restore it")
        found[video] = missing if path is None else path
    return found


class Watcher(Protocol):
    """What makes something of each segment of a file; decoding may run on another thread than the rest."""

    def pieces(self, path: str | Path, segment_seconds: float, total: int) -> Iterator[Any]:
        """Decode a file, whose video has ``total`` segments, piece by piece; a piece knows its ``segments``."""
        ...

    def embed(self, piece: Any) -> Float32Array:
        """Return ``[segments, D]`` of a piece."""
        ...


def watched(
    store: FeatureStore, videos: list[str], folder: str | None, watcher: Watcher, unknown: float = 0.0
) -> Iterator[Result]:
    """Yield what is made of the segments ``[T, D]`` of each video, or the reason why there is none, in order.

    Args:
        store: store that records the origin of its videos.
        videos: ids of the videos.
        folder: folder of the files; None if the store names them with their folder.
        watcher: network that looks or listens.
        unknown: value of segments that a file lacks.

    Raises:
        UserError: there is no such folder, or the store names files without one.
    """
    files = find_files(store, videos, folder)
    there = {video: path for video, path in files.items() if isinstance(path, Path)}
    yield from ((video, path) for video, path in files.items() if isinstance(path, Failed))

    def begin(video: str) -> Pieces:
        return _pieces(there[video], watcher, int(store.lengths[store.position(video)]), store.segment_seconds)

    for video, pieces in _ahead(there, begin, min(cores(), _MOST_THREADS)):
        try:
            yield video, _fitted(video, [watcher.embed(piece) for piece in pieces], store, unknown)
        except _BadFileError as error:
            yield video, Failed(str(there[video]), str(error))


def published(store: FeatureStore, videos: list[str], folder: str, tower: Tower) -> Iterator[Result]:
    """Yield the published embeddings of each video, brought to the length of the tower's, or why they cannot be used.

    A file ``ID.npy``, or named by the first eleven characters of the id, holds ``[T, E]``, or several rows a segment,
    which are averaged.

    Raises:
        UserError: there is no such folder.
    """
    if not Path(folder).is_dir():
        raise UserError(f"{folder}: no such folder of embeddings; check --from-npy")
    for video in videos:
        names = [Path(folder) / f"{name}.npy" for name in (video, video[:YOUTUBE_ID])]
        path = next((name for name in names if name.is_file()), names[0])
        try:
            rows = _read_rows(path, tower.dimension, int(store.lengths[store.position(video)]))
        except UserError as error:
            yield video, Failed(str(path), str(error))
        else:
            yield video, unit(rows) if tower.unit_length else rows.astype(np.float32)


class _BadFileError(Exception):
    """A file that could not be decoded; the message is one line that names it."""


def _pieces(path: Path, watcher: Watcher, length: int, segment_seconds: float) -> Pieces:
    """Decode and prepare a file whose video has ``length`` segments in the store."""
    seen = 0
    try:
        for piece in watcher.pieces(path, segment_seconds, length):
            seen += piece.segments
            if seen > length + _SURPLUS:
                raise _BadFileError(
                    f"{path}: longer than the {length} segments of the store; cut it as the store's was"
                )
            yield piece
    except UserError as error:
        raise _BadFileError(str(error)) from None
    except _BadFileError:
        raise
    except Exception as error:  # one bad file must not cost the others; the reason keeps the error's name
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise _BadFileError(f"{path}: could not be decoded ({reason})") from None


def _fitted(video: str, parts: list[Float32Array], store: FeatureStore, unknown: float) -> Float32Array:
    """Return exactly as many segments as the store has; those that the file lacks are ``unknown``."""
    length, found = int(store.lengths[store.position(video)]), np.concatenate(parts)
    if len(found) < length:
        _log.warning("video '%s': its file has %d segments of %d; the rest is unknown", video, len(found), length)
    fitted = np.full((length, found.shape[1]), unknown, dtype=np.float32)
    fitted[: len(found)] = found[:length]
    return fitted


def _ahead(videos: Iterable[str], begin: Callable[[str], Pieces], threads: int) -> Iterator[tuple[str, Pieces]]:
    """Yield each video with its pieces, while the first pieces of the next ones are made on other threads."""
    pool = ThreadPoolExecutor(threads)

    def follow(rest: Pieces, coming: Future[Any]) -> Pieces:
        while (piece := coming.result()) is not None:
            coming = pool.submit(next, rest, None)
            yield piece

    waiting: deque[tuple[str, Pieces]] = deque()
    try:
        for video in videos:
            rest = begin(video)
            waiting.append((video, follow(rest, pool.submit(next, rest, None))))
            if len(waiting) > threads:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        pool.shutdown(cancel_futures=True)


def _read_rows(path: Path, dimension: int, segments: int) -> npt.NDArray[Any]:
    """Return ``[segments, dimension]`` of a file with one or several rows a segment."""
    if not path.is_file():
        raise UserError(f"{path}: missing")
    with open(path, "rb") as file:
        header = read_header(file, path)
        if header.dtype.kind != "f" or len(header.shape) != 2 or header.shape[1] != dimension:
            found = f"{header.dtype} of shape {list(header.shape)}"
            raise UserError(f"{path}: {found}, where the checkpoint's embeddings are [rows, {dimension}]")
        if header.shape[0] == 0 or header.shape[0] % segments:
            raise UserError(f"{path}: {header.shape[0]} rows for the {segments} segments of the store; extract again")
        rows = read_data(file, header)
    if not np.isfinite(rows).all():
        raise UserError(f"{path}: NaN or infinity; extract again")
    mean: npt.NDArray[Any] = rows.reshape(segments, -1, dimension).mean(axis=1, dtype=np.float64)
    return mean
