"""Selection of the videos to score: all of them, or by whether events overlap in time."""

from __future__ import annotations

from typing import Literal, get_args

from avparse.data.batching import Indices
from avparse.data.store import FeatureStore
from avparse.foundation.arrays import BoolArray
from avparse.foundation.errors import UserError

VideoKind = Literal["all", "overlapping", "single"]


def overlapping(store: FeatureStore, indices: Indices) -> BoolArray:
    """Return ``[n]``, whether events of different classes overlap: two are heard, or two are seen, in some segment.

    An event that is heard while another is seen does not count, because each modality then has a single event.

    Raises:
        UserError: a video has no dense truth.
    """
    audio, visual, _ = store.dense_truth(indices)
    found: BoolArray = ((audio.sum(axis=2) > 1) | (visual.sum(axis=2) > 1)).any(axis=1)
    return found


def select_videos(store: FeatureStore, split: str, kind: VideoKind) -> Indices:
    """Return the positions of the videos of a split that are of a kind; ``single`` videos are those not overlapping.

    Raises:
        UserError: there is no such video, or a video has no dense truth although the kind depends on it.
    """
    indices = store.select(split)
    if kind == "all":
        return indices
    chosen: Indices = indices[overlapping(store, indices) == (kind == "overlapping")]
    if not len(chosen):
        others = ", ".join(f"'{other}'" for other in get_args(VideoKind) if other != kind)
        raise UserError(
            f"{store.path}: none of the {len(indices)} videos in split '{split}' is {kind}; "
            f"choose other videos ({others}) or another split"
        )
    return chosen
