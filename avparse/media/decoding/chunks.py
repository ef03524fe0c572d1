"""Decoding: any media file as equal segments of sound and pictures on one clock.

Time 0 is the earliest start of the audio and the video stream that are kept; a stream that starts later, or ends
earlier, is absent there. Segment ``i`` is ``[i, i + 1) * segment_seconds``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from avparse.foundation.arrays import BoolArray, Float32Array, Float64Array, UInt8Array
from avparse.foundation.errors import UserError
from avparse.media.decoding.container import DEFAULT_LIMITS, Limits, Warnings, header_seconds, open_media
from avparse.media.decoding.tracks import AudioTrack, Track, VideoTrack
from avparse.media.decoding.views import PictureView, SoundView, View

_TAIL = 0.1  # a last part of a segment shorter than this is dropped
_PRESENT = 0.5  # a modality is present in a segment that it covers by this share
_CLOCK_RATE = 8000  # samples a second, where the sound is only looked at for the clock
_CHUNK_SEGMENTS, _CHUNK_BYTES = 60, 1 << 27


@dataclass(frozen=True)
class MediaInfo:
    """What a file holds, from its header and the first frame of each stream.

    Attributes:
        path: path of the file.
        duration_s: seconds on the clock, as the header states them (a damaged file may decode to less); 0 in bare
            streams without times, where only decoding can tell.
        has_audio, has_video: whether such a stream exists and begins to decode.
        width, height: pixels of the upright picture; 0 without video.
        frame_rate: average frames a second; 0 without video or where unknown.
        sample_rate, channels: sample rate and number of channels of the sound as stored; 0 without audio.
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
        end_s: end of this chunk's content in seconds; in the last chunk the end of the file.
        segments: number of segments.
        segment_seconds: length of each.
        sounds: audio of each view, float32 ``[segments, windows, samples]``, mono, in [-1, 1], zero where there is no
            sound.
        pictures: pictures of each view, uint8 ``[segments, pictures, H, W, 3]``, zero in segments without any.
        audio_present: bool ``[segments]``, at least half of the segment (of its part before the end) has sound.
        visual_present: bool ``[segments]``, at least half of the segment has pictures.
        warnings: damage found since the chunk before.
    """

    start_s: float
    end_s: float
    segments: int
    segment_seconds: float
    sounds: Mapping[SoundView, Float32Array]
    pictures: Mapping[PictureView, UInt8Array]
    audio_present: BoolArray
    visual_present: BoolArray
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
    with AudioTrack(path, (), limits, warnings) as audio, VideoTrack(path, {}, limits, warnings) as video:
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
    views: Iterable[View],
    *,
    segment_seconds: float = 1.0,
    chunk_segments: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
    threads: int = 1,
) -> Iterator[Chunk]:
    """Decode a file of any length once for all ``views`` of it, some segments at a time, in constant memory.

    The segments are the same, bit for bit, however many go into a chunk, and whatever the other views are.

    Args:
        path: any container and codec that FFmpeg reads.
        views: views of the sound and of the pictures to return; equal ones are made once.
        segment_seconds: length of a segment.
        chunk_segments: segments a chunk, of which the last chunk may have fewer; None takes up to 60, fewer where
            those would take more than 128 MiB.
        limits: limits on the resources that the file may need.
        threads: threads of the decoder; 0 lets it choose.

    Raises:
        UserError: the file cannot be opened, exceeds a limit, or nothing in it can be decoded.
    """
    wanted = list(dict.fromkeys(views))
    sounds = [view for view in wanted if isinstance(view, SoundView)]
    pictures = [view for view in wanted if isinstance(view, PictureView)]
    size = chunk_segments or _affordable(wanted, segment_seconds)
    warnings = Warnings(path)
    rates = [view.sample_rate for view in sounds] or [_CLOCK_RATE]
    steps = {view: segment_seconds / view.count(segment_seconds) for view in pictures}
    with (
        AudioTrack(path, rates, limits, warnings, threads) as audio,
        VideoTrack(path, steps, limits, warnings, threads) as video,
    ):
        origin_s = set_clock(path, audio, video)
        stated_end_s = _stated_end_s(path, (audio, video), limits)
        beyond_s = max((_beyond_s(view, segment_seconds) for view in sounds), default=0.0)
        first, more = 0, True
        while more:
            last = first + size
            # A little further than the chunk, to know whether anything worth a segment follows.
            ahead_s = 2 * _TAIL * segment_seconds
            audio.read_until(last * segment_seconds + max(ahead_s, beyond_s))
            video.read_until(last * segment_seconds + ahead_s)
            end_s = max(audio.end_s, video.end_s)
            if audio.ended and video.ended:
                last = min(last, segment_count(end_s, segment_seconds))
                more = segment_count(end_s, segment_seconds) > last
            if not more and stated_end_s is not None:
                _compare(end_s, stated_end_s - origin_s, warnings)
            spans = np.arange(first, last)[:, None] * segment_seconds + [0.0, segment_seconds]
            spans[:, 1] = np.minimum(spans[:, 1], end_s)
            visual_present = _video_present(video, spans)
            yield Chunk(
                start_s=first * segment_seconds,
                end_s=last * segment_seconds if more else end_s,
                segments=last - first,
                segment_seconds=segment_seconds,
                audio_present=_audio_present(audio, spans, segment_seconds, rates[0]),
                sounds={view: _windows(audio, spans[:, 0], segment_seconds, view) for view in sounds},
                pictures={view: _pictures(video, visual_present, segment_seconds, view) for view in pictures},
                visual_present=visual_present,
                warnings=warnings.take(),
            )
            first = last


def set_clock(path: str | Path, audio: AudioTrack, video: VideoTrack) -> float:
    """Make the tracks count from the earlier of their starts, and return it on the file's own clock.

    Raises:
        UserError: no track can be decoded.
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


