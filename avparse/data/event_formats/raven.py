"""Raven selection table of one or several files, which follow each other on one axis of time."""

from __future__ import annotations

import itertools
from pathlib import Path, PurePath

from avparse.data.event_formats.csv import read_score
from avparse.data.event_formats.event_format import EventFormat, Given, Held, Needed, OutputFile, Written
from avparse.data.event_formats.event_table import EventTable, VideoEvent, checked
from avparse.data.event_formats.texts import decimal
from avparse.data.event_formats.tsv import read_tsv, tsv
from avparse.data.made_up import made_up
from avparse.foundation.errors import UserError
from avparse.foundation.rows import seconds

_BEGIN, _END, _OFFSET = "Begin Time (s)", "End Time (s)", "File Offset (s)"
_COLUMNS = ("Selection", "View", "Channel", _BEGIN, _END, "Low Freq (Hz)", "High Freq (Hz)", "Begin Path")
_OWN = (_OFFSET, "Delta Time (s)", "Begin File", "Class", "Modality", "Score", "Trained On")
_LABELS = ("Class", "Annotation", "Species", "Common Name")  # as other programs call the column
_USUAL_NYQUIST = 24_000.0  # Hz, of sound of 48 kHz


def _write(table: EventTable) -> Written:
    starts = _starts(table)
    rows, unknown = [], set()
    for number, event in enumerate((e for events in table.by_video().values() for e in events), 1):
        facts = table.videos[event.video]
        onset, offset = event.milliseconds()
        start = starts[event.video]
        nyquist = facts.sample_rate / 2 if facts.sample_rate else _USUAL_NYQUIST
        if not facts.sample_rate:
            unknown.add(event.video)
        place = (str(number), "Spectrogram 1", "1", f"{start + onset / 1000:.6f}", f"{start + offset / 1000:.6f}")
        score = "" if event.score is None else f"{event.score:.4f}"
        own = (decimal(onset), decimal(offset - onset), event.video, event.class_name, event.modality, score)
        rows.append((*place, "0.0", f"{nyquist:.1f}", facts.media or event.video, *own, event.trained_on))
    notes: tuple[str, ...] = ()
    if unknown:
        notes = (f"the sample rate of {len(unknown)} files is unknown: High Freq (Hz) is {_USUAL_NYQUIST:.0f} there",)
    return Written((OutputFile("events.selections.txt", tsv((*_COLUMNS, *_OWN), rows)),), notes)


def _starts(table: EventTable) -> dict[str, float]:
    """Return where each video begins when all of them follow each other, in seconds.

    Raises:
        UserError: the duration of a video is unknown that is followed by another one.
    """
    videos = list(table.videos)
    unknown = [video for video in videos[:-1] if table.videos[video].duration is None]
    if unknown:
        raise UserError(
            f"raven: the duration of {len(unknown)} videos (such as '{unknown[0]}') is unknown, and later files begin "
            "where earlier ones end; export the folder or the JSON timelines of 'parse', or give --durations"
        )
    lengths = [table.videos[video].duration or 0.0 for video in videos]
    return dict(zip(videos, itertools.accumulate(lengths, initial=0.0), strict=False))


def _read(path: Path, given: Given) -> EventTable:
    optional = (_OFFSET, "Begin File", "Begin Path", "View", "Modality", "Score", "Trained On", *_LABELS)
    events, seen = [], set[str]()
    for line, row in read_tsv(path, ("Selection", _BEGIN, _END), optional):
        where = f"{path}:{line}"
        if row["Selection"] in seen:  # Raven lists a selection once for each view
            continue
        seen.add(row["Selection"])
        begin, end = (seconds(row[key], f"{where}: {key}") for key in (_BEGIN, _END))
        onset = seconds(row[_OFFSET], f"{where}: {_OFFSET}") if row[_OFFSET] else begin
        offset = (round(1e6 * onset) + round(1e6 * end) - round(1e6 * begin)) / 1e6
        name = next((row[key] for key in _LABELS if row[key]), "")
        if not name:
            raise UserError(f"{where}: none of the columns {', '.join(_LABELS)} names a class; fill in one")
        video = given.video or row["Begin File"] or PurePath(row["Begin Path"]).name or path.name.partition(".")[0]
        modality = row["Modality"] or given.modality or "audio"  # other programs mark only sounds
        score = read_score(row["Score"], f"{where}: Score")
        events.append(
            checked(VideoEvent(video, name, modality, onset, offset, score, made_up(row["Trained On"])), where)
        )
    return EventTable(tuple(events))


def _recognises(path: Path, head: str) -> bool:
    first = head.partition("\n")[0]
    return first.startswith("Selection\t") and _BEGIN in first


FORMAT = EventFormat(
    "Raven selection table",
    _write,
    _read,
    _recognises,
    frozenset(Held) - {Held.PRECISION},
    frozenset({Needed.DURATION, Needed.SAMPLE_RATE}),
)
