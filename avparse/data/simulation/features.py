"""Simulated features of a block of videos, from what is heard and seen in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from avparse.data.simulation.world import Space, World, mix
from avparse.foundation.arrays import BoolArray, Float32Array

_SCALE: Final = np.float32(0.5)
_RECTIFIED_SCALE: Final = np.float32(0.35)
_RECTIFIED_SHIFT: Final = np.float32(0.4)


def draw_features(
    world: World, audio: BoolArray, visual: BoolArray, generator: np.random.Generator
) -> dict[str, Float32Array]:
    """Draw the streams of n videos.

    Args:
        world: simulated world whose spaces the streams are drawn in.
        audio: audible events ``[n, T, C]``.
        visual: visible events ``[n, T, C]``.
        generator: the source of all chance.

    Returns:
        stream -> ``[n T, D]`` float32.
    """
    active = (audio, visual)
    cast = _Cast.draw(world, np.asarray((audio | visual).any(axis=1)), generator)
    streams = {}
    for name, space in world.spaces.items():
        latent = _noise(world, space, cast.nuisance[space.modality], audio.shape[1], generator)
        latent += _product(cast.cue, space.cues)[:, None]
        _add_events(latent, world, space, active[space.modality], cast, generator)
        latent /= np.float32((1 + space.noise**2) ** 0.5)
        streams[name] = _emit(latent, space)
    return streams


@dataclass(frozen=True)
class _Cast:
    """What the streams of a video share: of each video and class ``[n, C]``, by modality where it differs.

    Attributes:
        cue: strength of the scene cue; zero where the class is not in the video.
        gain: ``[2, n, C]`` strength of the event.
        mode: ``[2, n, C]`` kind of appearance.
        nuisance: ``[2, n, nuisances]`` coefficients.
    """

    cue: Float32Array
    gain: Float32Array
    mode: npt.NDArray[np.int_]
    nuisance: Float32Array

    @classmethod
    def draw(cls, world: World, present: BoolArray, generator: np.random.Generator) -> _Cast:
        """Draw the cast of videos whose classes are ``present`` ``[n, C]``."""
        knobs, shape = world.knobs, present.shape

        def paired(correlation: float, *shape: int) -> Float32Array:
            common = generator.standard_normal(shape, dtype=np.float32)
            return mix(correlation, common, generator.standard_normal((2, *shape), dtype=np.float32))

        strength = np.abs(1 + np.float32(0.5) * generator.standard_normal(shape, dtype=np.float32))
        mode = generator.integers(knobs.modes, size=(2, *shape))
        mode[1] = np.where(generator.random(shape) < knobs.mode_agreement, mode[0], mode[1])
        return cls(
            cue=np.float32(knobs.scene) * present * strength,
            gain=np.exp(np.float32(knobs.gain_spread) * paired(knobs.gain_correlation, *shape)),
            mode=mode,
            nuisance=paired(knobs.nuisance_correlation, shape[0], knobs.nuisances),
        )


def _noise(
    world: World, space: Space, nuisance: Float32Array, segments: int, generator: np.random.Generator
) -> Float32Array:
    """Return noise ``[n, T, d]`` of root mean square length ``space.noise``."""
    knobs, videos, latent = world.knobs, len(nuisance), space.projection.shape[0]

    def white(*shape: int) -> Float32Array:
        return generator.standard_normal(shape, dtype=np.float32) * np.float32(latent**-0.5)

    structured = _product(nuisance, space.nuisances) * np.float32(knobs.nuisances**-0.5)
    offset = mix(knobs.nuisance, structured, white(videos, latent))
    noise = white(videos, segments, latent) * np.float32((1 - knobs.offset - knobs.drift) ** 0.5)
    drift = white(videos, latent)
    for t in range(segments):
        if t:
            drift = mix(knobs.persistence**2, drift, white(videos, latent))
        noise[:, t] += np.float32(knobs.drift**0.5) * drift
    noise += np.float32(knobs.offset**0.5) * offset[:, None]
    noise *= np.float32(space.noise)
    return noise


def _add_events(
    latent: Float32Array, world: World, space: Space, active: BoolArray, cast: _Cast, generator: np.random.Generator
) -> None:
    """Add the appearance of every event, times its gain and activity, to ``latent`` ``[n, T, d]``."""
    knobs = world.knobs
    video, c = np.nonzero(active.any(1))
    activity = _bled(active[video, :, c].astype(np.float32), knobs.bleed)
    activity *= cast.gain[space.modality, video, c][:, None]
    own = generator.standard_normal((len(video), latent.shape[2]), dtype=np.float32)
    own *= np.float32(((1 - knobs.prototype - knobs.mode) / latent.shape[2]) ** 0.5)
    own += np.float32(knobs.prototype**0.5) * space.prototypes[c]
    own += np.float32(knobs.mode**0.5) * space.modes[c, cast.mode[space.modality, video, c]]
    # The first event of every video at once, then the second: no video comes twice in a round.
    nth = np.arange(len(video)) - np.searchsorted(video, video)
    for turn in range(int(nth.max(initial=-1)) + 1):
        events = np.flatnonzero(nth == turn)
        latent[video[events]] += activity[events, :, None] * own[events, None]


def _bled(activity: Float32Array, share: float) -> Float32Array:
    """Give each segment of ``[P, T]`` a share of its neighbours; beyond the ends it goes on as at the ends."""
    padded = np.pad(activity, ((0, 0), (1, 1)), mode="edge")
    return np.asarray(np.float32(1 - 2 * share) * activity + np.float32(share) * (padded[:, :-2] + padded[:, 2:]))


def _emit(latent: Float32Array, space: Space) -> Float32Array:
    stream = _product(latent.reshape(-1, latent.shape[2]), space.projection)
    stream *= _RECTIFIED_SCALE if space.rectified else _SCALE
    if space.rectified:
        stream += _RECTIFIED_SHIFT
        np.maximum(stream, 0, out=stream)
    return stream


def _product(a: Float32Array, b: Float32Array) -> Float32Array:
    """Multiply matrices in PyTorch, which can be held to one core in a thread (rounding depends on the number)."""
    return np.asarray((torch.from_numpy(a) @ torch.from_numpy(b)).numpy())
