"""docs/howto/own_method.md is a program: its blocks run as they stand, and what they add works with all else."""

from __future__ import annotations

import ast
import importlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from avparse.app import cli
from avparse.data.features import Batch, Features, Step
from avparse.data.store import FeatureStore
from avparse.foundation.errors import UserError
from avparse.labels.targets import Targets
from avparse.losses import LOSSES
from avparse.media.extractors import EXTRACTORS, make_streams
from avparse.media.pipeline import extract_video
from avparse.models.decoders import DECODERS
from avparse.models.encoders import ENCODERS
from avparse.models.output import ParserOutput
from avparse.models.parsers import PARSERS
from avparse.training.denoisers import DENOISERS
from avparse.training.recipe import Recipe, load_recipe
from avparse.training.run import Run
from avparse.training.train import train
from avparse.training.trainer import Trainer
from tests.clips import colours, tone, write_clip
from tests.toy import toy_store

DOCUMENT = Path(__file__).parents[2] / "docs" / "howto" / "own_method.md"
REGISTRIES: tuple[dict[str, Any], ...] = (DECODERS, DENOISERS, ENCODERS, EXTRACTORS, LOSSES, PARSERS)
TOY = "parser={name: recurrent, audio: [audio], visual: [frames, clips]}"


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The names that the document defines, after all of it was run in a folder of its own."""
    folder, before = tmp_path_factory.mktemp("document"), Path.cwd()
    known = [dict(registry) for registry in REGISTRIES]
    os.chdir(folder)
    try:
        (recipe,) = _blocks("yaml")
        Path("mine.yaml").write_text(recipe)
        names: dict[str, Any] = {"__name__": "mine", "folder": folder}
        exec(compile("\n".join(_blocks("python")), "mine.py", "exec", dont_inherit=True), names)
        yield names
    finally:
        os.chdir(before)
        for registry, entries in zip(REGISTRIES, known, strict=True):
            registry.clear()
            registry.update(entries)


@pytest.fixture(scope="module")
def store(program: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy_store(tmp_path_factory.mktemp("data") / "toy", ragged=True)


def _small(name: str, *changes: str) -> Recipe:
    return load_recipe(name, ["training.epochs=2", "training.batch_size=16", *changes])


def test_the_document_trains_what_it_defines(program: dict[str, Any]) -> None:
    for run in (program["run"], program["other"]):
        lines = (run.path / "metrics.jsonl").read_text().splitlines()
        assert len(lines) == 8
        assert (run.path / "results.md").is_file()
    assert isinstance(program["run"].parser().encoder, program["ConvolutionEncoder"])
    assert isinstance(program["other"].parser(), program["RecurrentParser"])


def test_the_new_denoiser_is_short() -> None:
    (block,) = [block for block in _blocks("python") if "class MemoryDenoiser" in block]
    assert sum(bool(line.strip()) for line in block.splitlines()) < 40


def test_the_memory_does_what_it_says(program: dict[str, Any]) -> None:
    config = program["MemoryDenoiser"].Config(pace=0.5, wait=1, low=0.4)
    memory = program["Memory"](config, 4, 1)
    labels = torch.ones(2, 1)
    batch = Batch(torch.tensor([2, 0]), Features({}), labels)
    heard, seen = torch.tensor([[0.9], [0.9]]), torch.tensor([[0.1], [0.9]])
    nothing = torch.zeros(2, 1, 1)
    output = ParserOutput(nothing, nothing, heard, seen, heard)
    first = memory.refine(Targets(labels, labels, labels), output, batch, Step(0, 0, 1))
    assert first.visual.all()  # it waits
    later = memory.refine(Targets(labels, labels, labels), output, batch, Step(1, 0, 1))
    assert later.audio.tolist() == [[1], [1]]
    assert later.visual.tolist() == [[0], [1]]
    torch.testing.assert_close(memory.belief[:, 2, 0], torch.tensor([0.8, 0.2]))
    assert memory.belief[:, 1].tolist() == [[0.5], [0.5]]  # not in the batch


@pytest.mark.parametrize("parser", ["parser.stem.width=16", TOY])
def test_the_new_refiner_with_any_parser(
    parser: str, store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It changes what is learned, and a run that is stopped at every other step ends as if it had not been."""
    denoiser = "denoiser={name: memory, wait: 1, low: 0.49, pace: 0.9}"
    plain = train(_small("han", parser), store, tmp_path / "plain")
    whole = train(_small("han", parser, denoiser), store, tmp_path / "whole")
    step, done = Trainer.step, [0]

    def stopping(self: Trainer, batch: Batch, at: Step) -> Iterator[tuple[str, Tensor]]:
        done[0] += 1
        if done[0] % 2 == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        yield from step(self, batch, at)

    monkeypatch.setattr(Trainer, "step", stopping)
    stops, finished = 0, False
    while not finished:
        try:
            train(_small("han", parser, denoiser), store, tmp_path / "stopped", resume=True)
            finished = True
        except SystemExit:
            stops += 1
    assert stops >= 4
    weights = [(tmp_path / run / "parser.safetensors").read_bytes() for run in ("whole", "stopped", "plain")]
    assert weights[0] == weights[1] != weights[2]
    assert plain.recipe.denoiser is None
    assert whole.recipe.denoiser is not None


