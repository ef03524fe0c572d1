"""The picture of each class: name -> (rng) -> a drawing of one variant."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from avparse.media.synthesis import animals, machines, people, things
from avparse.media.synthesis.pen import Drawing

Picture = Callable[[np.random.Generator], Drawing]

PICTURES: dict[str, Picture] = {
    "Speech": people.speech,
    "Car": machines.car,
    "Cheering": people.cheering,
    "Dog": animals.dog,
    "Cat": animals.cat,
    "Frying_(food)": things.frying,
    "Basketball_bounce": things.basketball,
    "Fire_alarm": machines.fire_alarm,
    "Chainsaw": machines.chainsaw,
    "Cello": things.cello,
    "Singing": people.singing,
    "Chicken_rooster": animals.rooster,
    "Violin_fiddle": things.violin,
    "Motorcycle": machines.motorcycle,
    "Helicopter": machines.helicopter,
    "Acoustic_guitar": things.guitar,
    "Telephone_bell_ringing": machines.telephone,
    "Baby_cry_infant_cry": people.baby_cry,
    "Clapping": people.clapping,
}