def _affordable(views: Sequence[View], segment_seconds: float) -> int:
    """Return how many segments of these views are held at a time."""
    segment_bytes = sum(view.segment_bytes(segment_seconds) for view in views)
    return min(_CHUNK_SEGMENTS, max(1, _CHUNK_BYTES // max(1, segment_bytes)))


def _beyond_s(view: SoundView, segment_seconds: float) -> float:
    """Return how far the last window of a segment reaches beyond it."""
    end_s = float(view.offsets(segment_seconds)[-1]) + (view.window_s or segment_seconds)
    return max(0.0, end_s - segment_seconds)


def _windows(track: AudioTrack, starts_s: Float64Array, segment_seconds: float, view: SoundView) -> Float32Array:
    begin = np.rint((starts_s[:, None] + view.offsets(segment_seconds)) * view.sample_rate).astype(np.int64)
    size = view.samples(segment_seconds)
    samples = np.nan_to_num(track.take(view.sample_rate, int(begin[0, 0]), int(begin[-1, -1] - begin[0, 0]) + size))
    windows: Float32Array = samples[(begin - begin[0, 0])[..., None] + np.arange(size)]
    return windows


def _audio_present(track: AudioTrack, spans: Float64Array, segment_seconds: float, sample_rate: int) -> BoolArray:
    starts = np.rint(spans[:, 0] * sample_rate).astype(np.int64)
    size = round(segment_seconds * sample_rate)
    there = ~np.isnan(track.take(sample_rate, int(starts[0]), int(starts[-1] - starts[0]) + size))
    covered = np.count_nonzero(there[(starts - starts[0])[:, None] + np.arange(size)], axis=1)
    return _present(covered / sample_rate, spans)


def _pictures(track: VideoTrack, present: BoolArray, segment_seconds: float, view: PictureView) -> UInt8Array:
    count = view.count(segment_seconds)
    shape = (len(present), count, view.size[1], view.size[0], 3)
    if track.start_s is None:
        return np.zeros(shape, dtype=np.uint8)
    pictures = track.take(view, len(present) * count).reshape(shape)
    pictures[~present] = 0
    return pictures


def _video_present(track: VideoTrack, spans: Float64Array) -> BoolArray:
    if track.start_s is None:
        return np.zeros(len(spans), dtype=bool)
    start_s = track.start_s - track.origin_s
    return _present(np.minimum(spans[:, 1], track.end_s) - np.maximum(spans[:, 0], start_s), spans)


def _present(covered_s: Float64Array, spans: Float64Array) -> BoolArray:
    return (covered_s > 0) & (covered_s >= _PRESENT * (spans[:, 1] - spans[:, 0]) - 1e-9)
