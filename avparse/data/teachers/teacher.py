"""The interface of every teacher."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from avparse.data.scores import SegmentScores
from avparse.data.store import FeatureStore
from avparse.media.pipeline import Failed


class Teacher(Protocol):
    """A frozen network, or a stand-in, that judges the segments of a store; made from its settings."""

    def __call__(self, store: FeatureStore) -> Iterable[SegmentScores | Failed]:
        """Yield the videos that could not be read, and the scores of each modality that it judges.

        Raises:
            UserError: the teacher cannot score the videos of the store.
        """
