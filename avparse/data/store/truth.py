"""Dense truth as runs of active segments, and as one flag for every segment and class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from avparse.foundation.arrays import BoolArray, IntArray, segment_rows


@dataclass(frozen=True, eq=False)
class Runs:
    """Runs of active segments of N videos in one modality.

    Attributes:
        first: ``[N + 1]``, the runs of video n are rows ``first[n]`` to ``first[n + 1]`` of ``values``.
        values: ``[R, 3]``, the class, the first segment, and the one after the last of each run.
    """

    first: IntArray
    values: IntArray

    @classmethod
    def of_column(cls, column: pa.Array) -> Runs:
        """Return the runs of a column of a table of annotations, numbers in threes."""
        counts = column.value_lengths().to_numpy() // 3
        return cls(np.concatenate(([0], np.cumsum(counts))), column.flatten().to_numpy().reshape(-1, 3))

    def dense(self, videos: IntArray, first_row: IntArray, lengths: IntArray, shape: tuple[int, int]) -> BoolArray:
        """Return which segments are active, with what lies behind the end of a video cut off.

        Args:
            videos: positions ``[n]`` of videos.
            first_row: row ``[n]`` of the first segment of each.
            lengths: number ``[n]`` of segments of each.
            shape: number of rows and of classes C of the result.

        Returns:
            ``[rows, C]``, False where no segment of a video is.
        """
        counts = self.first[videos + 1] - self.first[videos]
        classes, begins, ends = self.values[segment_rows(self.first[videos], counts)].T
        start, length = np.repeat(first_row, counts), np.repeat(lengths, counts)
        edges = np.zeros((shape[0] + 1, shape[1]), dtype=np.int32)
        np.add.at(edges, (start + np.minimum(begins, length), classes), 1)
        np.add.at(edges, (start + np.minimum(ends, length), classes), -1)
        return np.cumsum(edges, axis=0, out=edges)[:-1] > 0


def runs_column(truth: npt.NDArray[np.bool_], lengths: Sequence[int]) -> pa.Array:
    """Return dense truth as a column of a table of annotations.

    Args:
        truth: ``[sum T, C]``, one video after the other.
        lengths: number T of segments of each video.
    """
    ends = np.cumsum(np.asarray(lengths, dtype=np.int64))
    begins = ends - lengths
    starts, stops = truth.copy(), truth.copy()
    starts[1:] &= ~truth[:-1]
    stops[:-1] &= ~truth[1:]
    starts[begins] |= truth[begins]
    stops[ends - 1] |= truth[ends - 1]
    # Transposed, both are in the order of class and segment, so the k-th start belongs to the k-th stop.
    classes, first = np.nonzero(starts.T)
    last = np.nonzero(stops.T)[1]
    videos = np.searchsorted(ends, first, side="right")
    order = np.lexsort((first, classes, videos))
    values = np.stack([classes, first - begins[videos], last + 1 - begins[videos]], axis=1)[order]
    counts = np.bincount(videos, minlength=len(ends))
    offsets = np.concatenate(([0], 3 * np.cumsum(counts)))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values.reshape(-1), pa.int64()))
