"""Learning curves: what is drawn is what the runs logged."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from PIL import Image

from avparse.app.charts import curves as plotting
from avparse.app.charts.curves import Group, History, draw, plot
from avparse.data.store import FeatureStore
from avparse.foundation.errors import UserError
from avparse.training.recipe import load_recipe
from avparse.training.run import Run
from avparse.training.train import train
from tests.conftest import Command
from tests.toy import toy_store

SMALL = ["parser.stem.width=24", "parser.encoder.feedforward=24", "training.batch_size=16"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy_store(tmp_path_factory.mktemp("data") / "toy", videos=60)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, store: FeatureStore) -> list[Path]:
    """Two seeds of one recipe and one of another, with the episodes of a denoiser."""
    folder = tmp_path_factory.mktemp("runs")
    plans = [("han0", "han", 0), ("han1", "han", 1), ("prior", "class-prior", 0)]
    for name, recipe, seed in plans:
        train(load_recipe(recipe, [*SMALL, "training.epochs=3"]), store, folder / name, seed=seed)
    for number, name in enumerate(("han0", "han1")):
        (folder / name / "denoised").mkdir()
        lines = [{"episode": i, "reward_audio": i / 10 + number, "kind": "text"} for i in range(5 - number)]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / name / "denoised" / "episodes.jsonl").write_text(text + '{"episode": 9, "rew')  # it was killed
    return [folder / name for name, _, _ in plans]


def _history(steps: Sequence[int], values: Sequence[float]) -> History:
    return History({"loss": (list(steps), list(values))})


@pytest.mark.slow
def test_files_are_whole_pictures(runs: list[Path], tmp_path: Path) -> None:
    some = ["loss", "val/segment_type", "reward_audio"]
    files = plot(runs, tmp_path / "out", some)
    assert [f.name for f in files] == ["epochs.png", "epochs.svg", "episodes.png", "episodes.svg"]
    for file in files:
        if file.suffix == ".png":
            with Image.open(file) as image:
                pixels = np.asarray(image.convert("RGB"))
            assert min(pixels.shape[:2]) > 300
            assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50
        else:
            assert ElementTree.parse(file).getroot().tag.endswith("svg")
    again = plot(runs, tmp_path / "again", some)
    assert [f.read_bytes() for f in again] == [f.read_bytes() for f in files]


def test_runs_of_a_recipe_are_a_mean_and_a_band() -> None:
    pair = Group("pair", [_history([1, 2, 3], [1.0, 2.0, 3.0]), _history([1, 2], [3.0, 2.0])])
    one = Group("one", [_history([1, 2, 3], [5.0, 5.0, 5.0])])
    steps, mean, deviation = pair.spread("loss")
    assert steps.tolist() == [1, 2, 3]
    assert mean.tolist() == [2.0, 2.0, 3.0]
    np.testing.assert_allclose(deviation, [2**0.5, 0.0, np.nan])
    sheet = draw([pair, one], ["loss"], "epoch", "title")
    (panel,) = sheet.axes
    assert [line.get_ydata().tolist() for line in panel.lines] == [[2.0, 2.0, 3.0], [5.0, 5.0, 5.0]]
    assert panel.lines[0].get_color() != panel.lines[1].get_color()
    (band,) = [c for c in panel.collections if isinstance(c, PolyCollection)]
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((2 - 2**0.5, 2 + 2**0.5))
    assert (panel.get_xlabel(), panel.get_ylabel(), panel.get_title(loc="left")) == ("epoch", "nats", "training loss")


@pytest.mark.slow
def test_every_logged_number_has_a_panel(runs: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sheets = []

    def remember(*arguments):  # type: ignore[no-untyped-def]
        sheets.append(draw(*arguments))
        return sheets[-1]

    monkeypatch.setattr(plotting, "draw", remember)
    plot(runs, tmp_path / "all")
    epochs, episodes = sheets
    logged = json.loads((runs[0] / "metrics.jsonl").read_text().splitlines()[0])
    assert len(epochs.axes) == len(logged) - 1
    titles = [panel.get_title(loc="left") for panel in epochs.axes]
    assert "validation, segment audio-visual" in titles
    assert len(set(titles)) == len(titles)
    assert all(panel.get_xlabel() == "epoch" and panel.get_ylabel() for panel in epochs.axes)
    assert [len(panel.lines) for panel in epochs.axes] == [2] * len(epochs.axes)  # HAN and class prior
    (reward,) = episodes.axes
    assert reward.lines[0].get_xdata().tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(reward.lines[0].get_ydata(), [0.5, 0.6, 0.7, 0.8, 0.4])
    labels = [text.get_text() for text in epochs.legends[0].get_texts()]
    assert labels == ["HAN, 2 runs, mean ± deviation", "Class prior"]
    files = plot(runs, tmp_path / "some", ["val/event_type", "loss"])
    assert [f.name for f in files] == ["epochs.png", "epochs.svg"]
    assert len(sheets[-1].axes) == 2


def test_simulated_data_are_told(runs: list[Path], store: FeatureStore, tmp_path: Path) -> None:
    run = train(load_recipe("han", [*SMALL, "training.epochs=1"]), store, tmp_path / "run", seed=0)
    about = run.path / "run.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {"description": "simulated LLP, seed 0"}))
    simulated, real = Run.open(run.path), Run.open(runs[0])
    assert "simulated data" in plotting._about([simulated])
    assert "simulated" not in plotting._about([real])
    assert "some of simulated data" in plotting._about([simulated, real])


def test_metrics_are_chosen_by_either_name_of_the_option(runs: list[Path], tmp_path: Path, command: Command) -> None:
    drawn = []
    for option in ("--metrics", "--figures"):
        code, text, _ = command("plot", runs[0], "-o", tmp_path / option, option, "reward_audio, inter_audio")
        assert code == 2, text  # no run has the second
        code, text, _ = command("plot", runs[0], "-o", tmp_path / option, option, "reward_audio")
        assert code == 0, text
        drawn.append([(path.name, path.read_bytes()) for path in sorted((tmp_path / option).iterdir())])
    assert drawn[0] == drawn[1]
    assert [name for name, _ in drawn[0]] == ["episodes.png", "episodes.svg"]
    assert "--figures" not in command("plot", "--help")[1]


def test_refusals(runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a run folder"):
        plot([tmp_path / "nothing"], tmp_path / "out")
    with pytest.raises(UserError, match=r"no metric 'val/segment_tpye' in these runs; did you mean 'val/segment_type'"):
        plot(runs, tmp_path / "out", ["val/segment_tpye"])
    new = tmp_path / "new"
    new.mkdir()
    for name in ("run.json", "recipe.yaml"):
        (new / name).write_bytes((runs[0] / name).read_bytes())
    with pytest.raises(UserError, match="no curves yet"):
        plot([new], tmp_path / "out")
    (new / "metrics.jsonl").write_text('{"epoch": 0, "loss": 1}\nnonsense\n')
    with pytest.raises(UserError, match=r"metrics.jsonl: line 2 is damaged"):
        plot([new], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_matplotlib_the_mend_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in ("style", "curves", "classes"):
        monkeypatch.delitem(sys.modules, f"avparse.app.charts.{name}", raising=False)
    for name in ("curves", "classes"):
        with pytest.raises(UserError, match=r"pip install 'avparse\[plot\]'"):
            importlib.import_module(f"avparse.app.charts.{name}")
