"""AVE as it is published: its text files, its official split and its HDF5 features become a store."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from avparse.data.datasets.ave import AVE
from avparse.data.datasets.importing import import_dataset
from avparse.data.store import FeatureStore
from avparse.foundation.errors import UserError
from avparse.training.recipe import load_recipe
from avparse.training.train import train
from tests.conftest import Command

# As in the published file: the fourth row names a class and no segment, and one YouTube id has two samples.
ROWS = [
    "Church bell&RUhOCu3LNXM&good&0&10",
    "Church bell&MH3m4AwEcRY&good&6&8",
    "Male speech, man speaking&0giAfYq9oVM&good&3&9",
    "Church bell&VWi2ENBuTbw&good&0&0",
    "Female speech, woman speaking&0giAfYq9oVM&good&0&3",
    "Violin, fiddle&-8RuvUaOmz4&good&7&10",
    "Frying (food)&0Jm6aODb5JQ&good&0&4",
]
ORDER = {"train": [4, 0, 5], "val": [6, 2], "test": [3, 1]}
NAMES = ["RUhOCu3LNXM", "MH3m4AwEcRY", "0giAfYq9oVM", "VWi2ENBuTbw", "0giAfYq9oVM_2", "-8RuvUaOmz4", "0Jm6aODb5JQ"]
DATASET = AVE(AVE.Config())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The text files and the features, as they are published."""
    folder = tmp_path / "AVE"
    folder.mkdir()
    (folder / "Annotations.txt").write_text("".join(f"{row}\n" for row in ROWS))
    for split, numbers in ORDER.items():
        (folder / f"{split}Set.txt").write_text("".join(f"{ROWS[n]}\n" for n in numbers))
    rng = np.random.default_rng(0)
    with h5py.File(folder / "audio_feature.h5", "w") as file:
        file["avadataset"] = rng.random((len(ROWS), 10, 128))  # float64, as published
    with h5py.File(folder / "visual_feature.h5", "w") as file:
        file["avadataset"] = rng.random((len(ROWS), 10, 7, 7, 512), dtype=np.float32)
    return folder


def test_events_are_both_heard_and_seen_in_the_official_order(folder: Path) -> None:
    found = DATASET.read(folder)
    assert found.vocabulary.names == (
        "Church_bell",
        "Male_speech_man_speaking",
        "Female_speech_woman_speaking",
        "Violin_fiddle",
        "Frying_(food)",
    )
    for split, numbers in ORDER.items():
        assert found.of_split(split) == [NAMES[n] for n in numbers]
    for number, row in enumerate(ROWS):
        category, _, _, start, end = row.split("&")
        name = category.replace(",", "").replace(" ", "_")
        assert found.vocabulary.decode(found.videos[NAMES[number]].weak) == [name]
        for modality in ("audio", "visual"):
            dense = found.dense(NAMES[number], modality, 10)
            assert dense is not None
            assert np.flatnonzero(dense[:, found.vocabulary.index(name)]).tolist() == list(range(int(start), int(end)))
            assert dense.sum() == int(end) - int(start)
    assert found.segment_seconds == 1.0
    assert "both heard and seen" in found.notes[0]
    assert found.notes[1:] == ("Annotations.txt: a YouTube id that was there before gets a number (1 rows)",)


def test_a_header_and_the_numbered_split_are_read_too(folder: Path) -> None:
    before = DATASET.read(folder)
    header = "Category&VideoID&Quality&StartTime&EndTime\n"
    (folder / "Annotations.txt").write_text(header + (folder / "Annotations.txt").read_text())
    for split, numbers in ORDER.items():
        (folder / f"{split}Set.txt").unlink()
        with h5py.File(folder / f"{split}_order.h5", "w") as file:
            file["order"] = np.array(numbers)
    after = DATASET.read(folder)
    assert list(after.videos) == list(before.videos)
    assert after.vocabulary == before.vocabulary
    assert [v.events for v in after.videos.values()] == [v.events for v in before.videos.values()]
    (folder / "test_order.h5").unlink()
    with pytest.raises(UserError, match=r"the official split is missing; put trainSet.txt, valSet.txt, testSet.txt"):
        DATASET.read(folder)


