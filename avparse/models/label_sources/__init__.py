"""Sources of label vectors: ``source(class names) -> [C, dimension]``, by name."""

from collections.abc import Callable, Sequence
from typing import Any

from avparse.models.label_sources.glove import GloVeLabels
from avparse.models.label_sources.orthogonal import OrthogonalLabels
from avparse.models.label_sources.source import Vectors
from avparse.models.label_sources.tensor import TensorLabels
from avparse.models.label_sources.text import CLAPLabels, CLIPLabels, SentenceLabels

LABEL_SOURCES: dict[str, Callable[[Any], Callable[[Sequence[str]], Vectors]]] = {
    "orthogonal": OrthogonalLabels,
    "glove": GloVeLabels,
    "tensor": TensorLabels,
    "clip": CLIPLabels,
    "clap": CLAPLabels,
    "sentence": SentenceLabels,
}
