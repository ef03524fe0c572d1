"""Renders a scene to a real video file: H.264 and AAC in mp4, both streams as long as the timeline."""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image

from avparse.foundation.arrays import BoolArray, Float32Array
from avparse.foundation.errors import UserError
from avparse.foundation.files import scratch_folder, write_bytes, writing
from avparse.foundation.settings import lookup
from avparse.media.synthesis.pen import Drawing
from avparse.media.synthesis.pictures import PICTURES
from avparse.media.synthesis.scenery import Backdrop, ambience
from avparse.media.synthesis.sounds import SOUNDS
from avparse.media.synthesis.waves import swell

WIDTH, HEIGHT, FRAME_RATE = 192, 144, 12
SAMPLE_RATE = 16_000
_AAC_FRAME = 1024
_FADE_S = 0.02
_APPEAR_S = 0.25
_LOUDNESS = 0.1  # RMS of an event's louder parts
# Equal bytes need one thread and no macroblock tree: x264's AVX-512 code for it gave other bytes in one run of twenty.
# Without B-frames decoding and showing order agree, so no edit list shifts time.
_X264 = {"preset": "veryfast", "crf": "25", "bf": "0", "mbtree": "0", "threads": "1", "g": str(2 * FRAME_RATE)}


@dataclass(frozen=True)
class Scene:
    """What happens in a video.

    Attributes:
        classes: C names, each in ``SOUNDS`` and ``PICTURES``.
        audio: ``[T, C]`` boolean, heard.
        visual: ``[T, C]`` boolean, seen.
        segment_seconds: length of a segment.
    """

    classes: tuple[str, ...]
    audio: BoolArray
    visual: BoolArray
    segment_seconds: float = 1.0

    def __post_init__(self) -> None:
        if not self.audio.shape == self.visual.shape == (len(self.audio), len(self.classes)):
            shapes = f"audio {list(self.audio.shape)}, visual {list(self.visual.shape)}"
            raise UserError(f"scene: {shapes} do not fit {len(self.classes)} classes; give [T, C] for both")

    @property
    def duration_s(self) -> float:
        """Seconds."""
        return len(self.audio) * self.segment_seconds

    def spans(self, active: BoolArray) -> list[tuple[float, float]]:
        """Return the (start, end) in seconds of each unbroken stretch of a class's timeline ``[T]``."""
        edges = np.flatnonzero(np.diff(active.astype(np.int8), prepend=0, append=0)) * self.segment_seconds
        return [(float(start), float(end)) for start, end in edges.reshape(-1, 2)]


def render_video(path: str | os.PathLike[str], scene: Scene, seed: int) -> None:
    """Write ``scene`` as an mp4 file, atomically; equal seeds give equal bytes.

    Raises:
        UserError: a class has no sound or picture, or the file cannot be written.
    """
    # Fast start moves the index in a second pass over a real file; only the finished bytes reach ``path``.
    with writing(path), scratch_folder(Path(path).parent) as folder:
        draft = folder / "draft.mp4"
        _encode(draft, frames(scene, seed), mix(scene, seed))
        write_bytes(path, draft.read_bytes())


def mix(scene: Scene, seed: int) -> Float32Array:
    """Return the sound ``[samples]`` of a scene at ``SAMPLE_RATE``: its events over background noise of some level."""
    samples = round(scene.duration_s * SAMPLE_RATE)
    rng = _stream(seed, "ambience")
    noise_db = -rng.uniform(10, 24)
    total = _LOUDNESS * 10 ** (noise_db / 20) * ambience(rng, samples, SAMPLE_RATE)
    for column, name in enumerate(scene.classes):
        make = lookup(SOUNDS, name, "class with a synthetic sound")
        gain = 10 ** (_stream(seed, "gain", column).uniform(-3, 3) / 20)
        for span in scene.spans(scene.audio[:, column]):
            start, stop = (round(edge_s * SAMPLE_RATE) for edge_s in span)
            # The same stream for every run: one dog barks throughout a video.
            event = make(_stream(seed, "sound", column), stop - start, SAMPLE_RATE)
            total[start:stop] += gain * _evened(event) * swell(stop - start, SAMPLE_RATE, _FADE_S, _FADE_S)
    return (total * min(1.0, 0.95 / float(np.abs(total).max()))).astype(np.float32)


