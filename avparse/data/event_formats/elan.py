"""ELAN documents: a tier for each class and modality, ``audio/CLASS`` and ``visual/CLASS``, in whole milliseconds."""

from __future__ import annotations

import mimetypes
import os
from itertools import groupby
from pathlib import Path, PurePath
from xml.sax.saxutils import escape, quoteattr

from avparse.data.event_formats.csv import read_score
from avparse.data.event_formats.event_format import EventFormat, Given, Held, OutputFile, Written
from avparse.data.event_formats.event_table import EventTable, VideoEvent, VideoFacts, checked, origin, united
from avparse.data.event_formats.xml import Element, in_xml, read_xml
from avparse.data.made_up import made_up
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.cells import from_line, in_line
from avparse.foundation.errors import UserError

_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_VIDEO, _ORIGIN = "avparse:video", "avparse:trained_on"
_DATE = "1970-01-01T00:00:00+00:00"  # required; the same events shall give the same file
_MEND = "save it with ELAN again, or write it again"
# Of a document that was made by hand only what is read below counts; ELAN wants all of this.
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    f'<ANNOTATION_DOCUMENT AUTHOR="avparse" DATE="{_DATE}" FORMAT="3.0" VERSION="3.0" '
    f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="{_SCHEMA}">'
)
_TAIL = (
    '    <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="event" TIME_ALIGNABLE="true"/>\n'
    "</ANNOTATION_DOCUMENT>\n"
)


def _write(table: EventTable) -> Written:
    alone = EventTable(united(table.events, touching=False), table.videos)
    return Written(
        tuple(
            OutputFile(".eaf", _document(video, alone.videos[video], events).encode("utf-8"), video)
            for video, events in alone.by_video().items()
        )
    )


def _document(video: str, facts: VideoFacts, events: list[VideoEvent]) -> str:
    times = sorted({time for event in events for time in event.milliseconds()})
    slots = {time: f"ts{number}" for number, time in enumerate(times, 1)}
    order = [f'        <TIME_SLOT TIME_SLOT_ID="{slot}" TIME_VALUE="{time}"/>' for time, slot in slots.items()]
    ordered = sorted(events, key=lambda e: (e.modality, e.class_name, e.milliseconds()))
    numbered = list(enumerate(ordered, 1))
    tiers: list[str] = []
    for (modality, name), part in groupby(numbered, key=lambda n: (n[1].modality, n[1].class_name)):
        tiers.append(f'    <TIER LINGUISTIC_TYPE_REF="event" TIER_ID={_quoted(f"{modality}/{name}")}>')
        tiers += [_annotation(number, event, slots) for number, event in part]
        tiers.append("    </TIER>")
    body = ["    <TIME_ORDER>", *order, "    </TIME_ORDER>", *tiers]
    return "\n".join([_HEAD, *_header(video, facts, events), *body, _TAIL])


def _header(video: str, facts: VideoFacts, events: list[VideoEvent]) -> list[str]:
    kind = origin(events)
    properties = {_VIDEO: video, **({_ORIGIN: kind} if kind else {}), "lastUsedAnnotationId": str(len(events))}
    media = []
    if facts.media:
        place = f"MEDIA_URL={_quoted(Path(os.path.abspath(facts.media)).as_uri())}"
        beside = f"RELATIVE_MEDIA_URL={_quoted('./' + PurePath(facts.media).name)}"
        kind_of_file = mimetypes.guess_type(PurePath(facts.media).name)[0] or "unknown"
        media = [f'        <MEDIA_DESCRIPTOR {place} MIME_TYPE="{kind_of_file}" {beside}/>']
    told = [f"        <PROPERTY NAME={_quoted(n)}>{_text(value)}</PROPERTY>" for n, value in properties.items()]
    return ['    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">', *media, *told, "    </HEADER>"]


def _annotation(number: int, event: VideoEvent, slots: dict[int, str]) -> str:
    onset, offset = event.milliseconds()
    value = "" if event.score is None else f"{event.score:.4f}"
    place = f'ANNOTATION_ID="a{number}" TIME_SLOT_REF1="{slots[onset]}" TIME_SLOT_REF2="{slots[offset]}"'
    inside = f"<ALIGNABLE_ANNOTATION {place}><ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION>"
    return f"        <ANNOTATION>{inside}</ANNOTATION>"


def _text(text: str) -> str:
    return escape(in_xml(text))


def _quoted(text: str) -> str:
    return quoteattr(in_xml(text))


def _read(path: Path, given: Given) -> EventTable:
    document = read_xml(path, _MEND)
    if document.tag != "ANNOTATION_DOCUMENT":
        raise UserError(f"{path}:{document.line}: <{document.tag}> is no document of ELAN; {_MEND}")
    properties = {
        child.attributes.get("NAME", ""): from_line(child.text)
        for header in document.found("HEADER")
        for child in header.found("PROPERTY")
    }
    slots = {slot.attributes.get("TIME_SLOT_ID", ""): slot for o in document.found("TIME_ORDER") for slot in o.children}
    video, kind = given.video or properties.get(_VIDEO) or path.stem, made_up(properties.get(_ORIGIN, ""))
    events: list[VideoEvent] = []
    for tier in document.found("TIER"):
        annotations = [a for one in tier.found("ANNOTATION") for a in one.found("ALIGNABLE_ANNOTATION")]
        if annotations:
            modality, name = _tier_name(tier, path, given)
            events += [_event(a, VideoEvent(video, name, modality, 0, 0, None, kind), slots, path) for a in annotations]
    return EventTable(tuple(events))


def _tier_name(tier: Element, path: Path, given: Given) -> tuple[str, str]:
    tier_id = from_line(tier.attributes.get("TIER_ID", ""))
    modality, slash, name = tier_id.partition("/")
    if slash and modality in MODALITIES:
        return modality, name
    if not given.modality:
        told = f"{path}:{tier.line}: tier '{in_line(tier_id)}' is called neither audio/CLASS nor visual/CLASS"
        raise UserError(f"{told}; rename it in ELAN, or give --modality")
    return given.modality, tier_id


def _event(annotation: Element, event: VideoEvent, slots: dict[str, Element], path: Path) -> VideoEvent:
    where = f"{path}:{annotation.line}"
    onset, offset = (_time(annotation.attributes.get(f"TIME_SLOT_REF{n}", ""), slots, where) for n in (1, 2))
    value = " ".join(child.text for child in annotation.found("ANNOTATION_VALUE")).strip()
    try:
        score = read_score(value, where)
    except UserError:  # what a person wrote there
        score = None
    found = VideoEvent(event.video, event.class_name, event.modality, onset, offset, score, event.trained_on)
    return checked(found, where)


def _time(slot: str, slots: dict[str, Element], where: str) -> float:
    value = slots[slot].attributes.get("TIME_VALUE", "") if slot in slots else ""
    if not value.isdecimal():
        raise UserError(f"{where}: time slot '{slot}' has no whole milliseconds; align the annotation in ELAN")
    return int(value) / 1000


def _recognises(path: Path, head: str) -> bool:
    return "<ANNOTATION_DOCUMENT" in head


FORMAT = EventFormat("ELAN", _write, _read, _recognises, frozenset({Held.SCORE, Held.TOUCH, Held.ORIGIN}))
