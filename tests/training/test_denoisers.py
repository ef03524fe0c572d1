"""Every denoiser on a store whose truth is known: what it removes, what it leaves, and that a stop changes nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from avparse.data.batching import FeatureTable, Indices
from avparse.data.features import Batch, Features, Step
from avparse.data.store import FeatureStore
from avparse.foundation.arrays import BoolArray
from avparse.foundation.errors import UserError
from avparse.labels.table import RefinedLabels
from avparse.labels.target_sources import WeakLabels
from avparse.labels.targets import Targets
from avparse.losses.coteaching import CoTeaching, JoCoR, trusted_entries
from avparse.models.output import Parse, ParserOutput
from avparse.training.denoisers.baselines import InformedCeiling
from avparse.training.denoisers.jomold import JointModalityDenoising, JoMoLD
from avparse.training.denoisers.ma import ModalityExchange, exchanged_probabilities
from avparse.training.preparation import prepare
from avparse.training.prepared import Prepared
from avparse.training.recipe import Recipe, load_recipe
from avparse.training.run import Run
from avparse.training.train import train
from avparse.training.trainer import Trainer
from avparse.training.workspace import Workspace
from tests.toy import toy_store

SMALL = ["parser.stem.width=16", "parser.encoder.feedforward=16", "training.batch_size=32", "training.epochs=2"]
TABLES = ("class-prior", "informed-ceiling", "ma", "ma+cl", "oracle", "validation-classifier")
TRAINERS = ("informed-ceiling", "jomold", "ma", "validation-classifier")  # those that train parsers on the way


def _recipe(name: str, *changes: str) -> Recipe:
    return load_recipe(name, [*SMALL, *changes])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy_store(tmp_path_factory.mktemp("data") / "toy", videos=160)


@pytest.fixture
def workspace(store: FeatureStore, tmp_path: Path) -> Workspace:
    return Workspace(_recipe("han"), store, tmp_path, seed=3)


def _truth(store: FeatureStore, split: str) -> BoolArray:
    audio, visual, _ = store.dense_truth(store.select(split))
    return np.stack((audio.any(axis=1), visual.any(axis=1)))


def _kept(labels: RefinedLabels) -> BoolArray:
    return np.stack((labels.audio, labels.visual)) >= 0.5


@pytest.mark.parametrize("name", TABLES)
def test_leaves_a_table_that_adds_nothing(name: str, store: FeatureStore, tmp_path: Path) -> None:
    run = train(_recipe(name), store, tmp_path / "run", seed=1)
    labels = RefinedLabels.load(run.path / "labels.parquet", store.vocabulary)
    indices = store.select("train")
    assert labels.videos == tuple(store.videos[i] for i in indices)
    assert np.array_equal(labels.given, store.weak[indices])
    kept = _kept(labels)
    assert not (kept & ~labels.given).any()
    for side, modality in enumerate(("audio", "visual")):
        target, quality, reason = labels.side(modality)
        assert set(np.unique(target)) <= {0.0, 1.0}
        removed = labels.given & ~kept[side]
        assert (reason[removed] != "").all()
        assert (reason[~removed] == "").all()
        assert ((quality >= 0) & (quality <= 1)).all()
    if name == "oracle":
        assert np.array_equal(kept, _truth(store, "train") & labels.given)
        assert not (kept & ~_truth(store, "train")).any()  # no noise left
    assert (run.path / "parser.safetensors").is_file()
    assert (run.path / "results.md").is_file()


def test_class_prior_is_the_count_by_hand(store: FeatureStore, workspace: Workspace, tmp_path: Path) -> None:
    run = train(_recipe("class-prior"), store, tmp_path / "run", seed=1)
    labels = RefinedLabels.load(run.path / "labels.parquet", store.vocabulary)
    truth, val = _truth(store, "val"), store.select("val")
    for side in range(2):
        right, count = [0] * 4, [0] * 4
        for n, video in enumerate(val):
            for c in range(4):
                count[c] += bool(store.weak[video, c])
                right[c] += bool(store.weak[video, c] and truth[side, n, c])
        overall = sum(right) / sum(count)
        for c in range(4):
            rate = (right[c] + 2 * overall) / (count[c] + 2)
            assert np.array_equal(_kept(labels)[side][:, c], labels.given[:, c] & (rate >= 0.5))
            quality = labels.side(("audio", "visual")[side])[1][labels.given[:, c], c]
            np.testing.assert_allclose(quality, rate, rtol=1e-6)


def test_what_reads_the_truth_refuses_where_there_is_none(tmp_path: Path) -> None:
    blind = toy_store(tmp_path / "blind", train_truth=False)
    for name in ("oracle", "informed-ceiling"):
        with pytest.raises(UserError, match=r"training videos have no dense truth.*needed by the denoiser '"):
            train(_recipe(name), blind, tmp_path / name, seed=1)
        assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["class-prior", "validation-classifier", "rlld", "rlld-joint", "rlld-plus"])
def test_what_rewards_by_validation_truth_refuses_where_there_is_none(name: str, tmp_path: Path) -> None:
    """Unknown truth would read as "no label is right"."""
    blind = toy_store(tmp_path / "blind", train_truth=False, val_truth=False)
    recipe = _recipe(name, "training.select=last")
    with pytest.raises(UserError, match=r"24 of 24 validation videos have no dense truth.*needed by .*the denoiser '"):
        train(recipe, blind, tmp_path / "run", seed=1)
    assert not (tmp_path / "run").exists()
    workspace = Workspace(recipe, blind, tmp_path, 1)
    with pytest.raises(UserError, match=r"24 of 24 validation videos have no dense truth"):
        workspace.val_truth()


@pytest.mark.slow
def test_the_informed_know_more_than_the_weak_labels(tmp_path: Path) -> None:
    """On data this plain, parsers taught the truth tell right labels from wrong; the other two beat keeping all."""
    big = toy_store(tmp_path / "big", videos=500)
    changes = ["training.epochs=30", "training.optimizer.rate=0.01", "training.schedule.every=20"]
    truth, given = _truth(big, "train"), big.weak[big.select("train")]
    accuracy = {}
    for name, epochs in (("validation-classifier", 30), ("informed-ceiling", 30), ("ma", 10)):
        recipe = _recipe(name, *changes, f"denoiser.epochs={epochs}")
        run = Run.create(tmp_path / name, recipe, big, 1)
        labels = prepare(run, big).labels
        assert labels is not None
        accuracy[name] = float((_kept(labels) == truth)[:, given].mean())
    assert accuracy["informed-ceiling"] > 0.85
    assert accuracy["validation-classifier"] > truth[:, given].mean()
    assert accuracy["ma"] > truth[:, given].mean()


def test_half_of_the_training_split_never_teaches_who_judges_it(
    store: FeatureStore, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[set[int]] = []
    judged: list[set[int]] = []
    fit, probabilities = Workspace.fit, Workspace.video_probabilities

    def fitting(self: Workspace, name: str, recipe: Recipe, prepared: Prepared) -> Any:
        assert prepared.only is not None
        taught.append(set(prepared.only.tolist()))
        return fit(self, name, recipe, prepared)

    def judging(self: Workspace, parser: Parse, indices: Indices) -> Tensor:
        judged.append(set(indices.tolist()))
        return probabilities(self, parser, indices)

    monkeypatch.setattr(Workspace, "fit", fitting)
    monkeypatch.setattr(Workspace, "video_probabilities", judging)
    InformedCeiling(InformedCeiling.Config(epochs=1)).prepare(workspace)
    everything = set(store.select("train").tolist())
    assert [one | other for one, other in zip(taught, judged, strict=True)] == [everything] * 2
    assert not any(one & other for one, other in zip(taught, judged, strict=True))
    assert not judged[0] & judged[1]


# --- Interruptions ----------------------------------------------------------------------------------------------------


def _whole_and_stopped(name: str, store: FeatureStore, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Train once in one go, and once with a SIGTERM at every third step; return the number of stops."""
    recipe = _recipe(name)
    train(recipe, store, folder / "whole", seed=5)
    step, done, stops = Trainer.step, [0], 0

    def interrupted(self: Trainer, batch: Batch, at: Step) -> Iterator[tuple[str, Tensor]]:
        done[0] += 1
        if done[0] % 3 == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        yield from step(self, batch, at)

    monkeypatch.setattr(Trainer, "step", interrupted)
    while True:
        try:
            train(recipe, store, folder / "stopped", seed=5, resume=True)
        except SystemExit:
            stops += 1
        else:
            return stops


