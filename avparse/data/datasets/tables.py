"""A user's own labels as plain tables, comma- or tab-separated: weak labels a video, and dense events.

Weak labels: columns ``video, labels[, split]``; labels are separated by ``|`` or, in a tab-separated or quoted cell, by
commas. Dense events: columns ``video, class, modality, onset, offset`` (seconds, offset exclusive). Columns may come in
any order and others are ignored.
"""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

import numpy as np

from avparse.data.store.block import check_id
from avparse.data.store.format import SPLITS
from avparse.data.timeline import Event
from avparse.data.vocabulary import MODALITIES, Vocabulary
from avparse.foundation.arrays import BoolArray
from avparse.foundation.errors import UserError, nearest

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class WeakTable:
    """Weak labels of some videos.

    Attributes:
        videos: ids, in the order of the file.
        splits: "train", "val", "test" or "" for each.
        weak: ``[n, C]`` weak labels.
    """

    videos: list[str]
    splits: list[str]
    weak: BoolArray


def read_weak_table(path: PathLike, vocabulary: Vocabulary) -> WeakTable:
    """Read a table of weak labels; a video may have none.

    Raises:
        UserError: not such a table, an unknown class or split (the nearest is offered), an unsafe or repeated video;
            file and line are named.
    """
    videos: dict[str, int] = {}
    splits, weak = [], []
    for line, row in read_rows(path, ("video", "labels"), optional=("split",)):
        where, video, split = f"{path}:{line}", row["video"].strip(), row["split"].strip()
        labels = [name.strip() for name in re.split(r"[|,]", row["labels"]) if name.strip()]
        check_id(video, where)
        if video in videos:
            raise UserError(f"{where}: video '{video}' is in line {videos[video]} already; keep one of the two")
        if split not in SPLITS:
            raise UserError(f"{where}: unknown split '{split}'{nearest(split, filter(None, SPLITS))}")
        videos[video] = line
        splits.append(split)
        weak.append(vocabulary.encode(labels, where))
    return WeakTable(list(videos), splits, np.array(weak, dtype=bool).reshape(len(videos), len(vocabulary)))


def read_event_table(path: PathLike, vocabulary: Vocabulary) -> dict[str, list[Event]]:
    """Read a table of dense events; return the events of each video, in the order of the file.

    Raises:
        UserError: not such a table, an unknown class or modality (the nearest is offered), a time that is no number,
            negative, or not before its offset; file and line are named.
    """
    events: dict[str, list[Event]] = {}
    for line, row in read_rows(path, ("video", "class", "modality", "onset", "offset")):
        where, video, modality = f"{path}:{line}", row["video"].strip(), row["modality"].strip()
        check_id(video, where)
        name = row["class"].strip()
        vocabulary.index(name, where)
        if modality not in MODALITIES:
            raise UserError(f"{where}: unknown modality '{modality}'{nearest(modality, MODALITIES)}")
        onset, offset = (seconds(row[key], f"{where}: {key}") for key in ("onset", "offset"))
        if onset < 0:
            raise UserError(f"{where}: onset {onset:g} s is negative; times count from the start of the video")
        if onset >= offset:
            raise UserError(f"{where}: onset {onset:g} s is not before offset {offset:g} s; swap or remove the row")
        events.setdefault(video, []).append(Event(name, modality, onset, offset))
    return events


def read_rows(
    path: PathLike, columns: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and named cells of each row of a comma- or tab-separated UTF-8 table with a header line.

    A tab in the header line makes it tab-separated. Empty lines are skipped; optional columns that the file lacks read
    as empty.

    Raises:
        UserError: the file cannot be read, lacks a column or has one twice, or a row has more or fewer cells than it.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            yield from _cells(file, str(path), columns, optional)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a UTF-8 text table ({error}); save it as CSV again") from None


def seconds(cell: str, where: str) -> float:
    """Return a finite number of seconds.

    Raises:
        UserError: not a number, NaN or infinite; ``where`` names the place.
    """
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{where} is '{cell[:40]}', not a finite number of seconds; mend the row")
    return value


def _cells(
    file: TextIO, path: str, columns: Sequence[str], optional: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    first = file.readline()
    delimiter = "\t" if "\t" in first else ","
    header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
    for name in (*columns, *optional):
        found = header.count(name)
        if found > 1 or (name in columns and not found):
            problem = "occurs twice" if found else "is missing"
            raise UserError(f"{path}:1: column '{name}' {problem}; the header needs {', '.join(columns)}")
    at = {name: header.index(name) for name in (*columns, *optional) if name in header}
    reader = csv.reader(file, delimiter=delimiter)
    for cells in reader:
        if not cells:
            continue
        line = reader.line_num + 1
        if len(cells) != len(header):
            raise UserError(f"{path}:{line}: {len(cells)} cells, the header has {len(header)}; mend the row")
        yield line, {name: cells[at[name]] if name in at else "" for name in (*columns, *optional)}
