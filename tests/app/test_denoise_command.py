"""'avparse denoise' and 'avparse train --labels': the table, the report, interruptions, refusals."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from torch import Tensor

from avparse.app.denoising import denoise, method_recipe
from avparse.data.features import Batch, Step
from avparse.data.store import FeatureStore
from avparse.foundation.errors import UserError
from avparse.labels.table import SCHEMA, RefinedLabels
from avparse.training.recipe import load_recipe
from avparse.training.run import Run
from avparse.training.train import train
from avparse.training.trainer import Trainer
from tests.conftest import Command
from tests.toy import toy_store

SMALL = ["parser.stem.width=16", "parser.encoder.feedforward=16", "training.batch_size=32", "training.epochs=2"]
SET = [part for change in SMALL for part in ("--set", change)]
CPU = ["--device", "cpu"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy_store(tmp_path_factory.mktemp("data") / "toy", videos=160)


def _refused(result: tuple[int, str, str], *messages: str) -> None:
    code, _, err = result
    assert code == 2
    (line,) = [line for line in err.splitlines() if "error" in line]
    assert all(message in line for message in messages), line
    assert "Traceback" not in err


def test_table_report_and_training(store: FeatureStore, tmp_path: Path, command: Command) -> None:
    out = tmp_path / "labels.parquet"
    code, text, _ = command("denoise", store.path, "--method", "class-prior", "-o", out, "--per-class", *SET, *CPU)
    assert code == 0
    assert [p.name for p in tmp_path.iterdir()] == ["labels.parquet"]  # the working folder is gone
    table = pd.read_parquet(out)
    assert list(table.columns) == SCHEMA.names
    removed = table[table.given_label & ~table.suggested_label].groupby("modality").size()
    given = int(store.weak[store.select("train")].sum())
    for modality in ("audio", "visual"):
        assert f"{modality}: {removed.get(modality, 0)} of {given} labels removed" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[0].startswith("| labels of | given | removed | noise before | after")
    assert [row.split("|")[1].strip() for row in rows[1:4]] == ["audio", "visual", "both"]
    assert len(rows) == 4 + 2 * len(store.vocabulary)

    code, text, _ = command(
        "train", "jomold", "--data", store.path, "-o", tmp_path / "run", "--labels", out, *SET, *CPU
    )
    assert code == 0
    run = Run.open(tmp_path / "run")
    assert (run.path / "labels.parquet").read_bytes() == out.read_bytes()
    assert run.recipe.denoiser is None  # the labels took its place
    assert not (run.path / "denoised").exists()


def test_two_steps_are_the_recipe(store: FeatureStore, tmp_path: Path) -> None:
    """Denoise, then train with the table: to the last bit what the recipe with that denoiser does."""
    whole = train(load_recipe("ma", SMALL), store, tmp_path / "whole", seed=4)
    labels = denoise(store, "ma", tmp_path / "l", recipe="ma", changes=SMALL, seed=4, device="cpu")
    assert (tmp_path / "l").read_bytes() == (whole.path / "labels.parquet").read_bytes()
    steps = train(load_recipe("ma", SMALL), store, tmp_path / "steps", seed=4, labels=labels)
    assert (steps.path / "parser.safetensors").read_bytes() == (whole.path / "parser.safetensors").read_bytes()


def test_resumed_training_keeps_its_labels(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe("han", SMALL)
    labels = denoise(store, "oracle", tmp_path / "l", changes=SMALL, device="cpu")
    whole = train(recipe, store, tmp_path / "whole", labels=labels)
    weak = train(recipe, store, tmp_path / "weak")
    _stop_at(monkeypatch, 2)
    with pytest.raises(SystemExit):
        train(recipe, store, tmp_path / "stopped", labels=labels)
    monkeypatch.undo()
    train(recipe, store, tmp_path / "stopped", resume=True)  # the labels are not given again
    weights = [(tmp_path / run / "parser.safetensors").read_bytes() for run in ("whole", "stopped", "weak")]
    assert weights[0] == weights[1] != weights[2]
    assert weak.path != whole.path


def _stop_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Send SIGTERM at the given step of whatever is trained first."""
    step, done = Trainer.step, [0]

    def stopping(self: Trainer, batch: Batch, at: Step) -> Iterator[tuple[str, Tensor]]:
        done[0] += 1
        if done[0] == number:
            os.kill(os.getpid(), signal.SIGTERM)
        yield from step(self, batch, at)

    monkeypatch.setattr(Trainer, "step", stopping)


