"""Commands that take events to other programs and back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avparse.foundation.errors import UserError, printable

if TYPE_CHECKING:
    from avparse.data.event_formats.event_format import Given

app = typer.Typer()
command = partial(app.command, rich_help_panel="Parse and score")

FormatName = Annotated[
    str | None, typer.Option("--format", help="Format of the files of events; by default it is guessed by the content.")
]
VideoName = Annotated[str, typer.Option(help="Name of the video of events whose file does not tell it.")]
ModalityName = Annotated[str, typer.Option(help="audio or visual, for events whose file does not tell it.")]
FrameRate = Annotated[
    float | None, typer.Option(help="Pictures a second, where events are in numbers of frames.", min=0.001)
]


@command()
def export(
    timelines: Annotated[
        list[Path], typer.Argument(help="Folders that 'parse' wrote, JSON timelines, or files of events.")
    ],
    to: Annotated[
        str, typer.Option(help="Formats with commas between, such as elan,audacity; an unknown name lists them.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where to write; by default 'export' in the folder of the first.")
    ] = None,
    durations: Annotated[
        Path | None, typer.Option(help="Table 'filename,duration' for videos without a timeline, in seconds.")
    ] = None,
) -> None:
    """Write events for other programs: ELAN, Audacity, Raven, subtitles, RTTM, Label Studio, FiftyOne, tables."""
    from avparse.app.exporting.export import read_format_names

    tell_exports(timelines, read_format_names(to), out, durations)


def format_names(to: str | None) -> list[str]:
    """Return the formats of ``--to``, none where it is not given; an unknown one is refused before any work."""
    if to is None:
        return []
    from avparse.app.exporting.export import read_format_names

    return read_format_names(to)


def tell_exports(inputs: Sequence[Path], names: Sequence[str], out: Path | None, durations: Path | None = None) -> None:
    """Export events and print what was written, and what a format could not hold."""
    from avparse.app.exporting.export import export_events

    for line in export_events(inputs, names, out, durations):
        print(printable(line))


def given_facts(video: str, modality: str, frame_rate: float | None) -> Given:
    """Return what the options tell of a file.

    Raises:
        UserError: the modality is unknown.
    """
    from avparse.data.event_formats.event_format import Given
    from avparse.data.vocabulary import MODALITIES
    from avparse.foundation.errors import nearest

    if modality and modality not in MODALITIES:
        raise UserError(f"--modality: unknown modality '{modality}'{nearest(modality, MODALITIES)}")
    return Given(video, modality, frame_rate)


def tell_import(files: Sequence[Path], out: Path, name: str | None, given: Given) -> None:
    """Write the events of files as a table ``events.csv`` and print what is in it.

    Raises:
        UserError: no file is given, one cannot be read or is damaged, or the table cannot be written.
    """
    from avparse.app.exporting.inputs import read_inputs
    from avparse.data.event_formats import EVENT_FORMATS
    from avparse.data.event_formats.lost import lost
    from avparse.foundation.files import write_bytes

    if not files:
        raise UserError("import events: give the files, such as: avparse import events clip.eaf -o events.csv")
    table, known = read_inputs(files, name, given).table, EVENT_FORMATS["csv"]
    (file,) = known.write(table).files
    write_bytes(out, file.content)
    for note in lost(known, table):
        print(printable(f"{out}: {note}"))
    print(printable(f"{out}: {len(table.events)} events of {len(table.videos)} videos"))
