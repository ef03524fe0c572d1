"""The table of refined labels: exact round trip, readable by others, strict on what it reads, usable as targets."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from avparse.data.batching import FeatureTable
from avparse.data.store import FeatureStore
from avparse.data.vocabulary import Vocabulary
from avparse.foundation.errors import UserError
from avparse.labels.table import SCHEMA, RefinedLabels
from avparse.labels.target_sources import RefinedSource, WeakLabels
from tests.toy import toy_store

VOCABULARY = Vocabulary(("Bark", "Bell", "Engine", "Voice"))
ARRAYS = ("given", "audio", "visual", "quality_audio", "quality_visual", "reason_audio", "reason_visual")


def _example() -> RefinedLabels:
    """Two labels in v1, one of them not seen; v2 without labels; in v3 a label is soft and one was repaired."""
    given = np.array([[1, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0]], dtype=bool)
    audio, visual = given.astype(np.float32), given.astype(np.float32)
    visual[0, 3], visual[2, 1], audio[2, 2] = 0, 0.4, 1
    quality = np.full(given.shape, 0.9, dtype=np.float32)
    quality[~given] = 1
    quality[2, 2] = 0.2
    seen = quality.copy()
    seen[0, 3] = 0.1
    reason_audio, reason_visual = np.full(given.shape, "", dtype=object), np.full(given.shape, "", dtype=object)
    reason_audio[2, 2], reason_visual[0, 3] = "repaired", "no partner shows it; “exchange”"
    seen[2, 2] = 1
    return RefinedLabels(
        ("v1", "v2", "v3"), VOCABULARY.names, given, audio, visual, quality, seen, reason_audio, reason_visual
    )


def _assert_same(a: RefinedLabels, b: RefinedLabels) -> None:
    assert (a.videos, a.classes) == (b.videos, b.classes)
    for name in ARRAYS:
        x, y = getattr(a, name), getattr(b, name)
        assert x.dtype == y.dtype
        assert x.shape == y.shape
        assert (x == y).all(), name


def test_columns_for_other_tools(tmp_path: Path) -> None:
    _example().save(tmp_path / "labels.parquet")
    frame = pd.read_parquet(tmp_path / "labels.parquet")
    assert list(frame.columns) == [
        "video", "class", "modality", "given_label", "suggested_label", "target", "quality_score", "reason",
    ]  # fmt: skip
    assert len(frame) == 7
    issues = frame[frame.given_label != frame.suggested_label].sort_values("quality_score")
    assert issues[["video", "class", "modality", "given_label", "suggested_label"]].to_numpy().tolist() == [
        ["v1", "Voice", "visual", True, False],
        ["v3", "Engine", "audio", False, True],
        ["v3", "Bell", "visual", True, False],
    ]
    assert issues.reason.tolist() == ["no partner shows it; “exchange”", "repaired", ""]


def test_round_trip(tmp_path: Path) -> None:
    labels = _example()
    labels.save(tmp_path / "labels.parquet")
    loaded = RefinedLabels.load(tmp_path / "labels.parquet", VOCABULARY)
    _assert_same(labels, loaded)
    loaded.save(tmp_path / "again.parquet")
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "labels.parquet").read_bytes()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 7), st.sampled_from([0.0, 0.3, 1.0]))
def test_any_round_trip_is_exact(seed: int, videos: int, density: float) -> None:
    rng = np.random.default_rng(seed)
    shape = (videos, len(VOCABULARY))
    given = rng.random(shape) < density
    soft = [np.where(rng.random(shape) < 0.4, rng.random(shape), rng.random(shape) < 0.2) for _ in range(4)]
    reasons = [rng.choice(np.array(["", "=x", 'ü, "y"'], dtype=object), shape) for _ in range(2)]
    names = tuple(f"v{i}" for i in rng.permutation(videos))
    labels = RefinedLabels(names, VOCABULARY.names, given, *soft, *reasons)
    with tempfile.TemporaryDirectory() as folder:
        labels.save(Path(folder) / "labels.parquet")
        _assert_same(labels, RefinedLabels.load(Path(folder) / "labels.parquet", VOCABULARY))
        labels.save(Path(folder) / "labels.csv")
        table = RefinedLabels.load(Path(folder) / "labels.csv", VOCABULARY)
    listed = [at for at in range(videos) if given[at].any() or labels.audio[at].any() or labels.visual[at].any()]
    assert table.videos == tuple(names[at] for at in listed)
    for array in ARRAYS:
        np.testing.assert_array_equal(getattr(table, array), getattr(labels, array)[listed])


def test_a_csv_table_is_read_as_the_parquet_table_is(tmp_path: Path) -> None:
    _example().save(tmp_path / "labels.parquet")
    frame = pd.read_parquet(tmp_path / "labels.parquet")
    frame["target"] = frame["target"].astype(float).round(6)
    frame["quality_score"] = frame["quality_score"].astype(float).round(6)
    for name, separator in (("labels.csv", ","), ("labels.tsv", "\t"), ("excel.csv", ";")):
        frame.to_csv(tmp_path / name, index=False, sep=separator)
        loaded = RefinedLabels.load(tmp_path / name, VOCABULARY)
        assert loaded.videos == ("v1", "v3")
        for array in ARRAYS:
            assert (getattr(loaded, array) == getattr(_example(), array)[[0, 2]]).all(), array
    frame.drop(columns="suggested_label").assign(video=frame.video + ".mp4").to_csv(tmp_path / "few.csv", index=False)
    few = RefinedLabels.load(tmp_path / "few.csv", VOCABULARY)
    assert few.rows(["v1", "v2", "v3"], _example().given).tolist() == [0, 2]
    frame["target"] = frame["target"].astype(object)
    for row, cell, message in ((0, "much", "labels.csv:2: target is 'much', not a number"), (6, 0, "row 7 has target")):
        edited = frame.copy()
        edited.loc[row, "target"] = cell
        edited.to_csv(tmp_path / "labels.csv", index=False)
        with pytest.raises(UserError, match=message):
            RefinedLabels.load(tmp_path / "labels.csv", VOCABULARY)


def test_names_are_compared_in_any_unicode_form(tmp_path: Path) -> None:
    composed, apart = Vocabulary(("Ger\u00e4usch",)), "Gera\u0308usch"
    header = "video,class,modality,given_label,target,quality_score"
    (tmp_path / "t.csv").write_text(f"{header}\ncafe\u0301,{apart},audio,1,1,1\ncafe\u0301,{apart},visual,1,0.2,0.5\n")
    loaded = RefinedLabels.load(tmp_path / "t.csv", composed)
    assert (loaded.audio.item(), loaded.visual.item()) == (1.0, pytest.approx(0.2))
    assert loaded.rows(["other", "caf\u00e9"], np.array([[False], [True]])).tolist() == [1]


def test_what_another_tool_wrote_is_read(tmp_path: Path) -> None:
    """Columns in another order and one more, shuffled rows, wider types, no metadata: only the empty video is lost."""
    _example().save(tmp_path / "labels.parquet")
    frame = pd.read_parquet(tmp_path / "labels.parquet").sample(frac=1, random_state=0)
    frame["target"] = frame["target"].astype(float)
    frame["class"] = frame["class"].astype("category")
    frame["note"] = "mine"
    frame[frame.columns[::-1]].to_parquet(tmp_path / "other.parquet")
    loaded = RefinedLabels.load(tmp_path / "other.parquet", VOCABULARY)
    assert sorted(loaded.videos) == ["v1", "v3"]
    order = [loaded.videos.index("v1"), loaded.videos.index("v3")]
    for name in ARRAYS:
        assert (getattr(loaded, name)[order] == getattr(_example(), name)[[0, 2]]).all()


def _set(column: str, row: int, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def edit(frame: pd.DataFrame) -> pd.DataFrame:
        frame[column] = frame[column].astype(object)
        frame.loc[row, column] = value
        return frame

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda f: f.drop(columns="target"), r"column 'target' is missing"),
        (lambda f: f.rename(columns={"class": "label"}), r"column 'class' is missing"),
        (lambda f: f.assign(target="much"), r"not a table of refined labels"),
        (_set("class", 1, "Voise"), r"row 2: unknown class 'Voise'; did you mean 'Voice'\?"),
        (_set("modality", 0, "video"), r"row 1: unknown modality 'video'"),
        (_set("target", 2, 1.5), r"row 3 has a target outside \[0, 1\]"),
        (_set("target", 2, float("nan")), r"row 3 has (no 'target'|a target outside)"),
        (_set("quality_score", 3, -0.1), r"row 4 has a quality_score outside \[0, 1\]"),
        (_set("suggested_label", 0, False), r"row 1 has target 1 and suggested_label false; .* to true if"),
        (_set("video", 0, None), r"row 1 has no 'video'"),
        (lambda f: pd.concat([f, f.iloc[[1]]]), r"row 8 repeats a video, class and modality"),
        (lambda f: f.drop(index=0), r"label 'Bark' of video 'v1' is given in one modality only"),
    ],
)  # fmt: skip
def test_refuses(tmp_path: Path, edit: Callable[[pd.DataFrame], pd.DataFrame], message: str) -> None:
    path = tmp_path / "labels.parquet"
    _example().save(path)
    frame = edit(pd.read_parquet(path))
    frame.reset_index(drop=True).to_parquet(path)
    with pytest.raises(UserError, match=message) as error:
        RefinedLabels.load(path, VOCABULARY)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_refuses_what_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    with pytest.raises(UserError, match="cannot be read"):
        RefinedLabels.load(path, VOCABULARY)
    path.write_bytes(b"PAR1 not really PAR1")
    with pytest.raises(UserError, match="cannot be read"):
        RefinedLabels.load(path, VOCABULARY)
    empty = SCHEMA.empty_table().replace_schema_metadata({"videos": '{"a": 1}'})
    pq.write_table(empty, path)
    with pytest.raises(UserError, match="not a list of ids"):
        RefinedLabels.load(path, VOCABULARY)
    doubled = pa.table([[1], [2]], names=["video", "video"])
    pq.write_table(doubled, path)
    with pytest.raises(UserError, match="column 'video' occurs twice"):
        RefinedLabels.load(path, VOCABULARY)


def test_a_failed_save_leaves_the_old_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "labels.parquet"
    _example().save(path)
    before = path.read_bytes()

    def full(table: pa.Table, file: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(UserError, match="disk is full"):
        _example().save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["labels.parquet"]


def test_refuses_arrays_that_do_not_fit() -> None:
    good = _example()
    arrays = {name: getattr(good, name) for name in ARRAYS}
    with pytest.raises(UserError, match=r"'audio' has shape \(3, 3\), expected \(3, 4\)"):
        RefinedLabels(good.videos, good.classes, **{**arrays, "audio": good.audio[:, :3]})
    with pytest.raises(UserError, match="named twice"):
        RefinedLabels(("v1", "v1", "v3"), good.classes, **arrays)
    with pytest.raises(UserError, match="visual is outside"):
        RefinedLabels(good.videos, good.classes, **{**arrays, "visual": good.visual * 2})


# --- as a target source -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy_store(tmp_path_factory.mktemp("data") / "toy", videos=30)


def _all_right(store: FeatureStore, rows: np.ndarray) -> RefinedLabels:
    """A table of some videos in which every weak label is right in both modalities."""
    weak = store.weak[rows]
    names = tuple(store.videos[i] for i in rows)
    hard, sure, silent = weak.astype(np.float32), np.ones(weak.shape, np.float32), np.full(weak.shape, "", object)
    return RefinedLabels(names, store.vocabulary.names, weak, hard, hard.copy(), sure, sure, silent, silent)


def test_unchanged_labels_give_the_weak_targets(store: FeatureStore) -> None:
    table, smoothing = FeatureTable(store), WeakLabels.Config(keep_audio=0.8, keep_visual=0.9)
    batch = table.batch(np.array([3, 29, 0, 3]))
    expected = WeakLabels(smoothing)(batch)
    for rows in (np.arange(30)[::-1], np.arange(7)):  # any order; videos outside the table keep the weak label
        found = RefinedSource(_all_right(store, rows), store.videos, store.weak, smoothing)(batch)
        for name in ("video", "audio", "visual"):
            torch.testing.assert_close(getattr(found, name), getattr(expected, name))


def test_removed_is_zero_soft_is_smoothed_repaired_counts_in_the_union(store: FeatureStore) -> None:
    row = int(np.flatnonzero((store.weak.sum(axis=1) >= 2) & (store.weak.sum(axis=1) < 4))[0])
    first, second = np.flatnonzero(store.weak[row])[:2]
    absent = int(np.flatnonzero(~store.weak[row])[0])
    labels = _all_right(store, np.array([row]))
    labels.visual[0, first] = 0  # removed from one modality
    labels.visual[0, second] = 0.4
    labels.audio[0, second] = 0.3
    labels.audio[0, absent] = 1  # repaired
    batch = FeatureTable(store).batch(np.array([row]))
    smoothing = WeakLabels.Config(keep_audio=1.0, keep_visual=0.9)
    targets = RefinedSource(labels, store.videos, store.weak, smoothing)(batch)
    assert torch.equal(targets.video, batch.weak)
    assert targets.visual[0, first] == 0
    assert targets.visual[0, second].item() == pytest.approx(0.41)
    assert targets.visual[0, absent].item() == pytest.approx(0.05)
    assert targets.audio[0, [first, second, absent]].tolist() == pytest.approx([1, 0.3, 1])
    union = RefinedSource(labels, store.videos, store.weak, smoothing, video="union")(batch)
    assert union.video[0, [first, second, absent]].tolist() == pytest.approx([1, 0.4, 1])
    assert torch.equal(union.visual, targets.visual)


def test_source_refuses_labels_of_other_data(store: FeatureStore) -> None:
    labels, smoothing = _all_right(store, np.arange(5)), WeakLabels.Config()
    with pytest.raises(UserError, match=f"no video '{store.videos[0]}'"):
        RefinedSource(labels, store.videos[1:], store.weak[1:], smoothing)
    other = store.weak.copy()
    other[2] = ~other[2]
    with pytest.raises(UserError, match=f"weak labels of video '{store.videos[2]}' differ"):
        RefinedSource(labels, store.videos, other, smoothing)
