"""Bars of every class: what is drawn are the numbers, files are whole, and what cannot be written is one line."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from avparse.app.charts import classes as class_plot
from avparse.app.charts.classes import draw
from avparse.data.store import FeatureStore
from avparse.data.teachers.simulated import SimulatedTeacher
from avparse.data.vocabulary import LLP_CLASSES
from avparse.evaluation.per_class import ClassScores, score_classes
from tests.conftest import Command
from tests.toy import toy_store

_SIDE = "{teacher: simulated, score: logit, threshold: 20}"
PSEUDO = ["--set", f"pseudo_labels={{audio: {_SIDE}, visual: {_SIDE}}}"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    store = toy_store(tmp_path_factory.mktemp("data") / "toy")
    for scores in SimulatedTeacher(SimulatedTeacher.Config(hallucinate_visual=0.5))(store):
        scores.save(store)
    return store


def random_scores(seed: int, classes: tuple[str, ...], truth: np.ndarray) -> ClassScores:
    """Labels that are right for the most part; the last class but one is never labelled."""
    rng = np.random.default_rng(seed)
    labels = truth ^ (rng.random(truth.shape) < 0.1)
    labels[..., -2] = False
    return score_classes(*labels, *truth, classes)


def bars(panel: Any) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Return stage -> class -> F, precision and recall, read from what is drawn, by its height in the panel."""
    rows = dict(zip(panel.get_yticks(), (t.get_text().split(" (")[0] for t in panel.get_yticklabels()), strict=True))
    points = {line.get_label(): line for line in panel.lines}
    found: dict[str, dict[str, tuple[float, float, float]]] = {}
    for container in panel.containers:
        stage = container.get_label()
        precision, recall = (points[f"{stage}, {name}"] for name in ("precision", "recall"))
        found[stage] = {}
        for bar, p, r in zip(container, precision.get_xydata(), recall.get_xydata(), strict=True):
            height = bar.get_y() + bar.get_height() / 2
            assert p[1] == pytest.approx(height)
            assert r[1] == pytest.approx(height)
            assert abs(height - round(height)) < 0.5
            found[stage][rows[round(height)]] = (bar.get_width(), p[0], r[0])
    return found


def test_what_is_drawn_are_the_numbers() -> None:
    classes = tuple(LLP_CLASSES)
    truth = np.random.default_rng(0).random((2, 40, 10, len(classes))) < 0.1
    truth[0, ..., 3] = False  # never heard, labelled all the same
    truth[1, ..., -2] = False  # neither seen nor labelled
    stages = {f"stage {seed}": random_scores(seed, classes, truth) for seed in range(3)}
    sheet = draw(stages, "title")
    for track, panel in enumerate(sheet.axes):
        drawn = bars(panel)
        assert list(drawn) == list(stages)
        for stage, scores in stages.items():
            rows = {
                row["class"]: row
                for row in scores.as_rows()
                if (row["level"], row["track"]) == ("segment", ("audio", "visual")[track])
            }
            assert set(drawn[stage]) == set(classes)
            for name, values in drawn[stage].items():
                expected = [rows[name][measure] for measure in ("f", "precision", "recall")]
                np.testing.assert_allclose(values, [np.nan if x is None else x for x in expected], err_msg=name)
        count = truth[track].sum(axis=(0, 1))
        labels = [label.get_text() for label in panel.get_yticklabels()]
        assert sorted(labels) == sorted(f"{name} ({n})" for name, n in zip(classes, count, strict=True))
        order = [label.split(" (")[0] for label in labels]
        f = [drawn["stage 0"][name][0] for name in order[:-1]]  # the last one has no truth
        assert f == sorted(f, reverse=True)
        assert order[-1] == classes[(3, -2)[track]]
        assert panel.get_ylim()[0] > panel.get_ylim()[1]  # the first is on top
        (note,) = panel.texts
        assert (note.get_text(), note.get_position()[1]) == ("no truth", len(classes) - 1)
    (legend,) = sheet.legends
    assert [text.get_text() for text in legend.get_texts()] == [*stages, "precision", "recall"]
    assert len({container[0].get_facecolor() for container in sheet.axes[0].containers}) == 3


