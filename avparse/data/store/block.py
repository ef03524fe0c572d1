"""A block of videos to append to a feature store, with the checks that it can be stored unchanged."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from avparse.data.store.annotations import AnnotationsInfo, annotation_rows, with_truth
from avparse.data.store.format import PRESENT, SPLITS, Column, Manifest
from avparse.data.store.stamp import UNKNOWN, Stamp
from avparse.data.store.truth import runs_column
from avparse.data.vocabulary import MODALITIES, Vocabulary
from avparse.foundation.arrays import BoolArray
from avparse.foundation.errors import UserError

_LONGEST_ID = 200
_UNSAFE = {"Cc", "Cs", "Zl", "Zp"}  # control characters, bytes that are no text, ends of lines and paragraphs


@dataclass(frozen=True)
class Block:
    """Some videos to append; the rows of the arrays are the segments of the videos, one video after the other.

    Attributes:
        videos: ids of the n videos.
        splits: split of each video: "train", "val", "test" or "".
        lengths: number T of segments of each video.
        durations: duration of each video in seconds.
        origins: origin of each video (a path, a data set); may be empty.
        weak: ``[n, C]`` weak labels.
        streams: features ``[sum T, D]`` by name of the stream.
        present: ``[sum T, 2]`` audio, visual present in the segment; everywhere if not given.
        truth: dense truth ``[sum T, C]`` of the annotated videos, by modality.
        annotated: whether each video is annotated, ``[n]``; None: every video if ``truth`` is given, otherwise none.
        stamps: stamp of the source of each video; None if the sources are not known.
    """

    videos: Sequence[str]
    splits: Sequence[str]
    lengths: Sequence[int]
    durations: Sequence[float]
    origins: Sequence[str]
    weak: BoolArray
    streams: Mapping[str, npt.NDArray[Any]]
    present: BoolArray | None = None
    truth: Mapping[str, BoolArray] | None = None
    annotated: BoolArray | None = None
    stamps: Sequence[Stamp] | None = None


def index_rows(block: Block, manifest: Manifest, where: str) -> list[dict[str, Any]]:
    """Return the index rows of a block that follows the committed rows.

    Raises:
        UserError: a bad or repeated id, a bad length, duration or split, or lists of different lengths.
    """
    stamps = [UNKNOWN] * len(block.videos) if block.stamps is None else block.stamps
    lists = (block.splits, block.lengths, block.durations, block.origins, stamps)
    if any(len(values) != len(block.videos) for values in lists):
        raise UserError(
            f"{where}: splits, lengths, durations, origins and stamps need one value for each of "
            f"{len(block.videos)} videos"
        )
    first, rows, seen = manifest.rows, [], set[str]()
    for n, video in enumerate(block.videos):
        check_id(video, where)
        length, duration, split = int(block.lengths[n]), float(block.durations[n]), block.splits[n]
        if video in seen:
            raise UserError(f"{where}: video '{video}' is twice in what is to be appended; give it once")
        if length < 1 or not 0 <= duration < np.inf or split not in SPLITS:
            raise UserError(
                f"{where}: video '{video}' has {length} segments, {duration} s, split '{split}'; "
                f"at least one segment, a finite duration and a split of {', '.join(map(repr, SPLITS))} are needed"
            )
        seen.add(video)
        rows.append(
            {
                "video": video,
                "first_row": first,
                "segments": length,
                "duration": duration,
                "source": block.origins[n].encode("utf-8", "backslashreplace").decode("utf-8"),
                "source_bytes": stamps[n].size,
                "source_sha256": stamps[n].sha256,
                "source_modified_ns": stamps[n].modified_ns,
            }
        )
        first += length
    return rows


def labelled_rows(block: Block, info: AnnotationsInfo, where: str) -> pa.Table:
    """Return the rows of annotations of a block.

    Raises:
        UserError: weak labels, truth or flags have another shape, or the store is not made for truth.
    """
    count, classes = len(block.videos), len(info.vocabulary)
    weak = np.asarray(block.weak, dtype=bool)
    if weak.shape != (count, classes):
        raise UserError(f"{where}: weak labels have shape {list(weak.shape)}, not [{count}, {classes}]")
    if block.truth is not None and (not info.truth or set(block.truth) != set(MODALITIES)):
        raise UserError(f"{where}: dense truth must be of {' and '.join(MODALITIES)}, in a store made for truth")
    annotated = np.asarray(np.full(count, block.truth is not None) if block.annotated is None else block.annotated)
    if annotated.shape != (count,) or (block.truth is None and annotated.any()):
        raise UserError(f"{where}: 'annotated' must hold {count} flags, and 'truth' be given where one is set")
    labels = [Vocabulary(info.vocabulary).decode(vector) for vector in weak]
    rows = annotation_rows(block.videos, block.splits, labels, annotated.astype(bool))
    for modality, truth in (block.truth or {}).items():
        flags = _rows_of(truth, f"truth of {modality}", Column(np.dtype(bool), classes), block, where)
        rows = with_truth(rows, modality, runs_column(flags, block.lengths))
    return rows


def column_arrays(block: Block, manifest: Manifest, where: str) -> dict[str, npt.NDArray[Any]]:
    """Return the rows of every file of the store, in its type and memory order.

    Raises:
        UserError: a stream is missing or unknown, a shape differs, or a value is not finite.
    """
    if set(block.streams) != set(manifest.streams):
        given, known = ", ".join(block.streams), ", ".join(manifest.streams)
        raise UserError(f"{where}: the block has streams {given}; the store has {known}")
    given_arrays: dict[str, npt.NDArray[Any]] = {f"{name}.npy": array for name, array in block.streams.items()}
    if block.present is not None:
        given_arrays[PRESENT] = block.present
    count = sum(block.lengths)
    return {
        name: _rows_of(given_arrays[name], name, column, block, where)
        if name in given_arrays
        else np.full((count, column.width), True)  # present everywhere
        for name, column in manifest.columns().items()
    }


def check_id(video: str, where: str) -> None:
    """Refuse an id that is not safe as part of a file name; letters and blanks of all scripts are safe.

    Raises:
        UserError: empty, a relative folder, longer than 200 characters, with a blank at an end, or with a slash, a
            control character or a line end.
    """
    unsafe = video in ("", ".", "..") or len(video) > _LONGEST_ID or video != video.strip()
    if unsafe or any(c in "/\\" or unicodedata.category(c) in _UNSAFE for c in video):
        limit = f"1 to {_LONGEST_ID} characters without slashes, control characters and blanks at the ends"
        raise UserError(f"{where}: unsafe video id {video[:60]!r}; use {limit}")


def _rows_of(array: npt.NDArray[Any], name: str, column: Column, block: Block, where: str) -> npt.NDArray[Any]:
    expected = (sum(block.lengths), column.width)
    if array.shape != expected:
        span = f"videos '{block.videos[0]}' to '{block.videos[-1]}'"
        raise UserError(f"{where}: {name} of {span} has shape {list(array.shape)}, not {list(expected)}")
    with np.errstate(over="ignore"):  # what is too large for float16 becomes infinite and is refused below
        rows = np.ascontiguousarray(array, dtype=column.dtype)
    if column.dtype.kind == "f" and not np.isfinite(rows).all():
        bad = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        video = block.videos[int(np.searchsorted(np.cumsum(block.lengths), bad, side="right"))]
        stream = name.removesuffix(".npy")
        raise UserError(f"{where}: video '{video}', stream '{stream}': NaN or infinity in {column.dtype}; redo it")
    return rows
