"""The interface of every network that knows a fixed list of names."""

from __future__ import annotations

from typing import Literal, Protocol

from torch import Tensor

from avparse.data.class_names import NameList
from avparse.media.extractors import Stream


class Tagger(Protocol):
    """Reads one stream of an extractor, and says how sure it is of each name of its list.

    Attributes:
        modality: the modality that it judges.
        extractor: key in ``EXTRACTORS`` of what makes its stream.
        stream: name of the stream.
        names: the list of names.
        title: the network in a few words.
    """

    modality: Literal["audio", "visual"]
    extractor: str
    stream: str
    names: NameList
    title: str

    @property
    def identity(self) -> str:
        """Network and settings in one line, equal for two taggers only if they make the same of a file."""
        ...

    def made(self) -> Stream:
        """Return the stream, as it is made of a media file."""
        ...

    def outputs(self, features: Tensor) -> Tensor:
        """Return the outputs ``[T, L]`` for the names, before softmax or sigmoid, of segments ``[T, D]``."""
        ...
