"""Videos with and without overlapping events: which they are, and the scores of runs on them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from avparse.app.scoring import evaluate
from avparse.data.store import FeatureStore
from avparse.data.store.block import Block
from avparse.data.store.format import StreamInfo
from avparse.data.store.writer import StoreWriter
from avparse.data.vocabulary import MODALITIES, Vocabulary
from avparse.evaluation.decoding_tuning import DecodingTuning
from avparse.evaluation.selection import overlapping, select_videos
from avparse.foundation.errors import UserError
from avparse.training.recipe import load_recipe
from avparse.training.run import Run
from avparse.training.train import train
from tests.conftest import Command
from tests.toy import toy_store

SMALL = ["parser.stem.width=16", "parser.encoder.feedforward=16", "training.batch_size=16", "training.epochs=2"]


def by_hand(path: Path, timelines: dict[str, tuple[list[str], list[str]]]) -> FeatureStore:
    """Write a store of one split, from what is heard and what is seen in each segment: letters of classes."""
    vocabulary = Vocabulary(("a", "b", "c"))
    lengths = [len(heard) for heard, _ in timelines.values()]
    truth = {
        modality: np.array([[c in segment for c in vocabulary.names] for v in timelines.values() for segment in v[n]])
        for n, modality in enumerate(MODALITIES)
    }
    either = np.split(truth["audio"] | truth["visual"], np.cumsum(lengths)[:-1])
    block = Block(
        videos=list(timelines),
        splits=["test"] * len(timelines),
        lengths=lengths,
        durations=[float(n) for n in lengths],
        origins=[""] * len(timelines),
        weak=np.stack([rows.any(axis=0) for rows in either]),
        streams={"audio": np.zeros((sum(lengths), 2), np.float32)},
        truth=truth,
        annotated=np.ones(len(timelines), dtype=bool),
    )
    streams = {"audio": StreamInfo(dimension=2, dtype="float32", extractor="none")}
    with StoreWriter.create(path, vocabulary=vocabulary, streams=streams, segment_seconds=1.0, truth=True) as writer:
        writer.append(block)
    return FeatureStore.open(path)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy_store(tmp_path_factory.mktemp("data") / "toy", ragged=True)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, store: FeatureStore) -> list[Run]:
    """Two seeds of a recipe; the first is there twice."""
    folder = tmp_path_factory.mktemp("runs")
    return [train(load_recipe("han", SMALL), store, folder / f"{n}", seed=seed) for n, seed in enumerate((0, 1, 0))]


def table(text: str) -> dict[str, np.ndarray]:
    """Return the rows of a table by name."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")][1:]
    return {name: np.array(values, dtype=float) for name, *values in rows}


def test_overlap_is_two_classes_in_one_segment_of_one_modality(tmp_path: Path) -> None:
    timelines = {
        "heard together": (["", "ab", ""], ["", "", ""]),
        "seen together": (["", "a"], ["bc", ""]),
        "one heard, another seen": (["a", "a"], ["b", "b"]),
        "the same heard and seen": (["c"], ["c"]),
        "one after the other": (["a", "b", "c"], ["c", "b", "a"]),
        "nothing": (["", "", "", ""], ["", "", "", ""]),
    }
    store = by_hand(tmp_path / "store", timelines)
    ours = overlapping(store, store.select("test"))
    assert ours.tolist() == [True, True, False, False, False, False]
    assert overlapping(store, np.array([2, 1])).tolist() == [False, True]
    assert select_videos(store, "test", "overlapping").tolist() == [0, 1]
    assert select_videos(store, "test", "single").tolist() == [2, 3, 4, 5]
    assert select_videos(store, "test", "all").tolist() == [0, 1, 2, 3, 4, 5]


def test_overlap_is_that_of_a_plain_loop(store: FeatureStore) -> None:
    expected = []
    for video in range(len(store)):
        rows = range(store.first_row[video], store.first_row[video] + store.lengths[video])
        expected.append(any(sum(store.truth(m)[row]) >= 2 for m in MODALITIES for row in rows))  # type: ignore[index]
    assert overlapping(store, np.arange(len(store))).tolist() == expected
    assert 0 < sum(expected) < len(expected)


def test_the_two_kinds_make_up_the_whole(store: FeatureStore, runs: list[Run], command: Command) -> None:
    """The ten metrics are means over videos, so those of a split are the weighted means of those of its parts."""
    whole, parts, counts = {}, [], []
    for kind in ("all", "overlapping", "single"):
        code, out, err = command("evaluate", "--run", runs[0].path, "--data", store.path, "--videos", kind)
        assert code == 0, err
        assert "95 % bootstrap interval of the parser alone: segment Type" in out
        caption = out.splitlines()[0]
        if kind == "all":
            whole = table(out)
            assert caption == "HAN, seed 0, 24 test videos, percent. Data: toy data."
        else:
            parts.append(table(out))
            found = re.match(
                rf"HAN, seed 0, (\d+) of 24 test videos {'with' if kind == 'overlapping' else 'without'} ", caption
            )
            assert found
            counts.append(int(found[1]))
    assert counts[0] == overlapping(store, store.select("test")).sum()
    assert sum(counts) == 24
    assert len(whole) == 3
    for name, values in whole.items():
        mixed = sum(count * part[name] for count, part in zip(counts, parts, strict=True)) / 24
        np.testing.assert_allclose(mixed, values, atol=0.11)  # all are rounded to one decimal
        assert (abs(parts[0][name] - parts[1][name]) > 0.2).any()


