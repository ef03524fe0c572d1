"""The annotation tables of LLP, read exactly as published and with the effect of the official evaluator.

The tables contain irregularities. These rules are applied, each counted and reported once:

* onset and offset are cut to whole segments, towards zero, and mark ``[onset, offset)``; what lies behind the end of
  the video is cut off; a row whose onset is then not before its offset marks nothing; a negative time (there is none
  in the published tables) counts from the end;
* rows of one class that touch, overlap or repeat are united;
* rows of videos that are not in the split tables are ignored, whatever they hold;
* a label named twice in one cell counts once; a video listed twice counts where it is listed first.

An entry that the official evaluator could not read either (an unknown class, a time that is not a number) is an error.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from avparse.data.datasets.annotations import YOUTUBE_ID, AnnotatedVideo, Annotations
from avparse.data.datasets.feature_folders import FeatureFolder
from avparse.data.store.block import check_id
from avparse.data.timeline import Event, runs
from avparse.data.vocabulary import LLP_CLASSES, LLP_FRAMES, Vocabulary
from avparse.foundation.arrays import BoolArray
from avparse.foundation.errors import UserError
from avparse.foundation.files import write_text
from avparse.foundation.rows import read_rows, seconds
from avparse.foundation.settings import PartConfig

CLASSES = "classes.txt"
FULL_TABLE = "AVVP_dataset_full.csv"
SPLIT_TABLES = {"train": "AVVP_train.csv", "val": "AVVP_val_pd.csv", "test": "AVVP_test_pd.csv"}
EVENT_TABLES = {
    ("val", "test"): {"audio": "AVVP_eval_audio.csv", "visual": "AVVP_eval_visual.csv"},
    ("train",): {"audio": "truth_train_audio.csv", "visual": "truth_train_visual.csv"},
}
LLP_FOLDERS = (
    FeatureFolder("audio", "vggish", 128),
    FeatureFolder("frames", "res152", 2048, per_segment=LLP_FRAMES),
    FeatureFolder("clips", "r2plus1d_18", 512),
)
_RULES = {
    "relisted": "a video listed again keeps its first row",
    "repeated_label": "a label named twice counts once",
    "unlisted": "a row of a video outside these splits is ignored",
    "empty": "a row whose onset is not before its offset marks nothing",
    "negative": "a negative time counts from the end of the video",
    "overlapping": "a row that overlaps an earlier one of its class is united with it",
    "duplicate": "a row that repeats an earlier one changes nothing",
}


class LLP:
    """The published LLP: its tables, and its folders of VGGish, ResNet-152 and R(2+1)D features."""

    class Config(PartConfig):
        """Settings: none."""

        name: Literal["llp"] = "llp"

    origin = "LLP"
    description = "imported from the published LLP features"

    def __init__(self, config: Config) -> None:
        self.config = config

    def read(self, folder: Path) -> Annotations:
        """Read the tables of a folder; see :func:`read_llp`."""
        return read_llp(folder)

    def sources(self, features: Path) -> tuple[FeatureFolder, ...]:
        """Return the folders that the published features come in."""
        return LLP_FOLDERS


def read_llp(folder: str | Path, vocabulary: Vocabulary | None = None) -> Annotations:
    """Read the tables of a folder.

    Args:
        folder: path of the folder with the three split tables, the two tables of dense events for val and test, and, in
            synthesised corpora, ``truth_train_audio.csv`` and ``truth_train_visual.csv``. Splits may be absent, but not
            all; pairs of event tables may be absent, which leaves their splits without dense truth.
        vocabulary: classes of the tables; None for those of ``classes.txt`` next to the tables, or else the 25 of LLP.

    Raises:
        UserError: no such tables, half a pair, an unknown class, a time that is no number (file and line are named).
    """
    folder = Path(folder)
    if vocabulary is None:
        vocabulary = Vocabulary.read(folder / CLASSES) if (folder / CLASSES).exists() else Vocabulary(LLP_CLASSES)
    counts: dict[str, Counter[str]] = {}
    weak: dict[str, tuple[str, BoolArray]] = {}  # video -> split and labels
    for split, table in SPLIT_TABLES.items():
        if (folder / table).exists():
            _read_split(folder / table, split, vocabulary, weak, counts.setdefault(table, Counter()))
    if not counts:
        raise UserError(f"{folder}: no LLP tables there ({', '.join(SPLIT_TABLES.values())}); check the folder")
    events: dict[str, list[Event]] = {}  # of the annotated videos
    for names, tables in EVENT_TABLES.items():
        missing = [table for table in tables.values() if not (folder / table).exists()]
        if len(missing) == len(tables):
            continue
        if missing:
            raise UserError(f"{folder / missing[0]}: missing, though the other modality is there; add or remove both")
        listed: dict[str, list[Event]] = {video: [] for video, (split, _) in weak.items() if split in names}
        for modality, table in tables.items():
            _read_events(folder / table, modality, vocabulary, listed, counts.setdefault(table, Counter()))
        events |= listed
    videos = {
        video: AnnotatedVideo(split, labels, tuple(events[video]) if video in events else None, video[:YOUTUBE_ID])
        for video, (split, labels) in weak.items()
    }
    return Annotations(vocabulary, videos, activity=whole_segments, notes=_notes(counts))


def whole_segments(onset: float, offset: float, segments: int, segment_seconds: float, end: float) -> slice:
    """Return the segments from that of the onset to the one before that of the offset, both truncated towards zero.

    This is what the official evaluator does with segments of 1 s. An event up to the end of the video, which the last
    segment may not fill, is in that segment as well.
    """
    to_the_end = end < segments * segment_seconds and offset >= end
    return slice(int(onset / segment_seconds), segments if to_the_end else int(offset / segment_seconds))


def write_llp(
    folder: Path,
    vocabulary: Vocabulary,
    videos: Sequence[str],
    splits: Sequence[str],
    *,
    weak: BoolArray,
    audio: BoolArray,
    visual: BoolArray,
    segment_seconds: float = 1.0,
    train_truth: bool = False,
) -> None:
    """Write a corpus as LLP tables (and ``classes.txt``), which :func:`read_llp` reads back unchanged.

    Args:
        folder: path of the folder, created if it does not exist; tables there are replaced.
        vocabulary: classes of the corpus, in order.
        videos: ids of the N videos.
        splits: split of each video: "train", "val" or "test".
        weak: ``[N, C]`` weak labels.
        audio: ``[N, T, C]`` dense truth of what is heard.
        visual: ``[N, T, C]`` dense truth of what is seen.
        segment_seconds: length of a segment in seconds.
        train_truth: whether to write the dense truth of the training videos too, to tables of its own.

    Raises:
        UserError: a split is unknown, an array has another shape, or the files cannot be written.
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


