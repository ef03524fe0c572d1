"""Segments that a teacher could not judge: nobody knows their labels, so nothing is learned from them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avparse.data.features import Batch, Features, Step
from avparse.data.scores import load_scores
from avparse.data.store import FeatureStore
from avparse.data.teachers.simulated import SimulatedTeacher
from avparse.foundation.errors import UserError
from avparse.labels.pseudo import PseudoLabels
from avparse.labels.pseudo.rules import overlap
from avparse.labels.reinforced.actions import sampled_targets
from avparse.labels.segments import SegmentLabels, SegmentTable
from avparse.labels.table import RefinedLabels
from avparse.labels.target_sources import SegmentSource, WeakLabels
from avparse.labels.targets import Targets
from avparse.losses.leap import SegmentSimilarity
from avparse.losses.richness import Richness
from avparse.losses.segment import SegmentCrossEntropy
from avparse.models.output import Hidden, ParserOutput
from avparse.training.denoisers.pld import FlipRule, flip_outliers
from avparse.training.recipe import load_recipe
from avparse.training.train import train
from tests.toy import toy_store

NAN = float("nan")
SIDE = {"teacher": "simulated", "score": "logit", "threshold": 20}
UNSEEN = 0  # a training video that no teacher saw
BLINK = 1  # one of which a segment could not be embedded


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """A store that the teachers saw whole."""
    return taught(toy_store(tmp_path_factory.mktemp("data") / "full", ragged=True))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """The same store, which they saw in part."""
    store = taught(toy_store(tmp_path_factory.mktemp("data") / "part", ragged=True))
    for modality in ("audio", "visual"):
        seen_in_part(store, modality)
    return store


def taught(store: FeatureStore) -> FeatureStore:
    for scores in SimulatedTeacher(SimulatedTeacher.Config())(store):
        scores.save(store)
    return store


def seen_in_part(store: FeatureStore, modality: str) -> None:
    """Take a training video out of a teacher's scores, and a segment out of another."""
    scores = load_scores(store, "simulated", modality)
    train = store.select("train")
    unseen, blink = (store.videos[train[n]] for n in (UNSEEN, BLINK))
    segments = scores.segments.copy()
    segments[scores.rows((blink,))[0]] = 0
    kept = [n for n, video in enumerate(scores.videos) if video != unseen]
    rows = scores.rows(tuple(scores.videos[n] for n in kept))
    videos = tuple(scores.videos[n] for n in kept)
    replace(scores, videos=videos, lengths=scores.lengths[kept], segments=segments[rows]).save(store)


def labels(store: FeatureStore, **sides: Any) -> SegmentLabels:
    return PseudoLabels(PseudoLabels.Config.read(sides, "test"))(store, store.select("train"))


def unknown(store: FeatureStore) -> np.ndarray:
    """Return which segments of the training split were not judged."""
    train = store.select("train")
    which = np.zeros(int(store.lengths[train].sum()), dtype=bool)
    which[: store.lengths[train[UNSEEN]]] = True
    which[store.lengths[train[UNSEEN]]] = True
    return which


@pytest.mark.parametrize(
    "side",
    [
        SIDE,
        {**SIDE, "target": "sigmoid_margin"},
        {**SIDE, "filter": "none"},
        {"teacher": "simulated", "score": "logit", "decide": "top_mass"},
        {"teacher": "simulated", "norm": "softmax", "threshold": 0.0407},
    ],
)
def test_labels_are_unknown_where_the_teacher_saw_nothing(
    store: FeatureStore, full: FeatureStore, side: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    made, complete = labels(store, visual=side).visual, labels(full, visual=side).visual
    assert made is not None
    assert complete is not None
    blind, train = unknown(store), store.select("train")
    given = np.repeat(store.weak[train], store.lengths[train], axis=0)
    possible = given | (side.get("filter") == "none")  # the weak label says that a class is nowhere
    np.testing.assert_array_equal(np.isnan(made), blind[:, None] & possible)
    np.testing.assert_array_equal(made[~blind], complete[~blind])
    assert not made[blind][~possible[blind]].any()
    assert not np.isnan(complete).any()
    (told,) = [text for record in caplog.records if "has no scores of" in (text := record.getMessage())]
    assert f"has no scores of 1 of {len(train)} videos (such as '{store.videos[train[UNSEEN]]}')" in told
    assert "'avparse teach'" in told


def test_softening_reads_what_was_seen(store: FeatureStore, full: FeatureStore) -> None:
    """What is unknown is neither a positive nor a negative: the rest is softened as if it were not there."""
    chosen = {"teacher": "simulated", "decide": "top_mass"}
    made, blind = labels(store, visual={**chosen, "target": "overlap"}).visual, unknown(store)
    teacher = load_scores(full, "simulated", "visual")
    train = full.select("train")
    rows = teacher.rows(tuple(full.videos[i] for i in train))[~blind]
    hard = labels(full, visual=chosen).visual
    assert made is not None
    assert hard is not None
    expected = overlap(hard[~blind] > 0, teacher.cosines(rows), 4.0, 0.4)
    np.testing.assert_array_equal(made[~blind], expected.astype(np.float16))
    assert (expected != hard[~blind]).any()
    assert np.isnan(made[blind]).any()


def test_a_teacher_that_saw_no_video_is_refused(store: FeatureStore) -> None:
    config = PseudoLabels.Config.read({"audio": SIDE}, "test")
    with pytest.raises(UserError, match=r"has seen none of 1 videos \(such as '.*'\); ask it again"):
        PseudoLabels(config)(store, store.select("train")[[UNSEEN]])


def a_batch(mask: torch.Tensor | None = None) -> tuple[ParserOutput, Targets, Batch]:
    """Three videos of four segments and five classes: all known; a segment unknown; all unknown."""
    random = torch.Generator().manual_seed(0)
    target = (torch.rand(3, 4, 5, generator=random) < 0.5).float()
    target[1, 2, :2] = NAN
    target[2] = NAN
    p = torch.rand(3, 4, 5, generator=random).requires_grad_()
    whole = p.amax(dim=1)
    output = ParserOutput(p, p, whole, whole, whole)
    weak = torch.ones(3, 5)
    batch = Batch(torch.arange(3), Features({}, audio_mask=mask, visual_mask=mask), weak)
    return output, Targets(weak, weak, weak, target, target), batch


MASKS = (None, torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0]]).bool())


