"""The table of results, ``index.csv``: which JSON file belongs to which input, over all calls with one folder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from avparse.data.timeline import Timeline
from avparse.foundation.cells import cell_path, path_cell, without_controls
from avparse.foundation.errors import UserError
from avparse.foundation.file_names import first_free, same_name, writable_name
from avparse.foundation.rows import read_rows, seconds, write_rows

INDEX = "index.csv"
COLUMNS = ("input", "video", "json", "events", "warnings")
ADDED = ("duration", "trained_on")  # columns that tables of earlier versions lack


@dataclass(frozen=True)
class Output:
    """A row: one input and its result.

    Attributes:
        path: absolute path of the input.
        video: title of the video in its timeline, in ``events.csv`` and on the report page.
        json: name of the file of the timeline.
        events: number of events.
        warnings: messages about parts of the file that cannot be trusted.
        duration: duration of the video in seconds; None if an earlier version wrote the row.
        trained_on: kind of data of a parser that was trained on data made by a program; else empty.
    """

    path: Path
    video: str
    json: str
    events: int = 0
    warnings: str = ""
    duration: float | None = None
    trained_on: str = ""


class OutputIndex:
    """The table of a folder, read when it is made.

    Args:
        folder: folder of the results; the table need not be there.
        inputs: paths of the inputs of this call; what the name of one of them asks for is left to it.

    Raises:
        UserError: there is a file of its name that is not such a table, or is damaged.
    """

    def __init__(self, folder: Path, inputs: Sequence[Path]) -> None:
        self.folder = folder
        self._inputs = inputs
        self._asked = {same_name(_stem(path)) for path in inputs}
        self._rows: dict[str, Output] = {}
        if (folder / INDEX).exists():
            try:
                self._read()
            except UserError as error:
                raise UserError(f"{error}; remove or rename it, or choose another folder for the results") from None

    def rows(self) -> list[Output]:
        """Return all rows in the order in which the inputs came."""
        return list(self._rows.values())

    def count_with(self, paths: Sequence[Path]) -> int:
        """Return the number of inputs once these have results, too."""
        return len(self._rows.keys() | {path_cell(path) for path in paths})

    def titles(self) -> dict[Path, str]:
        """Return the title of each input: the one it has, else its file's name, else its path if that name is taken."""
        count = Counter(path.name for path in self._inputs)
        taken = {row.video for row in self._rows.values()}
        titles: dict[Path, str] = {}
        for path in self._inputs:
            known = self._rows.get(path_cell(path))
            if known is not None:
                titles[path] = known.video
                continue
            names = [without_controls(str(path)), path_cell(path)]
            if count[path.name] == 1:
                names.insert(0, without_controls(path.name))
            titles[path] = next((name for name in names if name not in taken), names[-1])
            taken.add(titles[path])
        return titles

    def add(self, path: Path, timeline: Timeline) -> str:
        """Take up a result and return the name of its JSON file: the one that the input has, or one that is free."""
        key = path_cell(path)
        if key not in self._rows:
            file = self._free(_stem(path), timeline.video)
            self._rows[key] = Output(Path(os.path.abspath(path)), timeline.video, file)
        warnings = " | ".join(warning.message for warning in timeline.warnings)
        self._rows[key] = replace(
            self._rows[key],
            events=len(timeline.events),
            warnings=warnings,
            duration=timeline.duration,
            trained_on=timeline.trained_on,
        )
        return self._rows[key].json

    def write(self) -> None:
        """Write the table.

        Raises:
            UserError: the file cannot be written.
        """
        rows = [(path, *_cells(row)) for path, row in self._rows.items()]
        write_rows(self.folder / INDEX, (*COLUMNS, *ADDED), rows)

    def _read(self) -> None:
        names: dict[str, int] = {}
        for line, row in read_rows(self.folder / INDEX, COLUMNS, ADDED):
            where, name, length = f"{self.folder / INDEX}:{line}", row["json"], row["duration"]
            if name != os.path.basename(name) or not name.endswith(".json") or not row["events"].isdecimal():
                raise UserError(f"{where}: not a row that 'parse' wrote")
            if row["input"] in self._rows or same_name(name) in names:
                raise UserError(f"{where}: repeats the input or the JSON file of another line")
            names[same_name(name)] = line
            self._rows[row["input"]] = Output(
                cell_path(row["input"]),
                row["video"],
                name,
                int(row["events"]),
                row["warnings"],
                seconds(length, f"{where}: duration") if length else None,
                row["trained_on"],
            )

    def _free(self, stem: str, video: str) -> str:
        """Return the first name that no row, no other input and no foreign file has."""
        taken = {same_name(row.json) for row in self._rows.values()}

        def free(name: str) -> bool:
            file = self.folder / f"{name}.json"
            if same_name(file.name) in taken or (name != stem and same_name(name) in self._asked):
                return False
            return not os.path.lexists(file) or _is_of(file, video)

        return f"{first_free(stem, free)}.json"


def _cells(row: Output) -> tuple[str, ...]:
    duration = "" if row.duration is None else f"{row.duration:.3f}"
    return row.video, row.json, str(row.events), " ".join(row.warnings.split()), duration, row.trained_on


def _is_of(path: Path, video: str) -> bool:
    """Return whether a file is a timeline that an earlier version, or a call that was stopped, wrote of a video."""
    try:
        return Timeline.load(path).video == video
    except UserError:
        return False


def _stem(path: Path) -> str:
    """Return the name of a file without its ending, as every system can write it."""
    return writable_name(path.stem)
