"""Reading of a file of events in a format that is named, or guessed by the content of the file."""

from __future__ import annotations

from pathlib import Path

from avparse.data.event_formats import EVENT_FORMATS
from avparse.data.event_formats.event_format import Given
from avparse.data.event_formats.event_table import EventTable
from avparse.foundation.errors import UserError
from avparse.foundation.platform import open_regular
from avparse.foundation.settings import lookup

_HEAD = 1 << 16  # bytes at the beginning of a file by which its format is guessed


def read_events(path: Path, name: str | None = None, given: Given | None = None) -> EventTable:
    """Read a file of events.

    Args:
        path: path of the file.
        name: name of its format, None to guess it by the content.
        given: facts of the file besides its content, None for none.

    Raises:
        UserError: the file cannot be read, its format is unknown, or it is damaged; file, line and field are named.
    """
    known = lookup(EVENT_FORMATS, guessed_format(path) if name is None else name, "format of events")
    return known.read(path, given or Given())


def guessed_format(path: Path) -> str:
    """Return the name of the first format that takes a file for one of its own.

    Raises:
        UserError: the file cannot be read, or no format does.
    """
    try:
        with open_regular(path) as file:
            head = file.read(_HEAD).decode("utf-8-sig", "replace").replace("\r\n", "\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}); check the path") from None
    for name, known in EVENT_FORMATS.items():
        if known.recognises(path, head):
            return name
    raise UserError(f"{path}: no format of events is recognised; give --format, one of {', '.join(EVENT_FORMATS)}")
