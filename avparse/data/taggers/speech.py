"""Speech, heard by a detector of nothing else."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from avparse.data.class_names import NameList
from avparse.media.extractors.extractor import Stream
from avparse.media.extractors.speech import SpeechExtractor
from avparse.media.weights import find_weights


class SpeechTagger:
    """The detector of the extractor ``speech``, whose stream holds its log-odds; a list of one name.

    Raises:
        UserError: there is no copy of the weights, and it cannot be fetched.
    """

    modality: Literal["audio", "visual"] = "audio"
    extractor, stream = "speech", "speech"
    names = NameList("speech", ("Speech",), exclusive=False)
    title = "Silero VAD"

    def __init__(self) -> None:
        self._extractor = SpeechExtractor()
        self.identity = f"{self.title}, {find_weights('silero-vad').name}, version {self._extractor.version}"

    def made(self) -> Stream:
        """Return the stream of log-odds."""
        return self._extractor.streams[self.stream]

    def outputs(self, features: Tensor) -> Tensor:
        """Return the log-odds ``[T, 1]``, which are the features."""
        return features
