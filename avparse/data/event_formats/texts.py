"""Texts of events that several formats share: scores behind names, markers of the modality, modalities in names."""

from __future__ import annotations

import re
from pathlib import Path

from avparse.data.event_formats.event_format import Given
from avparse.data.event_formats.event_table import VideoEvent
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.errors import UserError

MARKERS = {"audio": "heard", "visual": "seen"}
_SCORED = re.compile(r"(?P<name>.*) \((?P<score>[01](?:\.\d+)?|)\)", re.DOTALL)
_CUE = re.compile(rf"\[(?P<marker>{'|'.join(MARKERS.values())})\] (?P<rest>.*)", re.DOTALL)


def scored(name: str, score: float | None) -> str:
    """Return a name with its score in brackets, as :func:`parted` takes it apart again."""
    if score is not None:
        return f"{name} ({score:.4f})"
    return f"{name} ()" if _SCORED.fullmatch(name) else name


def parted(text: str) -> tuple[str, float | None]:
    """Return the name and the score, None where there is none, of a text that :func:`scored` made."""
    found = _SCORED.fullmatch(text)
    if found is None:
        return text, None
    return found["name"], float(found["score"]) if found["score"] else None


def cue(event: VideoEvent) -> str:
    """Return the text of a subtitle: the marker heard or seen, the class and the score."""
    return f"[{MARKERS[event.modality]}] {scored(event.class_name, event.score)}"


def read_cue(text: str, given: Given, where: str) -> tuple[str, str, float | None]:
    """Return modality, class and score of the text of a subtitle.

    Raises:
        UserError: the text does not say whether the event is heard or seen, and no modality is given.
    """
    found = _CUE.fullmatch(text)
    modality = given.modality
    if found is not None:
        modality = next(m for m, marker in MARKERS.items() if marker == found["marker"])
    elif not modality:
        raise UserError(f"{where}: the text begins with neither [heard] nor [seen]; add one, or give --modality")
    return modality, *parted(found["rest"] if found else text)


def modality_of(path: Path, given: Given) -> str:
    """Return the modality of a file that is of one: that which is given, else the only one that its name holds.

    Raises:
        UserError: none is given, and the name tells none or both.
    """
    named = [m for m in MODALITIES if m in re.split(r"[^a-z]+", path.name.lower())]
    if given.modality or len(named) == 1:
        return given.modality or named[0]
    raise UserError(f"{path}: the name tells no modality; give --modality audio or --modality visual")


def clock(milliseconds: int, point: str) -> str:
    """Return a time as subtitles write it: hours, minutes, seconds, and behind ``point`` milliseconds."""
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"


def decimal(milliseconds: int) -> str:
    """Return a number of seconds with three decimals."""
    return f"{milliseconds // 1000}.{milliseconds % 1000:03d}"
