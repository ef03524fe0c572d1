"""Fixed lists of names for tests: ImageNet's of torchvision, and as many of AudioSet's as the tests ask about."""

from __future__ import annotations

import pytest

from avparse.data.class_names import NameList

AUDIOSET_NAMES = (
    "Speech",
    "Male speech, man speaking",
    "Baby laughter",
    "Baby cry, infant cry",
    "Singing",
    "Clapping",
    "Cheering",
    "Dog",
    "Bark",
    "Cat",
    "Chicken, rooster",
    "Crowing, cock-a-doodle-doo",
    "Acoustic guitar",
    "Banjo",
    "Violin, fiddle",
    "Cello",
    "Accordion",
    "Car",
    "Motorcycle",
    "Helicopter",
    "Lawn mower",
    "Chainsaw",
    "Telephone bell ringing",
    "Fire alarm",
    "Basketball bounce",
    "Frying (food)",
    "Blender",
    "Vacuum cleaner",
)


def imagenet_list() -> NameList:
    """Return ImageNet's list; the test is skipped without torchvision."""
    models = pytest.importorskip("torchvision.models")
    return NameList("imagenet", tuple(models.EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"]), exclusive=True)
