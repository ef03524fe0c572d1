"""What a format cannot hold of a table, one line for each kind of thing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from avparse.data.event_formats.event_format import EventFormat, Held
from avparse.data.event_formats.event_table import EventTable, united

_ROUNDING = 1e-4  # milliseconds that calculation with seconds is off


def lost(known: EventFormat, table: EventTable) -> list[str]:
    """Return a line for each thing that the events have and a format does not hold."""
    missing = [(held, _LOST[held](table)) for held in Held if held not in known.holds]
    return [f"does not hold {held.value}: {told}" for held, told in missing if told]


def _scores(table: EventTable) -> str:
    count = sum(event.score is not None for event in table.events)
    return f"those of {count} events are left out" if count else ""


def _precision(table: EventTable) -> str:
    count = sum(any(abs(1000 * t - round(1000 * t)) > _ROUNDING for t in (e.onset, e.offset)) for e in table.events)
    return f"times of {count} events are rounded" if count else ""


def _overlap(table: EventTable) -> str:
    count = len(table.events) - len(united(table.events, touching=False))
    return f"{count} events are united with another" if count else ""


def _touch(table: EventTable) -> str:
    count = len(united(table.events, touching=False)) - len(united(table.events, touching=True))
    return f"{count} events are united with another" if count else ""


def _origin(table: EventTable) -> str:
    kinds = sorted({event.trained_on for event in table.events if event.trained_on})
    return f"tell it to those who get the file ({', '.join(kinds)})" if kinds else ""


_LOST: Mapping[Held, Callable[[EventTable], str]] = {
    Held.SCORE: _scores,
    Held.PRECISION: _precision,
    Held.OVERLAP: _overlap,
    Held.TOUCH: _touch,
    Held.ORIGIN: _origin,
}
