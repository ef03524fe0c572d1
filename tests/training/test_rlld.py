"""RLLD: episodes, resume inside an episode, and the preset that learns in one run."""

from __future__ import annotations

import itertools
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from avparse.data.simulation.simulate import simulate
from avparse.data.store import FeatureStore
from avparse.evaluation.parsing import METRICS
from avparse.foundation.settings import build
from avparse.labels.reinforced.actions import sampled_targets
from avparse.labels.table import RefinedLabels
from avparse.training.checkpoint import load_checkpoint
from avparse.training.denoisers import DENOISERS, environment
from avparse.training.denoisers.denoiser import split_validation
from avparse.training.denoisers.reward_check import SILENCE, RewardCheck
from avparse.training.recipe import Recipe, load_recipe
from avparse.training.train import train
from avparse.training.workspace import Workspace
from tests.toy import toy_store

SMALL = [
    "parser.stem.width=16",
    "parser.encoder.feedforward=16",
    "training.batch_size=16",
    "training.keep_checkpoints=true",
]
POLICY = "{name: han, stem: {name: linear, width: 16}, encoder: {name: han, feedforward: 16}}"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy_store(tmp_path_factory.mktemp("data") / "toy", videos=100)


def _recipe(name: str, *changes: str) -> Recipe:
    return load_recipe(name, [*SMALL, "training.epochs=2", *changes])


def _rlld(*changes: str) -> Recipe:
    few = ["denoiser.episodes=4", "denoiser.steps=4", "denoiser.batch_size=16", "denoiser.check_seeds=0"]
    return _recipe("rlld-paper", *few, f"denoiser.policy={POLICY}", "denoiser.rate=0.01", *changes)


def _policy(run: Path) -> dict[str, torch.Tensor]:
    found = load_checkpoint(run / "denoised" / "checkpoints")
    assert found is not None
    return found.weights | {f"optimizer.{k}": v for k, v in found.optimizer.items()}


def _same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_states_overlap_by_a_quarter_and_walk_through_the_split() -> None:
    order = np.random.default_rng(0).permutation(1000)
    states = list(environment.episode_states(order, steps=9, size=128, overlap=0.25))
    assert [len(s) for s in states] == [128] * 9
    for before, after in itertools.pairwise(states):
        assert len(np.intersect1d(before, after)) == 32
        assert len(np.unique(after)) == 128
    assert len(np.unique(np.concatenate(states))) == 128 + 8 * 96
    short = list(environment.episode_states(order[:20], steps=3, size=16, overlap=0.25))
    assert [len(s) for s in short] == [16, 16, 16]


def test_halves_of_validation_are_disjoint_and_the_same_for_every_seed(store: FeatureStore, tmp_path: Path) -> None:
    halves = [split_validation(Workspace(_rlld(), store, tmp_path, seed), "half") for seed in (1, 2)]
    assert np.array_equal(halves[0][0], halves[1][0])
    assert not np.intersect1d(*halves[0]).size
    assert np.array_equal(np.sort(np.concatenate(halves[0])), store.select("val"))


def test_the_policy_changes_labels_only_where_given_and_never_empties_a_video(
    store: FeatureStore, tmp_path: Path
) -> None:
    # A policy that starts at even odds drops some labels whatever it learns.
    start = POLICY.replace("{name: han, stem", "{name: han, initial_keep_logit: 0.0, stem")
    run = train(_rlld(f"denoiser.policy={start}", "denoiser.val_split=half"), store, tmp_path / "run", seed=1)
    labels = RefinedLabels.load(run.path / "labels.parquet", store.vocabulary)
    lines = [json.loads(line) for line in (run.path / "denoised/episodes.jsonl").read_text().splitlines()]
    assert [line["episode"] for line in lines] == [0, 1, 2, 3]
    assert lines[0]["advantage_audio"] == 0.0  # the first reward becomes the baseline
    for line in lines:
        for m, metric in (("audio", "segment_audio"), ("visual", "event_visual")):
            assert line[f"terminal_{m}"] == pytest.approx(0.1 * line[f"val/{metric}"])
            assert line[f"reward_{m}"] == pytest.approx(line[f"terminal_{m}"] + line[f"inter_{m}"])
            assert 0 <= line[f"noise_{m}"] <= 1
    for modality in ("audio", "visual"):
        kept = labels.side(modality)[0] > 0
        assert not (kept & ~labels.given).any()
        assert (kept.any(axis=1) == labels.given.any(axis=1)).all()
    assert (labels.given & ((labels.audio == 0) | (labels.visual == 0))).any()
    assert json.loads((run.path / "denoised/selected.json").read_text())


