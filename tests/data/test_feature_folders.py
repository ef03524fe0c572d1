"""Import of the published feature folders: all that is whole comes in, all that is damaged is listed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from torch.nn.functional import elu

from avparse.data.batching import task_spec
from avparse.data.datasets.importing import ImportReport, import_dataset
from avparse.data.datasets.llp import LLP, read_llp
from avparse.data.features import Features
from avparse.data.store import FeatureStore
from avparse.data.store.writer import StoreWriter
from avparse.foundation.errors import UserError
from avparse.foundation.progress import showing
from avparse.models.stem import LinearStem
from tests.conftest import Command
from tests.llp_folders import published, video_name

IMPORT = """
import resource, sys
from pathlib import Path
from avparse.data.datasets.importing import import_dataset
from avparse.data.datasets.llp import LLP
import_dataset(LLP(LLP.Config()), *map(Path, sys.argv[1:]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def import_llp(
    features: Path, tables: Path, out: Path, dtype: Literal["float32", "float16"] = "float32"
) -> ImportReport:
    return import_dataset(LLP(LLP.Config()), features, tables, out, dtype)


def load(features: Path, number: int, folder: str) -> np.ndarray:
    return np.load(features / folder / f"{video_name(number)[:11]}.npy")


def spoil(features: Path, number: int, folder: str, content: np.ndarray | bytes | None) -> None:
    path = features / folder / f"{video_name(number)[:11]}.npy"
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content, allow_pickle=True)


def assert_holds(report: ImportReport, features: Path, tables: Path, numbers: set[int]) -> None:
    """The store is whole and holds exactly these videos, with their features, labels and truth."""
    store, annotations = FeatureStore.open(report.store), read_llp(tables)
    store.verify()
    assert set(store.videos) == {video_name(n) for n in numbers}
    for n in numbers:
        at = store.position(video_name(n))
        rows = slice(store.first_row[at], store.first_row[at] + store.lengths[at])
        frames = load(features, n, "res152")
        pooled = frames.reshape(store.lengths[at], -1, 2048).mean(axis=1)
        np.testing.assert_allclose(store.stream("frames")[rows], pooled, atol=1e-6)
        np.testing.assert_array_equal(store.stream("audio")[rows], load(features, n, "vggish"))
        np.testing.assert_array_equal(store.stream("clips")[rows], load(features, n, "r2plus1d_18"))
        assert annotations.videos[video_name(n)].split == store.splits[at]
        np.testing.assert_array_equal(store.weak[at], annotations.videos[video_name(n)].weak)
        assert store.annotated[at] == (store.splits[at] != "train")
        for modality in ("audio", "visual"):
            dense = annotations.dense(video_name(n), modality, int(store.lengths[at]))
            np.testing.assert_array_equal(
                store.truth(modality)[rows], np.zeros_like(store.truth(modality)[rows]) if dense is None else dense
            )
        assert store.durations[at] == store.lengths[at]


@pytest.mark.parametrize(("per_segment", "segments"), [(8, 10), (1, 10), (3, 7)])
def test_published_features_are_imported(per_segment: int, segments: int, tmp_path: Path) -> None:
    features, tables = published(tmp_path, 7, per_segment, segments)
    report = import_llp(features, tables, tmp_path / "store")
    assert (report.imported, report.already, report.problems, report.notes) == (7, 0, [], [])
    assert_holds(report, features, tables, set(range(7)))
    store = FeatureStore.open(tmp_path / "store")
    assert store.splits.tolist() == ["train"] * 3 + ["val"] * 2 + ["test"] * 2
    assert {name: s.dimension for name, s in store.streams.items()} == {"audio": 128, "frames": 2048, "clips": 512}


@pytest.mark.parametrize("segments", [10, 3])
def test_frames_of_a_segment_are_kept_where_one_says_so(segments: int, tmp_path: Path, command: Command) -> None:
    features, tables = published(tmp_path, 6, segments=segments)
    spoil(features, 4, "res152", load(features, 4, "res152")[:segments])  # averaged already
    into = ("import", "llp", "--features", features, "--annotations", tables, "-o", tmp_path / "store")
    code, out, _ = command(*into, "--keep-frames")
    assert code == 3
    assert f"{video_name(4)[:11]}.npy: 1 rows a segment, not the 8 to keep; extract again, or import averages" in out
    store = FeatureStore.open(tmp_path / "store")
    assert {name: s.dimension for name, s in store.streams.items()} == {"audio": 128, "frames": 16384, "clips": 512}
    assert set(store.videos) == {video_name(n) for n in (0, 1, 2, 3, 5)}
    # As the stem reads them: the frames of a segment are a dimension of their own.
    spec = task_spec(store)
    stem = LinearStem(LinearStem.Config(width=4, activation="elu", rates={"frames": 8}), spec.streams)
    at = store.position(video_name(5))
    rows = slice(store.first_row[at], store.first_row[at] + segments)
    given = Features({n: torch.from_numpy(np.array(store.stream(n)[rows])).unsqueeze(0) for n in store.streams})
    frames = torch.from_numpy(load(features, 5, "res152"))  # in the order of time
    with torch.no_grad():
        mapped = elu(stem.maps["frames"](frames)).unflatten(0, (segments, 8)).mean(dim=1)
        both = torch.cat((mapped, elu(stem.maps["clips"](given.streams["clips"][0]))), dim=-1)
        torch.testing.assert_close(stem(given).visual[0], elu(stem.fusions["visual"](both)))
    with pytest.raises(UserError, match="its 'streams' differs"):
        import_llp(features, tables, tmp_path / "store")


def test_half_precision_and_other_number_types(tmp_path: Path) -> None:
    features, tables = published(tmp_path, 4)
    spoil(features, 0, "vggish", load(features, 0, "vggish").astype(">f8"))
    spoil(features, 1, "vggish", np.asfortranarray(load(features, 1, "vggish")))
    spoil(features, 2, "vggish", np.arange(1280, dtype=np.uint8).reshape(10, 128))
    report = import_llp(features, tables, tmp_path / "store", dtype="float16")
    assert (report.imported, report.problems) == (4, [])
    store = FeatureStore.open(tmp_path / "store")
    assert store.stream("clips").dtype == np.float16
    for n in range(4):
        at = store.first_row[store.position(video_name(n))]
        expected = load(features, n, "vggish").astype(np.float16)
        np.testing.assert_array_equal(store.stream("audio")[at : at + 10], expected)


def test_videos_of_other_lengths_are_imported(tmp_path: Path) -> None:
    features, tables = published(tmp_path, 4)
    for folder, rows in (("vggish", 6), ("res152", 48), ("r2plus1d_18", 6)):
        spoil(features, 2, folder, load(features, 2, folder)[:rows])
    report = import_llp(features, tables, tmp_path / "store")
    assert report.imported == 4
    assert_holds(report, features, tables, {0, 1, 2, 3})
    store = FeatureStore.open(tmp_path / "store")
    assert store.lengths[store.position(video_name(2))] == 6


def _with(array: np.ndarray, value: float) -> np.ndarray:
    array[7, 5] = value
    return array


def _bomb(array: np.ndarray) -> bytes:
    text = b"{'descr': '<f8', 'fortran_order': False, 'shape': (65536, 65536), }".ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


DAMAGE: list[tuple[str, Callable[[np.ndarray], np.ndarray | bytes | None], str]] = [
    ("vggish", lambda a: None, "missing"),
    ("r2plus1d_18", lambda a: b"", "not a readable .npy file"),
    ("vggish", lambda a: b"<html>not found</html>", "not a readable .npy file"),
    ("res152", lambda a: a[:, :100], "shape [80, 100], not [rows, 2048]"),
    ("vggish", lambda a: a[None], "shape [1, 10, 128], not numbers in rows"),
    ("vggish", lambda a: a[:0], "shape [0, 128], not [rows, 128]"),
    ("vggish", lambda a: a[:9], "do not agree (vggish 9, res152 80, r2plus1d_18 10)"),
    ("res152", lambda a: a[:79], "do not agree (vggish 10, res152 79, r2plus1d_18 10)"),
    ("res152", lambda a: _with(a, np.nan), "NaN or infinity"),
    ("r2plus1d_18", lambda a: _with(a, -np.inf), "NaN or infinity"),
    ("vggish", lambda a: a.astype(object), "Python objects, which are never unpickled"),
    ("vggish", lambda a: a.astype(complex), "complex128 of shape [10, 128], not numbers in rows"),
    ("vggish", lambda a: a.astype(str), "not numbers in rows"),
    ("res152", _bomb, "truncated"),
]


def test_damaged_files_are_listed_and_stop_nothing(tmp_path: Path) -> None:
    count = len(DAMAGE) + 5
    features, tables = published(tmp_path, count)
    for n, (folder, damage, _) in enumerate(DAMAGE):
        spoil(features, n, folder, damage(load(features, n, folder)))
    whole = (features / "vggish" / f"{video_name(len(DAMAGE))[:11]}.npy").read_bytes()
    spoil(features, len(DAMAGE), "vggish", whole[:-1])
    spoil(features, len(DAMAGE) + 1, "vggish", None)
    (features / "vggish" / f"{video_name(len(DAMAGE) + 1)[:11]}.npy").mkdir()
    report = import_llp(features, tables, tmp_path / "store")
    assert report.imported == 3
    assert len(report.problems) == count - 3
    for n, (folder, _, message) in enumerate(DAMAGE):
        line = next(line for line in report.problems if video_name(n)[:11] in line)
        assert message in line
        assert "\n" not in line
        assert "do not agree" in message or f"{folder}/{video_name(n)[:11]}.npy" in line
        assert line in str(report).splitlines()
    assert f"{count - 3} missing or damaged files" in str(report)
    assert_holds(report, features, tables, set(range(count - 3, count)))


def test_files_that_were_mended_come_in_later(tmp_path: Path) -> None:
    features, tables = published(tmp_path, 5)
    good = load(features, 1, "vggish")
    spoil(features, 1, "vggish", None)
    assert import_llp(features, tables, tmp_path / "store").imported == 4
    np.save(features / "vggish" / f"{video_name(1)[:11]}.npy", good)
    report = import_llp(features, tables, tmp_path / "store")
    assert (report.imported, report.already, report.problems) == (1, 4, [])
    assert_holds(report, features, tables, set(range(5)))
    again = import_llp(features, tables, tmp_path / "store")
    assert (again.imported, again.already) == (0, 5)


def test_other_arguments_do_not_mix_into_a_store(tmp_path: Path) -> None:
    features, tables = published(tmp_path, 3)
    import_llp(features, tables, tmp_path / "store")
    with pytest.raises(UserError, match="its 'streams' differs"):
        import_llp(features, tables, tmp_path / "store", dtype="float16")
    (tmp_path / "other").mkdir()
    with pytest.raises(UserError, match="no feature store there"):
        import_llp(features, tables, tmp_path / "other")


def test_folders_that_are_missing(tmp_path: Path) -> None:
    features, tables = published(tmp_path, 3)
    with pytest.raises(UserError, match="no LLP tables there"):
        import_llp(features, features, tmp_path / "store")
    (features / "res152").rename(features / "res50")
    with pytest.raises(UserError, match=r"res152: no such folder of features"):
        import_llp(features, tables, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_names_that_would_share_feature_files(tmp_path: Path) -> None:
    features, tables = published(tmp_path, 3)
    with open(tables / "AVVP_train.csv", "a") as file:
        file.write(f"{video_name(0)[:11]}_20_30\tDog\n")
    with pytest.raises(UserError, match=r"would share the feature files 'id-00000000\.npy'"):
        import_llp(features, tables, tmp_path / "store")


def test_progress_and_dirt_are_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    features, tables = published(tmp_path, 3)
    with open(tables / "AVVP_eval_audio.csv", "a") as file:
        file.write("elsewhere\t0\t1\tDog\n")
    with showing("bar"):
        report = import_llp(features, tables, tmp_path / "store")
    assert report.notes == ["AVVP_eval_audio.csv: a row of a video outside these splits is ignored (1 row)"]
    assert "importing" in capfd.readouterr().err


def test_a_killed_import_continues(tmp_path: Path) -> None:
    count = 200
    features, tables = published(tmp_path, count, per_segment=1)
    out = tmp_path / "store"
    process = subprocess.Popen(
        [sys.executable, "-c", IMPORT, str(features), str(tables), str(out)],
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not (out.exists() and len(FeatureStore.open(out))):
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = len(FeatureStore.open(out))
    assert before > 0
    report = import_llp(features, tables, out)
    assert (report.already, report.imported) == (before, count - before)
    assert_holds(report, features, tables, set(range(count)))
    whole = import_llp(features, tables, tmp_path / "whole")
    assert FeatureStore.open(whole.store).fingerprint == FeatureStore.open(out).fingerprint


def test_an_import_that_was_killed_before_its_first_block_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, tables = published(tmp_path, 3, per_segment=1)
    monkeypatch.setattr(StoreWriter, "append", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        import_llp(features, tables, tmp_path / "store")
    monkeypatch.undo()
    assert len(FeatureStore.open(tmp_path / "store")) == 0
    assert import_llp(features, tables, tmp_path / "store").imported == 3
    whole = import_llp(features, tables, tmp_path / "whole")
    assert FeatureStore.open(whole.store).fingerprint == FeatureStore.open(tmp_path / "store").fingerprint


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_videos(tmp_path: Path) -> None:
    """Peak resident memory of an import of 70 and of 700 videos of 0.7 MB."""
    peaks = []
    for count in (70, 700):
        features, tables = published(tmp_path / str(count), count)
        done = subprocess.run(
            [sys.executable, "-c", IMPORT, str(features), str(tables), str(tmp_path / f"store{count}")],
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        peaks.append(int(done.stdout) / 1024)
    assert peaks[1] < peaks[0] + 40, peaks  # MB


def test_a_repeated_import_takes_what_has_changed_and_says_so(tmp_path: Path) -> None:
    features, tables = published(tmp_path, 6)
    import_llp(features, tables, tmp_path / "store")
    spoil(features, 1, "vggish", load(features, 1, "vggish") + 1)
    spoil(features, 2, "res152", None)
    report = import_llp(features, tables, tmp_path / "store")
    assert (report.imported, report.already, report.problems) == (0, 6, [])
    changed, gone = report.notes
    assert f"1 videos (such as '{video_name(1)}') have changed, imported anew" in changed
    assert f"1 videos (such as '{video_name(2)}') are gone; those in the store stay" in gone
    store = FeatureStore.open(tmp_path / "store")
    at = store.first_row[store.position(video_name(1))]
    np.testing.assert_array_equal(store.stream("audio")[at : at + 10], load(features, 1, "vggish"))
    assert (len(store), store.superseded) == (6, 1)
    version = store.fingerprint
    (features / "vggish" / f"{video_name(3)[:11]}.npy").touch()  # another time, the same content
    assert len(import_llp(features, tables, tmp_path / "store").notes) == 1
    assert FeatureStore.open(tmp_path / "store").fingerprint == version
