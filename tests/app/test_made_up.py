"""What was learned from data that a program made says so wherever its parser is used."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import avparse
from avparse.app.extracting import read_labels
from avparse.data.made_up import CORPUS, SYNTHETIC, made_up
from avparse.data.timeline import Timeline
from avparse.foundation.files import write_json
from avparse.foundation.reading import read_json
from tests.clips import tone, write_clip
from tests.conftest import Command
from tests.copied import copied_run


@pytest.mark.parametrize(
    ("description", "kind"),
    [
        ("", ""),
        ("our own recordings", ""),
        (SYNTHETIC, "synthetic"),
        ("simulated LLP, seed 3, knobs {}", "simulated"),
        ("imported from LLP", ""),
    ],
)
def test_descriptions(description: str, kind: str) -> None:
    assert made_up(description) == kind


@pytest.mark.parametrize(("description", "kind"), [(SYNTHETIC, "synthetic"), ("simulated LLP", "simulated"), ("", "")])
def test_every_result_of_such_a_parser_says_so(
    tiny_run: Path, tmp_path: Path, command: Command, description: str, kind: str
) -> None:
    run = copied_run(tiny_run, tmp_path / "run", description)
    clip = write_clip(tmp_path / "clip.wav", sound=tone(), seconds=1.0)
    code, out, _ = command("parse", clip, "--run", run, "-o", tmp_path / "out", "--workers", "0")
    assert code == 0
    doubt = f"trained on {kind} data: its results say nothing about real recordings"
    assert (doubt in out) == bool(kind)
    saved = json.loads((tmp_path / "out" / "clip.json").read_text())
    assert saved.get("trained_on", "") == kind
    assert Timeline.load(tmp_path / "out" / "clip.json").trained_on == kind
    with open(tmp_path / "out" / "events.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert {row["trained_on"] for row in rows} == {kind}
    page = (tmp_path / "out" / "report.html").read_text()
    assert ("Nothing here says anything about real recordings" in page) == bool(kind)
    assert (doubt in repr(avparse.parse(clip, run=run, workers=0))) == bool(kind)


@pytest.mark.slow
def test_the_folder_of_a_synthetic_corpus_marks_its_labels(tmp_path: Path, command: Command) -> None:
    code, _, err = command("synth", tmp_path / "corpus", "--videos", "4", "--workers", "0")
    assert code == 0, err
    assert (tmp_path / "corpus" / CORPUS).is_file()
    assert made_up(read_labels(tmp_path / "corpus").about) == "synthetic"
    (tmp_path / "corpus" / CORPUS).unlink()
    assert read_labels(tmp_path / "corpus").about == ""


def test_scores_on_real_data_name_the_data_of_the_parser(tiny_run: Path, tmp_path: Path, command: Command) -> None:
    run = copied_run(tiny_run, tmp_path / "run", SYNTHETIC)
    code, out, err = command("evaluate", "--run", run, "--data", tiny_run.parent / "store", "--split", "val")
    assert code == 0, err
    assert "Trained on synthetic data." in out
    assert read_json(run / "run.json")["description"] == SYNTHETIC
    write_json(run / "run.json", {**read_json(run / "run.json"), "description": ""})
    assert (
        "Trained on" not in command("evaluate", "--run", run, "--data", tiny_run.parent / "store", "--split", "val")[1]
    )
