"""Decoding: any media file as equal segments of sound and pictures on one clock.

Time 0 is the earliest start of the audio and the video stream that are kept; a stream that starts later, or ends
earlier, is absent there. Segment ``i`` is ``[i, i + 1) * segment_seconds``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from avparse.foundation.errors import UserError
from avparse.media.decoding.container import DEFAULT_LIMITS, Limits, Warnings, header_seconds, open_media
from avparse.media.decoding.tracks import AudioTrack, Track, VideoTrack

_TAIL = 0.1  # a last part of a segment shorter than this is dropped
_PRESENT = 0.5  # a modality is present in a segment that it covers by this share


@dataclass(frozen=True)
class MediaInfo:
    """What a file holds, from its header and the first frame of each stream.

    Attributes:
        path: the file.
        duration_s: seconds on the clock, as the header states them (a damaged file may decode to less); 0 in bare
            streams without times, where only decoding can tell.
        has_audio, has_video: whether such a stream exists and begins to decode.
        width, height: pixels of the upright picture; 0 without video.
        frame_rate: average frames a second; 0 without video or where unknown.
        sample_rate, channels: of the sound as stored; 0 without audio.
        rotation_degrees: counter-clockwise turn (0, 90, 180, 270) that makes the stored picture upright; it is
            applied by :func:`read_chunks`.
    """

    path: str
    duration_s: float
    has_audio: bool
    has_video: bool
    width: int = 0
    height: int = 0
    frame_rate: float = 0.0
    sample_rate: int = 0
    channels: int = 0
    rotation_degrees: int = 0

    def segments(self, segment_seconds: float) -> int:
        """Return how many segments of ``segment_seconds`` the file has."""
        return segment_count(self.duration_s, segment_seconds)


@dataclass(frozen=True)
class Chunk:
    """Some consecutive segments of one file.

    Attributes:
        start_s: time of the first segment on the clock.
        end_s: where the content of this chunk ends; in the last chunk the end of the file.
        segments: how many.
        segment_seconds: length of each.
        sample_rate: samples a second.
        audio: float32 ``[segments * samples]``, mono, in [-1, 1], zero where there is no sound.
        audio_present: bool ``[segments]``, at least half of the segment (of its part before the end) has sound.
        frames: uint8 ``[segments, frames, H, W, 3]``, upright RGB at the centres of equal parts of each segment,
            zero in segments without pictures.
        visual_present: bool ``[segments]``.
        warnings: damage found since the chunk before.
    """

    start_s: float
    end_s: float
    segments: int
    segment_seconds: float
    sample_rate: int
    audio: npt.NDArray[np.float32]
    audio_present: npt.NDArray[np.bool_]
    frames: npt.NDArray[np.uint8]
    visual_present: npt.NDArray[np.bool_]
    warnings: tuple[str, ...] = ()


def segment_count(duration_s: float, segment_seconds: float) -> int:
    """Return the number of segments; a last part below a tenth of a segment counts only if it is the only one."""
    return max(1, math.ceil(duration_s / segment_seconds - _TAIL))


def probe(path: str | Path, *, limits: Limits = DEFAULT_LIMITS) -> MediaInfo:
    """Look at a media file without decoding more than the first frame of each stream.

    Raises:
        UserError: the file cannot be opened, exceeds a limit, or nothing in it can be decoded.
    """
    warnings = Warnings(path)
    with AudioTrack(path, 16000, limits, warnings) as audio, VideoTrack(path, (2, 2), 1.0, limits, warnings) as video:
        origin_s = set_clock(path, audio, video)
        found = MediaInfo(str(path), 0.0, has_audio=audio.start_s is not None, has_video=video.start_s is not None)
        if found.has_audio:
            context = audio.stream.codec_context
            found = replace(found, sample_rate=context.sample_rate, channels=context.channels)
        if found.has_video:
            a, b, _, _ = video.matrix
            stored = video.stream.codec_context.width, video.stream.codec_context.height
            width, height = stored if a else stored[::-1]
            rate = float(video.stream.average_rate or video.stream.guessed_rate or 0)
            turned = round(math.degrees(math.atan2(-b, a))) % 360
            found = replace(found, width=width, height=height, frame_rate=rate, rotation_degrees=turned)
        end_s = _stated_end_s(path, (audio, video), limits)
        return replace(found, duration_s=0.0 if end_s is None else end_s - origin_s)


def read_chunks(
    path: str | Path,
    *,
    segment_seconds: float = 1.0,
    sample_rate: int = 16000,
    frames_per_segment: int = 8,
    frame_size: tuple[int, int] = (96, 72),
    chunk_segments: int = 60,
    limits: Limits = DEFAULT_LIMITS,
    threads: int = 1,
) -> Iterator[Chunk]:
    """Decode a file of any length, some segments at a time, in constant memory.

    The segments are the same, bit for bit, however many go into a chunk.

    Args:
        path: any container and codec that FFmpeg reads.
        segment_seconds: length of a segment.
        sample_rate: of the mono sound, samples a second.
        frames_per_segment: pictures a segment.
        frame_size: (width, height) of the pictures; the aspect ratio is not kept.
        chunk_segments: segments a chunk; the last chunk may have fewer.
        limits: what the file may ask for.
        threads: of the decoder; 0 lets it choose.

    Raises:
        UserError: the file cannot be opened, exceeds a limit, or nothing in it can be decoded.
    """
    warnings = Warnings(path)
    step_s = segment_seconds / frames_per_segment
    with (
        AudioTrack(path, sample_rate, limits, warnings, threads) as audio,
        VideoTrack(path, frame_size, step_s, limits, warnings, threads) as video,
    ):
        origin_s = set_clock(path, audio, video)
        stated_end_s = _stated_end_s(path, (audio, video), limits)
        first, more = 0, True
        while more:
            last = first + chunk_segments
            # A little further than the chunk, to know whether anything worth a segment follows.
            for track in (audio, video):
                track.read_until((last + 2 * _TAIL) * segment_seconds)
            end_s = max(audio.end_s, video.end_s)
            if audio.ended and video.ended:
                last = min(last, segment_count(end_s, segment_seconds))
                more = segment_count(end_s, segment_seconds) > last
            if not more and stated_end_s is not None:
                _compare(end_s, stated_end_s - origin_s, warnings)
            spans = np.arange(first, last)[:, None] * segment_seconds + [0.0, segment_seconds]
            spans[:, 1] = np.minimum(spans[:, 1], end_s)
            sound, audio_present = _sound(audio, spans, segment_seconds, sample_rate)
            frames, visual_present = _frames(video, spans, frames_per_segment, frame_size)
            yield Chunk(
                start_s=first * segment_seconds,
                end_s=last * segment_seconds if more else end_s,
                segments=last - first,
                segment_seconds=segment_seconds,
                sample_rate=sample_rate,
                audio=sound,
                audio_present=audio_present,
                frames=frames,
                visual_present=visual_present,
                warnings=warnings.take(),
            )
            first = last


def set_clock(path: str | Path, audio: AudioTrack, video: VideoTrack) -> float:
    """Make the tracks count from the earlier of their starts, and return it on the file's own clock.

    Raises:
        UserError: neither track begins to decode.
    """
    starts = [track.start_s for track in (audio, video) if track.start_s is not None]
    if not starts:
        raise UserError(f"{path}: neither sound nor pictures in it can be decoded; replace it or convert it to mp4")
    audio.origin_s = video.origin_s = min(starts)
    return min(starts)


def _stated_end_s(path: str | Path, tracks: Sequence[Track], limits: Limits) -> float | None:
    """Return where the header, or failing that the last packet, says that the file ends, on the file's own clock."""
    kept = [track.stream for track in tracks if track.start_s is not None]
    container = tracks[0].container
    ends = [float((s.start_time + s.duration) * s.time_base) for s in kept if None not in (s.start_time, s.duration)]
    if container.format.name == "avi":  # a cut one states a shorter duration, but still how many frames it had
        ends += [float(s.frames / s.average_rate) for s in kept if s.type == "video" and s.average_rate]
    stated_s = header_seconds(container)
    if not ends and stated_s is not None:
        ends = [stated_s]  # Matroska counts it from zero, not from the first frame
    if not ends:
        with open_media(path, limits) as scanned:
            ends = [
                float((packet.pts + (packet.duration or 0)) * packet.time_base)
                for packet in scanned.demux()
                if packet.pts is not None and packet.stream_index in [stream.index for stream in kept]
            ]
    return max(ends, default=None)


