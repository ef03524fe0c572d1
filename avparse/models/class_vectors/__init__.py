"""Sources of class vectors, listed by name: ``source(class names) -> [C, dimension]``."""

from collections.abc import Callable, Sequence
from typing import Any

from avparse.foundation.arrays import Float32Array
from avparse.models.class_vectors.glove import GloVeVectors
from avparse.models.class_vectors.orthogonal import OrthogonalVectors
from avparse.models.class_vectors.tensor import TensorVectors
from avparse.models.class_vectors.text import CLAPVectors, CLIPVectors, SentenceVectors

CLASS_VECTORS: dict[str, Callable[[Any], Callable[[Sequence[str]], Float32Array]]] = {
    "orthogonal": OrthogonalVectors,
    "glove": GloVeVectors,
    "tensor": TensorVectors,
    "clip": CLIPVectors,
    "clap": CLAPVectors,
    "sentence": SentenceVectors,
}
