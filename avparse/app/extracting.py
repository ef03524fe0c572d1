"""Extraction of labelled videos into a feature store."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from avparse.app.changed_files import ChangedFiles
from avparse.app.labelled_files import find_labelled
from avparse.app.skipped import SKIPPED, SkippedTable, split_tried
from avparse.data.datasets import DATASETS
from avparse.data.datasets.annotations import Annotations
from avparse.data.datasets.relabelling import relabel_open
from avparse.data.datasets.tables import read_tables
from avparse.data.made_up import CORPUS, SYNTHETIC
from avparse.data.store.block import Block
from avparse.data.store.format import StreamInfo
from avparse.data.store.writer import StoreWriter
from avparse.data.vocabulary import Vocabulary
from avparse.foundation.errors import UserError
from avparse.foundation.progress import Progress, showing, track
from avparse.foundation.settings import build, read_part
from avparse.media.decoding.guard import DEFAULT_LIMITS, Limits
from avparse.media.extractors import full_name, make_cards, make_streams
from avparse.media.files import LeftOut
from avparse.media.pipeline import Extracted, Failed, extract_videos
from avparse.media.video_ids import file_id

_log = logging.getLogger(__name__)
_COMMIT_VIDEOS = 16


def read_labels(
    labels: Path,
    classes: Path | None = None,
    events: Path | None = None,
    dataset: str | None = None,
    known: Vocabulary | None = None,
) -> Annotations:
    """Read the annotations of a data set, or a user's own tables.

    Args:
        labels: folder of the annotations, or path of a table ``video,labels[,split]``.
        classes: path of the class names, one per line; only with a table of labels.
        events: path of a table ``video,class,modality,onset,offset``; only with a table of labels.
        dataset: name in ``DATASETS`` of the data set of the folder; None for one in the LLP format.
        known: classes of a table where ``classes`` is None; None for those that it names.

    Raises:
        UserError: a file is missing or bad, the data set is unknown, or the options do not go together.
    """
    if labels.is_dir() or dataset is not None:
        if classes is not None or events is not None:
            raise UserError("--classes and --events go with a table of labels; the folder of a data set has its own")
        found: Annotations = build(DATASETS, read_part(DATASETS, "data set", dataset or "llp")).read(labels)
        return replace(found, about=SYNTHETIC) if (labels / CORPUS).is_file() else found
    return read_tables(labels, classes or known, events)


def extract_store(
    folder: Path,
    labels: Annotations,
    out: Path,
    *,
    extractor: str = "light",
    segment_seconds: float | None = None,
    workers: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
    retry_failed: bool = False,
    description: str = "",
    progress: Progress = "auto",
) -> list[LeftOut]:
    """Extract the labelled videos of ``folder`` into the feature store ``out``; a killed extraction continues.

    A video is the file whose name without ending is its id, in any Unicode form. An existing store gets the labels as
    they are now, and videos whose files have changed are extracted anew; what has changed is logged as a warning.
    ``out/skipped.csv`` lists all files without features.

    Args:
        folder: folder of the video files, each named by the id of its video; files of nested folders count, too.
        labels: annotations of the videos.
        out: path of the feature store; an existing one with the same settings is continued.
        extractor: name of the feature extractor in ``EXTRACTORS``, with settings after a colon if it has any.
        segment_seconds: length of a segment in seconds; None for that of the data set.
        workers: number of decoding processes; None for all cores.
        limits: limits of the size and cost of a file.
        retry_failed: whether files that an earlier call could not read are tried again although they are unchanged.
        description: description of the data, which is stored with them; empty for that of the labels.
        progress: display of the progress: None, ``"bar"``, a function ``(done, total, what)``, or ``"auto"``, as in
            :func:`avparse.foundation.progress.showing`.

    Returns:
        The files without features, each with the reason, as in ``skipped.csv``; among them are files of videos that
        could not be read, and of those whose events lie outside the video. The others are in the store.

    Raises:
        UserError: no labelled video is in the folder or none can be read, two files have the id of one video, or
            ``out`` is a store with other settings, or with none of the labelled videos.

    Example:
        >>> labels = read_labels(Path("labels.csv"), Path("classes.txt"))  # doctest: +SKIP
        >>> failed = extract_store(Path("videos"), labels, Path("features/mine"))  # doctest: +SKIP
    """
    if segment_seconds is None:
        segment_seconds = labels.segment_seconds
    extractor = full_name(extractor)
    for note in labels.notes:
        _log.warning(note)
    found, skipped = find_labelled(folder, list(labels.videos), out), SkippedTable(out / SKIPPED)
    paths, failed = split_tried(found.files, skipped, retry_failed)
    begun = out.exists()
    with _open(
        out, labels.vocabulary, _streams(extractor, segment_seconds), segment_seconds, description or labels.about
    ) as writer:
        if begun:
            labels, changes = relabel_open(writer, labels)
            for line in changes.told():
                _log.warning(line)
        files = ChangedFiles(writer.done)
        files.tell_gone(folder, found.files, list(labels.videos))
        waiting = files.waiting(paths)
        results = extract_videos(
            files.stamped(waiting), extractor, segment_seconds=segment_seconds, workers=workers, limits=limits
        )
        with showing(progress):
            tracked = track(results, "extract", total=len(paths), first=len(paths) - len(waiting))
        failures = [*failed.values(), *_append(writer, tracked, labels, files)]
        files.tell_kept([one.path for one in failures])
    if not begun and not writer.done:
        shutil.rmtree(out)
        raise UserError(
            f"{folder}: none of {len(failures)} videos could be read, so no store was made; {failures[0].reason}"
        )
    left = [*found.left, *failures]
    skipped.update(set(found.files) - {one.path for one in failures}, left)
    return left


def _streams(extractor: str, segment_seconds: float) -> dict[str, StreamInfo]:
    cards = make_cards(extractor, segment_seconds)
    return {
        name: StreamInfo(dimension=stream.dimension, dtype="float32", extractor=extractor, card=cards[name])
        for name, stream in make_streams(extractor).items()
    }


def _append(
    writer: StoreWriter, results: Iterable[Extracted | Failed], labels: Annotations, files: ChangedFiles
) -> list[LeftOut]:
    """Append what was extracted, some videos at a time, and return what could not be."""
    failures, pending = list[LeftOut](), list[Extracted]()
    seconds = writer.manifest.segment_seconds
    for result in results:
        path = Path(result.path)
        if isinstance(result, Failed):
            failures.append(LeftOut(path, result.kind, result.reason))
            continue
        misplaced = labels.misplaced(file_id(path), result.duration_s, seconds)
        if misplaced:
            failures.append(LeftOut(path, "events", misplaced))
            continue
        pending.append(result)
        if len(pending) == _COMMIT_VIDEOS:
            writer.append(_block(pending, labels, seconds, files))
            pending = []
    if pending:
        writer.append(_block(pending, labels, seconds, files))
    return failures


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


def _block(videos: Sequence[Extracted], labels: Annotations, segment_seconds: float, files: ChangedFiles) -> Block:
    ids = [file_id(Path(v.path)) for v in videos]
    lengths = [len(v.audio_present) for v in videos]
    known = [labels.videos[i] for i in ids]
    return Block(
        videos=ids,
        splits=[video.split for video in known],
        lengths=lengths,
        durations=[v.duration_s for v in videos],
        origins=[Path(v.path).name for v in videos],
        weak=np.stack([video.weak for video in known]),
        streams={name: np.concatenate([v.streams[name] for v in videos]) for name in videos[0].streams},
        present=np.concatenate([np.stack((v.audio_present, v.visual_present), axis=1) for v in videos]),
        truth=labels.dense_rows(ids, lengths, segment_seconds, [v.duration_s for v in videos]),
        annotated=np.array([video.events is not None for video in known]),
        stamps=[files.stamp(v.path) for v in videos],
    )
