"""Data sets by name: an own one of plain tables, and one that a program registers in a line."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from avparse.app.extracting import read_labels
from avparse.data.datasets import DATASETS
from avparse.data.datasets.annotations import AnnotatedVideo, Annotations
from avparse.data.datasets.feature_folders import FeatureFolder
from avparse.data.store import FeatureStore
from avparse.data.timeline import Event
from avparse.data.vocabulary import Vocabulary
from avparse.foundation.errors import UserError
from avparse.foundation.settings import PartConfig
from tests.conftest import Command

LENGTHS = {"a": 4, "b": 2, "c": 3}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with tables and features of two streams; segments last half a second."""
    folder = tmp_path / "own"
    for stream, size in (("sound", 3), ("picture", 5)):
        (folder / stream).mkdir(parents=True)
        for n, (video, length) in enumerate(LENGTHS.items()):
            np.save(folder / stream / f"{video}.npy", np.full((length, size), n + 1, dtype=np.float64))
    (folder / "notes").mkdir()  # holds no features, so it is no stream
    (folder / "classes.txt").write_text("Dog\nRain\n")
    (folder / "labels.csv").write_text("video,labels,split\na,Dog|Rain,train\nb,,val\nc,Rain,\n")
    (folder / "events.csv").write_text(
        "video,class,modality,onset,offset\na,Dog,audio,0.4,1.5\na,Rain,visual,1,2\nb,Dog,audio,0,0.1\n"
    )
    return folder


def test_own_tables_and_feature_folders_become_a_store(own: Path, tmp_path: Path, command: Command) -> None:
    code, out, _ = command(
        "import", "tables", "--features", own, "--annotations", own, "-o", tmp_path / "store", "--set",
        "segment_seconds=0.5",
    )  # fmt: skip
    assert code == 0, out
    store = FeatureStore.open(tmp_path / "store")
    store.verify()
    assert store.segment_seconds == 0.5
    assert dict(zip(store.videos, store.lengths.tolist(), strict=True)) == LENGTHS
    assert store.splits.tolist() == ["train", "val", ""]
    assert store.annotated.tolist() == [True, True, False]
    assert store.durations.tolist() == [2.0, 1.0, 1.5]
    assert {name: s.dimension for name, s in store.streams.items()} == {"picture": 5, "sound": 3}
    assert store.stream("sound")[:, 0].tolist() == [1] * 4 + [2] * 2 + [3] * 3
    # A segment is active where the event covers its middle.
    assert store.truth("audio")[:, 0].tolist() == [False, True, True] + [False] * 6
    assert store.truth("visual")[:, 1].tolist() == [False, False, True, True] + [False] * 5


def test_a_video_whose_streams_differ_in_length_is_left_out(own: Path, tmp_path: Path, command: Command) -> None:
    np.save(own / "sound" / "b.npy", np.ones((3, 3)))
    arguments = ("import", "tables", "--features", own, "--annotations", own, "-o", tmp_path / "store")
    code, out, _ = command(*arguments)
    assert code == 3
    assert "rows of 'b' do not agree (picture 2, sound 3)" in out
    assert FeatureStore.open(tmp_path / "store").videos == ["a", "c"]
    code, _, err = command(*arguments, "--set", "segment_seconds=0.5")
    assert code == 2
    assert "its 'segment_seconds' differs" in err


def test_what_is_no_data_set_is_refused(own: Path, tmp_path: Path, command: Command) -> None:
    def refusal(name: str, *more: str, features: Path = own) -> str:
        code, _, err = command(
            "import", name, "--features", features, "--annotations", own, "-o", tmp_path / "x", *more
        )
        assert code == 2
        assert err.count("\n") == 1
        return err

    assert "unknown data set 'tabels'; did you mean 'tables'?" in refusal("tabels")
    assert "data set 'llp': unknown key 'segment_seconds'" in refusal("llp", "--set", "segment_seconds=2")
    assert "holds no folder of .npy files" in refusal("tables", features=own / "notes")
    assert "absent: no such folder of features" in refusal("tables", features=own / "absent")
    np.save(own / "picture" / "a.npy", np.ones(4))
    assert "a.npy: has shape [4]" in refusal("tables")
    (own / "classes.txt").unlink()
    assert not (tmp_path / "x").exists()


def test_extraction_reads_the_annotations_of_any_data_set(own: Path, tmp_path: Path) -> None:
    tables = read_labels(own, dataset="tables")
    single = read_labels(own / "labels.csv", own / "classes.txt", own / "events.csv")
    assert tables.videos.keys() == single.videos.keys() == LENGTHS.keys()
    for video in LENGTHS:
        assert tables.videos[video].events == single.videos[video].events
    with pytest.raises(UserError, match="unknown data set 'tubles'; did you mean 'tables'"):
        read_labels(own, dataset="tubles")
    with pytest.raises(UserError, match="--classes and --events go with a table of labels"):
        read_labels(own, own / "classes.txt", dataset="tables")
    with pytest.raises(UserError, match="no LLP tables there"):
        read_labels(own)


class Silent:
    """A data set of a program: one class, one line."""

    class Config(PartConfig):
        name: Literal["silent"] = "silent"

    origin, description = "silent", "imported from nothing"

    def __init__(self, config: Config) -> None:
        self.config = config

    def read(self, folder: Path) -> Annotations:
        events = (Event("Dog", "visual", 0.0, 1.0),)
        video = AnnotatedVideo("val", np.array([True]), events, "a")
        return Annotations(Vocabulary(("Dog",)), {"only": video}, segment_seconds=1.0)

    def sources(self, features: Path) -> tuple[FeatureFolder, ...]:
        return (FeatureFolder("frames", "picture", 5),)


def test_a_data_set_of_ones_own_is_a_class_and_a_line(
    own: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DATASETS, "silent", Silent)
    code, _, _ = command("import", "silent", "--features", own, "--annotations", own, "-o", tmp_path / "store")
    assert code == 0
    store = FeatureStore.open(tmp_path / "store")
    assert (store.videos, store.lengths.tolist(), store.manifest.description) == (
        ["only"],
        [4],
        "imported from nothing",
    )
    assert store.truth("visual")[:, 0].tolist() == [True, False, False, False]
