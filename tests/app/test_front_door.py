"""What ``import avparse`` gives: every name is used here as a newcomer would."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import avparse
from avparse.media.extractors import make_streams
from tests.clips import colours, tone, write_clip
from tests.toy import toy_store

SMALL = ["parser.stem.width=16", "parser.encoder.feedforward=16", "training.epochs=2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of features as the light extractor makes them, and a run that was trained on it."""
    folder = tmp_path_factory.mktemp("front")
    toy_store(
        folder / "store",
        videos=40,
        dimensions={n: s.dimension for n, s in make_streams("light").items()},
        extractor="light",
    )
    (folder / "small.yaml").write_text(avparse.load_recipe("han", SMALL).as_yaml())
    avparse.train(str(folder / "small.yaml"), str(folder / "store"), str(folder / "run"), seed=3, device="cpu")
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> avparse.Run:
    return avparse.Run.open(str(folder / "run"))


@pytest.fixture(scope="module")
def clip(folder: Path) -> Path:
    (folder / "clips").mkdir()
    return write_clip(folder / "clips" / "a.mp4", sound=tone(), picture=colours, seconds=3.0)


def test_the_names_are_those_that_dir_and_the_documentation_list() -> None:
    assert set(avparse.__all__) <= set(dir(avparse))
    for name in avparse.__all__:
        assert getattr(avparse, name) is not None
    with pytest.raises(AttributeError, match=r"no attribute 'prase'; it has .*parse"):
        avparse.prase  # noqa: B018


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, avparse; print({'torch', 'numpy', 'typer', 'avparse.training'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_list_recipes_takes_a_pattern() -> None:
    assert "han" in avparse.list_recipes()
    assert avparse.list_recipes("*leap*") == [name for name in avparse.list_recipes() if "leap" in name] != []
    assert avparse.list_recipes("nothing*") == []


def test_create_parser_makes_the_network_of_a_recipe(folder: Path) -> None:
    parser = avparse.create_parser("han", folder / "store", stem={"width": 16}, encoder={"feedforward": 8})
    assert parser.config.stem.width == 16
    assert parser.config.encoder.feedforward == 8
    assert parser.config.encoder.name == avparse.load_recipe("han").parser.encoder.name
    other = avparse.create_parser("han", parser.spec, encoder={"name": "lstm"}, twins=True)
    assert type(other).__name__ == "TwinParser"
    assert other.config.encoder.name == "lstm"
    with pytest.raises(avparse.UserError, match="unknown key 'wdth'; did you mean 'width'"):
        avparse.create_parser("han", parser.spec, stem={"wdth": 16})


def test_a_run_shows_what_it_is_and_what_it_scored(run: avparse.Run, folder: Path) -> None:
    results, history = run.results(), run.history()
    assert run.scores == results.scores["parser"]
    assert len(run.scores) == 10
    assert (results.split, results.videos, results.epoch) == ("test", 8, run.best_epoch)
    assert history["epoch"] == [0, 1]
    assert all(len(column) == 2 for column in history.values())
    best = max(history["val/segment_type"])
    assert run.best_epoch == max(e for e, v in zip((0, 1), history["val/segment_type"], strict=True) if v == best)
    text = repr(run).splitlines()
    assert text[0] == f"Run {folder / 'run'}"
    assert any("seed 3" in line for line in text)
    assert any(f"2 of 2 epochs, best epoch {run.best_epoch + 1}" in line for line in text)
    assert f"segment Type {run.scores['segment_type']:.1f}" in text[-1]
    assert "8 test videos" in repr(results)


def test_an_unfinished_run_says_so(run: avparse.Run, tmp_path: Path) -> None:
    recipe = run.recipe
    begun = avparse.Run.create(tmp_path / "begun", recipe, avparse.FeatureStore.open(run.info.data), 1)
    assert "0 of 2 epochs" in repr(begun)
    assert begun.history() == {}
    assert begun.best_epoch is None
    with pytest.raises(avparse.UserError, match=r"results.json: cannot be read .*train the run to its end"):
        begun.results()
    with pytest.raises(avparse.UserError, match="no trained parser yet"):
        avparse.parse(tmp_path / "a.mp4", begun.path)


def test_damaged_results_are_named(run: avparse.Run, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"split": "test", "videos": 8, "epoch": 0, "scores": {"parser": {}}}')
    broken = avparse.Run(tmp_path, run.recipe, run.info)
    with pytest.raises(avparse.UserError, match=r"results.json: 'scores.parser' .* lacks segment_audio"):
        broken.results()


def test_parse_one_file(clip: Path, run: avparse.Run, folder: Path) -> None:
    timeline = avparse.parse(clip, run)
    assert isinstance(timeline, avparse.Timeline)
    assert timeline.duration == pytest.approx(3.0, abs=0.2)
    assert timeline.classes == run.info.spec.classes
    other = avparse.parse(str(clip), str(folder / "run"), labels=["Bell"], progress=None)
    assert {event.class_name for event in other.events} <= {"Bell"}
    timeline.save(str(folder / "a.json"))
    loaded = avparse.Timeline.load(str(folder / "a.json"))
    assert [(e.class_name, e.onset) for e in loaded.events] == [(e.class_name, e.onset) for e in timeline.events]
    with pytest.raises(avparse.UserError, match="unknown class 'Bel'; did you mean 'Bell'"):
        avparse.parse(clip, run, labels=["Bel"])


def test_a_bad_file_is_a_value_among_others_and_an_error_alone(clip: Path, run: avparse.Run) -> None:
    bad = clip.parent / "b.mp4"
    bad.write_bytes(b"not a video")
    calls: list[tuple[int, int | None, str]] = []
    results = avparse.parse([clip, bad], run, workers=0, progress=lambda *call: calls.append(call))
    assert isinstance(results, Iterator)
    first, second = results
    assert isinstance(first, avparse.Timeline)
    assert isinstance(second, avparse.Failed)
    assert second.path == str(bad)
    assert calls == [(1, 2, "parse"), (2, 2, "parse")]
    assert [type(result) for result in avparse.parse(clip.parent, run, workers=0)] == [avparse.Timeline, avparse.Failed]
    with pytest.raises(avparse.UserError, match=r"b\.mp4"):
        avparse.parse(bad, run)


def test_evaluate_gives_scores_that_print(run: avparse.Run, folder: Path) -> None:
    evaluation = avparse.evaluate(str(folder / "run"), str(folder / "store"), device="cpu")
    assert evaluation.scores["parser"].as_dict() == pytest.approx(run.scores)
    assert len(repr(evaluation).splitlines()) == 1 + 1 + 3 * 3
    assert repr(evaluation.scores["parser"]).splitlines()[0] == "ParsingScores of 8 videos"


def test_denoise_returns_the_labels_and_writes_only_where_told(folder: Path, tmp_path: Path) -> None:
    store = avparse.FeatureStore.open(str(folder / "store"))
    before = sorted(folder.iterdir())
    labels = avparse.denoise(store, "class-prior", recipe=folder / "small.yaml", device="cpu")
    assert sorted(folder.iterdir()) == before
    again = avparse.denoise(
        str(folder / "store"), "class-prior", str(tmp_path / "l.parquet"), recipe=folder / "small.yaml", device="cpu"
    )
    assert (tmp_path / "l.parquet").is_file()
    np.testing.assert_array_equal(labels.audio, again.audio)
    assert repr(labels).startswith("RefinedLabels of 24 videos, 4 classes\naudio: ")
    assert len(repr(labels).splitlines()) == 3


def test_train_tells_its_progress_to_a_function(folder: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int | None, str]] = []
    run = avparse.train(
        avparse.load_recipe(folder / "small.yaml"),
        folder / "store",
        tmp_path / "run",
        device="cpu",
        progress=lambda *call: calls.append(call),
    )
    assert calls == [(step, 4, run.recipe.title) for step in (1, 2, 3, 4)]  # two epochs of two batches


def test_a_timeline_shows_its_events_on_one_screen() -> None:
    from avparse.data.timeline import Event

    events = [Event("Dog", "audio", float(i), i + 1.0, 0.5) for i in range(30)]
    timeline = avparse.Timeline("a.mp4", 30.0, 1.0, ("Dog", "Cat"), {"audio": None, "visual": None}, events)
    lines = repr(timeline).splitlines()
    assert lines[0] == "Timeline a.mp4: 30.0 s, 2 classes, 30 events"
    assert lines[1] == "     0.0 -    1.0 s  audio   Dog  0.50"
    assert lines[-1].strip() == "... and 10 more"
    assert len(lines) < 25


def test_score_parsing_prints_the_ten_metrics() -> None:
    truth = torch.rand(3, 10, 4) > 0.5
    scores = avparse.score_parsing(truth, truth, truth, truth)
    assert scores.as_dict()["event_type"] == 100
    assert str(scores).splitlines()[1].split() == ["segment", *["100.0"] * 5]


def test_the_version_is_a_version() -> None:
    assert avparse.__version__.count(".") == 2
