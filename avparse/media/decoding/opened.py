"""A media file opened for reading: its sound and its pictures on one clock, and what it says of its own length."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from avparse.media.decoding.audio_track import AudioTrack
from avparse.media.decoding.clock import Clock, packet_seconds
from avparse.media.decoding.container import header_seconds, open_media
from avparse.media.decoding.guard import DEFAULT_LIMITS, Guard, Limits
from avparse.media.decoding.problems import MediaError
from avparse.media.decoding.video_track import VideoTrack
from avparse.media.decoding.views import PictureView, segment_count


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
        sample_rate, channels: the sound as it is stored; 0 without audio.
        rotation_degrees: counter-clockwise turn (0, 90, 180, 270) that makes the stored picture upright; it is
            applied by :func:`avparse.media.decoding.chunks.read_chunks`.
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
class Opened:
    """The two tracks of an open file.

    Attributes:
        guard: the file, its limits and its warnings.
        audio, video: the tracks, which count time from the earlier of their starts.
        origin_s: reading of the file's own clock at time 0, in seconds.
        stated_s: the duration that the header states, or failing that the last packet; None where nothing tells.
    """

    guard: Guard
    audio: AudioTrack
    video: VideoTrack
    origin_s: float
    stated_s: float | None

    @property
    def end_s(self) -> float:
        """End of what was read so far."""
        return max(self.audio.end_s, self.video.end_s)

    def compare_length(self) -> None:
        """Warn where everything is read and the file states another length."""
        trusted = not self.guard.kinds & {"restart", "jump"}
        if self.stated_s is not None and trusted and abs(self.stated_s - self.end_s) > 0.3 + 0.01 * self.stated_s:
            found = f"{self.end_s:.1f} seconds decode where the file states {self.stated_s:.1f}"
            self.guard.warn("length", f"{found}; it may be cut off or damaged")


@contextmanager
def open_tracks(
    guard: Guard,
    sample_rates: Sequence[int] = (),
    pictures: Sequence[PictureView] = (),
    segment_seconds: float = 1.0,
    threads: int = 1,
) -> Iterator[Opened]:
    """Open a file and decode the first frame of each of its two tracks.

    Args:
        guard: the file, its limits and its warnings.
        sample_rates: rates at which the sound is wanted, samples a second.
        pictures: views of the pictures.
        segment_seconds: length of a segment.
        threads: threads of the decoder; 0 lets it choose.

    Raises:
        MediaError: the file cannot be opened, exceeds a limit, or nothing in it can be decoded.
    """
    with (
        AudioTrack(guard, sample_rates, threads) as audio,
        VideoTrack(guard, pictures, segment_seconds, threads) as video,
    ):
        starts = [track.start_s for track in (audio, video) if track.start_s is not None]
        if not starts:
            message = f"{guard.path}: neither sound nor pictures in it can be decoded; replace it or convert it to mp4"
            raise MediaError("undecodable", message)
        origin_s = audio.origin_s = video.origin_s = min(starts)
        stated_end_s = _stated_end_s(guard, audio, video)
        stated_s = None if stated_end_s is None else stated_end_s - origin_s
        if stated_s is not None:
            guard.state(stated_s)
        yield Opened(guard, audio, video, origin_s, stated_s)


def probe(path: str | Path, *, limits: Limits = DEFAULT_LIMITS) -> MediaInfo:
    """Look at a media file without decoding more than the first frames of each stream.

    Raises:
        MediaError: the file cannot be opened, exceeds a limit, or nothing in it can be decoded.
    """
    with open_tracks(Guard(path, limits)) as opened:
        audio, video = opened.audio, opened.video
        found = MediaInfo(str(path), opened.stated_s or 0.0, audio.start_s is not None, video.start_s is not None)
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
        return found


def _stated_end_s(guard: Guard, audio: AudioTrack, video: VideoTrack) -> float | None:
    """Return where the header, or failing that the last packet, says that the file ends, on the file's own clock."""
    kept = [track.stream for track in (audio, video) if track.start_s is not None]
    container = audio.container
    ends = [float((s.start_time + s.duration) * s.time_base) for s in kept if None not in (s.start_time, s.duration)]
    if container.format.name == "avi":  # a cut one states a shorter duration, but still how many frames it had
        ends += [float(s.frames / s.average_rate) for s in kept if s.type == "video" and s.average_rate]
    stated_s = header_seconds(container)
    if stated_s is not None and (not ends or len(kept) == len(container.streams)):
        # Counted from zero in Matroska. Where a damaged index hides a stream, only the whole file's length tells.
        ends.append(stated_s)
    if not ends:
        with open_media(guard) as scanned:
            streams = [scanned.streams[stream.index] for stream in kept]
            for packet in Clock(scanned, streams, guard).packets():
                if packet.pts is not None:
                    ends.append(float(packet.pts * packet.time_base) + packet_seconds(packet))
                    guard.earn(ends[-1])
                    ends = [max(ends)]
    return max(ends, default=None)
