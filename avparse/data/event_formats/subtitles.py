"""Cues of subtitles, read as events; shared by WebVTT and SubRip."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from avparse.data.event_formats.event_format import Given
from avparse.data.event_formats.event_table import VideoEvent, checked
from avparse.data.event_formats.texts import read_cue
from avparse.data.made_up import MadeUp
from avparse.foundation.errors import UserError

_TIME = r"(?:(\d+):)?(\d\d):(\d\d)[.,](\d{3})"
_TIMES = re.compile(rf"\s*{_TIME}[ \t]+-->[ \t]+{_TIME}(?:[ \t].*)?")


def read_cues(
    text: str, path: Path, given: Given, video: str, unescaped: Callable[[str], str], trained_on: MadeUp = ""
) -> tuple[VideoEvent, ...]:
    """Return the events of all cues of a text; what stands before the times of a cue is passed over.

    Args:
        text: text of the file.
        path: path of the file, for messages.
        given: facts of the file besides its content.
        video: name of the video.
        unescaped: function that turns the escapes of the format back.
        trained_on: kind of data of the parser, empty for real data.

    Raises:
        UserError: a cue has damaged times, no text, or is neither marked as heard nor as seen; the line is named.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    events, number = [], 0
    while number < len(lines):
        number += 1
        line = lines[number - 1]
        if "-->" not in line:
            continue
        where, found = f"{path}:{number}", _TIMES.fullmatch(line)
        if found is None:
            raise UserError(f"{where}: '{line[:60]}' are no times of a cue; write 00:00:01.000 --> 00:00:02.500")
        onset, offset = _seconds(found.groups()[:4]), _seconds(found.groups()[4:])
        said = []
        while number < len(lines) and lines[number].strip():
            said.append(lines[number])
            number += 1
        modality, name, score = read_cue(unescaped("\n".join(said).strip()), given, where)
        events.append(checked(VideoEvent(video, name, modality, onset, offset, score, trained_on), where))
    return tuple(events)


def _seconds(parts: tuple[str | None, ...]) -> float:
    hours, minutes, whole, thousandths = (int(part or 0) for part in parts)
    return (3_600_000 * hours + 60_000 * minutes + 1000 * whole + thousandths) / 1000
