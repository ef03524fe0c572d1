"""JSON Lines: one JSON object a line and event, with the keys of ``events.csv``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from avparse.data.event_formats.event_format import EventFormat, Given, OutputFile, Written
from avparse.data.event_formats.event_table import EventTable, VideoEvent, checked
from avparse.data.event_formats.json_fields import read_field
from avparse.data.made_up import made_up
from avparse.foundation.errors import UserError
from avparse.foundation.reading import RECORDS, parse_json, read_text

_MEND = "mend the line, or write the file again"


def _write(table: EventTable) -> Written:
    text = "".join(json.dumps(_as_dict(e), ensure_ascii=False, allow_nan=False) + "\n" for e in table.events)
    return Written((OutputFile("events.jsonl", text.encode("utf-8")),))


def _as_dict(event: VideoEvent) -> dict[str, Any]:
    values = {"video": event.video, "class": event.class_name, "modality": event.modality}
    numbers = {"onset": event.onset, "offset": event.offset, "score": event.score}
    return {**values, **numbers, **({"trained_on": event.trained_on} if event.trained_on else {})}


def _read(path: Path, given: Given) -> EventTable:
    lines = read_text(path, RECORDS.size, _MEND).split("\n")
    events = [_event(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]
    return EventTable(tuple(events))


def _event(line: str, where: str) -> VideoEvent:
    raw = parse_json(line, where, mend=_MEND)
    if not isinstance(raw, dict):
        raise UserError(f"{where}: not an object with the keys video, class, modality, onset and offset; {_MEND}")
    texts = [read_field(raw, key, str, where) for key in ("video", "class", "modality")]
    onset, offset = (float(read_field(raw, key, (int, float), where)) for key in ("onset", "offset"))
    score = None if raw.get("score") is None else float(read_field(raw, "score", (int, float), where))
    event = VideoEvent(texts[0], texts[1], texts[2], onset, offset, score, made_up(str(raw.get("trained_on", ""))))
    return checked(event, where)


def _recognises(path: Path, head: str) -> bool:
    if not head.strip():
        return path.suffix.lower() == ".jsonl"
    try:
        first = json.loads(head.partition("\n")[0])
    except (ValueError, RecursionError):
        return False
    return isinstance(first, dict) and {"video", "onset"} <= first.keys()


FORMAT = EventFormat("JSON Lines", _write, _read, _recognises)