def _read_split(
    path: Path, split: str, vocabulary: Vocabulary, weak: dict[str, tuple[str, BoolArray]], count: Counter[str]
) -> None:
    """Add the videos of a split table to ``weak``, each with its split and its labels."""
    for line, row in read_rows(path, ("filename", "event_labels")):
        video, where = row["filename"], f"{path}:{line}"
        check_id(video, where)
        labels = [name.strip() for name in row["event_labels"].split(",") if name.strip()]
        count["rows"] += 1
        count["repeated_label"] += len(set(labels)) < len(labels)
        if video in weak:
            count["relisted"] += 1
            continue
        weak[video] = split, vocabulary.encode(labels, where)


def _read_events(
    path: Path, modality: str, vocabulary: Vocabulary, listed: dict[str, list[Event]], count: Counter[str]
) -> None:
    """Add the rows of a table of dense events to the videos that are ``listed``."""
    for line, row in read_rows(path, ("filename", "onset", "offset", "event_labels")):
        count["rows"] += 1
        if row["filename"] not in listed:
            count["unlisted"] += 1
            continue
        where = f"{path}:{line}"
        onset, offset = (seconds(row[key], f"{where}: {key}") for key in ("onset", "offset"))
        name = row["event_labels"].strip()
        vocabulary.index(name, where)
        event, events = Event(name, modality, onset, offset), listed[row["filename"]]
        same = [e for e in events if (e.class_name, e.modality) == (name, modality)]
        count["empty"] += onset >= offset
        count["negative"] += min(onset, offset) < 0
        count["duplicate"] += event in same
        count["overlapping"] += any(onset < e.offset and e.onset < offset for e in same)
        events.append(event)


def _notes(counts: Mapping[str, Counter[str]]) -> tuple[str, ...]:
    """Return one line for each kind of irregularity and table: the rule that was applied, and the number of rows."""
    return tuple(
        f"{table}: {rule} ({count[key]} row{'s' if count[key] > 1 else ''})"
        for table, count in counts.items()
        for key, rule in _RULES.items()
        if count[key]
    )


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