@pytest.mark.parametrize("name", TRAINERS)
def test_stopping_on_the_way_changes_nothing(
    name: str, store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops = _whole_and_stopped(name, store, tmp_path, monkeypatch)
    assert stops >= 4
    for file in ("labels.parquet", "parser.safetensors", "denoised/ratios.json"):
        whole, stopped = (tmp_path / run / file for run in ("whole", "stopped"))
        assert whole.is_file() == stopped.is_file()
        if whole.is_file():
            assert whole.read_bytes() == stopped.read_bytes(), file


_SCRIPT = """
import sys, torch
from avparse.data.store import FeatureStore
from avparse.training.train import train
from avparse.training.recipe import load_recipe
torch.set_num_threads(1)
train(load_recipe("ma", sys.argv[3:]), FeatureStore.open(sys.argv[1]), sys.argv[2], seed=2, resume=True)
"""


@pytest.mark.slow
def test_killed_in_the_base_training(store: FeatureStore, tmp_path: Path) -> None:
    changes = [*SMALL, "denoiser.epochs=40"]

    command = [sys.executable, "-c", _SCRIPT, str(store.path), str(tmp_path / "killed"), *changes]
    victim = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    log, deadline = tmp_path / "killed/denoised/base/metrics.jsonl", time.monotonic() + 300
    while not log.is_file() or log.read_text().count("\n") < 3:
        assert victim.poll() is None, "finished before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    victim.kill()
    assert victim.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed/labels.parquet").exists()
    for run in ("killed", "whole"):
        train(load_recipe("ma", changes), store, tmp_path / run, seed=2, resume=True)
    for file in ("labels.parquet", "parser.safetensors"):
        assert (tmp_path / "killed" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


# --- MA ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ragged", [False, True])
def test_exchanged_pass_is_that_of_the_pair(ragged: bool, tmp_path: Path) -> None:
    """Against pairs put together one by one; partners are of the same length, as a pair has the longer's otherwise."""
    store = toy_store(tmp_path / "toy", videos=100, ragged=ragged)
    workspace = Workspace(_recipe("ma", "training.epochs=1"), store, tmp_path / "work", seed=1)
    workspace.folder.mkdir()
    parser = workspace.fit("base", workspace.recipe.plain())
    indices, table = workspace.train, FeatureTable(store)
    lengths, rng = store.lengths[indices], np.random.default_rng(0)
    partners = np.array([rng.choice(np.flatnonzero(lengths == length)) for length in lengths])
    foreign_visual, foreign_audio = exchanged_probabilities(parser, workspace, partners, ("audio",))
    compared = list[int]()
    for n in range(0, len(indices), 7):
        own, other = (table.batch(indices[[i]]).features for i in (n, partners[n]))
        assert own.shape == other.shape
        for result, heard, seen in ((foreign_visual, own, other), (foreign_audio, other, own)):
            mixed = {s: (heard if s == "audio" else seen).streams[s] for s in own.streams}
            with torch.no_grad():
                output = parser(Features(mixed))
            torch.testing.assert_close(result[:, n], torch.cat((output.audio, output.visual)), rtol=1e-4, atol=1e-6)
        compared.append(own.shape[1])
    assert len(compared) == 9
    assert (len(set(compared)) > 2) == ragged


def test_exchange_needs_to_know_what_is_sound(workspace: Workspace) -> None:
    from avparse.foundation.settings import PartConfig

    bare = workspace.recipe.model_copy(update={"parser": PartConfig(name="mine")})
    with pytest.raises(UserError, match="need 'audio', the names of its audio streams"):
        ModalityExchange(ModalityExchange.Config()).prepare(Workspace(bare, workspace.store, workspace.folder, 1))


def test_without_a_partner_nothing_is_removed(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A video that shares a label with every other one is its own partner, which tests nothing."""
    config = ModalityExchange.Config(epochs=1)
    tested = ModalityExchange(config).prepare(workspace).labels
    assert tested is not None
    assert (_kept(tested) < tested.given).any()
    monkeypatch.setattr(
        "avparse.training.denoisers.ma.draw_partners", lambda labels, rng, count: np.arange(len(labels))[:, None]
    )
    alone = ModalityExchange(config).prepare(workspace).labels
    assert alone is not None
    assert np.array_equal(_kept(alone), np.stack((alone.given, alone.given)))
    assert workspace.recipe.training.select != "last"
    assert Run.open(workspace.folder / "base").recipe.training.select == "last"


def test_more_partners_remove_less_by_and(workspace: Workspace) -> None:
    few, many = (
        ModalityExchange(ModalityExchange.Config(partners=n, epochs=6)).prepare(workspace).labels for n in (1, 4)
    )
    assert few is not None
    assert many is not None
    assert 0 < (_kept(many) < many.given).sum() < (_kept(few) < few.given).sum()


# --- JoMoLD -----------------------------------------------------------------------------------------------------------


def test_jomold_estimates_once_and_refines_while_training(store: FeatureStore, tmp_path: Path) -> None:
    recipe = _recipe("jomold", "denoiser.visual_threshold=1.0", "denoiser.warmup=linear")
    run = train(recipe, store, tmp_path / "run", seed=1)
    assert not (run.path / "labels.parquet").exists()  # decided anew in every batch
    ratios = json.loads((run.path / "denoised/ratios.json").read_text())
    assert list(ratios) == ["audio", "visual"]
    assert all(0 <= r <= 1 for side in ratios.values() for r in side.values())
    estimator = Run.open(run.path / "denoised/estimator")
    assert estimator.recipe.denoiser is None
    assert not estimator.recipe.training.cross
    assert [loss.weight for loss in estimator.recipe.losses] == [1, 1, 1]
    assert [loss.weight for loss in run.recipe.losses] == [2, 1, 1]


def test_static_jomold_is_the_refiner_on_all_videos_at_once(store: FeatureStore, workspace: Workspace) -> None:
    config = JointModalityDenoising.Config(static=True, epochs=6, audio_threshold=0.9, visual_threshold=1.0)
    labels = JointModalityDenoising(config).prepare(workspace).labels
    assert labels is not None
    refiner = JoMoLD(warmup_epochs=0)
    dynamic = JointModalityDenoising(config.model_copy(update={"static": False})).prepare(workspace).refiners[0]
    refiner.load_state_dict(dynamic.state_dict())
    parser = Run.open(workspace.folder / "estimator").parser()
    batch = FeatureTable(store).batch(workspace.train)
    with torch.no_grad():
        output = parser(batch.features, cross=False)
    after = refiner.refine(WeakLabels(WeakLabels.Config())(batch), output, batch, Step(1, 0, 1))
    removed = torch.stack((after.audio, after.visual)).eq(0).numpy() & labels.given
    assert removed.any()
    assert np.array_equal(_kept(labels), labels.given & ~removed)


def test_videos_of_one_modality_count_for_nothing_in_the_ratios(store: FeatureStore, workspace: Workspace) -> None:
    denoiser = JointModalityDenoising(JointModalityDenoising.Config())
    random = torch.Generator().manual_seed(0)
    p, given = torch.rand(2, 40, 4, generator=random), torch.rand(40, 4, generator=random) < 0.5
    p[0, ::4] = 0  # silent videos
    heard = torch.arange(40) % 4 != 0
    assert torch.equal(denoiser._ratios(p, given), denoiser._ratios(p[:, heard], given[heard]))


def test_the_estimator_learns_from_the_terms_that_are_on(store: FeatureStore, tmp_path: Path) -> None:
    off = "{name: segment_contrast, form: jomold, weight: 0}"
    losses = f"losses=[{{name: video_bce, of: audio}}, {{name: video_bce, of: visual}}, {off}]"
    run = train(_recipe("jomold", losses), store, tmp_path / "off")
    estimator = Run.open(run.path / "denoised/estimator")
    assert [loss.name for loss in estimator.recipe.losses] == ["video_bce", "video_bce"]
    with pytest.raises(UserError, match=r"denoiser\.terms 'contrast'; did you mean 'segment_contrast'"):
        train(_recipe("jomold", losses, "denoiser.terms=[video_bce, contrast]"), store, tmp_path / "odd")


def test_an_estimator_without_guides_learns_at_the_plain_rate(store: FeatureStore, tmp_path: Path) -> None:
    changes = ["parser.guides.feedforward=16", "training.optimizer.multiples={guides.audio: 2.0}"]
    run = train(_recipe("coleaf", *changes), store, tmp_path / "run")
    assert Run.open(run.path / "denoised/estimator").recipe.training.optimizer.multiples == {}
    with pytest.raises(UserError, match=r"no parameter's name begins with 'guides\.sound'"):
        train(_recipe("coleaf", "training.optimizer.multiples={guides.sound: 2.0}"), store, tmp_path / "odd")
    assert not (tmp_path / "odd").exists()


# --- Co-teaching+ and JoCoR -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["coteaching", "jocor"])
@pytest.mark.parametrize("granularity", ["video", "label"])
def test_twins_learn(name: str, granularity: str, store: FeatureStore, tmp_path: Path) -> None:
    loss = f"losses=[{{name: {name}, ramp: 4, granularity: {granularity}}}]"
    run = train(_recipe(name, "training.epochs=8", "training.optimizer.rate=0.005", loss), store, tmp_path / "r")
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < 0.8 * lines[0]["loss"]
    weights = load_file(run.path / "parser.safetensors")
    heads = [weights[f"{twin}.decoder.heads.weight"] for twin in ("first", "second")]
    assert not torch.equal(*heads)
    assert (run.path / "results.md").is_file()


def test_twins_are_asked_for(store: FeatureStore, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"set parser\.twins to true"):
        train(_recipe("jocor", "parser.twins=false"), store, tmp_path / "run")
    with pytest.raises(UserError, match=r"returns no hidden segments.*set parser\.twins to false"):
        train(_recipe("jomold+cl", "parser.twins=true"), store, tmp_path / "run")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.05, 0.35, 0.5, 0.9]), st.sampled_from(["video", "label"]))
def test_trusted_is_the_rule_by_hand(seed: int, share: float, granularity: str) -> None:
    rng = np.random.default_rng(seed)
    losses, target = rng.random((7, 3)).round(1), rng.random((7, 3)) < 0.4
    eligible = rng.random(7) < 0.7
    config = CoTeaching.Config(granularity=granularity)
    found = trusted_entries(
        *(torch.from_numpy(x) for x in (losses, target.astype(float), eligible)), share, config
    ).numpy()
    if granularity == "video":
        units = [b for b in range(7) if eligible[b]]
        best = sorted(units, key=lambda b: torch.from_numpy(losses)[b].sum().item())
        expected = np.zeros((7, 3), dtype=bool)
        expected[best[: int(np.floor((1 - share) * len(units) + 1e-4))]] = True
    else:
        units = [(b, c) for b in range(7) for c in range(3) if eligible[b] and target[b, c]]
        best = sorted(units, key=lambda u: losses[u])
        left_out = best[int(np.floor((1 - share) * len(units) + 1e-4)) :]
        expected = np.repeat(eligible[:, None], 3, axis=1)
        for unit in left_out:
            expected[unit] = False
    assert np.array_equal(found, expected)


def _pair(generator: torch.Generator, videos: int = 6, classes: int = 3) -> tuple[list[Tensor], Batch, Targets]:
    """Probabilities of two parsers (audio, visual, video each), and what they are compared with."""
    leaves = [torch.rand(videos, classes, generator=generator).requires_grad_() for _ in range(6)]
    weak = (torch.rand(videos, classes, generator=generator) < 0.4).float()
    batch = Batch(torch.arange(videos), Features({"audio": torch.zeros(videos, 1, 1)}), weak)
    return leaves, batch, WeakLabels(WeakLabels.Config())(batch)


def _twin_output(leaves: list[Tensor]) -> ParserOutput:
    nothing = torch.zeros(1)
    one, two = (ParserOutput(nothing, nothing, *leaves[i : i + 3]) for i in (0, 3))
    return ParserOutput(nothing, nothing, *leaves[:3], peers=(one, two))


def _entropy(p: float, t: float) -> float:
    return -(t * np.log(p) + (1 - t) * np.log(1 - p))


@pytest.mark.parametrize("epoch", [0, 7])
def test_coteaching_by_hand(epoch: int) -> None:
    """Each net's loss is over the units that the *other* one fits best; later only where the two disagree."""
    for seed in range(5):
        leaves, batch, targets = _pair(torch.Generator().manual_seed(seed))
        config = CoTeaching.Config(forget_audio=0.2, forget_visual=0.5, ramp=5, plain_epochs=5)
        value = CoTeaching(config)(_twin_output(leaves), targets, batch, Step(epoch, 1, 2))
        a, b = leaves[:3], leaves[3:]
        p = [[x.detach().numpy().astype(float) for x in side] for side in (a, b)]
        expected = sum(
            float(np.mean([_entropy(*pt) for pt in zip(net[2].ravel(), targets.video.numpy().ravel(), strict=True)]))
            for net in p
        )
        for m, (target, forget) in enumerate(((targets.audio, 0.2), (targets.visual, 0.5))):
            t = target.numpy().astype(float)
            share = forget * min((epoch + 0.5) / 5, 1)
            each = [[[_entropy(net[m][i, c], t[i, c]) for c in range(3)] for i in range(6)] for net in p]
            units = list(range(6))
            if epoch >= 5:
                differ = [i for i in units if ((p[0][m][i] > 0.5) != (p[1][m][i] > 0.5)).any()]
                units = differ or units
            count = int(np.floor((1 - share) * len(units) + 1e-4))
            for own, peer in ((0, 1), (1, 0)):
                chosen = sorted(units, key=lambda i, m=m, peer=peer, each=each: sum(each[peer][i]))[:count]
                expected += float(np.mean([each[own][i] for i in chosen])) if chosen else 0.0
        assert value.item() == pytest.approx(expected, rel=1e-5)
        value.backward()
        assert all(x.grad is not None and x.grad.isfinite().all() for x in leaves)


def test_jocor_by_hand() -> None:
    """Both nets share one set of small joint losses: cross-entropies and the divergence of the two."""
    for seed in range(5):
        leaves, batch, targets = _pair(torch.Generator().manual_seed(seed))
        config = JoCoR.Config(forget_audio=0.2, forget_visual=0.5, ramp=1, agreement=0.3)
        value = JoCoR(config)(_twin_output(leaves), targets, batch, Step(3, 0, 1)).item()
        p, q = ([x.detach().double() for x in side] for side in (leaves[:3], leaves[3:]))
        bce = torch.nn.functional.binary_cross_entropy
        video = targets.video.double()
        expected = bce(p[2], video) + bce(q[2], video)
        for m, (target, forget) in enumerate(((targets.audio, 0.2), (targets.visual, 0.5))):
            t = target.double()
            divergence = p[m] * (p[m] / q[m]).log() + (1 - p[m]) * ((1 - p[m]) / (1 - q[m])).log()
            divergence += q[m] * (q[m] / p[m]).log() + (1 - q[m]) * ((1 - q[m]) / (1 - p[m])).log()
            joint = 0.7 * (bce(p[m], t, reduction="none") + bce(q[m], t, reduction="none")) + 0.3 * divergence
            count = int((1 - forget) * 6 + 1e-4)
            expected = expected + joint[joint.sum(dim=1).argsort()[:count]].mean()
        assert value == pytest.approx(expected.item(), rel=1e-5)


def test_twins_that_agree_compete_over_all_units() -> None:
    leaves, batch, targets = _pair(torch.Generator().manual_seed(0))
    same = [leaf.detach().clone() for leaf in leaves[:3]]
    output = _twin_output([*same, *same])
    always = CoTeaching(CoTeaching.Config(plain_epochs=0))(output, targets, batch, Step(3, 0, 1))
    plain = CoTeaching(CoTeaching.Config(plain_epochs=9))(output, targets, batch, Step(3, 0, 1))
    assert always.item() == plain.item()


def test_a_mute_video_teaches_nothing_of_sound() -> None:
    leaves, batch, targets = _pair(torch.Generator().manual_seed(0))
    present = torch.ones(6, 1, dtype=torch.bool)
    present[2] = False
    mute = Batch(batch.index, Features(batch.features.streams, audio_mask=present), batch.weak)
    for loss in (CoTeaching(CoTeaching.Config(plain_epochs=0)), JoCoR(JoCoR.Config())):
        for leaf in leaves:
            leaf.grad = None
        loss(_twin_output(leaves), targets, mute, Step(0, 0, 1)).backward()
        for audio in (leaves[0], leaves[3]):
            assert audio.grad is not None
            assert not audio.grad[2].any()
            assert audio.grad[[0, 1, 3, 4, 5]].any()


def test_a_finished_run_keeps_only_what_it_needs(store: FeatureStore, tmp_path: Path) -> None:
    run = train(_recipe("validation-classifier"), store, tmp_path / "run")
    assert run.finished
    weights = {str(path.relative_to(run.path)) for path in run.path.rglob("*.safetensors")}
    assert weights == {"parser.safetensors"}
    assert not list(run.path.rglob("checkpoints"))
    assert (run.path / "denoised/base/metrics.jsonl").is_file()
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    train(_recipe("validation-classifier"), store, tmp_path / "run", resume=True)
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before, (
        "a finished run is not trained again"
    )
    made = run.info.provenance
    assert made is not None
    assert made.libraries["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert "cores" in made.machine


def test_a_denoiser_adds_no_label_unless_it_says_so(tmp_path: Path) -> None:
    store = toy_store(tmp_path / "toy", videos=20)
    workspace = Workspace(load_recipe("han"), store, tmp_path, seed=1)
    everything = torch.ones(2, len(workspace.given), len(store.vocabulary))
    kept = workspace.refined(everything, everything, "reason")
    np.testing.assert_array_equal(kept.audio > 0, workspace.given)
    np.testing.assert_array_equal(kept.visual > 0, workspace.given)
    added = workspace.refined(everything, everything, "reason", adds=True)
    assert (added.audio > 0).all()
    assert (added.visual > 0).all()


def test_a_modality_that_a_video_lacks_keeps_no_label(tmp_path: Path) -> None:
    store = toy_store(tmp_path / "toy", videos=20, silent=("toy0000",), blind=("toy0001",))
    workspace = Workspace(load_recipe("han"), store, tmp_path, seed=1)
    everything = torch.ones(2, len(workspace.given), len(store.vocabulary))
    labels = workspace.refined(everything, everything, "improbable")
    assert workspace.given[:2].any(axis=1).all(), "both videos have labels"
    assert not labels.audio[0].any()
    np.testing.assert_array_equal(labels.visual[0] > 0, workspace.given[0])
    assert not labels.visual[1].any()
    np.testing.assert_array_equal(labels.audio[1] > 0, workspace.given[1])
    assert set(labels.reason_audio[0][workspace.given[0]]) == {"the video lacks this modality"}
    assert not labels.reason_audio[1].any()
