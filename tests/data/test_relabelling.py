"""Other annotations for the features of a store: what changes is told, and a kill leaves the old or the new ones."""

from __future__ import annotations

import gc
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avparse.data.datasets.annotations import Annotations
from avparse.data.datasets.relabelling import relabel
from avparse.data.datasets.tables import read_tables
from avparse.data.store import FeatureStore
from avparse.data.store.writer import StoreWriter
from avparse.foundation.errors import UserError
from avparse.foundation.files import sha256_of
from tests import store_blocks
from tests.conftest import Command
from tests.faults import Killed, faults
from tests.format_1 import write_format_1

CLASSES = ("Speech", "Dog", "Blender")
LABELS = {
    "video_11_0": "Dog|Speech,train",
    "video_16_0": "Dog,train",
    "video_16_1": "Speech,val",
    "video_16_2": ",test",
}
EVENTS = ["video_16_1,Speech,audio,0,2", "video_16_1,Speech,visual,1,2"]


def tables(
    folder: Path,
    labels: dict[str, str] = LABELS,
    events: list[str] = EVENTS,
    classes: tuple[str, ...] = CLASSES,
) -> Annotations:
    folder.mkdir(exist_ok=True)
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in classes))
    (folder / "labels.csv").write_text("video,labels,split\n" + "".join(f"{v},{row}\n" for v, row in labels.items()))
    (folder / "events.csv").write_text("".join(f"{row}\n" for row in ["video,class,modality,onset,offset", *events]))
    return read_tables(folder / "labels.csv", folder / "classes.txt", folder / "events.csv")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of the videos of two blocks, labelled as the tables say."""
    with store_blocks.create(tmp_path / "store") as writer:
        for number in (11, 16):
            writer.append(store_blocks.block(number))
    assert len(FeatureStore.open(tmp_path / "store")) == len(LABELS)
    relabel(tmp_path / "store", tables(tmp_path / "first"))
    return tmp_path / "store"


def features_of(path: Path) -> dict[str, str]:
    return {file.name: sha256_of(file) for file in path.iterdir() if not file.name.startswith("annotations")}


def test_a_store_holds_what_the_tables_say(path: Path) -> None:
    store = FeatureStore.open(path)
    store.verify()
    assert store.videos == list(LABELS)
    assert store.splits.tolist() == ["train", "train", "val", "test"]
    assert store.weak.tolist() == [[True, True, False], [False, True, False], [True, False, False], [False] * 3]
    assert store.annotated.tolist() == [False, False, True, False]
    audio, visual, _ = store.dense_truth(np.array([2]))
    assert np.flatnonzero(audio[0, :, 0]).tolist() == [t for t in (0, 1) if t < store.lengths[2]]
    assert np.flatnonzero(visual[0, :, 0]).tolist() == [t for t in (1,) if t < store.lengths[2]]


def test_the_same_tables_change_nothing(path: Path, tmp_path: Path) -> None:
    before = {file.name: sha256_of(file) for file in path.iterdir()}
    changes = relabel(path, tables(tmp_path / "same"))
    assert changes.told() == []
    assert str(changes) == f"{path}: 4 videos, nothing has changed"
    assert {file.name: sha256_of(file) for file in path.iterdir()} == before


def test_what_changes_is_told_by_kind_and_features_stay(path: Path, tmp_path: Path, command: Command) -> None:
    old, features = FeatureStore.open(path), features_of(path)
    labels = {**LABELS, "video_11_0": "Dog,train", "video_16_0": "Dog,val", "elsewhere": "Dog,train"}
    del labels["video_16_2"]
    folder = tmp_path / "second"
    tables(folder, labels, [EVENTS[0], "video_16_0,Dog,audio,0,1"], ("Cat", "Dog", "Speech"))
    given = ("--labels", folder / "labels.csv", "--classes", folder / "classes.txt", "--events", folder / "events.csv")
    code, out, _ = command("data", "relabel", path, *given)
    assert code == 0
    assert out.splitlines() == [
        f"{path}: 1 of 3 videos have other labels (such as 'video_11_0')",
        f"{path}: 1 of 3 videos are in another split (such as 'video_16_0')",
        f"{path}: 2 of 3 videos have other events (such as 'video_16_0')",
        f"{path}: classes added: Cat",
        f"{path}: classes removed: Blender",
        f"{path}: the classes are in another order",
        f"{path}: 1 video with features and no labels, left out: 'video_16_2'",
        f"{path}: 1 video with labels and no features (such as 'elsewhere'); extract or import them",
    ]
    store = FeatureStore.open(path)
    store.verify()
    assert features_of(path) == features
    assert store.features_version == old.features_version
    assert store.annotations_version != old.annotations_version
    assert store.fingerprint != old.fingerprint
    assert (store.videos, store.left_out) == (["video_11_0", "video_16_0", "video_16_1"], ["video_16_2"])
    assert store.vocabulary.names == ("Cat", "Dog", "Speech")
    assert store.weak.tolist() == [[False, True, False], [False, True, False], [False, False, True]]
    code, out, _ = command("data", "info", path)
    assert f"features {store.features_version}, annotations {store.annotations_version}" in out
    assert "left out    1 videos without annotations (such as 'video_16_2')" in out
    back = relabel(path, tables(tmp_path / "first"))
    assert back.returned == ("video_16_2",)
    assert FeatureStore.open(path).fingerprint == old.fingerprint


def test_a_folder_of_a_data_set_relabels_as_well(path: Path, tmp_path: Path, command: Command) -> None:
    folder = tmp_path / "llp"
    folder.mkdir()
    (folder / "classes.txt").write_text("Speech\nDog\nBlender\n")
    (folder / "AVVP_train.csv").write_text("filename\tevent_labels\nvideo_11_0\tBlender\nvideo_16_0\tDog\n")
    code, out, _ = command("data", "relabel", path, "--labels", folder)
    assert code == 0
    assert "2 videos with features and no labels, left out: 'video_16_1', 'video_16_2'" in out
    assert FeatureStore.open(path).weak.tolist() == [[False, False, True], [False, True, False]]


def test_tables_of_other_videos_are_refused(path: Path, tmp_path: Path) -> None:
    before = FeatureStore.open(path).fingerprint
    with pytest.raises(UserError, match=r"none of its 4 videos is among the labelled ones; check --labels"):
        relabel(path, tables(tmp_path / "other", {"elsewhere": "Dog,train"}, []))
    assert FeatureStore.open(path).fingerprint == before


def test_a_store_of_format_1_is_relabelled(tmp_path: Path) -> None:
    path = write_format_1(tmp_path / "old", [store_blocks.block(number) for number in (11, 16)])
    before = FeatureStore.open(path).features_version
    relabel(path, tables(tmp_path / "tables"))
    store = FeatureStore.open(path)
    assert (store.features_version, store.splits.tolist()) == (before, ["train", "train", "val", "test"])


@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_a_relabelling_that_is_killed_leaves_the_old_or_the_new(path: Path, tmp_path: Path, every: int) -> None:
    """The process ends at every (seventh) file call; nothing of it is left once the store was opened to write."""
    mended = tables(tmp_path / "mended", {**LABELS, "video_16_0": "Blender,train"})
    old = FeatureStore.open(path).fingerprint
    found = []
    for fault in faults(Killed, every):
        copied = tmp_path / f"copy{len(found)}"
        shutil.copytree(path, copied)
        with fault:
            relabel(copied, mended)
        gc.collect()  # closes the lock of the ended process
        found.append(FeatureStore.open(copied).fingerprint)
        StoreWriter.reopen(copied).close()
        assert FeatureStore.open(copied).fingerprint == found[-1]
        assert len(list(copied.glob("annotations*"))) == 2
        assert not list(copied.glob(".tmp-*"))
        if not fault.hit:
            break
    assert set(found) == {old, found[-1]}
    assert len(set(found)) == 2


def test_damaged_annotations_are_refused(path: Path) -> None:
    (file,) = path.glob("annotations-*.parquet")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=rf"{file.name}: checksum differs from annotations.json; restore it"):
        FeatureStore.open(path)
    file.unlink()
    with pytest.raises(UserError, match=rf"{file.name}: cannot be read \(No such file or directory\)"):
        FeatureStore.open(path)


def test_a_video_that_is_appended_again_supersedes_the_earlier(path: Path, command: Command) -> None:
    again = store_blocks.block(7)
    renamed = {"video_7_0": "video_16_0", "video_7_1": "video_16_1", "video_7_2": "video_16_2", "video_7_3": "new"}
    with StoreWriter.reopen(path) as writer:
        writer.append(replace(again, videos=[renamed[video] for video in again.videos]))
    store = FeatureStore.open(path)
    store.verify()
    assert sorted(store.videos) == sorted({*LABELS, *(renamed[video] for video in again.videos)})
    position = store.position("video_16_0")
    rows = slice(store.first_row[position], store.first_row[position] + store.lengths[position])
    np.testing.assert_array_equal(store.stream("audio")[rows], again.streams["audio"][: again.lengths[0]])
    assert store.weak[position].tolist() == again.weak[0].tolist()
    assert (np.diff(store.first_row) > 0).all()
    for n in range(len(store)):
        rows = slice(store.first_row[n], store.first_row[n] + store.lengths[n])
        assert store.modalities(np.array([n]))[0].tolist() == store.present[rows].any(axis=0).tolist()
    code, out, _ = command("data", "info", path)
    assert code == 0
    assert f"superseded  {store.superseded} videos" in out


def test_events_outside_their_video_leave_the_store_as_it_was(path: Path, tmp_path: Path) -> None:
    before, versions = features_of(path), FeatureStore.open(path).annotations_version
    for row, guess in (("video_16_1,Speech,audio,0,9000", "mend its offset"), ("video_16_1,Speech,audio,500,900", "")):
        with pytest.raises(UserError, match=rf"events\.csv:2: .*{guess}.* is as before"):
            relabel(path, tables(tmp_path / "wrong", events=[row]))
    assert features_of(path) == before
    assert FeatureStore.open(path).annotations_version == versions
