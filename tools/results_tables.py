"""Tables of the result pages, made of the CSV files that ``avparse bench`` writes.

A page asks for one by a comment, whose braces are YAML::

    <!-- results: {file: rlld.csv, thresholds: tuned, rows: [HAN, MA]} -->

``thresholds`` is ``published`` (the default) or ``tuned``. ``rows`` names the systems to show, ``without`` those to
leave out. ``columns`` shows other columns of the file than segment Type, event Type and the published values of both.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

PUBLISHED, TUNED = "published", "tuned on validation"
_ASKED = re.compile(r"<!-- results: (\{.*?\}) -->", re.DOTALL)
_METRICS = {"segment Type": "segment_type", "event Type": "event_type"}

Row = dict[str, str]


@dataclass(frozen=True)
class Request:
    """What a page asks for; see the module."""

    file: str
    thresholds: str = PUBLISHED
    rows: Sequence[str] = ()
    without: Sequence[str] = ()
    columns: dict[str, str] | None = None


def with_tables(markdown: str, folder: Path) -> str:
    """Return a page with its tables in place of the comments that ask for them.

    Args:
        markdown: the text of the page.
        folder: the folder of the CSV files.
    """
    return _ASKED.sub(lambda asked: render(Request(**yaml.safe_load(asked[1])), folder), markdown)


def read(path: Path) -> list[Row]:
    """Return the rows of a CSV file by column."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def render(request: Request, folder: Path) -> str:
    """Return one table as Markdown.

    Raises:
        ValueError: the file lacks a system or a column that is asked for, or nothing is left to show.
    """
    rows = read(folder / request.file)
    name = next(iter(rows[0]))
    known = {row[name] for row in rows}
    if missing := {*request.rows, *request.without} - known:
        raise ValueError(f"{request.file} has no row {sorted(missing)}")
    measured = [
        row
        for row in rows
        if not row["source"].startswith(PUBLISHED)
        and row["source"].endswith(TUNED) == (request.thresholds == "tuned")
        and (not request.rows or row[name] in request.rows)
        and row[name] not in request.without
    ]
    if not measured:
        raise ValueError(f"{request.file} has no rows with {request.thresholds} thresholds")
    names = _with_seeds([row[name] for row in measured], [_planned(row, rows) for row in measured])
    if request.columns is not None:
        cells = [[_cell(row, column) for column in request.columns.values()] for row in measured]
        return _markdown([name, *request.columns], names, cells)
    published = {row[name]: row for row in rows if row["source"].startswith(PUBLISHED)}
    cells = []
    for row in measured:
        paper = published.get(row[name])
        theirs = " / ".join(_cell(paper, column) for column in _METRICS.values()) if paper else ""
        cells.append([*(_cell(row, column) for column in _METRICS.values()), theirs])
    return _markdown([name, *_METRICS, "published, real LLP (segment / event Type)"], names, cells)


def _planned(row: Row, rows: Sequence[Row]) -> str:
    """Return how many seeds a row has: ``3``, or ``2 of 3`` where some were not run."""
    name = next(iter(row))
    planned = next((r.get("seeds_planned") for r in rows if r[name] == row[name] and r.get("seeds_planned")), "")
    seeds = row.get("seeds", "")
    return seeds if seeds == planned or not planned else f"{seeds} of {planned}"


def _with_seeds(names: Sequence[str], seeds: Sequence[str]) -> list[str]:
    """Return the names of systems, those with another number of seeds than most with that number."""
    (usual, _), *_ = Counter(seeds).most_common(1)
    plural = {"1": "seed"}
    return [
        name if own == usual else f"{name} ({own} {plural.get(own, 'seeds')})"
        for name, own in zip(names, seeds, strict=True)
    ]


def _cell(row: Row, column: str) -> str:
    value, deviation = row[column], row.get(f"{column}_sd", "")
    return f"{value} ± {deviation}" if deviation else value


def _markdown(heads: Sequence[str], names: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    lines += [f"| {' | '.join([name, *row])} |" for name, row in zip(names, cells, strict=True)]
    return "\n".join(lines)
