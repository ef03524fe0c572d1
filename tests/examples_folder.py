"""A folder of examples of two classes that can be told apart by one number: pitch where heard, colour where seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.clips import tone, write_clip

PITCH = {"Low": 220.0, "High": 2400.0, "_none": 700.0}
COLOUR = {"Low": (200, 30, 30), "High": (30, 30, 200), "_none": (30, 200, 30)}


def sound(path: Path, kind: str, number: int = 0, seconds: float = 1.0) -> Path:
    """A tone near the pitch of a class, a little different for each number."""
    return write_clip(path, sound=tone(PITCH[kind] * (1 + 0.02 * number), 0.3), seconds=seconds, sample_rate=16000)


def picture(path: Path, kind: str, number: int = 0) -> Path:
    """A noisy picture near the colour of a class."""
    noise = np.random.default_rng(number).integers(-20, 20, (48, 64, 3))
    Image.fromarray(np.clip(np.array(COLOUR[kind]) + noise, 0, 255).astype(np.uint8)).save(path)
    return path


def make_examples(folder: Path, files: int = 3, pictures: bool = True) -> Path:
    """Write so many sounds, and pictures, of each class and of none."""
    for kind in PITCH:
        (folder / kind).mkdir(parents=True)
        for number in range(files):
            sound(folder / kind / f"{number}.wav", kind, number)
            if pictures:
                picture(folder / kind / f"{number}.png", kind, number)
    return folder