@pytest.mark.parametrize("name", ["ma", "jomold", "class-prior", "validation-classifier", "informed-ceiling", "oracle"])
def test_shipped_denoisers_with_a_foreign_network(name: str, store: FeatureStore, tmp_path: Path) -> None:
    run = train(_small(name, TOY), store, tmp_path / "run")
    assert (run.path / "results.md").is_file()
    assert Run.open(run.path).recipe == run.recipe


def test_rlld_with_a_foreign_network(store: FeatureStore, tmp_path: Path) -> None:
    short = [
        "denoiser.episodes=2",
        "denoiser.steps=2",
        "denoiser.batch_size=16",
        "denoiser.policy.stem={name: linear, width: 8}",
    ]
    run = train(_small("rlld-paper", TOY, *short), store, tmp_path / "run")
    assert (run.path / "labels.parquet").is_file()


def test_settings_of_foreign_parts_are_checked(program: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="unknown key 'wdth'; did you mean 'width'"):
        load_recipe("han", ["parser={name: recurrent, wdth: 3}"])
    with pytest.raises(UserError, match="unknown parser 'recurent'; did you mean 'recurrent'"):
        load_recipe("han", ["parser={name: recurent}"])
    with pytest.raises(UserError, match="unknown denoiser 'memry'; did you mean 'memory'"):
        load_recipe("han", ["denoiser={name: memry}"])


def test_the_command_line_knows_them(
    program: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = program["folder"]
    monkeypatch.setattr(
        sys, "argv", ["mine.py", "evaluate", "--run", str(folder / "runs/recurrent"), "--data", str(folder / "store")]
    )
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert not stop.value.code
    assert "| parser |" in capsys.readouterr().out


@pytest.mark.slow
def test_a_table_of_runs_knows_them(program: dict[str, Any], tmp_path: Path) -> None:
    """Its runs are processes of the script that was started."""
    parts = [block for block in _blocks("python") if re.search(r"^[A-Z]+\[", block, re.MULTILINE)]
    (end,) = [block for block in _blocks("python") if "main()" in block]
    (tmp_path / "mine.py").write_text("\n".join([*parts, end]))
    row = f"{{name: Mine, recipe: {program['folder'] / 'mine.yaml'}, set: [training.epochs=1]}}"
    table = f"title: Mine\ndata: {program['folder'] / 'store'}\nseeds: [0]\nrows: [{row}]\n"
    (tmp_path / "table.yaml").write_text(table)
    command = [sys.executable, "mine.py", "bench", "table.yaml", "-o", "out", "--device", "cpu"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^\| Mine \| 1 \|", done.stdout, re.MULTILINE)


def test_the_extractor_makes_its_streams_of_a_clip(program: dict[str, Any], tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", sound=tone(level=0.5), picture=colours, seconds=3.0)
    made = extract_video(clip, make_streams("plain"))
    assert {name: values.shape for name, values in made.streams.items()} == {"level": (3, 4), "colour": (3, 3)}
    assert made.streams["level"][1] == pytest.approx(0.125, rel=0.1)


def test_the_page_lists_every_registry() -> None:
    """A registry is a dictionary by which settings or commands name a part; each is where the page says."""
    readers = {"part_of", "lookup", "read_part", "build"}
    used = set()
    for path in sorted((DOCUMENT.parents[2] / "avparse").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in readers:
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Name) and first.id.isupper():
                    used.add(first.id)
    listed = re.findall(r"`(avparse\.[\w.]+)\.([A-Z_]+)`", DOCUMENT.read_text(encoding="utf-8"))
    assert {"ENCODERS", "LOSSES", "TEACHERS"} <= used
    assert used - {"THRESHOLDS"} <= {name for _, name in listed}  # published numbers are no parts
    for module, name in listed:
        assert isinstance(getattr(importlib.import_module(module), name), dict)
