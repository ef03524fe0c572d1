"""What the parser of a run says of the segments of reviewed videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avparse.app.review.source import Lanes
from avparse.data.batching import FeatureTable, task_spec
from avparse.data.store import FeatureStore
from avparse.data.vocabulary import MODALITIES
from avparse.evaluation.prediction import predict
from avparse.foundation.errors import UserError
from avparse.models.trained import TrainedParser


class SegmentScores:
    """Probabilities of all segments of some videos of a store, from the parser of a run.

    Args:
        store: feature store that holds the videos.
        videos: ids of videos of the store.
        run: folder of a run that was trained on such data.

    Raises:
        UserError: the run has no trained parser, or was trained on other classes or streams.
    """

    def __init__(self, store: FeatureStore, videos: Sequence[str], run: Path) -> None:
        trained = TrainedParser.open(run)
        differences = trained.spec.differences(task_spec(store))
        if differences:
            raise UserError(f"--run {run}: does not fit {store.path}: it has {'; '.join(differences)}")
        positions = np.array([store.position(video) for video in videos], dtype=np.int64)
        output = predict(trained.load(), FeatureTable(store), positions)
        self._values = {"audio": output.audio_segments.numpy(), "visual": output.visual_segments.numpy()}
        self._row = {video: row for row, video in enumerate(videos)}
        self._lengths, self._there = store.lengths[positions], store.modalities(positions)

    def lanes(self, video: str, columns: Sequence[int]) -> Lanes:
        """Return probabilities ``[T, len(columns)]`` of some classes by modality, None where a modality is absent."""
        row = self._row[video]
        length = int(self._lengths[row])
        return {
            modality: self._values[modality][row, :length][:, list(columns)] if there else None
            for modality, there in zip(MODALITIES, self._there[row], strict=True)
        }
