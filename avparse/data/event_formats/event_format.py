"""What a format of events is: a function that writes a table, one that reads a file, and what the format holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from avparse.data.event_formats.event_table import EventTable


class Held(StrEnum):
    """Something of an event that a format may hold or lose; the value is how a note calls it."""

    SCORE = "scores"
    PRECISION = "fractions of a millisecond"
    OVERLAP = "overlaps of events of one class"
    TOUCH = "where events of one class touch"
    ORIGIN = "that the parser was trained on simulated or synthetic data"


class Needed(StrEnum):
    """A fact of a video that a format writes; the value is how a note calls it."""

    DURATION = "duration"
    SAMPLE_RATE = "sample rate"
    FRAME_RATE = "frame rate"


@dataclass(frozen=True)
class OutputFile:
    """A file to write.

    Attributes:
        name: name of a file of all videos, or the ending of a file of one.
        content: bytes of the file.
        video: name of the video that the file is of; empty for a file of all.
    """

    name: str
    content: bytes
    video: str = ""


@dataclass(frozen=True)
class Written:
    """What a format makes of a table.

    Attributes:
        files: the files to write.
        notes: a line for each kind of thing that the format could not hold, besides what its ``holds`` tells.
    """

    files: tuple[OutputFile, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Given:
    """What is known of a file besides its content, for formats that do not say it.

    Attributes:
        video: name of the video; empty for that which the file or its name tells.
        modality: modality of the events; empty for that which the file or its name tells.
        frame_rate: pictures a second, None for those that the file tells.
    """

    video: str = ""
    modality: str = ""
    frame_rate: float | None = None


@dataclass(frozen=True)
class EventFormat:
    """A format of events.

    Attributes:
        title: name of the format or of its program, for people.
        write: function that makes the files of a table.
        read: function that reads a file.
        recognises: function that judges by path and the first characters of the text whether a file is of the format.
        holds: parts of an event that the format keeps; video, class, modality and times to the millisecond all do,
            unless a note of ``write`` says otherwise.
        needs: facts of the videos that the format writes.
    """

    title: str
    write: Callable[[EventTable], Written]
    read: Callable[[Path, Given], EventTable]
    recognises: Callable[[Path, str], bool]
    holds: frozenset[Held] = frozenset(Held)
    needs: frozenset[Needed] = frozenset()
