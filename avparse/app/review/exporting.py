"""What people decided as tables: labels for training, events as truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from avparse.app.review.database import ENDING, Database
from avparse.app.review.decided_events import decided_events
from avparse.app.review.decided_labels import decided_labels
from avparse.app.review.log import Action, Standing, read_since
from avparse.app.review.resolving import Resolved, Rule, resolve
from avparse.app.review.reviewed import Reviewed, read_reviewed
from avparse.data.event_columns import NEEDED_COLUMNS
from avparse.foundation.errors import UserError
from avparse.foundation.rows import write_rows

_RULES = {
    "latest": "the latest decision counts",
    "majority": "the decision of most reviewers counts, of equally many the latest",
}


@dataclass(frozen=True)
class Choices:
    """How decisions become tables.

    Attributes:
        rule: rule by which reviewers that disagree are resolved.
        only_decided: whether what nobody decided about is left out: labels stay as they were given, and videos with
            events that nobody decided about are no truth.
        propagate: whether labels that nobody decided about follow the decisions about labels like them.
    """

    rule: Rule = "latest"
    only_decided: bool = False
    propagate: bool = False


def export(
    paths: Sequence[Path], labels: Path | None = None, events: Path | None = None, choices: Choices = Choices()
) -> list[str]:
    """Write what was decided in reviews, and return lines that tell what was written.

    Args:
        paths: paths of databases of one and the same review, or of the folders that hold them.
        labels: path of the table of labels to write (Parquet), for reviews of labels.
        events: path of the table of events to write (CSV), for reviews of timelines.
        choices: settings of how decisions become tables.

    Raises:
        UserError: there is no such review, the reviews are of different things, or the table asked for is not one of
            theirs.
    """
    reviewed, verdicts = _merged([found for path in paths for found in find_databases(path)])
    resolved = resolve(verdicts, choices.rule)
    if reviewed.kind == "labels":
        if labels is None or events is not None:
            raise UserError(f"{paths[0]}: a review of labels; give the table to write with -o labels.parquet")
        if labels.suffix != ".parquet":
            raise UserError(f"{labels}: labels are a Parquet table; give it the ending .parquet")
        table = decided_labels(reviewed, resolved, choices.only_decided, choices.propagate)
        table.save(labels)
        return [*_told(reviewed, resolved, choices.rule), str(table), str(labels)]
    if events is None or labels is not None:
        raise UserError(f"{paths[0]}: a review of timelines; give the table to write with --events events.csv")
    if choices.propagate:
        raise UserError("--propagate is about labels; an event that nobody decided about stays as it was parsed")
    found = decided_events(reviewed, resolved, choices.only_decided)
    write_rows(events, NEEDED_COLUMNS, found.rows)
    return [*_told(reviewed, resolved, choices.rule), *found.notes, str(events)]


def find_databases(path: Path) -> list[Path]:
    """Return the databases that a path names: itself, that of a table of labels, those in a folder or beside a store.

    Raises:
        UserError: no review was found.
    """
    if not path.is_dir():
        beside = path.with_name(path.stem + ENDING)
        return [beside if not path.name.endswith(ENDING) and beside.is_file() else path]
    store = (path / "manifest.json").is_file()
    found = sorted((path.parent if store else path).glob(f"*{ENDING}"))
    if store:
        found = [one for one in found if _store_of(one) == str(path.resolve())]
    if not found:
        where = f"beside {path}" if store else f"in {path}"
        raise UserError(f"no review was found {where}; give its file, which ends in {ENDING}")
    return found


def _store_of(path: Path) -> str:
    try:
        with Database.open(path) as database:
            return database.about().get("store", "")
    except UserError:
        return ""


def _merged(paths: Sequence[Path]) -> tuple[Reviewed, list[Action]]:
    """Return what is reviewed, and the standing verdicts of all databases about it."""
    verdicts: list[Action] = []
    first: Reviewed | None = None
    for path in paths:
        with Database.open(path) as database:
            reviewed = read_reviewed(database)
            with database.reading() as connection:
                standing = Standing.of(read_since(connection, 0))
        first = first or reviewed
        if (first.kind, first.classes, first.videos) != (reviewed.kind, reviewed.classes, reviewed.videos):
            raise UserError(f"{path}: reviews something else than {paths[0]}; export them one by one")
        verdicts += standing.verdicts
    assert first is not None, "at least one path is given"
    keys = {row.item.key for row in first.rows}
    return first, [action for action in verdicts if action.key in keys]


def _told(reviewed: Reviewed, resolved: Resolved, rule: Rule) -> list[str]:
    what = "labels" if reviewed.kind == "labels" else "events"
    lines = [f"{len(resolved.actions)} of {len(reviewed.rows)} {what} have a decision"]
    if resolved.several:
        lines.append(f"{resolved.several} have several reviewers, who differ about {resolved.differ}: {_RULES[rule]}")
    return lines
