"""Which videos of a split are scored: all, or by whether events overlap in them."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from avparse.data.batching import Indices
from avparse.data.store import FeatureStore
from avparse.foundation.errors import UserError

VideoKind = Literal["all", "overlapping", "single"]


def overlapping(store: FeatureStore, indices: Indices) -> npt.NDArray[np.bool_]:
    """Return ``[n]``, whether events of different classes overlap: in some segment two are heard, or two are seen.

    One that is heard while another is seen does not count: each modality has a single event to find there.

    Raises:
        UserError: a video has no dense truth.
    """
    audio, visual, _ = store.dense_truth(indices)
    found: npt.NDArray[np.bool_] = ((audio.sum(axis=2) > 1) | (visual.sum(axis=2) > 1)).any(axis=1)
    return found


def select_videos(store: FeatureStore, split: str, kind: VideoKind) -> Indices:
    """Return the positions of the videos of a split that are of a kind: ``single`` are those not overlapping.

    Raises:
        UserError: there is none, or a video has no dense truth although the kind depends on it.
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
