"""FiftyOne temporal detections: the labels of a ``FiftyOneTemporalDetectionDataset``, with frames counted from 1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from avparse.data.event_formats.event_format import EventFormat, Given, Needed, OutputFile, Written
from avparse.data.event_formats.event_table import EventTable, VideoEvent, checked
from avparse.data.event_formats.frames import USUAL_RATE, frames_of, seconds_of, told_rate
from avparse.data.event_formats.json_fields import is_number, read_field, read_numbers
from avparse.data.made_up import made_up
from avparse.foundation.cells import in_line, without_controls
from avparse.foundation.errors import UserError
from avparse.foundation.reading import RECORDS, read_json
from avparse.media.video_ids import video_id

_MEND = "export the dataset from FiftyOne again, or write it again"


def _write(table: EventTable) -> Written:
    labels: dict[str, list[dict[str, Any]]] = {}
    unknown = 0
    for video, events in table.by_video().items():
        facts = table.videos[video]
        unknown += facts.frame_rate is None
        key = without_controls(facts.media) or video_id(video) or video
        rate = facts.frame_rate or USUAL_RATE
        labels[key if key not in labels else video] = [_detection(event, rate) for event in events]
    text = json.dumps({"labels": labels}, ensure_ascii=False, allow_nan=False) + "\n"
    return Written((OutputFile("labels.json", text.encode("utf-8")),), told_rate(unknown))


def _detection(event: VideoEvent, rate: float) -> dict[str, Any]:
    attributes: dict[str, Any] = {"modality": event.modality, "video": event.video, "frame_rate": rate}
    attributes |= {"onset": event.onset, "offset": event.offset}
    if event.trained_on:
        attributes["trained_on"] = event.trained_on
    confidence = {} if event.score is None else {"confidence": event.score}
    support = list(frames_of(event.onset, event.offset, rate))
    return {"label": event.class_name, "support": support, **confidence, "attributes": attributes}


def _read(path: Path, given: Given) -> EventTable:
    raw = read_json(path, RECORDS, _MEND)
    labels, classes = read_field(raw, "labels", dict, str(path)), raw.get("classes")
    events = []
    for key, detections in labels.items():
        if not isinstance(detections, list):
            raise UserError(f"{path}: labels of '{in_line(key)}' are no list of detections; {_MEND}")
        for number, detection in enumerate(detections):
            events.append(_event(detection, key, classes, given, f"{path}: labels of '{in_line(key)}', {number + 1}"))
    return EventTable(tuple(events))


def _event(raw: Any, key: str, classes: Any, given: Given, where: str) -> VideoEvent:
    name = raw.get("label") if isinstance(raw, dict) else None
    if isinstance(name, int) and isinstance(classes, list) and 0 <= name < len(classes):
        name = classes[name]
    if not isinstance(name, str):
        raise UserError(f"{where}: field 'label' is neither a text nor the number of a class; mend it")
    noted = raw.get("attributes")
    noted = noted if isinstance(noted, dict) else {}
    modality = given.modality or noted.get("modality")
    if modality is None:
        raise UserError(f"{where}: no attribute 'modality'; give --modality audio or --modality visual")
    score = None if raw.get("confidence") is None else float(read_field(raw, "confidence", (int, float), where))
    video = given.video or noted.get("video") or Path(key).name
    times = _times(raw, noted, given, where)
    event = VideoEvent(str(video), name, str(modality), *times, score, made_up(str(noted.get("trained_on", ""))))
    return checked(event, where)


def _times(raw: Any, noted: Any, given: Given, where: str) -> tuple[float, float]:
    kind = "support" if "support" in raw else "timestamps"
    pair = read_numbers(read_field(raw, kind, list, where))
    if pair is None:
        raise UserError(f"{where}: field '{kind}' is {str(raw[kind])[:40]}, not two numbers; mend it")
    if kind == "timestamps":
        return pair
    rate = given.frame_rate or noted.get("frame_rate")
    if not is_number(rate) or rate <= 0:
        raise UserError(f"{where}: the frame rate is unknown; give --frame-rate")
    return seconds_of((round(pair[0]), round(pair[1])), rate, read_numbers([noted.get("onset"), noted.get("offset")]))


def _recognises(path: Path, head: str) -> bool:
    return head.lstrip().startswith("{") and '"labels"' in head and ('"support"' in head or path.name == "labels.json")


FORMAT = EventFormat("FiftyOne", _write, _read, _recognises, needs=frozenset({Needed.FRAME_RATE}))
