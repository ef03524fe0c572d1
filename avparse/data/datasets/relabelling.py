"""Other annotations for the features of a store: mended labels, splits, events and classes, without an extraction."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from avparse.data.datasets.annotations import AnnotatedVideo, Annotations
from avparse.data.datasets.tables import read_event_table
from avparse.data.store import FeatureStore
from avparse.data.store.annotations import StoredAnnotations, annotation_rows, with_truth
from avparse.data.store.contents import Contents
from avparse.data.store.truth import runs_column
from avparse.data.store.writer import StoreWriter
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.errors import UserError

_NAMED = 20  # videos that a message names
_Content = tuple[str, frozenset[str], frozenset[tuple[str, str, int, int]] | None]


@dataclass(frozen=True)
class LabelChanges:
    """What other annotations have changed in a store.

    Attributes:
        store: path of the store.
        videos: number of videos of the store now.
        labels: videos that have other weak labels than before.
        splits: videos that are in another split than before.
        events: videos that have other dense truth than before, or have it for the first time or no longer.
        added: classes that the store did not have before.
        removed: classes that the store had before.
        reordered: whether the classes that stayed are in another order.
        returned: videos that had features and no annotations before.
        left_out: videos that have features and no annotations now.
        without_features: annotated videos that the store has no features of.
    """

    store: Path
    videos: int
    labels: tuple[str, ...]
    splits: tuple[str, ...]
    events: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    reordered: bool
    returned: tuple[str, ...]
    left_out: tuple[str, ...]
    without_features: tuple[str, ...]

    def told(self) -> list[str]:
        """Return a line for each kind of change, and one for the videos that are left out; empty if there are none."""
        lines = [
            f"{len(videos)} of {self.videos} videos {what} (such as '{videos[0]}')"
            for what, videos in (
                ("have other labels", self.labels),
                ("are in another split", self.splits),
                ("have other events", self.events),
                ("are in the store again", self.returned),
            )
            if videos
        ]
        lines += [
            f"classes {what}: {', '.join(names)}"
            for what, names in (("added", self.added), ("removed", self.removed))
            if names
        ]
        if self.reordered:
            lines.append("the classes are in another order")
        if self.left_out:
            lines.append(f"{_count(self.left_out)} with features and no labels, left out: {_list(self.left_out)}")
        return [f"{self.store}: {line}" for line in lines]

    def __str__(self) -> str:
        lines = self.told() or [f"{self.store}: {self.videos} videos, nothing has changed"]
        if self.without_features:
            absent = f"{_count(self.without_features)} with labels and no features"
            lines.append(f"{self.store}: {absent} (such as '{self.without_features[0]}'); extract or import them")
        return "\n".join(lines)


def relabel(path: str | os.PathLike[str], labels: Annotations) -> LabelChanges:
    """Put other annotations in the place of those of a store; its features stay as they are.

    Args:
        path: path of the feature store.
        labels: annotations of its videos. A video without any is left out of the store, and is there again once it has
            annotations.

    Raises:
        UserError: there is no store, none of its videos is annotated, another process is writing there, or the disk
            refuses; the store is as before.
    """
    with StoreWriter.reopen(path) as writer:
        return relabel_open(writer, labels)[1]


def relabel_open(writer: StoreWriter, labels: Annotations) -> tuple[Annotations, LabelChanges]:
    """Put other annotations in the place of those of a store that is open for writing, as :func:`relabel` does.

    Returns:
        The annotations as the store has them now, where videos keep the splits that were drawn for them before; and
        what has changed.

    Raises:
        UserError: no video of the store is annotated, an event lies outside its video, or the disk refuses; the store
            is as before.
    """
    contents, labels = writer.contents(), labels.with_known_splits(writer.annotations.splits)
    index = contents.index.take(pa.array(contents.current(), pa.int64()))  # of an empty store as well
    known = [video in labels.videos for video in index["video"].to_pylist()]
    if known and not any(known):
        raise UserError(
            f"{writer.path}: none of its {len(known)} videos is among the labelled ones; check --labels, or choose "
            "another store"
        )
    chosen = index.filter(pa.array(known, pa.bool_()))
    before, seconds = writer.annotations, contents.manifest.segment_seconds
    _check_events(writer.path, chosen, labels, seconds)
    after = _annotations(chosen, labels, seconds, before.info.truth)
    changes = _changes(writer.path, index["video"].to_pylist(), labels, before, after)
    if after.info.version != before.info.version:
        writer.annotate(after)
    return labels, changes


def with_events(store: FeatureStore, events: str | os.PathLike[str], split: str) -> FeatureStore:
    """Return a store with other dense truth in one split, in memory; the store on the disk stays as it is.

    Args:
        store: feature store whose features and other splits stay as they are.
        events: path of a table ``video,class,modality,onset,offset``, such as ``parse`` writes.
        split: name of the split; videos of it that the table does not name are in no split then.

    Raises:
        UserError: the table cannot be read, names no video of the split, or has an event outside its video.
    """
    path, vocabulary = os.fspath(events), store.vocabulary
    rows, positions = read_event_table(path, vocabulary), store.select(split)
    named = [int(i) for i in positions if store.videos[i] in rows]
    if not named:
        raise UserError(f"{path}: none of its {len(rows)} videos is among the {split} videos of {store.path}")
    weak = store.weak
    videos = {
        video: AnnotatedVideo(split if found else "", weak[i], tuple(r.event for r in found) if found else None, video)
        for i in positions
        for video, found in [(store.videos[i], rows.get(store.videos[i], []))]
    }
    places = {video: tuple(f"{path}:{r.line}" for r in rows[video]) for video in videos if video in rows}
    labels = Annotations(vocabulary, videos, store.segment_seconds, places=places)
    contents = Contents.read(store.path)
    index = contents.index.take(pa.array(contents.current(), pa.int64()))
    index = index.filter(pc.is_in(index["video"], value_set=pa.array(list(videos), pa.string())))
    _check_events(store.path, index, labels, store.segment_seconds)
    changed = _annotations(index, labels, store.segment_seconds, truth=True).table
    before = contents.annotations
    after = StoredAnnotations.of(vocabulary, True, before.table, before.so_far).with_rows(changed)
    return FeatureStore(store.path, replace(contents, annotations=after))


def _check_events(path: Path, index: pa.Table, labels: Annotations, segment_seconds: float) -> None:
    """Refuse events outside their videos, whose durations the store knows."""
    spans = zip(index["video"].to_pylist(), index["duration"].to_pylist(), strict=True)
    wrong = [told for video, duration in spans if (told := labels.misplaced(video, duration, segment_seconds))]
    if wrong:
        more = f"; and of {len(wrong) - 1} more videos" if len(wrong) > 1 else ""
        raise UserError(f"{wrong[0]}{more}; {path} is as before")


def _annotations(index: pa.Table, labels: Annotations, segment_seconds: float, truth: bool) -> StoredAnnotations:
    """Return the annotations of the videos of a store, with truth if there is any or was meant to be."""
    videos, lengths = index["video"].to_pylist(), index["segments"].to_pylist()
    known = [labels.videos[video] for video in videos]
    rows = annotation_rows(
        videos,
        [video.split for video in known],
        [labels.vocabulary.decode(video.weak) for video in known],
        np.array([video.events is not None for video in known], dtype=bool),
    )
    if videos:
        dense = labels.dense_rows(videos, lengths, segment_seconds, index["duration"].to_pylist())
        for modality in MODALITIES:
            rows = with_truth(rows, modality, runs_column(dense[modality], lengths))
    return StoredAnnotations.of(labels.vocabulary, truth or labels.has_truth, rows)


def _changes(
    path: Path, stored: Sequence[str], labels: Annotations, before: StoredAnnotations, after: StoredAnnotations
) -> LabelChanges:
    there = set(stored)
    old, new = _by_video(before), _by_video(after)
    both = [video for video in new if video in old]
    classes, now = before.vocabulary.names, after.vocabulary.names
    stayed = [name for name in classes if name in now]

    def differing(part: int) -> tuple[str, ...]:
        return tuple(video for video in both if old[video][part] != new[video][part])

    return LabelChanges(
        store=path,
        videos=len(new),
        splits=differing(0),
        labels=differing(1),
        events=differing(2),
        added=tuple(name for name in now if name not in classes),
        removed=tuple(name for name in classes if name not in now),
        reordered=stayed != [name for name in now if name in classes],
        returned=tuple(video for video in new if video not in old),
        left_out=tuple(video for video in stored if video not in new),
        without_features=tuple(video for video in labels.videos if video not in there),
    )


def _by_video(annotations: StoredAnnotations) -> dict[str, _Content]:
    """Return split, labels and events of each video, by the names of the classes; events None where unknown."""
    names, table = annotations.vocabulary.names, annotations.table
    sides = [table[modality].to_pylist() for modality in MODALITIES]
    columns = [table[name].to_pylist() for name in ("video", "split", "labels", "annotated")]
    return {
        video: (
            split,
            frozenset(given),
            frozenset(
                (modality, names[numbers[k]], numbers[k + 1], numbers[k + 2])
                for modality, numbers in zip(MODALITIES, runs, strict=True)
                for k in range(0, len(numbers), 3)
            )
            if annotated
            else None,
        )
        for video, split, given, annotated, *runs in zip(*columns, *sides, strict=True)
    }


def _count(videos: Sequence[str]) -> str:
    return f"{len(videos)} video{'s' if len(videos) > 1 else ''}"


def _list(videos: Sequence[str]) -> str:
    more = [f"and {len(videos) - _NAMED} more"] if len(videos) > _NAMED else []
    return ", ".join([*(f"'{video}'" for video in videos[:_NAMED]), *more])