@pytest.mark.parametrize("mask", MASKS)
def test_cross_entropy_of_what_is_known(mask: torch.Tensor | None) -> None:
    output, targets, batch = a_batch(mask)
    loss = SegmentCrossEntropy(SegmentCrossEntropy.Config(of="visual"))(output, targets, batch, Step(0, 0, 1))
    real = torch.ones(3, 4, dtype=torch.bool) if mask is None else mask
    expected = 0.0
    for n, t in real.nonzero().tolist():
        for c in range(5):
            p, y = output.visual_segments[n, t, c], targets.visual_segments[n, t, c]
            if y == y:
                expected = expected - torch.log(p if y else 1 - p)
    torch.testing.assert_close(loss, expected / (5 * real.sum()))
    loss.backward()
    assert output.visual_segments.grad is not None
    assert (output.visual_segments.grad[targets.visual_segments.isnan()] == 0).all()
    assert output.visual_segments.grad.isfinite().all()


@pytest.mark.parametrize("mask", MASKS)
def test_richness_of_segments_that_are_known(mask: torch.Tensor | None) -> None:
    output, targets, batch = a_batch(mask)
    loss = Richness(Richness.Config(of="audio", distance="mse"))(output, targets, batch, Step(0, 0, 1))
    known = ~targets.audio_segments.isnan().any(dim=-1) & (True if mask is None else mask)
    p, y = output.audio_segments, targets.audio_segments
    of_segments = [(p[n, t].mean() - y[n, t].mean()) ** 2 for n, t in known.nonzero().tolist()]
    of_classes = [
        (p[n, known[n], c].mean() - y[n, known[n], c].mean()) ** 2 for n in range(3) if known[n].any() for c in range(5)
    ]
    torch.testing.assert_close(loss, torch.stack(of_segments).mean() + torch.stack(of_classes).mean())
    loss.backward()
    assert output.audio_segments.grad is not None
    assert output.audio_segments.grad.isfinite().all()


def test_similarity_of_segments_that_are_known() -> None:
    output, targets, batch = a_batch()
    loss = SegmentSimilarity(SegmentSimilarity.Config())
    hidden = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(1))
    output = replace(output, hidden=Hidden(hidden, hidden.flip(0)))
    found = loss(output, targets, batch, Step(0, 0, 1))
    known = ~targets.audio_segments.isnan().any(dim=-1)
    masked = Batch(batch.index, Features({}, audio_mask=known, visual_mask=known), batch.weak)
    told = Targets(targets.video, targets.audio, targets.visual, *[targets.audio_segments.nan_to_num()] * 2)
    torch.testing.assert_close(found, loss(output, told, masked, Step(0, 0, 1)))


def test_video_targets_stay_where_a_segment_is_unknown(store: FeatureStore) -> None:
    made, train = labels(store, visual=SIDE), store.select("train")
    table, index = SegmentTable(made, store), torch.from_numpy(train[:3])
    weak = torch.from_numpy(store.weak[train[:3]]).float()
    targets = SegmentSource(WeakLabels(WeakLabels.Config(keep_audio=1.0, keep_visual=1.0)), table, video_level=True)(
        Batch(index, Features({}), weak)
    )
    _, seen = table(index)
    assert seen is not None
    assert torch.equal(targets.visual[UNSEEN], weak[UNSEEN])
    assert torch.equal(targets.visual[BLINK], weak[BLINK])
    assert torch.equal(targets.visual[2], seen[2].amax(dim=0))
    assert targets.visual.isfinite().all()