def test_stopped_denoising_goes_on(
    store: FeatureStore, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(name: str, *more: str) -> tuple[int, str, str]:
        return command("denoise", store.path, "--method", "ma", "-o", tmp_path / name, *SET, *CPU, *more)

    whole = call("whole")
    assert whole[0] == 0
    with monkeypatch.context() as patch:
        _stop_at(patch, 4)
        assert call("stopped")[0] == 128 + signal.SIGTERM
    assert (tmp_path / "stopped.work").is_dir()
    assert not (tmp_path / "stopped").exists()
    _refused(call("stopped", "--seed", "2"), "stopped.work: was begun with another method")
    _refused(call("stopped", "--set", "denoiser.partners=3"), "stopped.work: was begun with another method")
    assert call("stopped")[1] == whole[1]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["stopped", "whole"]
    assert (tmp_path / "stopped").read_bytes() == (tmp_path / "whole").read_bytes()


def test_without_truth_the_noise_is_estimated(tmp_path: Path, command: Command) -> None:
    """The twin store tells the truth; the interval of all classes holds it."""
    blind, seeing = (
        toy_store(tmp_path / name, videos=400, train_truth=truth) for name, truth in (("blind", False), ("seen", True))
    )
    code, text, _ = command("denoise", blind.path, "--method", "class-prior", "-o", tmp_path / "l", *SET, *CPU)
    assert code == 0
    assert "Estimated wrong labels in percent, with 95 % intervals." in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 2  # without --per-class
    intervals = re.findall(r"([\d.]+) \[([\d.]+), ([\d.]+)\]", rows[1])
    train_split = seeing.select("train")
    audio, visual, _ = seeing.dense_truth(train_split)
    given = seeing.weak[train_split]
    for (_, low, high), truth in zip(intervals, (audio, visual), strict=True):
        wrong = 100 * (given & ~truth.any(axis=1)).sum() / given.sum()
        assert float(low) <= wrong <= float(high)
    _refused(
        command("denoise", blind.path, "--method", "oracle", "-o", tmp_path / "o", *SET, *CPU),
        "training videos have no dense truth",
    )
    assert not (tmp_path / "o.work").exists()
    nobody = toy_store(tmp_path / "nobody", train_truth=False, val_truth=False)
    last = ("--set", "training.select=last")
    code, text, _ = command("denoise", nobody.path, "--method", "ma", "-o", tmp_path / "e", *SET, *CPU, *last)
    assert code == 0
    assert "The share of wrong labels is unknown" in text
    _refused(
        command("denoise", nobody.path, "--method", "class-prior", "-o", tmp_path / "c", *SET, *CPU, *last),
        "validation videos have no dense truth",
    )


def test_a_denoiser_keeps_the_settings_of_its_recipe(store: FeatureStore) -> None:
    assert method_recipe(store, "exchange", "ma") == method_recipe(store, "ma", "ma")  # the former name
    assert method_recipe(store, "ma", "ma", ["denoiser.partners=3"]).denoiser.partners == 3  # type: ignore[union-attr]
    assert method_recipe(store, "class-prior", "ma").denoiser.name == "class-prior"  # type: ignore[union-attr]
    jomold = method_recipe(store, "jomold", "jomold", ["denoiser.visual_threshold=1.2"]).denoiser
    assert jomold.visual_threshold == 1.2  # type: ignore[union-attr]
    assert jomold.static  # type: ignore[union-attr]
    with pytest.raises(UserError, match="unknown key"):
        method_recipe(store, "class-prior", "han", ["denoiser.partners=3"])


def test_refusals_of_denoise(
    store: FeatureStore, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trainer, "step", lambda *_: pytest.fail("trains before it refuses"))

    def call(method: str, *more: str | Path) -> tuple[int, str, str]:
        return command("denoise", store.path, "--method", method, *more, *SET, *CPU)

    out = tmp_path / "labels.parquet"
    _refused(call("jomld", "-o", out), "unknown method 'jomld'; did you mean 'jomold'?")
    _refused(call("oracle", "-o", out, "--recipe", "hna"), "unknown recipe 'hna'")
    _refused(call("rlld-joint", "-o", out), "makes no table")
    _refused(call("jomold", "-o", out, "--set", "denoiser.static=false"), "refines the labels anew in every batch")
    for recipe in ("vaplan", "han"):  # with pseudo labels and without
        _refused(
            call("pld", "-o", out, "--recipe", recipe),
            "method 'pld' repairs pseudo labels of segments and makes no table",
            "train a recipe with it, then 'avparse pseudo-labels RUN --data STORE'",
        )
    decoder = "parser.decoder={name: leap, labels: {name: glove, path: none.txt}}"
    _refused(call("ma", "-o", out, "--set", decoder), "none.txt")
    assert not list(tmp_path.iterdir())
    _refused(call("oracle", "-o", out.with_suffix(".xlsx")), "give it the ending .parquet or .csv")
    out.touch()
    _refused(call("oracle", "-o", out), "exists already")
    (tmp_path / "x.work").mkdir()
    _refused(call("oracle", "-o", tmp_path / "x"), "not a run folder")


def test_tables_for_other_data_are_refused(store: FeatureStore, tmp_path: Path, command: Command) -> None:
    out = tmp_path / "labels.parquet"
    labels = denoise(store, "oracle", out, changes=SMALL, device="cpu")
    other = toy_store(tmp_path / "other", seed=9, videos=160)

    def call(data: FeatureStore, table: Path) -> tuple[int, str, str]:
        return command("train", "han", "--data", data.path, "-o", tmp_path / "run", "--labels", table, *SET, *CPU)

    _refused(call(other, out), "labels.parquet", "the weak labels of video 'toy", "differ in the data")
    frame = pd.read_parquet(out)
    frame.replace({"Bark": "Barkk"}).to_parquet(tmp_path / "classes.parquet")
    _refused(call(store, tmp_path / "classes.parquet"), "unknown class 'Barkk'; did you mean 'Bark'?")
    frame.replace({"toy0001": "toy9999"}).to_parquet(tmp_path / "videos.parquet")
    _refused(call(store, tmp_path / "videos.parquet"), "videos.parquet", "the data have no video 'toy9999'")
    _refused(call(store, tmp_path / "missing.parquet"), "missing.parquet")
    assert not (tmp_path / "run").exists()
    with pytest.raises(UserError, match="differ in the data"):
        train(load_recipe("han", SMALL), other, tmp_path / "run", labels=labels)
    assert not (tmp_path / "run").exists()


def test_a_table_edited_by_hand_is_used(store: FeatureStore, tmp_path: Path) -> None:
    """A user may overrule single rows with any tool."""
    denoise(store, "class-prior", tmp_path / "l.parquet", changes=SMALL, device="cpu")
    frame = pd.read_parquet(tmp_path / "l.parquet")
    frame.loc[0, ["target", "suggested_label", "reason"]] = [0.0, False, "seen by me"]
    frame.to_parquet(tmp_path / "mine.parquet")
    labels = RefinedLabels.load(tmp_path / "mine.parquet", store.vocabulary)
    run = train(load_recipe("han", SMALL), store, tmp_path / "run", labels=labels)
    kept = RefinedLabels.load(run.path / "labels.parquet", store.vocabulary)
    assert "seen by me" in set(np.concatenate((kept.reason_audio.ravel(), kept.reason_visual.ravel())))
