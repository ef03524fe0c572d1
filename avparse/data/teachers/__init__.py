"""Teachers that look at and listen to the videos of a store, listed here by name.

The scores that they leave are read from ``avparse.data.scores``, which loads none of their networks.
"""

from collections.abc import Callable

from avparse.data.teachers.clap import ClapTeacher
from avparse.data.teachers.clip import ClipTeacher
from avparse.data.teachers.examples import ExamplesTeacher
from avparse.data.teachers.pe_av import PeAvTeacher
from avparse.data.teachers.simulated import SimulatedTeacher
from avparse.data.teachers.tagger_teacher import AudiosetTeacher, ImagenetTeacher, SpeechTeacher
from avparse.data.teachers.teacher import Teacher

TEACHERS: dict[str, Callable[..., Teacher]] = {
    "clip": ClipTeacher,
    "clap": ClapTeacher,
    "pe-av": PeAvTeacher,
    "imagenet": ImagenetTeacher,
    "audioset": AudiosetTeacher,
    "speech": SpeechTeacher,
    "examples": ExamplesTeacher,
    "simulated": SimulatedTeacher,
}

__all__ = ["TEACHERS", "Teacher"]
