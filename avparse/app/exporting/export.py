"""Export of events to the formats of other programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from avparse.app.exporting.index import Export, ExportIndex
from avparse.app.exporting.inputs import EventInputs, read_inputs, with_facts
from avparse.data.event_formats import EVENT_FORMATS, EventFormat
from avparse.data.event_formats.dcase import read_durations
from avparse.data.event_formats.lost import lost
from avparse.foundation.errors import UserError
from avparse.foundation.files import writing
from avparse.foundation.locks import LOCK, Lock
from avparse.foundation.settings import lookup

FOLDER = "export"  # of the exports of a folder of results


def read_format_names(text: str) -> list[str]:
    """Return the names of formats of a list with commas between.

    Raises:
        UserError: none is named, or one is unknown; the nearest is offered.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UserError(f"--to: name at least one of {', '.join(EVENT_FORMATS)}")
    for name in names:
        lookup(EVENT_FORMATS, name, "format of events")
    return list(dict.fromkeys(names))


def export_events(
    inputs: Sequence[Path], names: Sequence[str], out: Path | None = None, durations: Path | None = None
) -> list[str]:
    """Write the events of inputs in some formats, each in a folder of its own, and return lines for people.

    Args:
        inputs: paths of folders that ``parse`` wrote, of JSON timelines, and of files of events.
        names: names of the formats.
        out: folder of the exports; None for ``export`` in the folder of the first input.
        durations: path of a table ``filename, duration`` for videos without a timeline; None for none.

    Raises:
        UserError: an input or table is damaged, a format is unknown or lacks what it needs, or a file cannot be
            written.
    """
    formats = {name: lookup(EVENT_FORMATS, name, "format of events") for name in names}
    found = read_inputs(inputs)
    needs = {need for known in formats.values() for need in known.needs}
    found = with_facts(found, needs, {} if durations is None else read_durations(durations))
    folder = out or (inputs[0] if inputs[0].is_dir() else inputs[0].parent) / FOLDER
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with Lock(folder / LOCK, folder):
        index = ExportIndex(folder)
        return [line for name, known in formats.items() for line in _write(name, known, found, index)]


def _write(name: str, known: EventFormat, found: EventInputs, index: ExportIndex) -> list[str]:
    written = known.write(found.table)
    exports = [
        Export(name, found.sources.get(file.video, ""), file.video, file.name, file.content) for file in written.files
    ]
    paths = index.write(exports)
    files = paths[0] if len(paths) == 1 else f"{len(paths)} files in {index.folder / name}"
    notes = [f"{name}: {note}" for note in (*lost(known, found.table), *written.notes)]
    return [f"{known.title}: {len(found.table.events)} events of {len(found.table.videos)} videos, {files}", *notes]
