"""Small real media files for the tests, written with PyAV."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

CODECS = {
    ".wav": ("", "pcm_s16le"),
    ".mp4": ("libx264", "aac"),
    ".mov": ("libx264", "aac"),
    ".ts": ("libx264", "aac"),
    ".mkv": ("libx264", "flac"),
    ".webm": ("libvpx-vp9", "libopus"),
    ".avi": ("mjpeg", "pcm_s16le"),
}

Sound = Callable[[np.ndarray], np.ndarray]
Picture = Callable[[float], np.ndarray]


def tone(hertz: float = 440.0, level: float = 0.5) -> Sound:
    return lambda t: level * np.sin(2 * np.pi * hertz * t)


def click(at_s: float) -> Sound:
    """20 ms of 1 kHz at ``at_s`` in silence."""
    return lambda t: np.where((t >= at_s) & (t < at_s + 0.02), 0.8 * np.cos(2000 * np.pi * t), 0.0)


def grey(level: Callable[[float], float], size: tuple[int, int] = (64, 48)) -> Picture:
    return lambda t: np.full((size[1], size[0], 3), np.clip(level(t), 0, 255), np.uint8)


def flash(at_s: float) -> Picture:
    """200 ms of white at ``at_s`` in black."""
    return grey(lambda t: 255 if at_s - 1e-6 <= t < at_s + 0.2 - 1e-6 else 0)


def colours(t: float) -> np.ndarray:
    """A picture that moves: a bright bar over a slow gradient."""
    y, x = np.mgrid[:48, :64]
    bar = np.abs((x - 40 * t) % 64 - 8) < 6
    return np.stack([x * 3, y * 4, np.where(bar, 255, 30)], axis=-1).astype(np.uint8)


def write_clip(
    path: Path,
    *,
    sound: Sound | Sequence[Sound] | None = None,
    picture: Picture | None = None,
    seconds: float = 2.0,
    sample_rate: int = 48000,
    sound_start_s: float = 0.0,
    picture_start_s: float = 0.0,
    times: Sequence[float] | None = None,
    fps: int = 20,
    rotation: tuple[int, bool, bool] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a clip; ``sound`` and ``picture`` are functions of the wall time, which starts at 0 for both streams.

    Several sounds are the channels of one stream. ``times`` are the frames' times where the rate varies;
    ``rotation`` is (counter-clockwise degrees, hflip, vflip) of the display matrix.
    """
    video_codec, audio_codec = CODECS[path.suffix]
    jobs: list[Iterator[tuple[float, int, av.VideoFrame | av.AudioFrame]]] = []
    with av.open(str(path), "w", options=options or {}) as container:
        if picture is not None:
            video = container.add_stream(video_codec, rate=fps, options={"crf": "10"})
            video.height, video.width = picture(0.0).shape[:2]
            video.pix_fmt = "yuvj420p" if video_codec == "mjpeg" else "yuv420p"
            if times is not None:
                video.codec_context.time_base = Fraction(1, 1000)
            if rotation is not None:
                video.set_display_rotation(rotation[0], hflip=rotation[1], vflip=rotation[2])
            step = Fraction(1, 1000 if times is not None else fps)
            regular = np.arange(picture_start_s, seconds - 1e-9, 1 / fps)
            jobs.append(_video_frames(picture, regular if times is None else times, step, video.index))
        if sound is not None:
            channels = [sound] if callable(sound) else list(sound)
            layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(channels)]
            audio = container.add_stream(audio_codec, rate=sample_rate, layout=layout)
            span = round(sound_start_s * sample_rate), round(seconds * sample_rate)
            jobs.append(_audio_frames(channels, span, sample_rate, layout, audio.index))
        for _, index, frame in heapq.merge(*jobs, key=lambda job: job[0]):
            container.mux(container.streams[index].encode(frame))
        for stream in container.streams:
            container.mux(stream.encode(None))
    return path


def _video_frames(
    picture: Picture, times: Sequence[float] | np.ndarray, step: Fraction, index: int
) -> Iterator[tuple[float, int, av.VideoFrame]]:
    for t in map(float, times):
        frame = av.VideoFrame.from_ndarray(picture(t), "rgb24")
        frame.pts, frame.time_base = round(t / step), step
        yield t, index, frame


def _audio_frames(
    channels: Sequence[Sound], span: tuple[int, int], sample_rate: int, layout: str, index: int
) -> Iterator[tuple[float, int, av.AudioFrame]]:
    for first in range(*span, 960):
        t = np.arange(first, min(first + 960, span[1])) / sample_rate
        packed = (np.stack([channel(t) for channel in channels], axis=1) * 32767).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=layout)
        frame.sample_rate, frame.time_base, frame.pts = sample_rate, Fraction(1, sample_rate), first
        yield first / sample_rate, index, frame
