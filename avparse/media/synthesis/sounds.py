"""The sound of each class: name -> (rng, samples, sample_rate) -> waveform of any length."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from avparse.foundation.arrays import Float32Array
from avparse.media.synthesis import noises, voices

Sound = Callable[[np.random.Generator, int, int], Float32Array]

SOUNDS: dict[str, Sound] = {
    "Speech": voices.speech,
    "Car": noises.car,
    "Cheering": voices.cheering,
    "Dog": voices.dog,
    "Cat": voices.cat,
    "Frying_(food)": noises.frying,
    "Basketball_bounce": noises.basketball,
    "Fire_alarm": noises.fire_alarm,
    "Chainsaw": noises.chainsaw,
    "Cello": noises.cello,
    "Singing": voices.singing,
    "Chicken_rooster": voices.rooster,
    "Violin_fiddle": noises.violin,
    "Motorcycle": noises.motorcycle,
    "Helicopter": noises.helicopter,
    "Acoustic_guitar": noises.guitar,
    "Telephone_bell_ringing": noises.telephone,
    "Baby_cry_infant_cry": voices.baby_cry,
    "Clapping": voices.clapping,
}