def frames(scene: Scene, seed: int) -> Iterator[Image.Image]:
    """Yield the RGB pictures of a scene at ``FRAME_RATE``: objects of the visible classes before a moving backdrop."""
    backdrop = Backdrop(_stream(seed, "backdrop"), WIDTH, HEIGHT)
    actors = _cast(scene, seed)
    for index in range(math.ceil(round(scene.duration_s * FRAME_RATE, 6))):
        time_s = index / FRAME_RATE
        image = backdrop.frame(time_s)
        for actor in actors:
            actor.show(image, time_s)
        yield image


@dataclass(frozen=True)
class _Actor:
    """An object at its place, with the spans of time (seconds) in which it is there."""

    drawing: Drawing
    sprites: list[Image.Image]
    centre: tuple[float, float]
    spans: list[tuple[float, float]]

    def show(self, image: Image.Image, time_s: float) -> None:
        span = next((s for s in self.spans if s[0] <= time_s < s[1]), None)
        if span is None:
            return
        sprite = self.sprites[self.drawing.pose(time_s)]
        # It comes into sight quickly at the start; at the very start of the video it is there already.
        presence = 1.0 if span[0] == 0 else min(1.0, 0.3 + (time_s - span[0]) / _APPEAR_S)
        mask = sprite.getchannel("A")
        if presence < 1:
            mask = mask.point([int(presence * value) for value in range(256)])
        dx, dy = self.drawing.shift(time_s)
        left = self.centre[0] + (dx - 0.5) * sprite.width
        top = self.centre[1] + (dy - 0.5) * sprite.height
        image.paste(sprite, (round(left), round(top)), mask)


def _cast(scene: Scene, seed: int) -> list[_Actor]:
    """Give every visible class a variant, a size and a column of the picture."""
    seen = [column for column in range(len(scene.classes)) if scene.visual[:, column].any()]
    rng = _stream(seed, "stage")
    actors = []
    for column, place in zip(seen, rng.permutation(len(seen)).tolist(), strict=True):
        draw = lookup(PICTURES, scene.classes[column], "class with a drawn picture")
        drawing = draw(_stream(seed, "picture", column))
        room = WIDTH / len(seen)
        size = round(min(HEIGHT, 1.25 * room) * rng.uniform(0.7, 0.95))
        slack = max(0.0, 0.5 * (room - size))
        x = (place + 0.5) * room + rng.uniform(-1, 1) * slack
        y = HEIGHT / 2 + rng.uniform(-0.5, 0.9) * (HEIGHT - size) / 2
        actors.append(_Actor(drawing, drawing.sprites(size), (x, y), scene.spans(scene.visual[:, column])))
    return actors


def _encode(path: Path, pictures: Iterable[Image.Image], sound: Float32Array) -> None:
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=FRAME_RATE, options=_X264)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE, options={"aac_coder": "fast"})
        audio.layout, audio.bit_rate = "mono", 48_000
        heard = 0
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
            frame.pts = index
            container.mux(video.encode(frame))
            # Both streams advance together, so that the packets interleave.
            while heard < len(sound) and heard < (index + 1) * SAMPLE_RATE // FRAME_RATE:
                chunk = np.ascontiguousarray(sound[None, heard : heard + _AAC_FRAME])
                samples = av.AudioFrame.from_ndarray(chunk, format="fltp", layout="mono")
                samples.sample_rate, samples.pts = SAMPLE_RATE, heard
                container.mux(audio.encode(samples))
                heard += _AAC_FRAME
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def _stream(seed: int, purpose: str, index: int = 0) -> np.random.Generator:
    """Return the random stream of one purpose, so that what one part draws never shifts another."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), index])


def _evened(event: Float32Array) -> Float32Array:
    """Scale to ``_LOUDNESS`` by the louder parts (50-ms frames), so that a bounce is as loud as a hum."""
    frame = SAMPLE_RATE // 20
    whole = len(event) // frame * frame
    power = np.sqrt(np.mean(event[:whole].reshape(-1, frame) ** 2, axis=1))
    loud = float(np.percentile(power, 85)) if len(power) else 0.0
    return event * np.float32(_LOUDNESS / loud) if loud > 0 else event
