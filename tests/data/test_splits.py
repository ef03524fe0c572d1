"""Splits that are drawn for a table that names none."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from avparse.data.datasets.annotations import AnnotatedVideo, Annotations
from avparse.data.datasets.splits import draw_splits
from avparse.data.timeline import Event
from avparse.data.vocabulary import Vocabulary


def videos_of(count: int, classes: int = 5, seed: int = 0, rare: int = 3) -> dict[str, AnnotatedVideo]:
    """Videos with one of several classes each, of which the last one has ``rare`` videos only."""
    rng = np.random.default_rng(seed)
    of = [classes - 1 if n < rare else int(rng.integers(classes - 1)) for n in range(count)]
    return {f"v{n}": AnnotatedVideo("", np.arange(classes) == c, None, f"v{n}") for n, c in enumerate(of)}


@pytest.mark.parametrize("seed", range(5))
def test_shares_are_about_right_and_every_class_is_in_train(seed: int) -> None:
    videos = videos_of(400, seed=seed)
    drawn, note = draw_splits(videos)
    count = Counter(video.split for video in drawn.values())
    assert 240 <= count["train"] <= 320
    assert min(count["val"], count["test"]) >= 35
    trained = np.any([video.weak for video in drawn.values() if video.split == "train"], axis=0)
    assert trained.all()
    assert f"{count['train']} train, {count['val']} val, {count['test']} test" in note
    backwards, _ = draw_splits(dict(reversed(videos.items())))
    assert {name: video.split for name, video in backwards.items()} == {n: v.split for n, v in drawn.items()}


@pytest.mark.parametrize("count", [3, 6, 10, 20])
def test_few_videos_fill_all_splits(count: int) -> None:
    drawn, _ = draw_splits(videos_of(count, classes=2, rare=count))
    assert {video.split for video in drawn.values()} == {"train", "val", "test"}


def test_what_is_measured_is_drawn_of_annotated_videos() -> None:
    videos = videos_of(100, classes=2, rare=40)
    known = {name for number, name in enumerate(videos) if number % 10 == 0}
    event = (Event("a", "audio", 0, 1),)
    annotated = {name: replace(video, events=event if name in known else None) for name, video in videos.items()}
    drawn, _ = draw_splits(annotated)
    held = {name for name, video in drawn.items() if video.split != "train"}
    assert held <= known
    assert len(held) >= 8


def test_videos_of_a_store_keep_their_splits() -> None:
    drawn, _ = draw_splits(videos_of(30))
    labels = Annotations(Vocabulary(("a", "b", "c", "d", "e")), drawn, drawn=True)
    kept = labels.with_known_splits({"v3": "test"})
    assert kept.videos["v3"].split == "test"
    assert kept.videos["v4"] is not None
    assert replace(labels, drawn=False).with_known_splits({"v3": "test"}).videos["v3"].split == drawn["v3"].split


@pytest.mark.parametrize(
    ("onset", "offset", "said"),
    [
        (0, 6, ""),
        (0, 7, ""),  # to the end of the last segment, which the video fills partly
        (30, 40, "t.csv:2: 30 s to 40 s lies outside the 6.4 s of the video; are these frames or milliseconds?"),
        (1000, 3000, "are these milliseconds? Write seconds"),
        (4, 9000, "4 s to 9000 s ends after the 6.4 s of the video; mend its offset"),
        (70000, 90000, "is it of another video? Mend the row"),
    ],
)
def test_events_outside_their_video_are_told_with_a_guess(onset: float, offset: float, said: str) -> None:
    video = AnnotatedVideo("val", np.array([True]), (Event("a", "audio", onset, offset),), "v")
    labels = Annotations(Vocabulary(("a",)), {"v": video}, places={"v": ("t.csv:2",)})
    found = labels.misplaced("v", 6.4, 1.0)
    assert said in found
    assert bool(found) == bool(said)
