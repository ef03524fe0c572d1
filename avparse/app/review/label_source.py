"""Labels of a feature store under review: the table that ``denoise`` writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from avparse.app.labels_of_store import load_labels
from avparse.app.review.evidence import against_label
from avparse.app.review.segment_scores import SegmentScores
from avparse.app.review.source import Kind, Lanes, ReviewedVideo, Row, digest
from avparse.data.made_up import made_up
from avparse.data.store import FeatureStore
from avparse.data.vocabulary import MODALITIES
from avparse.labels.reviewing.item import ReviewItem, label_items
from avparse.labels.table import RefinedLabels


class LabelSource:
    """Every label of a table of refined labels is an item.

    Args:
        store: feature store that the labels are about.
        path: path of the table.
        run: folder of a run whose parser tells which seconds argue against a label; None for that of which the table
            is a part, if it is part of one.

    Raises:
        UserError: the file is not such a table, it was made for other data, or the run does not fit the store.
    """

    kind: Kind = "labels"

    def __init__(self, store: FeatureStore, path: Path, run: Path | None = None) -> None:
        labels = load_labels(path, store)
        self.where, self.classes, self.made_up = str(path), labels.classes, made_up(store.manifest.description)
        self._column = {name: column for column, name in enumerate(labels.classes)}
        run = run or _run_of(path)
        self._scores = None if run is None else SegmentScores(store, labels.videos, run)
        self.lane_note = "" if run is not None else "no probabilities: give the run of a parser (--run RUN)"
        self.videos = {
            video: ReviewedVideo(
                duration=float(store.durations[store.position(video)]),
                segment_seconds=store.segment_seconds,
                state=digest([name for name, given in zip(labels.classes, labels.given[n], strict=True) if given]),
            )
            for n, video in enumerate(labels.videos)
        }
        position = {video: n for n, video in enumerate(labels.videos)}
        self.rows = [
            self._row(labels, item, (position[item.video], self._column[item.class_name]))
            for item in label_items(labels)
        ]

    def lanes(self, video: str, names: Sequence[str]) -> Lanes:
        """Return probabilities ``[T, len(names)]`` of some classes by modality; empty without a run."""
        return {} if self._scores is None else self._scores.lanes(video, [self._column[name] for name in names])

    def _row(self, labels: RefinedLabels, item: ReviewItem, at: tuple[int, int]) -> Row:
        target, quality, reason = (values[at] for values in labels.side(item.modality))
        if self._scores is not None:
            sides = self._scores.lanes(item.video, [at[1]])
            here, there = (sides[m] for m in sorted(MODALITIES, key=lambda m: m != item.modality))
            columns = [None if side is None else side[:, 0] for side in (here, there)]
            unit = self.videos[item.video].segment_seconds
            item = replace(item, against=against_label(target >= 0.5, columns[0], columns[1], unit))
        return Row(item, bool(labels.given[at]), float(target), float(quality), str(reason))


def _run_of(path: Path) -> Path | None:
    """Return the run that a table is part of, if it has a trained parser."""
    folder = path.parent
    return folder if (folder / "run.json").is_file() and (folder / "parser.safetensors").is_file() else None
