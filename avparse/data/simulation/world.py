"""A simulated world: appearance of the classes in each modality, confusable groups, and nuisances of the features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from avparse.foundation.arrays import Float32Array
from avparse.foundation.settings import Settings

CONFUSABLE: Final = (
    ("Cello", "Violin_fiddle"),
    ("Banjo", "Acoustic_guitar"),
    ("Car", "Motorcycle"),
    ("Lawn_mower", "Chainsaw"),
    ("Vacuum_cleaner", "Blender"),
    ("Baby_laughter", "Baby_cry_infant_cry"),
    ("Speech", "Singing"),
    ("Cheering", "Clapping"),
    ("Dog", "Cat"),
    ("Fire_alarm", "Telephone_bell_ringing"),
)
SCENES: Final = (
    ("Speech", "Cheering", "Clapping", "Basketball_bounce"),  # people and sport
    ("Car", "Motorcycle", "Helicopter"),  # vehicles
    ("Lawn_mower", "Chainsaw", "Chicken_rooster"),  # garden
    ("Singing", "Cello", "Violin_fiddle", "Banjo", "Acoustic_guitar", "Accordion"),  # music
    ("Dog", "Cat", "Vacuum_cleaner", "Fire_alarm", "Telephone_bell_ringing"),  # home
    ("Baby_laughter", "Baby_cry_infant_cry"),  # baby
    ("Frying_(food)", "Blender"),  # kitchen
)


class Knobs(Settings):
    """Difficulty of the simulated features; the defaults bring the published HAN code near its published scores.

    Attributes:
        snr_audio, snr_visual: signal to noise in dB, in the audio space and in both visual spaces.
        confusability: share of a prototype's energy that is common to its confusable group.
        prototype, mode: shares of an appearance's energy that are the class's and its mode's; the rest is the video's.
        modes: kinds of appearance a class has.
        mode_agreement: probability that sound and sight of an event follow the same mode for certain.
        gain_spread, gain_correlation: logarithmic spread of an event's strength, and its correlation over modalities.
        bleed: share of a segment's activity taken from the segment before, and from the one after.
        scene: strength of the cue that an event leaves in both modalities, active there or not.
        scene_share: share of the cue's energy that is common to the classes of a scene.
        offset, drift: shares of the noise's energy that are constant over the video, and slowly changing.
        persistence: correlation of the drift from segment to segment.
        nuisances, leaning: directions that hold some of the offset, and how many of them lean on class prototypes.
        nuisance, lean: shares of the offset's energy in those directions, and of a leaning one that is a prototype.
        nuisance_correlation: correlation of their coefficients over modalities.
    """

    snr_audio: float = -8.0
    snr_visual: float = -14.0
    confusability: float = Field(default=0.5, ge=0, le=1)
    prototype: float = Field(default=0.4, ge=0, le=1)
    mode: float = Field(default=0.4, ge=0, le=1)
    modes: int = Field(default=6, ge=1)
    mode_agreement: float = Field(default=0.5, ge=0, le=1)
    gain_spread: float = Field(default=0.4, ge=0)
    gain_correlation: float = Field(default=0.5, ge=0, le=1)
    bleed: float = Field(default=0.15, ge=0, le=0.5)
    scene: float = Field(default=0.5, ge=0)
    scene_share: float = Field(default=0.5, ge=0, le=1)
    offset: float = Field(default=0.5, ge=0, le=1)
    drift: float = Field(default=0.25, ge=0, le=1)
    persistence: float = Field(default=0.8, ge=0, lt=1)
    nuisances: int = Field(default=16, ge=1)
    leaning: int = Field(default=8, ge=0)
    nuisance: float = Field(default=0.5, ge=0, le=1)
    lean: float = Field(default=0.5, ge=0, le=1)
    nuisance_correlation: float = Field(default=0.5, ge=0, le=1)

    @model_validator(mode="after")
    def _shares(self) -> Knobs:
        for first, second in (("prototype", "mode"), ("offset", "drift")):
            if getattr(self, first) + getattr(self, second) > 1:
                raise ValueError(f"'{first}' and '{second}' are shares of one whole; their sum must not exceed 1")
        return self


DEFAULT_KNOBS: Final = Knobs()


@dataclass(frozen=True)
class Space:
    """One latent space and the stream that it is emitted as; all directions have length one.

    Attributes:
        modality: number of the modality: 0 for audio, 1 for visual.
        noise: amplitude of the noise beside a signal of amplitude one.
        prototypes: prototype ``[C, d]`` of each class.
        modes: directions ``[C, modes, d]`` of the modes of each class.
        cues: ``[C, d]``, the scene cue of each class.
        nuisances: directions ``[nuisances, d]`` of the nuisances.
        projection: matrix ``[d, D]`` from the latent space to the stream.
        rectified: whether the stream is cut off at zero, as after a ReLU.
    """

    modality: int
    noise: float
    prototypes: Float32Array
    modes: Float32Array
    cues: Float32Array
    nuisances: Float32Array
    projection: Float32Array
    rectified: bool


@dataclass(frozen=True)
class World:
    """The spaces of the streams by name, and the settings that they were drawn with."""

    knobs: Knobs
    spaces: dict[str, Space]

    @classmethod
    def draw(cls, classes: Sequence[str], seed: int, knobs: Knobs = DEFAULT_KNOBS) -> World:
        """Draw the world ``seed`` for ``classes``; names that are not of LLP are confusable with none."""
        generator = np.random.default_rng([seed, _WORLD])
        leaning = generator.permutation(len(classes))[: min(knobs.leaning, knobs.nuisances)]
        spaces = {name: _space(layout, classes, leaning, knobs, generator) for name, layout in _LAYOUTS.items()}
        return cls(knobs, spaces)


_WORLD: Final = 1_000_003  # separates the random numbers of the world from those of its videos


@dataclass(frozen=True)
class _Layout:
    """Shape of a stream.

    Attributes:
        modality: 0 for audio, 1 for visual.
        latent: dimension of the space in which classes have directions.
        emitted: dimension of the features.
        rectified: whether negative features are set to zero.
    """

    modality: int
    latent: int
    emitted: int
    rectified: bool


_LAYOUTS: Final = {
    "audio": _Layout(modality=0, latent=64, emitted=128, rectified=False),
    "frames": _Layout(modality=1, latent=256, emitted=2048, rectified=True),
    "clips": _Layout(modality=1, latent=128, emitted=512, rectified=False),
}


def _space(
    layout: _Layout,
    classes: Sequence[str],
    leaning: npt.NDArray[np.int_],
    knobs: Knobs,
    generator: np.random.Generator,
) -> Space:
    def directions(*shape: int) -> Float32Array:
        drawn = generator.standard_normal((*shape, layout.latent), dtype=np.float32)
        return np.asarray(drawn / np.linalg.norm(drawn, axis=-1, keepdims=True))

    group, scene = _membership(classes, CONFUSABLE), _membership(classes, SCENES)
    count = len(classes)
    prototypes = mix(knobs.confusability, directions(count)[group], directions(count))
    modes = directions(count, knobs.modes)
    cues = mix(knobs.scene_share, directions(count)[scene], directions(count))
    nuisances = directions(knobs.nuisances)
    nuisances[: len(leaning)] = mix(knobs.lean, prototypes[leaning], nuisances[: len(leaning)])
    return Space(
        modality=layout.modality,
        noise=10 ** (-(knobs.snr_visual if layout.modality else knobs.snr_audio) / 20),
        prototypes=prototypes,
        modes=modes,
        cues=cues,
        nuisances=nuisances,
        projection=generator.standard_normal((layout.latent, layout.emitted), dtype=np.float32),
        rectified=layout.rectified,
    )


def mix(share: float, first: Float32Array, second: Float32Array) -> Float32Array:
    """Add two independent parts, of which the first has the given share of the energy."""
    return np.asarray(np.float32(share**0.5) * first + np.float32((1 - share) ** 0.5) * second)


def _membership(classes: Sequence[str], groups: Iterable[Sequence[str]]) -> npt.NDArray[np.int_]:
    """Return a number for each class that is the same within a group; a class of no group is a group of its own."""
    of = {name: number for number, group in enumerate(groups) for name in group}
    numbers = [of.get(name, len(of) + c) for c, name in enumerate(classes)]
    return np.asarray(np.unique(numbers, return_inverse=True)[1])