def test_no_text_covers_another() -> None:
    truth = np.random.default_rng(0).random((2, 40, 10, len(LLP_CLASSES))) < 0.1
    for count in (1, 3):
        sheet = draw({f"s{n}": random_scores(n, tuple(LLP_CLASSES), truth) for n in range(count)}, "title")
        sheet.draw_without_rendering()
        for panel in sheet.axes:
            boxes = [label.get_window_extent() for label in panel.get_yticklabels()]
            assert all(above.y0 > below.y1 for above, below in itertools.pairwise(boxes))
            assert min(box.x0 for box in boxes) >= 0
        left, right = (panel.get_tightbbox() for panel in sheet.axes)
        assert left.x1 < right.x0


def test_the_command_draws_what_it_prints(
    store: FeatureStore, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a run: its labels before and after PLD."""
    sheets = []

    def remember(*arguments):  # type: ignore[no-untyped-def]
        sheets.append(draw(*arguments))
        return sheets[-1]

    monkeypatch.setattr(class_plot, "draw", remember)
    small = ["parser.stem.width=16", "training.epochs=2", "training.batch_size=16", "denoiser.passes=1"]
    changes = [x for change in (*small, "denoiser.flip={alpha: 1, floor: 0.1}") for x in ("--set", change)]
    code, _, err = command(
        "train", "vplan", "--data", store.path, "-o", tmp_path / "run", "--device", "cpu", *PSEUDO, *changes
    )
    assert code == 0, err
    plain = command("pseudo-labels", tmp_path / "run", "--data", store.path, "--per-class")[1]
    chart = tmp_path / "out" / "classes.png"
    code, out, err = command("pseudo-labels", tmp_path / "run", "--data", store.path, "--per-class", "--plot", chart)
    assert code == 0, err
    assert out == plain + f"{chart}\n{chart.with_suffix('.svg')}\n"
    assert sorted(p.name for p in chart.parent.iterdir()) == ["classes.png", "classes.svg"]
    with Image.open(chart) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert min(pixels.shape[:2]) > 300
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50
    assert ElementTree.parse(chart.with_suffix(".svg")).getroot().tag.endswith("svg")
    panels = {m: bars(panel) for m, panel in zip(("audio", "visual"), sheets[0].axes, strict=True)}
    stages = list(panels["audio"])
    assert stages == ["Pseudo labels of HAN + VPLAN", "After pass 1 of PLD"]
    assert sheets[0].get_suptitle() == "Segments of 24 val videos, simulated teacher"
    printed = re.findall(r"^\| (\w+), (audio|visual) \| (.*) \|$", plain, re.MULTILINE)
    assert len(printed) == 2 * 4 * 2
    for number, (name, modality, cells) in enumerate(printed):
        f, precision, recall = panels[modality][stages[number // 8]][name]
        assert cells == " | ".join("–" if np.isnan(x) else f"{x:.1f}" for x in (precision, recall, f))
    assert panels["visual"][stages[0]] != panels["visual"][stages[1]]


def test_what_cannot_be_written_is_one_line(store: FeatureStore, tmp_path: Path, command: Command) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "taken.png").mkdir()
    for place, reason in (("file/out", "a file stands where"), ("taken", "a folder stands where")):
        code, out, err = command("pseudo-labels", "valor", "--data", store.path, *PSEUDO, "--plot", tmp_path / place)
        assert code == 2
        assert err.startswith(f"avparse: error: cannot write {tmp_path / place}.png: {reason}")
        assert err.count("\n") == 1
        assert "| pseudo labels |" in out  # nothing that was worked out is lost
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "taken.png"]