def test_losses_that_wait_for_later_epochs_have_no_part_in_an_episode(store: FeatureStore, tmp_path: Path) -> None:
    losses = ["{name: video_bce, of: audio}", "{name: video_bce, of: visual}"]
    policies = []
    for extra in (
        [],
        ["{name: video_bce, of: video, weight: 50, after: 1}"],
        ["{name: video_bce, of: video, weight: 50}"],
    ):
        recipe = _rlld(f"losses=[{', '.join(losses + extra)}]")
        policies.append(_policy(train(recipe, store, tmp_path / f"run{len(policies)}", seed=1).path))
    assert _same(policies[0], policies[1])
    assert not _same(policies[0], policies[2])


def test_targets_of_sampled_labels() -> None:
    # Three classes, two given. The policy drops class 0 for audio; class 1 has no visual segment.
    weak = torch.tensor([[1.0, 1.0, 0.0]])
    labels = torch.tensor([[[0.0, 1.0, 0.0]], [[1.0, 1.0, 0.0]]])
    heard = torch.tensor([[[1.0, 0.0, 0.0], [1.0, 1.0, 0.2]]])  # 0.2: a soft label outside the given ones
    seen = torch.tensor([[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]])
    targets = sampled_targets(labels, weak, (heard, seen), "union")
    assert targets.audio_segments is not None
    assert targets.audio_segments.tolist() == [[[0.0, 0.0, 0.0], [0.0, 1.0, pytest.approx(0.2)]]]
    assert targets.visual_segments is not None
    assert targets.visual_segments.tolist() == seen.tolist()
    assert targets.audio.tolist() == [[0.0, 1.0, 0.0]]
    assert targets.visual.tolist() == [[1.0, 0.0, 0.0]]
    assert targets.video.tolist() == [[1.0, 1.0, 0.0]]
    assert sampled_targets(labels, weak, (heard, seen), "audio").video.tolist() == [[0.0, 1.0, 0.0]]
    plain = sampled_targets(labels, weak, (None, None), "given")
    assert plain.video.tolist() == weak.tolist()
    assert (plain.audio.tolist(), plain.visual.tolist()) == (labels[0].tolist(), labels[1].tolist())
    assert plain.audio_segments is None


