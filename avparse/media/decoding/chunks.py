"""Decoding: any media file as equal segments of sound and pictures on one clock.

Time 0 is the earliest start of the audio and the video stream that are kept; a stream that starts later, or ends
earlier, is absent there. Segment ``i`` is ``[i, i + 1) * segment_seconds``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avparse.foundation.arrays import BoolArray, Float32Array, Float64Array, UInt8Array
from avparse.media.decoding.audio_track import AudioTrack
from avparse.media.decoding.guard import DEFAULT_LIMITS, Guard, Limits
from avparse.media.decoding.opened import open_tracks
from avparse.media.decoding.problems import MediaError, MediaWarning
from avparse.media.decoding.video_track import VideoTrack
from avparse.media.decoding.views import TAIL, PictureView, SoundView, View, segment_count

_PRESENT = 0.5  # a modality is present in a segment that it covers by this share
_CLOCK_RATE = 8000  # samples a second, where the sound is only looked at for the clock
_CHUNK_SEGMENTS, _CHUNK_BYTES = 60, 1 << 27


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
        origin_s: reading of the file's own clock at time 0, in seconds.
        warnings: faults found since the previous chunk.
    """

    start_s: float
    end_s: float
    segments: int
    segment_seconds: float
    sounds: Mapping[SoundView, Float32Array]
    pictures: Mapping[PictureView, UInt8Array]
    audio_present: BoolArray
    visual_present: BoolArray
    origin_s: float = 0.0
    warnings: tuple[MediaWarning, ...] = ()


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

    The segments are the same, bit for bit, however many go into a chunk.

    Args:
        path: the media file, in one of the containers of :data:`avparse.media.decoding.container.DEMUXERS`.
        views: views of the sound and of the pictures; equal views are made once.
        segment_seconds: length of a segment.
        chunk_segments: segments a chunk, of which the last chunk may have fewer; None takes up to 60, fewer where
            those would take more than 128 MiB.
        limits: limits of the size and cost of the file.
        threads: threads of the decoder; 0 lets it choose.

    Raises:
        MediaError: the file cannot be opened, exceeds a limit, costs too much, or nothing in it can be decoded.
    """
    wanted = list(dict.fromkeys(views))
    sounds = [view for view in wanted if isinstance(view, SoundView)]
    pictures = [view for view in wanted if isinstance(view, PictureView)]
    size = chunk_segments or _affordable(wanted, segment_seconds)
    rates = [view.sample_rate for view in sounds] or [_CLOCK_RATE]
    guard = Guard(path, limits)
    beyond_s = max((_beyond_s(view, segment_seconds) for view in sounds), default=0.0)
    lead_s = max((view.lead_s for view in sounds), default=0.0)
    later_s = max((view.offset_s for view in pictures), default=0.0)
    with open_tracks(guard, rates, pictures, segment_seconds, threads) as opened:
        audio, video = opened.audio, opened.video
        first, more = 0, True
        while more:
            last = first + size
            # A little further than the chunk, to know whether anything worth a segment follows.
            ahead_s = 2 * TAIL * segment_seconds
            audio.read_until(last * segment_seconds + max(ahead_s, beyond_s))
            video.read_until(last * segment_seconds + max(ahead_s, later_s))
            end_s = opened.end_s
            if audio.ended and video.ended:
                last = min(last, segment_count(end_s, segment_seconds))
                more = segment_count(end_s, segment_seconds) > last
            if last > limits.max_segments:
                message = f"more than {limits.max_segments} segments; cut it, or raise 'max_segments'"
                raise MediaError("budget", f"{path}: {message}")
            if not more:
                opened.compare_length()
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
                origin_s=opened.origin_s,
                warnings=guard.take_warnings(),
            )
            audio.forget(last * segment_seconds - lead_s)
            first = last


def _affordable(views: Sequence[View], segment_seconds: float) -> int:
    """Return how many segments of these views are held at a time."""
    segment_bytes = sum(view.segment_bytes(segment_seconds) for view in views)
    return min(_CHUNK_SEGMENTS, max(1, _CHUNK_BYTES // max(1, segment_bytes)))


def _beyond_s(view: SoundView, segment_seconds: float) -> float:
    """Return how far the last window of a segment reaches beyond it."""
    end_s = float(view.offsets(segment_seconds)[-1]) + (view.window_s or segment_seconds)
    return max(0.0, end_s - segment_seconds)


def _windows(track: AudioTrack, starts_s: Float64Array, segment_seconds: float, view: SoundView) -> Float32Array:
    offsets = view.offsets(segment_seconds) - view.lead_s
    begin = np.rint((starts_s[:, None] + offsets) * view.sample_rate).astype(np.int64)
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