def test_refined_labels_and_unknown_segments(store: FeatureStore) -> None:
    made, train = labels(store, visual=SIDE), store.select("train")
    given = store.weak[train]
    audio, visual = given.astype(np.float32), given.astype(np.float32)
    dropped = int(given[UNSEEN].argmax())
    visual[UNSEEN, dropped] = 0
    videos = tuple(store.videos[i] for i in train)
    sure, why = np.ones(given.shape, dtype=np.float32), np.full(given.shape, "")
    names = store.vocabulary.names
    refined = RefinedLabels(videos, names, given, audio, visual, sure, sure, why, why)
    masked, bound = made.masked(refined), made.bound(refined)
    assert masked.visual is not None
    assert made.visual is not None
    length = int(store.lengths[train[UNSEEN]])
    assert (masked.visual[:length, dropped] == 0).all()  # dropped is known again
    others = given[UNSEEN].copy()
    others[dropped] = False
    assert np.isnan(masked.visual[:length, others]).all()
    np.testing.assert_array_equal(bound.visual[[UNSEEN, BLINK]], visual[[UNSEEN, BLINK]])
    assert np.isfinite(bound.visual).all()
    assert (bound.visual[2:] <= visual[2:]).all()


def test_sampled_targets_and_unknown_segments() -> None:
    weak = torch.tensor([[1.0, 1.0, 0.0]])
    chosen = torch.tensor([[[0.0, 1.0, 0.0]], [[1.0, 1.0, 0.0]]])
    heard = torch.tensor([[[NAN, NAN, 0.0], [1.0, 0.0, 0.0]]])
    targets = sampled_targets(chosen, weak, (heard, None), "union")
    assert targets.audio_segments is not None
    assert targets.audio_segments[0, :, 0].tolist() == [0.0, 0.0]
    assert targets.audio_segments[0, 0, 1].isnan()
    assert targets.audio.tolist() == [[0.0, 1.0, 0.0]]
    assert targets.video.tolist() == [[1.0, 1.0, 0.0]]


def test_pld_passes_over_unknown_segments() -> None:
    random = torch.Generator().manual_seed(3)
    target, p = (torch.rand(4, 10, 3, generator=random) < 0.5).float(), torch.rand(4, 10, 3, generator=random)
    target[0, :4], target[1, 2, 0], target[2] = NAN, NAN, NAN
    rule, weak = FlipRule(alpha=2.0, count=3), torch.ones(4, 3)
    found = flip_outliers(target, p, weak, rule, None)
    assert torch.equal(found.isnan(), target.isnan())
    for n, c in ((n, c) for n in range(4) for c in range(3)):
        known = ~target[n, :, c].isnan()
        if known.any():
            alone = flip_outliers(
                target[n, known, c][None, :, None], p[n, known, c][None, :, None], weak[:1, :1], rule, None
            )
            assert torch.equal(found[n, known, c], alone[0, :, 0])
    assert (found != target)[~target.isnan()].any()


@pytest.mark.parametrize(
    "name", ["valor", "vaplan", "leap", "jomold+vaplan", "rlld+valor", "rlld+vaplan", "rlld-plus+valor"]
)
def test_recipes_learn_from_what_is_known(name: str, store: FeatureStore, tmp_path: Path) -> None:
    changes = [
        "parser.stem={name: linear, width: 16, audio: [audio], visual: [frames, clips]}",
        "parser.encoder.feedforward=16",
        "training.epochs=2",
        "training.batch_size=16",
        "training.precision=float32",
        "pseudo_labels={audio: {teacher: simulated, score: logit, threshold: 20}, "
        "visual: {teacher: simulated, score: logit, threshold: 20}}",
    ]
    if "rlld+" in name:
        changes += ["denoiser.episodes=1", "denoiser.steps=2", "denoiser.batch_size=8", "denoiser.check_seeds=0"]
    if "rlld-plus" in name:
        changes += ["denoiser.updates=20", "denoiser.finetune_epochs=2", "denoiser.epochs=1"]
    run = train(load_recipe(name, changes), store, tmp_path / "run")
    for line in (run.path / "metrics.jsonl").read_text().splitlines():
        assert np.isfinite(json.loads(line)["loss"])
    assert all(weights.isfinite().all() for weights in run.weights().values())
    pseudo = SegmentLabels.load(run.path / "pseudo.safetensors")
    assert pseudo.audio is not None
    assert np.isnan(pseudo.audio).any()
    if (run.path / "labels.parquet").is_file():
        refined = RefinedLabels.load(run.path / "labels.parquet", store.vocabulary)
        assert np.isfinite(refined.audio).all()
        assert np.isfinite(refined.quality_audio).all()