def test_features_become_a_store_that_a_parser_trains_on(folder: Path, tmp_path: Path, command: Command) -> None:
    into = ("import", "ave", "--features", folder, "--annotations", folder, "-o", tmp_path / "store")
    code, out, _ = command(*into)
    assert code == 0
    assert "7 videos imported" in out
    store = FeatureStore.open(tmp_path / "store")
    store.verify()
    assert store.videos == [NAMES[n] for split in ORDER.values() for n in split]
    assert store.annotated.all()
    assert {name: s.dimension for name, s in store.streams.items()} == {"audio": 128, "frames": 512}
    with h5py.File(folder / "audio_feature.h5") as sound, h5py.File(folder / "visual_feature.h5") as picture:
        for number, name in enumerate(NAMES):
            at = store.position(name)
            rows = slice(store.first_row[at], store.first_row[at] + 10)
            np.testing.assert_array_equal(store.stream("audio")[rows], sound["avadataset"][number].astype(np.float32))
            mean = picture["avadataset"][number].reshape(10, 49, 512).mean(axis=1)
            np.testing.assert_allclose(store.stream("frames")[rows], mean, atol=1e-6)
    small = ["training.epochs=1", "parser.stem.visual=[frames]", "parser.stem.width=8", "parser.encoder.heads=1"]
    run = train(load_recipe("han", small), store, tmp_path / "run")
    assert (run.path / "results.json").is_file()
    again = import_dataset(DATASET, folder, folder, tmp_path / "store")
    assert (again.imported, again.already) == (0, 7)


def test_the_cells_of_a_map_are_kept_where_one_says_so(folder: Path, tmp_path: Path) -> None:
    import_dataset(DATASET, folder, folder, tmp_path / "store", keep_frames=True)
    store = FeatureStore.open(tmp_path / "store")
    at = store.first_row[store.position(NAMES[5])]
    with h5py.File(folder / "visual_feature.h5") as picture:
        np.testing.assert_array_equal(store.stream("frames")[at : at + 10], picture["avadataset"][5].reshape(10, -1))


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("Annotations.txt", "Bark&x\n", r"Annotations.txt:8: 2 cells, not category&id&quality&start&end"),
        ("Annotations.txt", "Bark&x&good&0&ten\n", r"Annotations.txt:8: end is 'ten', not a finite number of seconds"),
        ("Annotations.txt", "Bark&x&good&4&2\n", r"Annotations.txt:8: needs a category and 0 <= start <= end"),
        ("Annotations.txt", "Bark&../x&good&0&2\n", r"Annotations.txt:8: unsafe video id '../x'"),
        (
            "testSet.txt",
            "Church bell&elsewhere00&good&0&10\n",
            r"testSet.txt: 'elsewhere00' .*is no row of Annotations.txt, or taken before",
        ),
        (
            "testSet.txt",
            f"{ROWS[0]}\n",
            r"testSet.txt: 'RUhOCu3LNXM' of class Church_bell is no row of Annotations.txt, or taken",
        ),
    ],
)
def test_bad_rows_are_refused(file: str, text: str, message: str, folder: Path) -> None:
    with open(folder / file, "a") as table:
        table.write(text)
    with pytest.raises(UserError, match=message) as caught:
        DATASET.read(folder)
    assert "\n" not in str(caught.value)


def test_numbered_splits_that_do_not_fit_are_refused(folder: Path) -> None:
    for split in ORDER:
        (folder / f"{split}Set.txt").unlink()
    for last, reason in ((7, "row 7 of the official split is none of the 7"), (0, "row 0 .* is in two splits")):
        for split, numbers in {**ORDER, "test": [3, last]}.items():
            with h5py.File(folder / f"{split}_order.h5", "w") as file:
                file["order"] = np.array(numbers)
        with pytest.raises(UserError, match=reason):
            DATASET.read(folder)


def test_bad_feature_files_are_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "store"
    sound = folder / "audio_feature.h5"
    with h5py.File(sound, "r+") as file:
        file["avadataset"][5, 3, 7] = np.nan
    report = import_dataset(DATASET, folder, folder, tmp_path / "one")
    assert report.problems == [f"{sound}, row 5: NaN or infinity as float32; extract again"]
    with h5py.File(sound, "w") as file:
        file["avadataset"] = np.zeros((7, 10, 64))
    with pytest.raises(UserError, match=r"audio_feature.h5: 'avadataset' has shape \[7, 10, 64\], not"):
        import_dataset(DATASET, folder, folder, out)
    with h5py.File(sound, "w") as file:
        file["other"] = np.zeros((7, 10, 128))
    with pytest.raises(UserError, match="holds no numbers 'avadataset'"):
        import_dataset(DATASET, folder, folder, out)
    sound.write_bytes(b"<html>not found</html>")
    with pytest.raises(UserError, match="cannot be read as HDF5"):
        import_dataset(DATASET, folder, folder, out)
    sound.unlink()
    with pytest.raises(UserError, match=r"audio_feature.h5: no such file"):
        import_dataset(DATASET, folder, folder, out)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match=r"HDF5 files need 'h5py': pip install 'avparse\[hdf5\]'"):
        import_dataset(DATASET, folder, folder, out)
    assert not out.exists()
