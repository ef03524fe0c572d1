"""The tables of dense events of LLP: one for what is heard, one for what is seen, in whole seconds."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

from avparse.data.datasets.llp import EVENT_TABLES
from avparse.data.event_formats.event_format import EventFormat, Given, OutputFile, Written
from avparse.data.event_formats.event_table import EventTable, VideoEvent, checked
from avparse.data.event_formats.texts import modality_of
from avparse.data.event_formats.tsv import read_tsv, tsv
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.rows import seconds
from avparse.media.video_ids import video_id

_COLUMNS = ("filename", "onset", "offset", "event_labels")
_TABLES = EVENT_TABLES["val", "test"]


def _write(table: EventTable) -> Written:
    ids = {video: video_id(video) for video in table.videos}
    shared = Counter(ids.values())
    names = {video: name if shared[name] == 1 and name else video for video, name in ids.items()}
    files, cut, lost = [], 0, 0
    for modality in MODALITIES:
        rows = []
        for event in table.events:
            if event.modality != modality:
                continue
            first, last = _whole(event)
            cut += (first, last) != (event.onset, event.offset)
            lost += first >= last
            if first < last:
                rows.append((names[event.video], str(first), str(last), event.class_name))
        files.append(OutputFile(_TABLES[modality], tsv(_COLUMNS, rows)))
    notes = []
    if cut:
        notes.append(f"{cut} events are cut to the whole seconds whose middle they cover")
    if lost:
        notes.append(f"{lost} of them cover none and are left out")
    return Written(tuple(files), tuple(notes))


def _whole(event: VideoEvent) -> tuple[int, int]:
    """Return the first second whose middle an event covers, and one past the last."""
    return math.ceil(event.onset - 0.5), math.ceil(event.offset - 0.5)


def _read(path: Path, given: Given) -> EventTable:
    modality, events, empty = modality_of(path, given), [], 0
    for line, row in read_tsv(path, _COLUMNS):
        where = f"{path}:{line}"
        onset, offset = (seconds(row[key], f"{where}: {key}") for key in ("onset", "offset"))
        if onset >= offset:  # the published tables have such rows, which mark nothing
            empty += 1
            continue
        events.append(checked(VideoEvent(row["filename"], row["event_labels"], modality, onset, offset), where))
    notes = (f"{path}: {empty} rows whose onset is not before their offset mark nothing",) if empty else ()
    return EventTable(tuple(events), notes=notes)


def _recognises(path: Path, head: str) -> bool:
    return head.partition("\n")[0].split() == list(_COLUMNS)


FORMAT = EventFormat("LLP's tables", _write, _read, _recognises, frozenset())
