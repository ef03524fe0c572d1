"""What every extractor is: named streams, each with what it reads of a file and what it makes of that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from avparse.foundation.arrays import Float32Array
from avparse.media.decoding.chunks import Chunk
from avparse.media.decoding.views import Modality, View


@dataclass(frozen=True)
class Stream:
    """One stream of features.

    Attributes:
        dimension: numbers a segment, ``D``.
        view: view that the stream is made of: the sound or the pictures, at its rate and size.
        features: turns a chunk, which holds that view, into float32 ``[segments, D]``, zero where the modality is
            absent. What it computes for a segment must not depend on the chunk around it.
        facts: gives the fields of the stream's card that neither the extractor nor the view tells, such as ``network``
            and ``weights_sha256``; it may read the file of weights.
    """

    dimension: int
    view: View
    features: Callable[[Chunk], Float32Array]
    facts: Callable[[], Mapping[str, Any]] = dict

    @property
    def modality(self) -> Modality:
        """The modality that the stream describes."""
        return self.view.modality


class Extractor(Protocol):
    """Streams that are made, versioned and released together.

    Attributes:
        name: key of the extractor in ``EXTRACTORS``, written beside stored features.
        version: changes whenever a feature does.
        streams: the streams by name; a file is decoded once for all of them.
    """

    name: str
    version: str

    @property
    def streams(self) -> Mapping[str, Stream]:
        """The streams by name."""
        ...