def _compare(end_s: float, stated_s: float, warnings: Warnings) -> None:
    if abs(stated_s - end_s) > 0.3 + 0.01 * stated_s:
        found = f"{end_s:.1f} seconds decode where the file states {stated_s:.1f}"
        warnings.add("duration", f"{found}; it may be cut off or damaged")


def _sound(
    track: AudioTrack, spans: npt.NDArray[np.float64], segment_seconds: float, sample_rate: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    starts = np.rint(spans[:, 0] * sample_rate).astype(np.int64)
    size = round(segment_seconds * sample_rate)
    samples = track.take(int(starts[0]), int(starts[-1] - starts[0]) + size)
    table = samples[(starts - starts[0])[:, None] + np.arange(size)]  # [segments, samples]
    covered_s = np.count_nonzero(~np.isnan(table), axis=1) / sample_rate
    return np.nan_to_num(table).ravel(), _present(covered_s, spans)


def _frames(
    track: VideoTrack, spans: npt.NDArray[np.float64], per_segment: int, frame_size: tuple[int, int]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    shape = (len(spans), per_segment, frame_size[1], frame_size[0], 3)
    if track.start_s is None:
        return np.zeros(shape, dtype=np.uint8), np.zeros(len(spans), dtype=bool)
    start_s = track.start_s - track.origin_s
    covered_s = np.minimum(spans[:, 1], track.end_s) - np.maximum(spans[:, 0], start_s)
    present = _present(covered_s, spans)
    frames = track.take(len(spans) * per_segment).reshape(shape)
    frames[~present] = 0
    return frames, present


def _present(covered_s: npt.NDArray[np.float64], spans: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    return (covered_s > 0) & (covered_s >= _PRESENT * (spans[:, 1] - spans[:, 0]) - 1e-9)
