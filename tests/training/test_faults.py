"""Faults at the file calls of a whole run: the same command again ends with the weights of an undisturbed run."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from avparse.app.denoising import denoise
from avparse.data.store import FeatureStore
from avparse.foundation.errors import UserError
from avparse.training.recipe import load_recipe
from avparse.training.run import Run
from avparse.training.train import train
from tests.faults import Killed, faults, under
from tests.toy import toy_store

ERRORS = [Killed, OSError]
SMALL = ["parser.stem.width=8", "parser.encoder.feedforward=8", "training.batch_size=8", "training.epochs=2"]
RECIPE = load_recipe("han", SMALL)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy_store(tmp_path_factory.mktemp("data") / "toy", videos=20, segments=2, classes=("Bark", "Bell"))


@pytest.fixture(autouse=True)
def _no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without TensorBoard, whose thread makes file calls at times of its own."""
    monkeypatch.setattr("avparse.training.logs.importlib.util.find_spec", lambda name: None)


def _temporary(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith((".tmp-", ".lock"))]


@pytest.mark.parametrize("error", ERRORS)
def test_whatever_file_call_fails_a_run_is_begun_or_absent(
    error: type[BaseException], store: FeatureStore, tmp_path: Path
) -> None:
    Run.create(tmp_path / "whole", RECIPE, store, 1)
    outcomes = []
    for number, fault in enumerate(faults(error)):
        folder = tmp_path / str(number)
        create = partial(Run.create, folder / "run", RECIPE, store, 1)
        outcomes.append(under(create, fault))
        if outcomes[-1] == "done":
            break
        assert outcomes[-1] in ("killed", "told", "passed")
        if not (folder / "run").exists():
            create()
            assert not _temporary(folder)
        assert Run.open(folder / "run").recipe == RECIPE
        files = [sorted(path.name for path in run.iterdir()) for run in (folder / "run", tmp_path / "whole")]
        assert files[0] == files[1]
    assert len(outcomes) > 10


def _train(store: FeatureStore, run: Path) -> None:
    train(RECIPE, store, run, device="cpu", resume=True, checkpoint_seconds=0, progress=None)


def _content(run: Path) -> dict[str, Any]:
    """Return all that a run leaves but the times that it took."""
    log = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rows = [{k: v for k, v in row.items() if k not in ("seconds", "videos_per_second")} for row in log]
    names = sorted(path.name for path in run.iterdir())
    return {"log": rows, "names": names, **{n: (run / n).read_bytes() for n in ("parser.safetensors", "results.json")}}


def _train_under_faults(error: type[BaseException], store: FeatureStore, tmp_path: Path, every: int) -> Counter[str]:
    _train(store, tmp_path / "whole")
    whole, outcomes = _content(tmp_path / "whole"), Counter[str]()
    for number, fault in enumerate(faults(error, every)):
        folder = tmp_path / str(number)
        outcome = under(partial(_train, store, folder / "run"), fault)
        outcomes[outcome] += 1
        if outcome == "done":
            return outcomes
        assert outcome in ("killed", "told", "passed"), outcome
        _train(store, folder / "run")
        assert _content(folder / "run") == whole
        assert not _temporary(folder)
    raise AssertionError("faults() does not end")


@pytest.mark.slow
@pytest.mark.parametrize("error", ERRORS)
def test_whatever_file_call_fails_a_resumed_training_ends_with_equal_weights(
    error: type[BaseException], store: FeatureStore, tmp_path: Path
) -> None:
    """At every thirteenth of some two hundred file calls, as each costs two trainings."""
    assert _train_under_faults(error, store, tmp_path, every=13).total() > 10


@pytest.mark.slow
@pytest.mark.parametrize("error", ERRORS)
def test_whatever_file_call_fails_of_all(error: type[BaseException], store: FeatureStore, tmp_path: Path) -> None:
    assert _train_under_faults(error, store, tmp_path, every=1).total() > 130


def _denoise_under_faults(error: type[BaseException], store: FeatureStore, tmp_path: Path, every: int) -> int:
    def make(out: Path) -> None:
        denoise(store, "class-prior", out, changes=SMALL, device="cpu", progress=None)

    make(tmp_path / "whole.parquet")
    for number, fault in enumerate(faults(error, every)):
        folder = tmp_path / str(number)
        out = folder / "labels.parquet"
        outcome = under(partial(make, out), fault)
        if outcome == "done":
            return number
        assert outcome in ("killed", "told", "passed"), outcome
        with contextlib.suppress(UserError):  # which says that the table exists, where all was done
            make(out)
        assert [path.name for path in folder.glob("*")] == [out.name]
        assert out.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    raise AssertionError("faults() does not end")


@pytest.mark.parametrize("error", ERRORS)
def test_whatever_file_call_fails_the_same_denoising_ends_with_equal_labels(
    error: type[BaseException], store: FeatureStore, tmp_path: Path
) -> None:
    """At every third of some sixty file calls, as each costs two trials of the recipe."""
    assert _denoise_under_faults(error, store, tmp_path, every=3) > 15


@pytest.mark.slow
@pytest.mark.parametrize("error", ERRORS)
def test_whatever_file_call_fails_of_all_of_denoising(
    error: type[BaseException], store: FeatureStore, tmp_path: Path
) -> None:
    assert _denoise_under_faults(error, store, tmp_path, every=1) > 50
