"""Label Studio: tasks with predictions, and the labelling configuration that shows them.

What is heard is a region of the sound, in seconds; what is seen is a range of the picture's frames, counted from 1. The
seconds of a range stand beside it and count as long as nobody has moved it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from avparse.data.event_formats.event_format import EventFormat, Given, Needed, OutputFile, Written
from avparse.data.event_formats.event_table import EventTable, VideoEvent, VideoFacts, checked, origin
from avparse.data.event_formats.frames import USUAL_RATE, frames_of, seconds_of, told_rate
from avparse.data.event_formats.json_fields import is_number, read_field, read_numbers, read_pair
from avparse.data.event_formats.xml import in_xml
from avparse.data.made_up import made_up
from avparse.foundation.cells import from_line
from avparse.foundation.errors import UserError
from avparse.foundation.reading import RECORDS, read_json

_MEND = "export the tasks from Label Studio as JSON again"
_MODEL = "avparse"


def _write(table: EventTable) -> Written:
    tasks = [_task(video, table.videos[video], events) for video, events in table.by_video().items()]
    unknown = sum(facts.frame_rate is None for facts in table.videos.values())
    text = "[\n" + ",\n".join(json.dumps(task, ensure_ascii=False, allow_nan=False) for task in tasks) + "\n]\n"
    config = OutputFile("labelling_config.xml", _config(table.events).encode("utf-8"))
    return Written((OutputFile("tasks.json", text.encode("utf-8")), config), told_rate(unknown))


def _config(events: tuple[VideoEvent, ...]) -> str:
    """Return the labelling configuration with the classes of both modalities; one must be there for each."""
    names = sorted({in_xml(event.class_name) for event in events}) or ["Event"]
    labels = [f"    <Label value={quoteattr(name)}/>" for name in names]
    heard = ['  <Labels name="heard" toName="audio">', *labels, "  </Labels>"]
    seen = ['  <TimelineLabels name="seen" toName="video">', *labels, "  </TimelineLabels>"]
    video = '  <Video name="video" value="$video" frameRate="$fps" sync="media"/>'
    audio = '  <Audio name="audio" value="$video" sync="media"/>'
    return "\n".join(["<View>", *seen, video, *heard, audio, "</View>", ""])


def _task(video: str, facts: VideoFacts, events: list[VideoEvent]) -> dict[str, Any]:
    rate = facts.frame_rate or USUAL_RATE
    place = f"/data/local-files/?d={quote(os.fsencode(facts.media.lstrip('/')))}" if facts.media else video
    kind = origin(events)
    scores = [event.score for event in events if event.score is not None]
    prediction = {
        "model_version": f"{_MODEL}, trained on {kind} data" if kind else _MODEL,
        **({"score": sum(scores) / len(scores)} if scores else {}),
        "result": [_region(f"e{number}", event, rate) for number, event in enumerate(events, 1)],
    }
    return {"data": {"video": place, "name": video, "fps": rate}, "predictions": [prediction]}


def _region(key: str, event: VideoEvent, rate: float) -> dict[str, Any]:
    name = in_xml(event.class_name)  # as the configuration, which is XML, calls it
    if event.modality == "audio":
        places = {"from_name": "heard", "to_name": "audio", "type": "labels"}
        value = {"start": event.onset, "end": event.offset, "channel": 0, "labels": [name]}
    else:
        places = {"from_name": "seen", "to_name": "video", "type": "timelinelabels"}
        first, last = frames_of(event.onset, event.offset, rate)
        value = {"ranges": [{"start": first, "end": last}], "timelinelabels": [name]}
    score = {} if event.score is None else {"score": event.score}
    return {"id": key, **places, "value": value, **score, "meta": {"seconds": [event.onset, event.offset]}}


def _read(path: Path, given: Given) -> EventTable:
    raw = read_json(path, RECORDS, _MEND)
    if not isinstance(raw, list):
        raise UserError(f"{path}: not a list of tasks; {_MEND}")
    return EventTable(tuple(e for n, task in enumerate(raw, 1) for e in _events(task, given, f"{path}: task {n}")))


def _events(task: Any, given: Given, where: str) -> list[VideoEvent]:
    """Return the events of a task: those of its last annotation, or of its last prediction where it has none."""
    data = read_field(task, "data", dict, where)
    answers = [a for a in task.get("annotations") or [] if not (isinstance(a, dict) and a.get("was_cancelled"))]
    answers = answers or task.get("predictions") or []
    if not isinstance(answers, list) or not answers:
        return []
    answer = answers[-1]
    regions = read_field(answer, "result", list, where)
    kind = made_up(str(answer.get("model_version") or ""))
    video = given.video or str(data.get("name") or Path(str(data.get("video") or data.get("audio") or "")).name)
    rate = given.frame_rate or data.get("fps")
    return [
        event
        for number, region in enumerate(regions, 1)
        for event in _of_region(region, VideoEvent(video, "", "", 0, 0, None, kind), rate, f"{where}, region {number}")
    ]


def _of_region(region: Any, event: VideoEvent, rate: Any, where: str) -> list[VideoEvent]:
    """Return the events of a region; none for one of another type, such as a comment."""
    kind = read_field(region, "type", str, where)
    if kind not in ("labels", "timelinelabels"):
        return []
    value = read_field(region, "value", dict, where)
    score = region.get("score")
    score = None if score is None else float(read_field(region, "score", (int, float), where))
    modality = "audio" if kind == "labels" else "visual"
    return [
        checked(VideoEvent(event.video, from_line(str(name)), modality, *times, score, event.trained_on), where)
        for times in _times(region, value, kind, rate, where)
        for name in read_field(value, kind, list, where)
    ]


def _times(region: Any, value: Any, kind: str, rate: Any, where: str) -> list[tuple[float, float]]:
    if kind == "labels":
        return [read_pair(value, "start", "end", where)]
    if not is_number(rate) or rate <= 0:
        raise UserError(f"{where}: the frame rate is unknown; give --frame-rate")
    noted = region.get("meta")
    exact = read_numbers(noted.get("seconds")) if isinstance(noted, dict) else None
    found = []
    for one in read_field(value, "ranges", list, where):
        first, last = read_pair(one, "start", "end", where)
        found.append(seconds_of((round(first), round(last)), float(rate), exact))
    return found


def _recognises(path: Path, head: str) -> bool:
    return head.lstrip().startswith("[") and '"data"' in head and ('"predictions"' in head or '"annotations"' in head)


FORMAT = EventFormat("Label Studio", _write, _read, _recognises, needs=frozenset({Needed.FRAME_RATE}))
