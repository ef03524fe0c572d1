"""The annotation tables of LLP, read exactly as published and with the effect of the official evaluator.

Rules for the dirt of the tables, each counted and reported once:

* onset and offset are cut to whole segments, towards zero, and mark ``[onset, offset)``; what lies behind the end of
  the video is cut off; a row whose onset is then not before its offset marks nothing; a negative time (there is none
  in the published tables) counts from the end;
* rows of one class that touch, overlap or repeat are united;
* rows of videos that are not in the split tables are ignored, whatever they hold;
* a label named twice in one cell counts once; a video listed twice counts where it is listed first.

What the official evaluator could not read either (an unknown class, a time that is no number) is an error.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from avparse.data.datasets.tables import read_rows, seconds
from avparse.data.store.block import check_id
from avparse.data.timeline import runs
from avparse.data.vocabulary import LLP_CLASSES, Vocabulary
from avparse.foundation.arrays import BoolArray
from avparse.foundation.errors import UserError
from avparse.foundation.files import write_text

CLASSES = "classes.txt"
FULL_TABLE = "AVVP_dataset_full.csv"
SPLIT_TABLES = {"train": "AVVP_train.csv", "val": "AVVP_val_pd.csv", "test": "AVVP_test_pd.csv"}
EVENT_TABLES = {
    ("val", "test"): {"audio": "AVVP_eval_audio.csv", "visual": "AVVP_eval_visual.csv"},
    ("train",): {"audio": "truth_train_audio.csv", "visual": "truth_train_visual.csv"},
}
_RULES = {
    "relisted": "a video listed again keeps its first row",
    "repeated_label": "a label named twice counts once",
    "unlisted": "a row of a video outside these splits is ignored",
    "empty": "a row whose onset is not before its offset marks nothing",
    "negative": "a negative time counts from the end of the video",
    "overlapping": "a row that overlaps an earlier one of its class is united with it",
    "duplicate": "a row that repeats an earlier one changes nothing",
}


@dataclass(frozen=True)
class LLPAnnotations:
    """Weak labels and dense events of a folder of LLP tables.

    Attributes:
        vocabulary: the classes.
        splits: split -> ids of its videos, in the order of the table.
        weak: video -> ``[C]`` weak labels.
        annotated: videos whose dense truth is known; one without any row has no event.
        counts: table -> what was found there (``rows``, and the keys of the stated rules).
    """

    vocabulary: Vocabulary
    splits: dict[str, list[str]]
    weak: dict[str, BoolArray]
    annotated: set[str]
    counts: dict[str, Counter[str]]
    _events: dict[tuple[str, str], list[tuple[float, float, int]]] = field(repr=False)

    @property
    def report(self) -> list[str]:
        """One line for each kind of dirt and table: the rule that was applied, and to how many rows."""
        return [
            f"{table}: {rule} ({counts[key]} row{'s' if counts[key] > 1 else ''})"
            for table, counts in self.counts.items()
            for key, rule in _RULES.items()
            if counts[key]
        ]

    def dense(self, video: str, modality: str, segments: int, segment_seconds: float = 1.0) -> BoolArray | None:
        """Return the dense truth ``[segments, C]`` of a video, or None if it is not annotated.

        Times are divided by ``segment_seconds`` and truncated towards zero, as the official evaluator does with 1 s.
        """
        if video not in self.annotated:
            return None
        truth = np.zeros((segments, len(self.vocabulary)), dtype=bool)
        for onset, offset, event in self._events.get((video, modality), []):
            truth[int(onset / segment_seconds) : int(offset / segment_seconds), event] = True
        return truth


def read_llp(folder: Path, vocabulary: Vocabulary | None = None) -> LLPAnnotations:
    """Read the tables of a folder.

    Args:
        folder: holds the three split tables, the two tables of dense events for val and test, and, in synthesised
            corpora, ``truth_train_audio.csv`` and ``truth_train_visual.csv``. Splits may be absent, but not all; so
            may pairs of event tables, which leaves their splits without dense truth.
        vocabulary: the classes; by default those of ``classes.txt`` beside the tables, else the 25 of LLP.

    Raises:
        UserError: no such tables, half a pair, an unknown class, a time that is no number (file and line are named).
    """
    folder = Path(folder)
    if vocabulary is None:
        vocabulary = Vocabulary.read(folder / CLASSES) if (folder / CLASSES).exists() else Vocabulary(LLP_CLASSES)
    counts: dict[str, Counter[str]] = {}
    splits: dict[str, list[str]] = {}
    weak: dict[str, BoolArray] = {}
    for split, table in SPLIT_TABLES.items():
        if (folder / table).exists():
            splits[split] = _read_split(folder / table, vocabulary, weak, counts.setdefault(table, Counter()))
    if not splits:
        raise UserError(f"{folder}: no LLP tables there ({', '.join(SPLIT_TABLES.values())}); check the folder")
    annotated: set[str] = set()
    events: dict[tuple[str, str], list[tuple[float, float, int]]] = {}
    for names, tables in EVENT_TABLES.items():
        missing = [table for table in tables.values() if not (folder / table).exists()]
        if len(missing) == len(tables):
            continue
        if missing:
            raise UserError(f"{folder / missing[0]}: missing, though the other modality is there; add or remove both")
        listed = {video for name in names for video in splits.get(name, [])}
        annotated |= listed
        for modality, table in tables.items():
            found = _read_events(folder / table, vocabulary, listed, counts.setdefault(table, Counter()))
            events |= {(video, modality): rows for video, rows in found.items()}
    return LLPAnnotations(vocabulary, splits, weak, annotated, counts, events)


def write_llp(
    folder: Path,
    vocabulary: Vocabulary,
    videos: Sequence[str],
    splits: Sequence[str],
    weak: BoolArray,
    audio: BoolArray,
    visual: BoolArray,
    segment_seconds: float = 1.0,
    train_truth: bool = False,
) -> None:
    """Write a corpus as LLP tables (and ``classes.txt``), so that :func:`read_llp` gives the same back.

    Args:
        folder: made if absent; tables there are replaced.
        vocabulary: the classes.
        videos: ``N`` ids.
        splits: "train", "val" or "test" for each.
        weak: ``[N, C]`` weak labels.
        audio: ``[N, T, C]`` dense truth of what is heard.
        visual: ``[N, T, C]`` dense truth of what is seen.
        segment_seconds: length of a segment.
        train_truth: also write the dense truth of the training videos, to tables of its own.

    Raises:
        UserError: another split, or arrays of another shape; or the disk refuses.
    """
    count, classes = len(videos), len(vocabulary)
    if any(split not in SPLIT_TABLES for split in splits) or len(splits) != count:
        raise UserError(f"{folder}: each of the {count} videos needs one split of {', '.join(SPLIT_TABLES)}")
    shaped = audio.ndim == 3 and audio.shape == visual.shape == (count, audio.shape[1], classes)
    if weak.shape != (count, classes) or not shaped:
        shapes = f"weak {list(weak.shape)}, audio {list(audio.shape)}, visual {list(visual.shape)}"
        raise UserError(f"{folder}: {shapes} do not fit {count} videos of {classes} classes")
    write_text(folder / CLASSES, "".join(f"{name}\n" for name in vocabulary))
    labels = [[video, ",".join(vocabulary.decode(row))] for video, row in zip(videos, weak, strict=True)]
    _write_table(folder / FULL_TABLE, ["filename", "event_labels"], labels)
    for split, table in SPLIT_TABLES.items():
        rows = [row for row, of in zip(labels, splits, strict=True) if of == split]
        _write_table(folder / table, ["filename", "event_labels"], rows)
    for names, tables in EVENT_TABLES.items():
        if names == ("train",) and not train_truth:
            continue
        chosen = [n for n, split in enumerate(splits) if split in names]
        for table, truth in ((tables["audio"], audio), (tables["visual"], visual)):
            rows = [
                [videos[n], _time(first, segment_seconds), _time(last, segment_seconds), name]
                for n in chosen
                for c, name in enumerate(vocabulary)
                for first, last in runs(truth[n, :, c])
            ]
            _write_table(folder / table, ["filename", "onset", "offset", "event_labels"], rows)


def _read_split(path: Path, vocabulary: Vocabulary, weak: dict[str, BoolArray], count: Counter[str]) -> list[str]:
    videos = []
    for line, row in read_rows(path, ("filename", "event_labels")):
        video, where = row["filename"], f"{path}:{line}"
        check_id(video, where)
        labels = [name.strip() for name in row["event_labels"].split(",") if name.strip()]
        count["rows"] += 1
        count["repeated_label"] += len(set(labels)) < len(labels)
        if video in weak:
            count["relisted"] += 1
            continue
        weak[video] = vocabulary.encode(labels, where)
        videos.append(video)
    return videos


def _read_events(
    path: Path, vocabulary: Vocabulary, listed: set[str], count: Counter[str]
) -> dict[str, list[tuple[float, float, int]]]:
    events: dict[str, list[tuple[float, float, int]]] = {}
    for line, row in read_rows(path, ("filename", "onset", "offset", "event_labels")):
        count["rows"] += 1
        if row["filename"] not in listed:
            count["unlisted"] += 1
            continue
        where = f"{path}:{line}"
        onset, offset = (seconds(row[key], f"{where}: {key}") for key in ("onset", "offset"))
        event = vocabulary.index(row["event_labels"].strip(), where)
        count["empty"] += onset >= offset
        count["negative"] += min(onset, offset) < 0
        earlier = events.setdefault(row["filename"], [])
        count["duplicate"] += (onset, offset, event) in earlier
        count["overlapping"] += any(e == event and onset < b and a < offset for a, b, e in earlier)
        earlier.append((onset, offset, event))
    return events


def _time(segment: int, segment_seconds: float) -> str:
    """Return the shortest text of the start of a segment which truncation turns back into ``segment``."""
    value = segment * segment_seconds
    while int(value / segment_seconds) < segment:
        value = float(np.nextafter(value, np.inf))
    return str(int(value)) if value == int(value) else repr(value)


def _write_table(path: Path, header: list[str], rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows([header, *rows])
    write_text(path, text.getvalue())
