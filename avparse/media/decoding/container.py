"""Opening a media file: which containers are read, what a header may ask for, and which streams count."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import av
from av.container import InputContainer

from avparse.foundation.platform import open_regular
from avparse.media.decoding.guard import Guard
from avparse.media.decoding.problems import MediaError

_OPEN_S, _READ_S = 30.0, 30.0  # for opening a file, and for one read from it
# Every demuxer that may be used. None of them opens another file: no playlists, no lists, no patterns of pictures, no
# session descriptions, no subtitles beside an index; and none takes a plain text for a picture.
DEMUXERS = (
    *("mov", "mp4", "3gp", "3g2", "matroska", "webm", "avi", "mpegts", "mpeg", "flv", "live_flv", "kux"),
    *("asf", "asf_o", "ogg", "rm", "nut", "mxf", "gxf", "wtv", "nsv", "nuv", "dv", "ivf", "dhav", "lxf", "pva", "ty"),
    *("wav", "w64", "aiff", "au", "caf", "flac", "mp3", "aac", "loas", "ac3", "eac3", "ac4", "dts", "dtshd", "truehd"),
    *("mlp", "amr", "amrnb", "amrwb", "ape", "wv", "tta", "tak", "mpc", "mpc8", "shn", "oma", "dsf", "dss", "voc"),
    *("gsm", "sox", "ircam", "avr", "rso", "ast", "qcp", "mmf", "xwma", "iff", "nistsphere", "sbc", "spdif", "lc3"),
    *("h261", "h263", "h264", "hevc", "vvc", "evc", "m4v", "mpegvideo", "vc1", "vc1test", "av1", "obu", "cavsvideo"),
    *("mjpeg", "dirac", "dnxhd", "yuv4mpegpipe", "gif", "apng", "flic", "swf", "smk", "bink", "roq", "vivo", "xmv"),
)
_TRANSPORT_BYTES = (188, 192, 204)  # of a packet of a transport stream, which states no length: plain, timed, protected
_PATTERN = set("%*?[{")  # of picture names
_REFUSED = "use mp4, mkv, webm, mov, avi, ts, wav, mp3, flac or another container of sound or pictures"


class Chosen(NamedTuple):
    """The streams of a file that count; None where it has none."""

    audio: Any
    video: Any


def open_media(guard: Guard) -> InputContainer:
    """Open a media file and check its header.

    Raises:
        MediaError: no such file, not a regular file, empty, not media, or beyond a limit.
    """
    path, file = guard.path, Path(guard.path)
    if file.is_dir():
        raise MediaError("missing", f"{path}: is a folder; name a video file")
    if not file.exists():
        raise MediaError("missing", f"{path}: no such file; check the path")
    if not file.is_file():
        raise MediaError("missing", f"{path}: not a regular file; copy the video to a file first")
    if file.stat().st_size == 0:
        raise MediaError("missing", f"{path}: the file is empty; copy or download it again")
    # The whitelists keep playlists that pose as videos from opening anything; 'file:' makes addresses into names. A
    # name of a picture that FFmpeg could take for a pattern is kept from it.
    options = {"protocol_whitelist": "file", "format_whitelist": ",".join(DEMUXERS)}
    try:
        with guard.working():
            source = open_regular(file) if _PATTERN & set(file.name) else f"file:{os.fspath(file)}"
            container = av.open(
                source, mode="r", options=options, metadata_errors="replace", timeout=(_OPEN_S, _READ_S)
            )
    except PermissionError:
        raise MediaError("missing", f"{path}: permission denied; choose a file you may read") from None
    except av.ArgumentError:
        raise MediaError("not media", f"{path}: no container of sound or pictures; {_REFUSED}") from None
    except (av.FFmpegError, OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        message = f"{path}: not a media file, or cut off ({cause}); replace it or convert it to mp4"
        raise MediaError("not media", message) from None
    try:
        _check_header(guard, container)
    except BaseException:
        container.close()
        raise
    return container


def choose_streams(container: InputContainer, guard: Guard) -> Chosen:
    """Return the sound and the pictures that players choose: the default or first ones of one programme.

    Cover art is not a video. A stream without a decoder is passed over, with a warning if there is no other of its
    kind.
    """
    video = _find(container, "video", guard)
    audio = _find(container, "audio", guard)
    if audio is not None and video is not None and container.format.name == "mpegts":
        # A transport stream may carry several programmes: the sound is that of the pictures.
        audio = container.streams.best("audio", related=video) or audio
    return Chosen(audio, video)


def header_seconds(container: InputContainer) -> float | None:
    """Return the duration in seconds that the header states, None where it states none."""
    return None if container.duration is None else float(container.duration / av.time_base)


def _find(container: InputContainer, kind: str, guard: Guard) -> Any:
    those = [s for s in container.streams if s.type == kind and not _is_cover(s)]
    able = [s for s in those if s.codec_context is not None]
    if those and not able:
        guard.warn("no decoder", f"it has {kind} in a codec without a decoder, which is left out; convert it to mp4")
    return next((s for s in able if s.disposition & av.stream.Disposition.default), able[0] if able else None)


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _check_header(guard: Guard, container: InputContainer) -> None:
    limits = guard.limits
    size = os.path.getsize(guard.path)
    if container.format.name == "mpegts" and all(size % packet for packet in _TRANSPORT_BYTES):
        guard.warn("break", "the file breaks off within a packet; what comes before is kept")
    guard.refuse("streams", len(container.streams), limits.max_streams)
    guard.refuse("seconds", header_seconds(container) or 0.0, limits.max_seconds)
    for stream in container.streams:
        context: Any = stream.codec_context
        if context is not None and stream.type == "video":
            guard.refuse("pixels a frame", context.width * context.height, limits.max_pixels)
        elif context is not None and stream.type == "audio":
            guard.refuse("samples a second", context.sample_rate or 0, limits.max_sample_rate)
            guard.refuse("channels", context.channels or 0, limits.max_channels)
