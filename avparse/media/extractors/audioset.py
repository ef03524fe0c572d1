"""Which of AudioSet's kinds of sound a segment holds, as an audio tagger hears it."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from avparse.foundation.arrays import Float32Array
from avparse.media.decoding.chunks import Chunk
from avparse.media.decoding.views import SoundView
from avparse.media.extractors.extractor import Stream

if TYPE_CHECKING:
    from avparse.media.towers.audio_tagger import AudioTagger

_PUBLISHED = "MIT/ast-finetuned-audioset-10-10-0.4593"


class AudiosetExtractor:
    """The logits of an audio tagger's names, ``tags``, of each segment by itself.

    The environment variable ``AVPARSE_AUDIOSET`` names another checkpoint (a folder, or a published model). The network
    is loaded when the first file comes, in every process that works on files.

    Args:
        checkpoint: a folder, or the name of a published model; None for the one above.

    Attributes:
        name, version: written beside stored features; the version changes whenever a feature does.
        streams: the stream ``tags``, of as many numbers as the checkpoint has names.
        names: the names, in the order of the logits.
    """

    name = "audioset"
    version = "1"

    def __init__(self, checkpoint: str | None = None) -> None:
        # Loads torch, which other extractors do without.
        from avparse.media.towers.audio_tagger import find_tagger, tagger_names  # noqa: PLC0415

        self.checkpoint = checkpoint or chosen_tagger()
        self.names, sample_rate = tagger_names(self.checkpoint)
        self._sound = SoundView(sample_rate)
        self.streams = {"tags": Stream(len(self.names), self._sound, self._heard, find_tagger(self.checkpoint).facts)}

    def _heard(self, chunk: Chunk) -> Float32Array:
        values = np.zeros((chunk.segments, len(self.names)), dtype=np.float32)
        rows = np.flatnonzero(chunk.audio_present)
        if len(rows):
            values[rows] = self.tagger.tags(chunk.sounds[self._sound][rows, 0])
        return values

    @cached_property
    def tagger(self) -> AudioTagger:
        """The network.

        Raises:
            UserError: the checkpoint cannot be read.
        """
        from avparse.media.towers.audio_tagger import AudioTagger  # noqa: PLC0415

        return AudioTagger(self.checkpoint)


def chosen_tagger() -> str:
    """Return the checkpoint that ``AVPARSE_AUDIOSET`` names, or else the published one."""
    return os.environ.get("AVPARSE_AUDIOSET", _PUBLISHED)
