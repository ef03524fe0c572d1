"""The loop: it learns, it resumes as if it had never stopped, it refuses what it cannot use."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from avparse.data.batching import FeatureTable, epoch_order, stream_statistics
from avparse.data.features import Step
from avparse.data.store import FeatureStore
from avparse.evaluation.comparison import score_split
from avparse.foundation.errors import UserError
from avparse.models.parsers.build import networks
from avparse.training import devices
from avparse.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from avparse.training.recipe import Recipe, list_recipes, load_recipe
from avparse.training.run import Run
from avparse.training.train import train
from avparse.training.trainer import Trainer
from tests.toy import toy_store

SMALL = [
    "parser.stem.width=24",
    "parser.encoder.feedforward=24",
    "training.batch_size=16",
    "training.keep_checkpoints=true",
]


def _recipe(*changes: str) -> Recipe:
    return load_recipe("han", [*SMALL, *changes])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy_store(tmp_path_factory.mktemp("data") / "toy")


def test_learns_and_keeps_the_best_epoch(tmp_path: Path) -> None:
    recipe = _recipe("training.epochs=40", "training.optimizer.rate=0.01", "training.schedule.every=30")
    big = toy_store(tmp_path / "big", videos=500)
    run = train(recipe, big, tmp_path / "run", seed=0)
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    metrics = [line["val/segment_type"] for line in lines]
    assert lines[-1]["loss"] < 0.7 * lines[0]["loss"]
    parser = Run.open(run.path).parser()
    kept = score_split(parser, FeatureTable(big), big.select("val"), recipe.decoding).as_dict()
    assert kept["segment_type"] == pytest.approx(max(metrics))
    results = json.loads((run.path / "results.json").read_text())
    assert results["epoch"] == len(metrics) - 1 - int(np.argmax(metrics[::-1]))  # of equal epochs the later
    alone, copied = (results["scores"][k] for k in ("parser", "weak label copied everywhere"))
    assert alone["segment_type"] > copied["segment_type"]
    assert list((run.path / "tensorboard").iterdir())


def _identical(a: Path, b: Path) -> None:
    for file in ("parser.safetensors",):
        x, y = load_file(a / file), load_file(b / file)
        assert all(torch.equal(x[k], y[k]) for k in x)
    last = load_checkpoint(a / "checkpoints"), load_checkpoint(b / "checkpoints")
    assert last[0] is not None
    assert last[1] is not None
    assert last[0].state == last[1].state
    for kind in ("weights", "optimizer", "rng"):
        x, y = getattr(last[0], kind), getattr(last[1], kind)
        assert x.keys() == y.keys()
        assert all(torch.equal(x[k], y[k]) for k in x), kind

    def lines(run: Path) -> list[dict[str, float]]:
        rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        return [{k: v for k, v in row.items() if k not in {"seconds", "videos_per_second"}} for row in rows]

    assert lines(a) == lines(b)


def test_stopping_at_every_step_changes_nothing(store: FeatureStore, tmp_path: Path) -> None:
    recipe = _recipe("training.epochs=2")
    train(recipe, store, tmp_path / "whole", seed=5)
    Run.create(tmp_path / "pieces", recipe, store, 5)
    stops = 0
    while True:
        trainer = Trainer(Run.open(tmp_path / "pieces"), store, checkpoint_seconds=0)
        step, begun = trainer.step, []

        def one_step(batch, at, step=step, begun=begun):  # type: ignore[no-untyped-def]
            if not begun:
                os.kill(os.getpid(), signal.SIGTERM)
            begun.append(1)
            yield from step(batch, at)

        trainer.step = one_step  # type: ignore[method-assign]
        if trainer.position.epoch == 2:
            break
        with pytest.raises(SystemExit) as stop:
            trainer.fit()
        assert stop.value.code == 128 + signal.SIGTERM
        stops += 1
    assert stops == 10  # 72 videos in batches of 16, two epochs
    _identical(tmp_path / "whole", tmp_path / "pieces")


_SCRIPT = """
import sys
from avparse.data.store import FeatureStore
from avparse.training.train import train
from avparse.training.recipe import load_recipe
import torch
torch.set_num_threads(1)
recipe = load_recipe("han", sys.argv[3:])
train(recipe, FeatureStore.open(sys.argv[1]), sys.argv[2], seed=2, resume=True, checkpoint_seconds=0)
"""


@pytest.mark.slow
def test_killed_run_resumes_bit_equal(store: FeatureStore, tmp_path: Path) -> None:
    changes = [*SMALL, "training.epochs=40"]

    def start(run: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", _SCRIPT, str(store.path), str(tmp_path / run), *changes]
        return subprocess.Popen(command, stderr=subprocess.DEVNULL)

    assert start("whole").wait() == 0
    victim = start("killed")
    log = tmp_path / "killed" / "metrics.jsonl"
    deadline = time.monotonic() + 600  # only against waiting for ever
    while not log.is_file() or log.read_text().count("\n") < 10:
        assert victim.poll() is None, "finished before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    victim.kill()
    assert victim.wait() == -signal.SIGKILL
    assert start("killed").wait() == 0
    _identical(tmp_path / "whole", tmp_path / "killed")


def test_same_seed_same_run_other_seed_other_run(store: FeatureStore, tmp_path: Path) -> None:
    recipe = _recipe("training.epochs=1")
    runs = [train(recipe, store, tmp_path / f"run{i}", seed=seed) for i, seed in enumerate((1, 1, 2))]
    weights = [load_file(run.path / "parser.safetensors")["decoder.heads.weight"] for run in runs]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert sorted(epoch_order(50, 0, 3)) == list(range(50))
    assert not np.array_equal(epoch_order(50, 0, 3), epoch_order(50, 0, 4))


def test_memory_map_and_resident_give_the_same(tmp_path: Path) -> None:
    store = toy_store(tmp_path / "toy", ragged=True)
    recipe = _recipe("training.epochs=2", "training.precision=bfloat16")
    runs = [train(recipe, store, tmp_path / f"run{r}", seed=1, resident=r) for r in (True, False)]
    weights = [load_file(run.path / "parser.safetensors") for run in runs]
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])


def test_standardised_stem_learns_the_statistics(store: FeatureStore, tmp_path: Path) -> None:
    run = train(_recipe("training.epochs=1", "parser.stem.standardize=true"), store, tmp_path / "run", seed=1)
    mean, deviation = stream_statistics(store, store.select("train"), block=7)["frames"]
    rows = np.concatenate([np.arange(store.first_row[i], store.first_row[i] + 6) for i in store.select("train")])
    plain = np.asarray(store.stream("frames"))[rows].astype(np.float64)
    assert np.allclose(mean, plain.mean(0), atol=1e-6)
    assert np.allclose(deviation, plain.std(0), atol=1e-6)
    assert torch.equal(run.parser().stem.get_buffer("frames_mean"), mean)


def test_checkpoint_survives_damage_and_falls_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def checkpoint(epoch: int) -> Checkpoint:
        value = {"x": torch.full((3,), float(epoch))}
        return Checkpoint(value, value, value, {"epoch": epoch, "step": 0})

    for epoch in (1, 2, 3):
        save_checkpoint(tmp_path, checkpoint(epoch))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["000002-00000", "000003-00000", "last"]
    weights = tmp_path / "000003-00000" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    (tmp_path / ".tmp-left").mkdir()
    found = load_checkpoint(tmp_path)
    assert found is not None
    assert found.state["epoch"] == 2
    assert "weights.safetensors is damaged; falling back" in caplog.text
    assert not (tmp_path / ".tmp-left").exists()
    (tmp_path / "000002-00000" / "MANIFEST.json").unlink()
    with pytest.raises(UserError, match="no checkpoint is complete"):
        load_checkpoint(tmp_path)
    assert load_checkpoint(tmp_path / "nothing") is None


def test_refusals(store: FeatureStore, tmp_path: Path) -> None:
    recipe = _recipe("training.epochs=1")
    run = train(recipe, store, tmp_path / "run", seed=1)
    with pytest.raises(UserError, match="the run folder exists"):
        train(recipe, store, tmp_path / "run", seed=1)
    other = toy_store(tmp_path / "other", seed=9)
    with pytest.raises(UserError, match=r"\(features version \w+, now \w+ and annotations version"):
        train(recipe, other, tmp_path / "run", seed=1, resume=True)
    (run.path / "parser.safetensors").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="not a file of weights, or damaged"):
        Run.open(run.path).parser()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="a file stands where a folder is needed"):
        train(recipe, store, tmp_path / "file" / "run", seed=1)
    with pytest.raises(UserError, match="not a run folder"):
        Run.open(tmp_path)


@pytest.mark.parametrize("name", ["han", "jomold"])
def test_training_without_truth_keeps_the_last_epoch(name: str, tmp_path: Path) -> None:
    store = toy_store(tmp_path / "toy", train_truth=False, val_truth=False)
    changes = ["parser.stem.width=16", "parser.encoder.feedforward=16", "training.epochs=2"]
    refusal = (
        r"24 of 24 validation videos have no dense truth.*add --set training\.select=last, or leave the recipe out"
    )
    with pytest.raises(UserError, match=refusal):
        train(load_recipe(name, changes), store, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    last = [*changes, "training.select=last"]
    with pytest.raises(UserError, match=r"needed by tuning: .*add --set tuning=null"):
        train(load_recipe(name, [*last, "tuning={}"]), store, tmp_path / "run")
    run = train(load_recipe(name, last), store, tmp_path / "run")
    assert json.loads((run.path / "results.json").read_text())["epoch"] == 1
    assert "val/segment_type" not in (run.path / "metrics.jsonl").read_text()


def test_a_resumed_run_tells_that_it_stays_what_it_was(
    store: FeatureStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changes = ["parser.stem.width=16", "parser.encoder.feedforward=16", "training.epochs=1"]
    recipe = load_recipe("han", changes)
    train(recipe, store, tmp_path / "run", seed=3)
    train(recipe, store, tmp_path / "run", seed=3, resume=True)
    assert "goes on" not in caplog.text
    train(load_recipe("han", [*changes, "training.batch_size=8"]), store, tmp_path / "run", seed=4, resume=True)
    assert "goes on with its own recipe and seed" in caplog.text


def test_a_loss_that_is_no_number_ends_training(store: FeatureStore, tmp_path: Path) -> None:
    changes = ["parser.stem.width=16", "parser.encoder.feedforward=16", "training.epochs=4"]
    with pytest.raises(UserError, match=r"not finite in epoch \d.*training\.optimizer\.rate"):
        train(load_recipe("han", [*changes, "training.optimizer.rate=1e30"]), store, tmp_path / "run")


@pytest.mark.parametrize(
    ("recipe", "change", "more", "message"),
    [
        ("cmpae", "parser.decoder={name: mmil}", [], "uncertain"),
        ("dhhn", "parser.guides=null", [], "guides"),
        ("han", "losses=[{name: segment_bce, of: audio}]", [], "segment"),
        (
            "leap",
            "parser.decoder.labels={name: glove, path: none.txt}",
            ["pseudo_labels=null", "losses=[{name: video_bce, of: audio}]"],
            "none.txt",
        ),
        ("valor", "pseudo_labels.audio.teacher=nobody", [], "nobody"),
    ],
)
def test_parts_that_do_not_fit_are_told_before_anything_runs(
    store: FeatureStore, tmp_path: Path, recipe: str, change: str, more: list[str], message: str
) -> None:
    width = "parser.stem.width=24"
    settings = load_recipe(recipe, [width, change, *more])
    before = torch.get_rng_state()
    with pytest.raises(UserError, match=message) as error:
        train(settings, store, tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("select", "best"), [("segment_type", True), ("last", False)])
def test_the_bar_shows_the_best_metric_only_where_one_selects(
    select: str, best: bool, store: FeatureStore, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train(_recipe("training.epochs=1", f"training.select={select}"), store, tmp_path / "run", progress="bar")
    shown = capfd.readouterr().err
    assert "epoch 1/1" in shown
    assert ("best validation segment_type" in shown) is best
    assert ("best" in shown) is best


@pytest.mark.parametrize(("recipe", "count"), [("coteaching", 2), ("dhhn", 3), ("han", 1)])
def test_gradients_are_clipped_network_by_network(store: FeatureStore, tmp_path: Path, recipe: str, count: int) -> None:
    width = ["parser.stem.width=24", "parser.encoder.feedforward=24"]
    settings = load_recipe(recipe, [*width, "training.clip_norm=0.001", "training.batch_size=16"])
    run = Run.create(tmp_path / "run", settings, store, 0)
    trainer = Trainer(run, store)
    parts = networks(trainer.parser)
    ids = [id(p) for part in parts for p in part]
    assert sorted(ids) == sorted(id(p) for p in trainer.parser.parameters())
    norms: list[list[float]] = []

    def note(*_: object) -> None:
        norms.append([float(torch.stack([p.grad.norm() for p in part if p.grad is not None]).norm()) for part in parts])

    trainer.optimizer.register_step_pre_hook(note)
    trainer.model.train()
    list(trainer.step(trainer.table.batch(trainer.train_indices[:16]), Step(0, 0, 1)))
    assert len(parts) == count
    assert norms[0] == pytest.approx([0.001] * count, rel=1e-3)


@pytest.mark.parametrize("name", list_recipes())
def test_every_shipped_recipe_is_valid(name: str) -> None:
    recipe = load_recipe(name)
    assert Recipe.read(recipe.model_dump(mode="json"), name) == recipe


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["training.epoch=3"], "unknown key 'training.epoch'; did you mean 'epochs'"),
        (["training.epochs=none"], "'training.epochs' is 'none'"),
        (["training.epochs=0"], "'training.epochs' is 0"),
        (["training.precision=float16"], "'training.precision' is 'float16'; did you mean 'bfloat16'"),
        (["losses=[{name: video_bce, of: sound}]"], "loss 'video_bce': 'of' is 'sound'"),
        (["labels.name=waek"], "unknown target source 'waek'; did you mean 'weak'"),
        (["training.select=segment_tpye"], "unknown metric 'segment_tpye' in training.select; did you mean"),
        (["training.epochs"], "--set training.epochs: write it as key=value"),
        (["title.x=1"], "'title' is not a table"),
        (["training.optimizer.rate=.nan"], "training.optimizer.rate"),
    ],
)
def test_bad_recipes_name_the_key_and_the_mend(changes: list[str], message: str) -> None:
    with pytest.raises(UserError) as error:
        load_recipe("han", changes)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_recipe_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown recipe 'hann'; did you mean 'han'"):
        load_recipe("hann")
    with pytest.raises(UserError, match="no such recipe file"):
        load_recipe(tmp_path / "missing.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1,")
    with pytest.raises(UserError, match="not YAML"):
        load_recipe(tmp_path / "bad.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"title: caf\xe9")
    with pytest.raises(UserError, match=r"latin\.yaml: not UTF-8 text"):
        load_recipe(tmp_path / "latin.yaml")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(UserError, match="a recipe is a table"):
        load_recipe(tmp_path / "list.yaml")


def test_a_parser_trained_without_cross_attention_is_scored_and_used_without(
    store: FeatureStore, tmp_path: Path
) -> None:
    recipe = _recipe("training.cross=false", "training.epochs=2")
    run = train(recipe, store, tmp_path / "run", seed=1)
    parser = run.parser()
    features = FeatureTable(store).batch(store.select("test")[:4]).features
    other = replace(features, streams={**features.streams, "audio": torch.randn_like(features.streams["audio"])})
    with torch.no_grad():
        ours, foreign = parser(features), parser(other)
    assert torch.equal(ours.visual_segments, foreign.visual_segments)
    assert not torch.allclose(ours.audio_segments, foreign.audio_segments)


@pytest.mark.parametrize(
    ("computes", "precision", "told"), [(False, "bfloat16", 1), (False, "float32", 0), (True, "bfloat16", 0)]
)
def test_emulated_bfloat16_is_told_once(
    computes: bool, precision: str, told: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(devices, "_computes_bfloat16", lambda: computes)
    devices._tell_emulated.cache_clear()
    for _ in range(2):
        devices.Compute("cpu").fabric(precision)  # type: ignore[arg-type]
    assert caplog.text.count("only emulates, many times slower than float32") == told
