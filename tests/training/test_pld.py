"""PLD: the rule against a plain loop, its floor and switches, and the denoiser in a run."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from avparse.data.batching import FeatureTable
from avparse.data.store import FeatureStore
from avparse.data.teachers.simulated import SimulatedTeacher
from avparse.evaluation.prediction import predict
from avparse.foundation.errors import UserError
from avparse.labels.segments import SegmentLabels
from avparse.training.denoisers.pld import FlipRule, flip_outliers, repair
from avparse.training.recipe import Recipe, load_recipe
from avparse.training.run import Run
from avparse.training.train import train
from tests.toy import toy_store


def plain(
    labels: np.ndarray, probabilities: np.ndarray, weak: np.ndarray, rule: FlipRule, mask: np.ndarray
) -> np.ndarray:
    """One entry after the other, in double precision."""
    result = labels.copy()
    videos, segments, classes = labels.shape
    for n, c in itertools.product(range(videos), range(classes)):
        if not weak[n, c]:
            continue
        losses = {}
        for t in range(segments):
            if mask[n, t]:
                p, y = min(max(probabilities[n, t, c], 1e-7), 1 - 1e-7), labels[n, t, c]
                losses[t] = -(y * math.log(p) + (1 - y) * math.log(1 - p))
        if not losses:
            continue
        ordered = sorted(losses.values(), reverse=rule.rule == "largest")
        chosen = ordered if rule.rule == "all" else ordered[: rule.count]
        bound = max(rule.alpha * sum(chosen) / len(chosen), rule.floor)
        for t, loss in losses.items():
            up = labels[n, t, c] < 0.5
            if loss > bound and rule.direction in ("both", "up" if up else "down"):
                result[n, t, c] = 1 - labels[n, t, c]
    return result


def random_case(seed: int, soft: bool = False) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    labels = rng.random((30, 8, 4))
    if not soft:
        labels = (labels < 0.5).astype(float)
    # A parser that mostly agrees, and is sometimes very sure of the contrary.
    agree = rng.random(labels.shape) < 0.8
    logit = np.where((labels > 0.5) == agree, 1, -1) * rng.gamma(1.5, 2.0, labels.shape)
    mask = np.arange(8) < rng.integers(0, 9, (30, 1))
    return labels, 1 / (1 + np.exp(-logit)), rng.random((30, 4)) < 0.7, mask


@pytest.mark.parametrize("rule", ["smallest", "largest", "all"])
@pytest.mark.parametrize("direction", ["up", "down", "both"])
@pytest.mark.parametrize(("alpha", "count", "floor"), [(10, 5, math.log(2)), (1.5, 3, 0.0), (0.8, 20, 0.3)])
def test_flips_are_those_of_a_plain_loop(rule: str, direction: str, alpha: float, count: int, floor: float) -> None:
    settings = FlipRule(alpha=alpha, count=count, rule=rule, floor=floor, direction=direction)  # type: ignore[arg-type]
    for seed, soft in ((0, False), (1, True)):
        labels, probabilities, weak, mask = random_case(seed, soft)
        tensors = [torch.from_numpy(x) for x in (labels, probabilities, weak)]
        ours = flip_outliers(*tensors, settings, torch.from_numpy(mask)).numpy()
        expected = plain(labels, probabilities, weak, settings, mask)
        np.testing.assert_allclose(ours, expected, atol=1e-12)
        whole = flip_outliers(*tensors, settings, None).numpy()
        np.testing.assert_allclose(whole, plain(labels, probabilities, weak, settings, np.ones_like(mask)), atol=1e-12)
        assert (whole != labels).any() or rule != "smallest"


def one(labels: list[float], probabilities: list[float], **rule: float) -> list[float]:
    tensors = (torch.tensor(x, dtype=torch.float64).view(1, -1, 1) for x in (labels, probabilities))
    return flip_outliers(*tensors, torch.ones(1, 1, dtype=torch.bool), FlipRule(**rule), None).flatten().tolist()  # type: ignore[arg-type]


def test_the_floor_keeps_what_the_parser_agrees_with() -> None:
    """Nine near-perfect entries make the reference nearly zero; an entry at 0.6 is a good one all the same."""
    labels, sure = [1.0] * 10, [0.9999] * 9
    assert one(labels, [*sure, 0.6]) == labels
    assert one(labels, [*sure, 0.6], floor=0.0) == [*labels[:9], 0.0]
    assert one(labels, [*sure, 0.49]) == [*labels[:9], 0.0]
    assert one(labels, [*sure, 0.51]) == labels


def test_an_outlier_in_either_direction() -> None:
    assert one([0.0] * 5 + [1.0] * 5, [0.01] * 4 + [0.97] + [0.99] * 5) == [0.0] * 4 + [1.0] * 6
    assert one([0.0] * 5 + [1.0] * 5, [0.01] * 5 + [0.99] * 4 + [0.02]) == [0.0] * 5 + [1.0] * 4 + [0.0]


# In a run


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    store = toy_store(tmp_path_factory.mktemp("data") / "toy", ragged=True)
    for scores in SimulatedTeacher(SimulatedTeacher.Config(hallucinate_visual=0.5))(store):
        scores.save(store)
    return store


def recipe(*changes: str) -> Recipe:
    side = "{teacher: simulated, score: logit, threshold: 20}"
    return load_recipe(
        "han",
        [
            "parser.stem.width=24",
            "parser.encoder.feedforward=16",
            "training.epochs=3",
            "training.batch_size=16",
            "training.optimizer.rate=0.01",
            f"pseudo_labels={{audio: {side}, visual: {side}}}",
            "losses=[{name: video_bce, of: video}, {name: segment_bce, of: audio}, {name: segment_bce, of: visual}]",
            "denoiser={name: pld, flip: {alpha: 1, floor: 0.9}}",
            *changes,
        ],
    )


def test_a_run_repairs_its_visual_labels(store: FeatureStore, tmp_path: Path) -> None:
    run = train(recipe(), store, tmp_path / "run")
    before = SegmentLabels.load(run.path / "pseudo.safetensors")
    after = SegmentLabels.load(run.path / "segments.safetensors")
    np.testing.assert_array_equal(before.audio, after.audio)
    assert before.visual is not None
    assert after.visual is not None
    flipped = before.visual != after.visual
    weak = np.repeat(store.weak[store.select("train")], before.lengths, axis=0)
    assert flipped.any()
    assert not flipped[~weak].any()
    # Redone by hand from the parser that was trained on the way.
    base = Run.open(run.path / "denoised" / "pass0").parser()
    output = predict(base, FeatureTable(store), store.select("train"))
    again = repair(before, output, store, store.select("train"), FlipRule(alpha=1, floor=0.9))
    np.testing.assert_array_equal(again.visual, after.visual)
    assert (run.path / "results.md").is_file()


def test_passes_modalities_and_going_on(store: FeatureStore, tmp_path: Path) -> None:
    run = train(
        recipe("denoiser.passes=2", "denoiser.modalities=[audio, visual]", "denoiser.restart=false"),
        store,
        tmp_path / "run",
    )
    assert {p.name for p in (run.path / "denoised").iterdir()} >= {"pass0", "pass1"}
    before = SegmentLabels.load(run.path / "pseudo.safetensors")
    after = SegmentLabels.load(run.path / "segments.safetensors")
    assert (before.audio != after.audio).any()
    fresh = train(recipe("denoiser.restart=true"), store, tmp_path / "fresh")

    def first_loss(path: Path) -> float:
        import json

        return float(json.loads((path / "metrics.jsonl").read_text().splitlines()[0])["loss"])

    assert first_loss(run.path) < first_loss(fresh.path)  # it went on with trained weights


def test_pld_needs_pseudo_labels(store: FeatureStore, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="denoiser 'pld': there are no labels to repair"):
        train(recipe("pseudo_labels=null", "losses=[{name: video_bce, of: audio}]"), store, tmp_path / "run")
