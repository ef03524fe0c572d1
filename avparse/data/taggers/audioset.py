"""The names of AudioSet, heard by an audio tagger."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from torch import Tensor

from avparse.data.class_names import NameList
from avparse.media.extractors.audioset import AudiosetExtractor
from avparse.media.extractors.extractor import Stream


class AudiosetTagger:
    """The audio tagger of the extractor ``audioset``, whose stream holds the outputs themselves.

    Args:
        checkpoint: a folder, or the name of a published model; None for that of the extractor.

    Raises:
        UserError: ``transformers`` is not installed, or there is no such model.
    """

    modality: Literal["audio", "visual"] = "audio"
    extractor, stream = "audioset", "tags"

    def __init__(self, checkpoint: str | None = None) -> None:
        self._extractor = AudiosetExtractor(checkpoint)
        self.names = NameList("audioset", self._extractor.names, exclusive=False)
        self.title = f"AudioSet tagger {self._extractor.checkpoint}"

    @cached_property
    def identity(self) -> str:
        """The checkpoint and the digest of its weights."""
        return self._extractor.tagger.identity

    def made(self) -> Stream:
        """Return the stream of outputs."""
        return self._extractor.streams[self.stream]

    def outputs(self, features: Tensor) -> Tensor:
        """Return the outputs ``[T, L]``, which are the features."""
        return features