def test_several_runs_are_a_row_each(store: FeatureStore, runs: list[Run], command: Command) -> None:
    each = [table(str(evaluate([run], store, videos="single")))["parser"] for run in runs[:2]]
    options = [x for run in runs[:2] for x in ("--run", run.path)]
    code, out, _ = command("evaluate", *options, "--data", store.path, "--videos", "single")
    assert code == 0
    rows = table(out)
    assert list(rows) == ["HAN, seed 0", "HAN, seed 1"]
    np.testing.assert_array_equal(list(rows.values()), each)
    assert (each[0] != each[1]).any()
    assert [line.split(":")[0] for line in out.splitlines() if "bootstrap" in line] == [
        "95 % bootstrap interval of HAN, seed 0",
        "95 % bootstrap interval of HAN, seed 1",
    ]
    alike = table(str(evaluate(runs, store)))
    assert list(alike) == [f"HAN, seed 0 ({runs[0].path})", "HAN, seed 1", f"HAN, seed 0 ({runs[2].path})"]
    once = command("evaluate", "--run", runs[0].path, "--run", runs[0].path, "--data", store.path)[1]
    assert once == str(evaluate(runs[:1], store)) + "\n"


def test_tuned_on_the_way_is_as_tuned_in_training(
    store: FeatureStore, runs: list[Run], tmp_path: Path, command: Command
) -> None:
    recipe = runs[0].recipe.model_copy(update={"tuning": DecodingTuning()})
    tuned = table(str(evaluate(train(recipe, store, tmp_path / "tuned", seed=runs[0].info.seed), store)))
    code, out, _ = command("evaluate", "--run", runs[0].path, "--data", store.path, "--tune")
    assert code == 0
    found, given = table(out)["parser"], table(str(evaluate(runs[:1], store)))["parser"]
    np.testing.assert_array_equal(found, tuned["parser"])
    assert (found != given).any()
    assert "thresholds tuned on validation" in out
    code, _, err = command("evaluate", "--run", runs[0].path, "--data", store.path, "--tune", "--split", "val")
    assert code == 2
    assert "--tune reads the split 'val'" in err


def test_refusals(store: FeatureStore, runs: list[Run], tmp_path: Path, command: Command) -> None:
    lonely = by_hand(tmp_path / "lonely", {"x": (["a", "b"], ["c", ""]), "y": (["a"], [""])})
    with pytest.raises(UserError, match="none of the 2 videos in split 'test' is overlapping; choose other videos"):
        select_videos(lonely, "test", "overlapping")
    crowded = by_hand(tmp_path / "crowded", {"x": (["ab"], [""])})
    with pytest.raises(UserError, match="none of the 1 videos in split 'test' is single"):
        select_videos(crowded, "test", "single")
    code, _, err = command(
        "evaluate", "--run", runs[0].path, "--data", store.path, "--split", "no", "--videos", "single"
    )
    assert code == 2
    assert err.count("\n") == 1
    unknown = toy_store(tmp_path / "unknown", train_truth=False)
    with pytest.raises(UserError, match=r"training videos have no dense truth \(such as 'toy0000'\)"):
        select_videos(unknown, "train", "single")
    spec = runs[1].info.spec.model_copy(update={"classes": ("x", "y")})
    other = Run(runs[1].path, runs[1].recipe, runs[1].info.model_copy(update={"spec": spec}))
    with pytest.raises(UserError, match=f"does not fit the run {runs[1].path}: it has other classes"):
        evaluate([runs[0], other], store)


def test_a_comparison_is_the_difference_of_the_rows_with_an_interval(
    store: FeatureStore, runs: list[Run], command: Command
) -> None:
    both = ("--run", runs[0].path, "--run", runs[1].path, "--data", store.path)
    code, out, err = command("evaluate", *both, "--compare")
    assert code == 0, err
    scores, _, difference = out.partition("Difference to HAN, seed 0")
    rows = [values for name, values in table(scores).items() if name.startswith("HAN")]
    (line,) = [line for line in difference.splitlines() if line.startswith("| HAN, seed 1")]
    found = re.findall(r"(-?[\d.]+) \[(-?[\d.]+), (-?[\d.]+)\]", line)
    for (value, low, high), column in zip(found, (3, 8), strict=True):
        assert abs(float(value) - (rows[1][column] - rows[0][column])) <= 0.11
        assert float(low) <= float(value) <= float(high)
    code, _, err = command("evaluate", *both[:2], *both[4:], "--compare")
    assert code == 2
    assert "a comparison needs two runs" in err
