"""Class vectors of a simulated world, which play the role of word vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avparse.data.simulation.world import World
from avparse.foundation.arrays import Float32Array
from avparse.foundation.errors import UserError
from avparse.foundation.files import atomic_file


def label_vectors(world: World) -> Float32Array:
    """Return the prototypes of the classes in all spaces, concatenated, ``[C, E]``.

    The vector of a class is exactly what its sound and its picture have in common over all of its events, which no text
    contains for a real class: results with these vectors are an upper bound of what class vectors can achieve.
    Confusable classes have a cosine of ``confusability``, all others of about zero. The root mean square of each vector
    is 1/3, as for GloVe's.
    """
    vectors = np.concatenate([space.prototypes for space in world.spaces.values()], axis=1)
    return np.asarray(vectors / (3 * np.sqrt(np.square(vectors).mean(axis=1, keepdims=True))))


def write_label_vectors(path: Path, world: World, classes: Sequence[str]) -> None:
    """Write :func:`label_vectors` with the class names, for the source ``tensor`` of class vectors.

    Raises:
        UserError: the file is not named ``.npz``, or cannot be written.
    """
    if path.suffix != ".npz":
        raise UserError(f"{path}: label vectors are written as .npz; name the file so")
    with atomic_file(path) as file:
        np.savez(file, vectors=label_vectors(world), names=np.array(classes))
