"""Sources of class vectors, listed by name: ``source(class names) -> [C, dimension]``."""

from collections.abc import Callable, Sequence
from typing import Any

from avparse.foundation.arrays import Float32Array
from avparse.models.class_vectors.glove import GloVeLabels
from avparse.models.class_vectors.orthogonal import OrthogonalLabels
from avparse.models.class_vectors.tensor import TensorLabels
from avparse.models.class_vectors.text import CLAPLabels, CLIPLabels, SentenceLabels

LABEL_SOURCES: dict[str, Callable[[Any], Callable[[Sequence[str]], Float32Array]]] = {
    "orthogonal": OrthogonalLabels,
    "glove": GloVeLabels,
    "tensor": TensorLabels,
    "clip": CLIPLabels,
    "clap": CLAPLabels,
    "sentence": SentenceLabels,
}
