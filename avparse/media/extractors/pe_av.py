"""Features of frozen PE-AV: what is heard and what is seen in a segment, comparable with texts."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING

from avparse.foundation.arrays import Float32Array
from avparse.media.decoding.chunks import Chunk
from avparse.media.extractors.extractor import Stream

if TYPE_CHECKING:
    from avparse.media.towers.pe_av import PeAvHearing, PeAvSeeing

_HEARD, _SEEN = "facebook/pe-a-frame-small", "facebook/pe-av-small"


class PeAvExtractor:
    """The means over a segment of the embeddings of its frames; not of length one.

    The environment variables ``AVPARSE_PE_AUDIO`` and ``AVPARSE_PE_VIDEO`` name other checkpoints (a folder, or a
    published model). The networks are loaded when they are first asked, in every process that works on files.

    Attributes:
        name, version: written beside stored features; the version changes whenever a feature does.
        streams: ``heard`` (of frames of 40 ms) and ``seen`` (of four frames a segment).
    """

    name = "pe-av"
    version = "1"

    def __init__(self) -> None:
        # Loads torch, which other extractors do without.
        from avparse.media.towers.pe_av import PeAvHearing, embedding_size, find_pe_av, picture_view  # noqa: PLC0415

        heard, seen = chosen_pe_av()
        self.streams = {
            "heard": Stream(embedding_size(heard), PeAvHearing.view, self._heard, find_pe_av(heard).facts),
            "seen": Stream(embedding_size(seen), picture_view(seen, per_segment=4), self._seen, find_pe_av(seen).facts),
        }

    def _heard(self, chunk: Chunk) -> Float32Array:
        return self._hearing.embed(self._hearing.piece(chunk))

    def _seen(self, chunk: Chunk) -> Float32Array:
        return self._seeing.embed(self._seeing.piece(chunk))

    @cached_property
    def _hearing(self) -> PeAvHearing:
        from avparse.media.towers.pe_av import PeAvHearing  # noqa: PLC0415

        return PeAvHearing(chosen_pe_av()[0])

    @cached_property
    def _seeing(self) -> PeAvSeeing:
        from avparse.media.towers.pe_av import PeAvSeeing  # noqa: PLC0415

        return PeAvSeeing(chosen_pe_av()[1])


def chosen_pe_av() -> tuple[str, str]:
    """Return the checkpoints that hear and see: of the environment, or else the published ones."""
    return os.environ.get("AVPARSE_PE_AUDIO", _HEARD), os.environ.get("AVPARSE_PE_VIDEO", _SEEN)
