"""What parsing needs of a parser, whether it was trained or puts networks together that were never trained on it."""

from __future__ import annotations

from typing import Protocol

from avparse.data.features import Features, TaskSpec
from avparse.data.made_up import MadeUp
from avparse.models.decoding import DecodingRule
from avparse.models.output import ParserOutput


class SegmentParser(Protocol):
    """A parser in evaluation mode: probabilities of every class, segment and modality of some videos.

    Attributes:
        spec: classes, streams and segment length that it reads.
    """

    spec: TaskSpec

    def __call__(self, features: Features, cross: bool = True) -> ParserOutput:
        """Parse a batch; ``cross`` is whether the modalities may attend to each other, where they can."""
        ...


class ParserSource(Protocol):
    """Where a parser comes from, and how its probabilities are decoded."""

    @property
    def origin(self) -> str:
        """The folder or the networks that the parser is made of, as messages name it."""
        ...

    @property
    def spec(self) -> TaskSpec:
        """Classes, streams with their extractors, and segment length that the parser reads."""
        ...

    @property
    def rule(self) -> DecodingRule:
        """Rule that turns probabilities into decisions."""
        ...

    @property
    def trained_on(self) -> MadeUp:
        """Kind of data that the parser learned from: "simulated", "synthetic", or empty for real data or none."""
        ...

    @property
    def note(self) -> str:
        """Remark that the report shows beside every video; empty for none."""
        ...

    @property
    def judged_by(self) -> dict[str, str]:
        """The network that judges each modality, by modality; empty for a trained parser, which names none."""
        ...

    def unjudged(self, modality: str) -> tuple[str, ...]:
        """Return the classes that the parser cannot judge in a modality; their probabilities are left out."""
        ...

    def load(self) -> SegmentParser:
        """Return the parser in evaluation mode."""
        ...
