"""Vectors that tell what the classes of a simulated world are like, as word vectors do of the real one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avparse.data.simulation.world import World
from avparse.foundation.arrays import Float32Array
from avparse.foundation.errors import UserError
from avparse.foundation.files import atomic_file


def label_vectors(world: World) -> Float32Array:
    """Return the prototypes of the classes in all spaces, side by side, ``[C, E]``.

    A class's vector is exactly what its sound and its looks have in common over all of its events, which no text knows
    of a real class: what is reached with these vectors bounds what meaning could do. Confusable classes have a cosine
    of ``confusability``, all others of about zero. The root mean square of each vector is 1/3, as that of GloVe's.
    """
    vectors = np.concatenate([space.prototypes for space in world.spaces.values()], axis=1)
    return np.asarray(vectors / (3 * np.sqrt(np.square(vectors).mean(axis=1, keepdims=True))))


def write_label_vectors(path: Path, world: World, classes: Sequence[str]) -> None:
    """Write :func:`label_vectors` with the class names, for the source ``tensor`` of label vectors.

    Raises:
        UserError: the file is not named ``.npz``, or cannot be written.
    """
    if path.suffix != ".npz":
        raise UserError(f"{path}: label vectors are written as .npz; name the file so")
    with atomic_file(path) as file:
        np.savez(file, vectors=label_vectors(world), names=np.array(classes))
