"""Splits that are drawn for a table that names none: about 70 % train, 15 % validation, 15 % test."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from avparse.data.datasets.annotations import AnnotatedVideo

_HELD_OUT = 0.3  # the share of validation and test together


def draw_splits(videos: Mapping[str, AnnotatedVideo]) -> tuple[dict[str, AnnotatedVideo], str]:
    """Draw a split for each video by a hash of its id, and return the videos with a line that says so.

    Where some videos have dense truth, validation and test are drawn of these, as nothing can be measured on others.
    A class whose videos would all be held out keeps one in train; with three videos or more there is at least one in
    validation and one in test, if classes allow.

    Args:
        videos: annotations by id of the video.
    """
    measurable = [name for name, video in videos.items() if video.events is not None] or list(videos)
    order = sorted(measurable, key=_draw)
    share = min(1.0, _HELD_OUT * len(videos) / len(measurable))
    held = [name for name in order if _draw(name) < share]
    held = order[:2] if len(held) < 2 else held
    left = np.sum([video.weak for video in videos.values()], axis=0).astype(int)
    drawn: dict[str, str] = {}
    for name in held:
        weak = videos[name].weak
        if len(videos) > 2 and (left[weak] > 1).all():
            left -= weak
            drawn[name] = "val" if len(drawn) % 2 == 0 else "test"
    splits = {name: replace(video, split=drawn.get(name, "train")) for name, video in videos.items()}
    count = Counter(video.split for video in splits.values())
    told = ", ".join(f"{count[split]} {split}" for split in ("train", "val", "test"))
    return splits, f"no split is given, so one was drawn: {told} (write a column 'split' to choose)"


def _draw(name: str) -> float:
    """Return a number in [0, 1) that depends on the id alone."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:7]) / 2**56
