"""Videos and their labels become a feature store."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avparse.data.datasets.llp import LLPAnnotations, read_llp
from avparse.data.datasets.tables import WeakTable, read_event_table, read_weak_table
from avparse.data.store import FeatureStore
from avparse.data.store.block import Block
from avparse.data.store.format import StreamInfo
from avparse.data.store.writer import StoreWriter
from avparse.data.timeline import Event
from avparse.data.vocabulary import MODALITIES, Vocabulary
from avparse.foundation.arrays import BoolArray
from avparse.foundation.errors import UserError
from avparse.foundation.progress import track
from avparse.media.extractors import make_streams
from avparse.media.pipeline import Extracted, Failed, extract_videos

_log = logging.getLogger(__name__)
_COMMIT_VIDEOS = 16


Dense = Callable[[str, str, int, float], BoolArray | None]


@dataclass(frozen=True)
class VideoLabels:
    """What is known of the videos of a folder.

    Attributes:
        vocabulary: the classes.
        splits: video id -> split, in order.
        weak: video id -> weak label ``[C]``.
        dense: (video, modality, segments, segment seconds) -> dense truth ``[T, C]``, None where not annotated.
    """

    vocabulary: Vocabulary
    splits: Mapping[str, str]
    weak: Mapping[str, BoolArray]
    dense: Dense


def llp_labels(annotations: LLPAnnotations) -> VideoLabels:
    """Labels from tables in the official LLP format."""
    splits = {video: split for split, videos in annotations.splits.items() for video in videos}
    return VideoLabels(annotations.vocabulary, splits, annotations.weak, annotations.dense)


def table_labels(
    vocabulary: Vocabulary, table: WeakTable, events: Mapping[str, Sequence[Event]] | None = None
) -> VideoLabels:
    """Labels from a user's own tables of weak labels and, where given, of dense events.

    A segment is on where an event covers its middle; a video without any event is taken as not annotated.
    """

    def dense(video: str, modality: str, segments: int, segment_seconds: float) -> BoolArray | None:
        if events is None or video not in events:
            return None
        truth = np.zeros((segments, len(vocabulary)), dtype=bool)
        middle = (np.arange(segments) + 0.5) * segment_seconds
        for event in events[video]:
            if event.modality == modality:
                truth[(event.onset <= middle) & (middle < event.offset), vocabulary.index(event.class_name)] = True
        return truth

    rows = list(zip(table.videos, table.splits, table.weak, strict=True))
    return VideoLabels(vocabulary, {v: s for v, s, _ in rows}, {v: w for v, _, w in rows}, dense)


def read_labels(labels: Path, classes: Path | None = None, events: Path | None = None) -> VideoLabels:
    """Read a folder of tables in the LLP format, or a user's own tables.

    Args:
        labels: the folder, or a table ``video,labels[,split]``.
        classes: class names, one a line; required with a table.
        events: a table ``video,class,modality,onset,offset``, only with a table of labels.

    Raises:
        UserError: a file is missing or bad, or the options do not go together.
    """
    if labels.is_dir():
        if classes is not None or events is not None:
            raise UserError("--classes and --events go with a table of labels; a folder in the LLP format has its own")
        return llp_labels(read_llp(labels))
    if classes is None:
        raise UserError("--classes: give the class names, one a line, together with a table of labels")
    vocabulary = Vocabulary.read(classes)
    table = read_weak_table(labels, vocabulary)
    if events is None:
        return table_labels(vocabulary, table)
    dense = read_event_table(events, vocabulary)
    labelled = set(table.videos)
    unknown = [video for video in dense if video not in labelled]
    if unknown:
        _log.warning(
            "%s: %d of its %d videos have no row in %s (such as '%s') and are left out",
            *(events, len(unknown), len(dense), labels, unknown[0]),
        )
    return table_labels(vocabulary, table, dense)


def extract_store(
    folder: Path,
    labels: VideoLabels,
    out: Path,
    *,
    extractor: str = "light",
    segment_seconds: float = 1.0,
    workers: int | None = None,
    description: str = "",
) -> list[Failed]:
    """Extract the labelled videos of ``folder`` into the feature store ``out``; a killed extraction continues.

    A video is the file whose name without ending is its id.

    Returns:
        The videos that could not be read, each with the reason; the others are in the store.

    Raises:
        UserError: no labelled video is in the folder or none can be read, two files have the name of one, or ``out``
            is a store with other settings or with other labels of a video.
    """
    paths = _find(folder, list(labels.splits))
    streams = {
        name: StreamInfo(dimension=stream.dimension, dtype="float32", extractor=extractor)
        for name, stream in make_streams(extractor).items()
    }
    begun = out.exists()
    if begun:
        _check_labels(FeatureStore.open(out), labels)
    failures: list[Failed] = []
    with _open(out, labels.vocabulary, streams, segment_seconds, description) as writer:
        done = writer.done
        waiting = [path for path in paths if path.stem not in done]
        results = extract_videos(waiting, extractor, segment_seconds=segment_seconds, workers=workers)
        pending: list[Extracted] = []
        for result in track(results, "extract", total=len(paths), first=len(paths) - len(waiting)):
            if isinstance(result, Failed):
                failures.append(result)
                continue
            pending.append(result)
            if len(pending) == _COMMIT_VIDEOS:
                writer.append(_block(pending, labels, segment_seconds))
                pending = []
        if pending:
            writer.append(_block(pending, labels, segment_seconds))
    if not begun and len(failures) == len(paths):
        shutil.rmtree(out)
        raise UserError(
            f"{folder}: none of {len(paths)} videos could be read, so no store was made; {failures[0].reason}"
        )
    return failures


def _find(folder: Path, videos: Sequence[str]) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of videos")
    labelled, files = set(videos), dict[str, Path]()
    for path in _files(folder):
        if path.stem in labelled and path.stem in files:
            raise UserError(
                f"{folder}: '{files[path.stem].name}' and '{path.name}' are both video '{path.stem}'; keep one"
            )
        files[path.stem] = path
    paths = [files[video] for video in videos if video in files]
    missing = [video for video in videos if video not in files]
    if paths and missing:
        _log.warning(
            "%s: no file of %d of %d labelled videos (such as '%s')", folder, len(missing), len(videos), missing[0]
        )
    if not paths:
        raise UserError(f"{folder}: holds none of the {len(videos)} labelled videos; name each file by its video's id")
    return paths


def _check_labels(store: FeatureStore, labels: VideoLabels) -> None:
    """Refuse to go on with a store whose videos were labelled otherwise."""
    for position, video in enumerate(store.videos):
        if video not in labels.splits:
            continue
        dense = [labels.dense(video, m, int(store.lengths[position]), store.segment_seconds) for m in MODALITIES]
        same = {
            "split": store.splits[position] == labels.splits[video],
            "labels": np.array_equal(store.weak[position], labels.weak[video]),
            "events": store.annotated[position] == (dense[0] is not None),
        }
        if same["events"] and dense[0] is not None:
            truth = store.dense_truth(np.array([position]))[:2]
            same["events"] = all(b is not None and np.array_equal(a[0], b) for a, b in zip(truth, dense, strict=True))
        for what, holds in same.items():
            if not holds:
                raise UserError(
                    f"{store.path}: video '{video}' is in it with other {what}; remove the store, or write a new one"
                )


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith("."))


def _open(
    out: Path, vocabulary: Vocabulary, streams: dict[str, StreamInfo], segment_seconds: float, description: str
) -> StoreWriter:
    if out.exists():
        return StoreWriter.reopen(out, vocabulary=vocabulary, streams=streams, segment_seconds=segment_seconds)
    return StoreWriter.create(
        out,
        vocabulary=vocabulary,
        streams=streams,
        segment_seconds=segment_seconds,
        truth=True,
        description=description,
    )


def _block(videos: Sequence[Extracted], labels: VideoLabels, segment_seconds: float) -> Block:
    ids = [Path(v.path).stem for v in videos]
    lengths = [len(v.audio_present) for v in videos]
    dense = [{m: labels.dense(i, m, t, segment_seconds) for m in MODALITIES} for i, t in zip(ids, lengths, strict=True)]
    classes = len(labels.vocabulary)

    def stacked(modality: str) -> BoolArray:
        parts = [d[modality] for d in dense]
        return np.concatenate(
            [np.zeros((t, classes), bool) if p is None else p for p, t in zip(parts, lengths, strict=True)]
        )

    return Block(
        videos=ids,
        splits=[labels.splits[i] for i in ids],
        lengths=lengths,
        durations=[v.duration_s for v in videos],
        sources=[Path(v.path).name for v in videos],
        weak=np.stack([labels.weak[i] for i in ids]),
        streams={name: np.concatenate([v.streams[name] for v in videos]) for name in videos[0].streams},
        present=np.concatenate([np.stack((v.audio_present, v.visual_present), axis=1) for v in videos]),
        truth={m: stacked(m) for m in MODALITIES},
        annotated=np.array([d["audio"] is not None for d in dense]),
    )
