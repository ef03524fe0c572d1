"""The table of exported files, ``exports.csv``: which file is of which video, over all calls with one folder."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from avparse.foundation.errors import UserError
from avparse.foundation.file_names import first_free, same_name, writable_name
from avparse.foundation.files import sha256_of, write_bytes
from avparse.foundation.rows import read_rows, write_rows
from avparse.media.files import EXPORTS

COLUMNS = ("format", "input", "ending", "video", "file", "sha256")
_ODD = re.compile(r'[<>:"|?*/]')  # some system takes them for more than letters


@dataclass(frozen=True)
class Export:
    """A file to write.

    Attributes:
        format_name: name of the format.
        source: origin of the video over several calls; empty for a file of all videos.
        video: name of the video; empty for a file of all videos.
        ending: last part of the name of the file; all of it for a file of all videos.
        content: bytes of the file.
    """

    format_name: str
    source: str
    video: str
    ending: str
    content: bytes

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells the file from all others; the name of a video may be another one in another call."""
        return self.format_name, self.source, self.ending


@dataclass(frozen=True)
class _Row:
    video: str
    file: str
    sha256: str = ""  # empty until the file is written


class ExportIndex:
    """The table of a folder, read when it is made.

    Args:
        folder: folder of the exports; neither it nor the table need be there.

    Raises:
        UserError: there is a file of its name that is not such a table, or is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._path = folder, folder / EXPORTS
        self._rows: dict[tuple[str, str, str], _Row] = {}
        if self._path.exists():
            for line, row in read_rows(self._path, COLUMNS):
                parts = PurePath(row["file"]).parts
                if len(parts) != 2 or parts[0] != row["format"] or parts[1] in (".", ".."):
                    raise UserError(f"{self._path}:{line}: not a row that 'export' wrote; remove or rename the table")
                key = (row["format"], row["input"], row["ending"])
                self._rows[key] = _Row(row["video"], row["file"], row["sha256"])
        self._taken = {same_name(row.file) for row in self._rows.values()}

    def write(self, exports: Sequence[Export]) -> list[Path]:
        """Write files, each in the place that it has or in one that is free, and the table; return the paths.

        A call that is interrupted leaves every file old or new, and may be repeated.

        Raises:
            UserError: a file of this name is somebody else's, or was changed since it was exported; nothing is written
                then. Or a file cannot be written.
        """
        for export in exports:
            if export.key not in self._rows:
                self._rows[export.key] = _Row(export.video, self._free(export))
                self._taken.add(same_name(self._rows[export.key].file))
            self._check_unchanged(export)
        self._write_table()
        for export in exports:
            write_bytes(self.folder / self._rows[export.key].file, export.content)
            digest = hashlib.sha256(export.content).hexdigest()
            self._rows[export.key] = replace(self._rows[export.key], sha256=digest)
        self._write_table()
        return [self.folder / self._rows[export.key].file for export in exports]

    def _check_unchanged(self, export: Export) -> None:
        row = self._rows[export.key]
        path = self.folder / row.file
        if not row.sha256 or not path.is_file():
            return
        if sha256_of(path) not in (row.sha256, hashlib.sha256(export.content).hexdigest()):
            raise UserError(f"{path}: changed since it was exported; move it away, or choose another --out")

    def _free(self, export: Export) -> str:
        """Return the first name that no row and no other file has."""
        if not export.video:
            file = f"{export.format_name}/{export.ending}"
            if os.path.lexists(self.folder / file):
                told = f"{self.folder / file}: not written by 'export'"
                raise UserError(f"{told}; rename it, or choose another --out")
            return file

        def free(stem: str) -> bool:
            file = f"{export.format_name}/{stem}{export.ending}"
            return same_name(file) not in self._taken and not os.path.lexists(self.folder / file)

        return f"{export.format_name}/{first_free(_stem(export.video), free)}{export.ending}"

    def _write_table(self) -> None:
        write_rows(self._path, COLUMNS, [(*key, row.video, row.file, row.sha256) for key, row in self._rows.items()])


def _stem(video: str) -> str:
    """Return the name of the files of a video without their ending; nothing in it leads to another folder."""
    return writable_name(_ODD.sub("_", PurePath(video).stem))
