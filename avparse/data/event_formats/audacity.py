"""Audacity label tracks: three columns with tabs between, one file for each modality, the score inside the text."""

from __future__ import annotations

from pathlib import Path

from avparse.data.event_formats.event_format import EventFormat, Given, Held, OutputFile, Written
from avparse.data.event_formats.event_table import EventTable, VideoEvent, checked
from avparse.data.event_formats.texts import decimal, modality_of, parted, scored
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.cells import from_line, in_line
from avparse.foundation.errors import UserError
from avparse.foundation.reading import read_text
from avparse.foundation.rows import seconds


def _write(table: EventTable) -> Written:
    files = []
    for video, events in table.by_video().items():
        for modality in MODALITIES:
            lines = [
                "\t".join((*map(decimal, e.milliseconds()), in_line(scored(e.class_name, e.score)))) + "\n"
                for e in events
                if e.modality == modality
            ]
            files.append(OutputFile(f".{modality}.txt", "".join(lines).encode("utf-8"), video))
    return Written(tuple(files))


def _read(path: Path, given: Given) -> EventTable:
    modality, events = modality_of(path, given), []
    video = given.video or path.stem.removesuffix(f".{modality}")
    for number, line in enumerate(read_text(path, mend="export the labels from Audacity again").split("\n"), 1):
        where = f"{path}:{number}"
        if not line.strip() or line.startswith("\\\t"):  # the second line of a label has the frequencies
            continue
        cells = line.removesuffix("\r").split("\t")
        if len(cells) != 3:
            raise UserError(f"{where}: {len(cells)} columns, not onset, offset and text with tabs between; mend it")
        onset, offset = seconds(cells[0], f"{where}: onset"), seconds(cells[1], f"{where}: offset")
        name, score = parted(from_line(cells[2]))
        events.append(checked(VideoEvent(video, name, modality, onset, offset, score), where))
    return EventTable(tuple(events))


def _recognises(path: Path, head: str) -> bool:
    if not head.strip():  # a track without labels
        return path.suffix.lower() == ".txt"
    cells = head.partition("\n")[0].split("\t")
    return len(cells) == 3 and all(_is_number(cell) for cell in cells[:2])


def _is_number(cell: str) -> bool:
    return cell.replace(",", ".", 1).replace(".", "", 1).isdecimal()


FORMAT = EventFormat("Audacity labels", _write, _read, _recognises, frozenset(Held) - {Held.PRECISION, Held.ORIGIN})
