"""Small real media files for the tests, written with PyAV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

CODECS = {
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
    jobs = []  # (time, stream, frame)
    with av.open(str(path), "w", options=options or {}) as container:
        if picture is not None:
            first = picture(0.0)
            video = container.add_stream(video_codec, rate=fps, options={"crf": "10"})
            video.width, video.height = first.shape[1], first.shape[0]
            video.pix_fmt = "yuvj420p" if video_codec == "mjpeg" else "yuv420p"
            if times is not None:
                video.codec_context.time_base = Fraction(1, 1000)
            if rotation is not None:
                video.set_display_rotation(rotation[0], hflip=rotation[1], vflip=rotation[2])
            step = Fraction(1, 1000) if times is not None else Fraction(1, fps)
            for t in times if times is not None else np.arange(picture_start_s, seconds - 1e-9, 1 / fps):
                frame = av.VideoFrame.from_ndarray(picture(float(t)), "rgb24")
                frame.pts, frame.time_base = round(float(t) / step), step
                jobs.append((float(t), video, frame))
        if sound is not None:
            channels = [sound] if callable(sound) else list(sound)
            layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(channels)]
            audio = container.add_stream(audio_codec, rate=sample_rate, layout=layout)
            t = sound_start_s + np.arange(round((seconds - sound_start_s) * sample_rate)) / sample_rate
            samples = np.stack([np.asarray(channel(t)) for channel in channels])
            for at in range(0, samples.shape[1], 960):
                packed = np.ascontiguousarray((samples[:, at : at + 960] * 32767).astype(np.int16).T).reshape(1, -1)
                frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=layout)
                frame.sample_rate, frame.time_base = sample_rate, Fraction(1, sample_rate)
                frame.pts = at + round(sound_start_s * sample_rate)
                jobs.append((sound_start_s + at / sample_rate, audio, frame))
        for _, stream, frame in sorted(jobs, key=lambda job: job[0]):
            container.mux(stream.encode(frame))
        for stream in container.streams:
            container.mux(stream.encode(None))
    return path