def _interrupt(monkeypatch: pytest.MonkeyPatch, name: str, at: int, stop: Callable[[], None]) -> None:
    """Call ``stop`` when the environment's method ``name`` is called for the ``at``-th time."""
    method, calls = getattr(environment.Environment, name), [0]

    def counted(self: Any, *arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == at:
            stop()
        return method(self, *arguments)

    monkeypatch.setattr(environment.Environment, name, counted)


def test_interrupted_learning_ends_with_the_same_policy_and_parser(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(_rlld(), store, tmp_path / "whole", seed=1).path
    again = train(_rlld(), store, tmp_path / "again", seed=1).path
    other = train(_rlld(), store, tmp_path / "other", seed=2).path
    assert _same(_policy(whole), _policy(again))
    assert not _same(_policy(whole), _policy(other))

    def crash() -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:  # in the middle of the third episode
        _interrupt(patch, "_update", 10, crash)
        with pytest.raises(RuntimeError, match="killed"):
            train(_rlld(), store, tmp_path / "pieces", seed=1)
    with monkeypatch.context() as patch:  # asked to stop during the episode that follows
        _interrupt(patch, "_update", 2, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(SystemExit) as stop:
            train(_rlld(), store, tmp_path / "pieces", seed=1, resume=True)
    assert stop.value.code == 128 + signal.SIGTERM
    pieces = train(_rlld(), store, tmp_path / "pieces", seed=1, resume=True).path
    assert _same(_policy(whole), _policy(pieces))
    assert _same(load_file(whole / "parser.safetensors"), load_file(pieces / "parser.safetensors"))
    episodes = [(run / "denoised/episodes.jsonl").read_text() for run in (whole, pieces)]
    assert episodes[0] == episodes[1]


@pytest.mark.parametrize("rollouts", [0, 4])
def test_joint_preset_learns_and_resumes_bit_equal(store: FeatureStore, tmp_path: Path, rollouts: int) -> None:
    changes = [
        f"denoiser.rollouts={rollouts}",
        "denoiser.warmup=0",
        "denoiser.every=1",
        "denoiser.reward_videos=8",
        "training.epochs=4",
    ]
    whole = train(_recipe("rlld-joint", *changes), store, tmp_path / "whole", seed=1)
    found = load_checkpoint(whole.path / "checkpoints")
    assert found is not None
    assert found.extra["0.policy.read.2.weight"].abs().sum() > 0, "the last map starts at zero and never learned"

    from avparse.training import train as training

    class Stopped(training.Trainer):
        def step(self, *arguments: Any) -> Any:
            if (self.position.epoch, self.position.step) == (2, 1):
                os.kill(os.getpid(), signal.SIGTERM)
            return super().step(*arguments)

    original = training.Trainer
    training.Trainer = Stopped  # type: ignore[misc]
    try:
        with pytest.raises(SystemExit):
            train(_recipe("rlld-joint", *changes), store, tmp_path / "pieces", seed=1)
    finally:
        training.Trainer = original  # type: ignore[misc]
    pieces = train(_recipe("rlld-joint", *changes), store, tmp_path / "pieces", seed=1, resume=True)
    resumed = load_checkpoint(pieces.path / "checkpoints")
    assert resumed is not None
    assert _same(found.extra, resumed.extra)
    assert _same(found.weights, resumed.weights)


def test_paired_episodes_differ_by_the_draws_of_the_policy_alone(store: FeatureStore, tmp_path: Path) -> None:
    """A policy that keeps everything for certain draws the same labels each time, so every reward is the same."""
    certain = "{name: prior, initial_keep_logit: 100.0, logit_bound: 100.0}"
    rewards = []
    for paired in (True, False):
        changes = ["denoiser.episodes=3", "denoiser.steps=4", "denoiser.batch_size=16", f"denoiser.paired={paired}"]
        recipe = _recipe("rlld-paper", *changes, f"denoiser.policy={certain}", "training.epochs=1")
        run = train(recipe, store, tmp_path / str(paired), seed=1).path
        lines = (run / "denoised/episodes.jsonl").read_text().splitlines()
        rewards.append({json.loads(line)["reward_audio"] for line in lines})
    assert len(rewards[0]) == 1
    assert len(rewards[1]) > 1


@pytest.mark.slow
def test_exploration_by_class_finds_that_speech_is_seldom_seen(tmp_path: Path) -> None:
    """As in LLP: three in four labels of Speech are wrong in the picture, and hardly any of another class."""
    simulate(tmp_path / "store", seed=0, train=600, val=200, test=20)
    store = FeatureStore.open(tmp_path / "store")
    changes = ["parser.stem.width=64", "parser.encoder.feedforward=64", "training.batch_size=32", "training.epochs=1"]
    changes += ["denoiser.warm_epochs=6", "denoiser.steps=16", "denoiser.batch_size=64", "denoiser.episodes=12"]
    changes += ["training.optimizer.rate=0.001", "denoiser.task_rate=0.005", "training.keep_checkpoints=true"]
    run = train(load_recipe("rlld", changes), store, tmp_path / "run", seed=1)
    labels = RefinedLabels.load(run.path / "labels.parquet", store.vocabulary)
    several = labels.given.sum(axis=1) > 1  # a video with one label keeps it
    dropped = set()
    for modality in ("audio", "visual"):
        kept = labels.side(modality)[0] > 0
        for c, name in enumerate(store.vocabulary):
            if kept[several & labels.given[:, c], c].mean() < 0.5:
                dropped.add((modality, name))
    assert dropped == {("visual", "Speech")}
    lines = [json.loads(line) for line in (run.path / "denoised/episodes.jsonl").read_text().splitlines()]
    noise = [line["noise_visual"] for line in lines]
    assert np.mean(noise[-3:]) < np.mean(noise[:3]) - 0.05
    check = (run.path / "denoised/reward_check.md").read_text()
    assert [line.split("|")[1].strip() for line in check.splitlines() if line.startswith("| ")] == [
        *("labels of an episode", "all weak labels", "class prior", "nothing predicted")
    ]


@pytest.mark.parametrize("change", ["denoiser.reset=never", "denoiser.trains=all", "denoiser.updates_per_state=4"])
def test_exploration_by_class_goes_on_after_a_crash_as_if_unbroken(
    change: str, store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = _recipe("rlld", "denoiser.episodes=3", "denoiser.steps=3", "denoiser.batch_size=16", change)
    whole = train(recipe, store, tmp_path / "whole", seed=1).path

    def crash() -> None:
        raise RuntimeError("killed")

    for at in (5, 25):  # while weak labels are learned, and in an episode
        with monkeypatch.context() as patch:
            _interrupt(patch, "_update", at, crash)
            with pytest.raises(RuntimeError, match="killed"):
                train(recipe, store, tmp_path / "pieces", seed=1, resume=True)
    pieces = train(recipe, store, tmp_path / "pieces", seed=1, resume=True).path
    assert _same(_policy(whole), _policy(pieces))
    for name in ("parser.safetensors", "labels.parquet", "denoised/episodes.jsonl"):
        assert (whole / name).read_bytes() == (pieces / name).read_bytes(), name


def test_a_decoder_on_encodings_scores_as_the_whole_network_does(tmp_path: Path) -> None:
    store = toy_store(tmp_path / "toy", videos=60, ragged=True, silent=("toy0040",))
    counts = []
    for trains in ("all", "decoder"):
        recipe = _recipe("rlld", f"denoiser.trains={trains}", "denoiser.warm_epochs=8", "training.optimizer.rate=0.01")
        folder = tmp_path / trains
        folder.mkdir()
        torch.manual_seed(0)
        made = environment.Environment(recipe.denoiser, Workspace(recipe, store, folder, 1), store.select("val"))  # type: ignore[arg-type]
        counts.append(made.score())
    for name in ("right", "wrong", "missed"):
        np.testing.assert_array_equal(*(getattr(c, name) for c in counts))
    assert counts[0].right.sum() > 0


def test_a_decoder_learns_from_the_losses_that_depend_on_it(store: FeatureStore, tmp_path: Path) -> None:
    few = ["denoiser.episodes=1", "parser.encoder={name: cpsp}"]
    recipe = load_recipe("rlld+cpsp", [*few, "parser.stem.width=8", "denoiser.warm_epochs=0.1"])
    made = environment.Environment(recipe.denoiser, Workspace(recipe, store, tmp_path, 1), store.select("val"))  # type: ignore[arg-type]
    assert [loss.label for loss in made.losses] == ["bce_audio", "bce_visual", "bce_video"]


def test_the_ablations_of_table_2_are_what_they_say(store: FeatureStore, tmp_path: Path) -> None:
    """A shift by class does not look at the state, so labels outside of it change nothing; the inter-reward does."""
    few = ["denoiser.episodes=2", "denoiser.steps=2", "denoiser.batch_size=16", "denoiser.check_seeds=0"]
    shifts = []
    for name in ("rlld+cl", "rlld-no-labels", "rlld-no-inter-reward"):
        folder = tmp_path / name
        folder.mkdir()
        recipe = _recipe(name, *few)
        assert recipe.denoiser is not None
        build(DENOISERS, recipe.denoiser).prepare(Workspace(recipe, store, folder, seed=1))
        found = load_checkpoint(folder / "checkpoints")
        assert found is not None
        shifts.append(found.state["shift"]["means"])
    assert shifts[0] == shifts[1]
    assert shifts[0] != shifts[2]


def test_the_parts_of_a_state_share_its_videos(store: FeatureStore, tmp_path: Path) -> None:
    seen: list[list[int]] = []
    recipe = _rlld("denoiser.updates_per_state=3")
    made = environment.Environment(recipe.denoiser, Workspace(recipe, store, tmp_path, 1), store.select("val"))  # type: ignore[arg-type]
    update = made._update
    made._update = lambda *a: (seen.append(a[1].index.tolist()), update(*a))[1]  # type: ignore[method-assign]
    states: list[list[int]] = []

    def labels(batch: Any) -> torch.Tensor:
        states.append(batch.index.tolist())
        return batch.weak.expand(2, -1, -1)

    made.run(labels, store.select("train"), 0)
    assert [[*a, *b, *c] for a, b, c in zip(*[iter(seen)] * 3, strict=True)] == states
    assert [len(part) for part in seen[:3]] == [6, 5, 5]


def test_a_reward_that_tells_nothing_is_told(
    store: FeatureStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After four steps from scratch a task network does worse than predicting nothing."""
    train(_rlld("denoiser.episodes=1", "denoiser.check_seeds=2"), store, tmp_path / "run", seed=1)
    assert "silence pays: event_visual" in caplog.text
    assert "denoiser.start=weak" in caplog.text


def test_the_ratio_of_a_reward_is_that_of_paired_gains() -> None:
    audio, visual = METRICS.index("segment_audio"), METRICS.index("event_visual")
    weak, prior, silence = np.zeros((2, 10)), np.zeros((2, 10)), np.zeros((1, 10))
    weak[:, visual], prior[:, visual] = (20.0, 30.0), (24.0, 36.0)  # gains of 4 and 6, whatever the order is worth
    weak[:, audio] = prior[:, audio] = 50.0
    found = RewardCheck({"weak": weak, "prior": prior, SILENCE: silence}, ("segment_audio", "event_visual"))
    assert found.ratio("event_visual") == pytest.approx(5 / 2**0.5)
    assert found.ratio("segment_audio") == 0
    assert not found.warnings()
    weak[:, visual] = (24.0, 35.0)  # gains of 0 and 1
    (told,) = found.warnings()
    assert "hardly tells 'prior' from 'weak' (signal-to-noise ratio segment_audio 0.0, event_visual 0.7" in told
