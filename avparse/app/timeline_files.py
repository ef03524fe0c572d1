"""Timelines on disk: where the JSON files lie, and which input each was parsed from."""

from __future__ import annotations

import logging
from pathlib import Path

from avparse.app.output_index import INDEX, OutputIndex

_log = logging.getLogger(__name__)


def timeline_files(given: Path) -> dict[Path, Path | None]:
    """Return the JSON files of timelines at ``given``, each with the path of its input, None where that is not known.

    Args:
        given: path of a folder of timelines, with or without the ``index.csv`` of ``parse``, or of one JSON file. Rows
            of the index whose file is gone are left out, which is told.

    Raises:
        UserError: the index is damaged.
    """
    folder = given if given.is_dir() else given.parent
    indexed = (folder / INDEX).is_file()
    rows = {folder / row.json: row.path for row in OutputIndex(folder, ()).rows()} if indexed else {}
    if folder != given:
        return {given: rows.get(given)}
    if indexed:
        gone = [path for path in rows if not path.is_file()]
        if gone:
            _log.warning("%s: %d timelines of the index are gone (%s); left out", given, len(gone), gone[0].name)
        return {path: source for path, source in rows.items() if path not in gone}
    return {path: None for path in sorted(folder.glob("*.json")) if path.is_file()}
