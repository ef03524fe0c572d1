"""Interface of data sets: reading of annotations, and sources of published features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from avparse.data.datasets.annotations import Annotations


class FeatureSource(Protocol):
    """Source of the features of one stream."""

    @property
    def stream(self) -> str:
        """Name of the stream."""

    @property
    def name(self) -> str:
        """Name of the folder or file that the features are published in."""

    @property
    def dimension(self) -> int:
        """Length D of a feature vector."""

    @property
    def per_segment(self) -> int:
        """Number of feature vectors a segment, as published; files with fewer or more of them are read as well."""

    def check(self, features: Path) -> None:
        """Check before the import that the source is there.

        Raises:
            UserError: the source is missing; the message names the path.
        """

    def path(self, features: Path, file: str) -> str:
        """Return the path of the features of a video, for messages."""

    def holder(self, features: Path, file: str) -> Path:
        """Return the file that holds the features of a video, perhaps with those of others."""

    def read(self, features: Path, file: str) -> npt.NDArray[Any]:
        """Return the feature vectors ``[rows, D]`` of a video, in the order of time.

        Args:
            features: folder that holds the sources of all streams.
            file: name of the video in the source, as in :class:`avparse.data.datasets.annotations.AnnotatedVideo`.

        Raises:
            UserError: the features are missing, damaged or of another shape.
        """


class Dataset(Protocol):
    """A data set, made from its settings: ``DATASETS[name](config)``.

    Attributes:
        origin: origin of the videos, as the store names it.
        description: description that is stored with imported data.
    """

    origin: str
    description: str

    def read(self, folder: Path) -> Annotations:
        """Read the annotations that lie in a folder.

        Raises:
            UserError: a file is missing or cannot be read; file and line are named.
        """

    def sources(self, features: Path) -> Sequence[FeatureSource]:
        """Return the source of each stream in a folder of published features."""
