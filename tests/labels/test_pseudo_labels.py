"""Pseudo labels: every rule against a plain loop, the published settings, their quality, and training with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avparse.data.datasets.llp import read_llp
from avparse.data.prompt_styles import published_thresholds, subsets_of
from avparse.data.scores import Subsets, TeacherInfo, TeacherScores, load_scores
from avparse.data.store import FeatureStore
from avparse.data.teachers.simulated import SimulatedTeacher
from avparse.data.vocabulary import LLP_CLASSES, MODALITIES, Vocabulary
from avparse.evaluation.parsing import METRICS
from avparse.evaluation.pseudo_quality import score_decisions, score_segment_labels
from avparse.foundation.errors import UserError
from avparse.labels.pseudo.from_teachers import PseudoLabels
from avparse.labels.pseudo.rules import best_subset, most_probable, overlap, sigmoid_margin, softmax
from avparse.labels.pseudo.side_config import SideConfig
from avparse.labels.segments import SegmentLabels
from avparse.training.preparation import prepare
from avparse.training.recipe import Recipe, list_recipes, load_recipe
from avparse.training.run import Run
from avparse.training.schedule import WarmupCosine
from avparse.training.train import train
from avparse.training.trainer import Trainer
from tests import golden
from tests.toy import toy_store

SIDE = {"teacher": "simulated", "score": "logit", "threshold": 20}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    store = toy_store(tmp_path_factory.mktemp("data") / "toy", ragged=True)
    for scores in SimulatedTeacher(SimulatedTeacher.Config())(store):
        scores.save(store)
    return store


def labels(store: FeatureStore, split: str = "train", **sides: Any) -> SegmentLabels:
    return PseudoLabels(PseudoLabels.Config.read(sides, "test"))(store, store.select(split))


def a_teacher(lengths: np.ndarray, weak: np.ndarray, size: int = 6, seed: int = 0) -> TeacherScores:
    """A teacher of random opinions, with prompts for all subsets of the weak labels."""
    rng = np.random.default_rng(seed)

    def unit(count: int) -> np.ndarray:
        x = rng.standard_normal((count, size)).astype(np.float32)
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    subsets = subsets_of(np.flatnonzero(row).tolist() for row in weak)
    members = np.array([np.isin(np.arange(weak.shape[1]), s) for s in subsets])
    classes = tuple(f"class{c}" for c in range(weak.shape[1]))
    info = TeacherInfo(
        teacher="random",
        modality="audio",
        checkpoint="",
        logit_scale=10,
        segment_seconds=1,
        classes=classes,
        prompts=classes,
        subset_prompts=tuple(map(str, subsets)),
    )
    videos = tuple(f"v{n}" for n in range(len(lengths)))
    segments = np.resize(unit(min(int(lengths.sum()), 10_000)), (int(lengths.sum()), size))
    return TeacherScores(info, videos, lengths, segments, unit(len(classes)), Subsets(members, unit(len(subsets))))


# Rules


def test_thresholds_are_strict_and_every_label_is_weak(store: FeatureStore) -> None:
    """A score that equals the threshold is off, and the filter leaves nothing that the weak label lacks."""
    train = store.select("train")
    make = PseudoLabels(PseudoLabels.Config.read({"audio": SIDE}, "test"))
    scores = make.scores(store, train, "audio")
    assert scores is not None
    weak = np.repeat(store.weak[train], store.lengths[train], axis=0)
    exact = float(np.sort(scores[weak])[-7])
    on = labels(store, audio={**SIDE, "threshold": exact}).audio
    assert on is not None
    np.testing.assert_array_equal(on > 0, (scores > np.float32(exact)) & weak)
    assert on.sum() == 6  # with >= there would be seven
    free = labels(store, audio={**SIDE, "threshold": exact, "filter": "none"}).audio
    np.testing.assert_array_equal(free, scores > np.float32(exact))
    assert make.scores(store, train, "visual") is None
    assert labels(store, audio=SIDE).visual is None


def test_a_threshold_for_each_class(store: FeatureStore) -> None:
    classes = store.vocabulary.names
    each = {name: 19.0 + number for number, name in enumerate(classes)}
    ours = labels(store, audio={**SIDE, "threshold": each}).audio
    for number, name in enumerate(classes):
        one = labels(store, audio={**SIDE, "threshold": each[name]}).audio
        assert ours is not None
        assert one is not None
        np.testing.assert_array_equal(ours[:, number], one[:, number])
    with pytest.raises(UserError, match=r"audio\.threshold: no threshold for class 'Voice'"):
        labels(store, audio={**SIDE, "threshold": {k: v for k, v in each.items() if k != "Voice"}})
    with pytest.raises(UserError, match=r"threshold: unknown class 'Voise'; did you mean 'Voice'"):
        labels(store, audio={**SIDE, "threshold": {**each, "Voise": 1}})
    with pytest.raises(UserError, match=r"table 'valor' has no threshold for class 'Bark'; .*tune-thresholds"):
        labels(store, audio={**SIDE, "threshold": "valor"})
    llp = SideConfig.read({**SIDE, "threshold": "valor"}, "test").thresholds("visual", Vocabulary(LLP_CLASSES))
    assert llp.tolist() == list(published_thresholds("valor")["visual"].values())


def test_softmax_at_a_scalar_threshold_is_a_margin_over_the_average(store: FeatureStore) -> None:
    """q > tau iff the cosine exceeds the log-mean-exp of all classes by ln(C tau) (spec of VPLAN)."""
    train = store.select("train")
    teacher = load_scores(store, "simulated", "visual")
    cosines = teacher.cosines(teacher.rows(tuple(store.videos[i] for i in train))).astype(np.float64)
    count, tau = cosines.shape[1], 0.256
    margin = cosines - np.log(np.exp(cosines).mean(axis=1, keepdims=True))
    weak = np.repeat(store.weak[train], store.lengths[train], axis=0)
    expected = (margin > np.log(count * tau)) & weak
    ours = labels(store, visual={"teacher": "simulated", "norm": "softmax", "threshold": tau}).visual
    np.testing.assert_array_equal(ours, expected)
    assert 0 < expected.sum() < weak.sum()
    scores = np.array([[1.0, 2.0, 4.0]], np.float32)
    np.testing.assert_allclose(softmax(scores, 2.0), np.exp(scores / 2) / np.exp(scores / 2).sum(), rtol=1e-6)
    assert softmax(scores * 1e4).tolist() == [[0, 0, 1]]


def test_the_most_probable_classes_within_a_mass() -> None:
    rng = np.random.default_rng(0)
    scores = (3 * rng.standard_normal((200, 7))).astype(np.float32)
    ours = most_probable(softmax(scores), 0.5)
    for row, chosen in zip(scores.astype(np.float64), ours, strict=True):
        shares = np.exp(row) / np.exp(row).sum()
        total, expected = 0.0, set()
        for c in np.argsort(-shares):
            total += shares[c]
            if total > 0.5 and expected:
                break
            expected.add(int(c))
            if total > 0.5:
                break
        assert set(np.flatnonzero(chosen)) == expected
    assert {1, 2} <= set(ours.sum(axis=1).tolist())


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_top_mass_takes_one_softmax_of_the_scores(store: FeatureStore, temperature: float) -> None:
    """Not a softmax of shares, which are nearly equal, nor one that the temperature passes by."""
    val = store.select("val")
    teacher = load_scores(store, "simulated", "audio")
    logits = 100 * teacher.cosines(teacher.rows(tuple(store.videos[i] for i in val))).astype(np.float64)
    shares = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
    shares /= shares.sum(axis=1, keepdims=True)
    expected = np.zeros(shares.shape, dtype=bool)
    for row, chosen in zip(shares, expected, strict=True):
        order = np.argsort(-row)
        chosen[order[: max(1, int((np.cumsum(row[order]) <= 0.9).sum()))]] = True
    assert {1, 2} <= set(expected.sum(axis=1).tolist())
    side = {"teacher": "simulated", "score": "logit", "decide": "top_mass", "mass": 0.9, "filter": "none"}
    for norm in ("none", "softmax"):
        ours = labels(store, "val", audio={**side, "norm": norm, "temperature": temperature}).audio
        np.testing.assert_array_equal(ours, expected)


def test_the_best_subset_is_that_of_a_plain_loop() -> None:
    rng = np.random.default_rng(1)
    weak = rng.random((40, 5)) < 0.35
    weak[3] = False  # an empty label set has "other" alone
    assert weak.sum(1).max() >= 3
    lengths = rng.integers(1, 5, 40)
    teacher = a_teacher(lengths, weak)
    subsets = teacher.known_subsets
    rows = np.arange(int(lengths.sum()))
    ours = best_subset(teacher, rows, weak, lengths)
    video = np.repeat(np.arange(40), lengths)
    for t in rows:
        best, members = -2.0, None
        for text, member in zip(subsets.texts, subsets.members, strict=True):
            if (member <= weak[video[t]]).all() and float(teacher.segments[t] @ text) > best:
                best, members = float(teacher.segments[t] @ text), member
        np.testing.assert_array_equal(ours[t], members)
    assert not ours[video == 3].any()
    assert (ours.sum(1) == 0).any()
    assert (ours.sum(1) > 1).any()
    unknown = weak.copy()
    unknown[0] = True
    with pytest.raises(UserError, match="lacks prompts for subsets of class0 and class1"):
        best_subset(teacher, rows, unknown, lengths)


def _plain_overlap(labels: np.ndarray, cosines: np.ndarray) -> np.ndarray:
    soft = labels.astype(np.float64)
    for c in range(labels.shape[1]):
        positive = [t for t in range(len(labels)) if labels[t, c]]
        negative = [t for t in range(len(labels)) if not labels[t, c]]
        if not positive or not negative:
            continue
        high, low = max(cosines[t, c] for t in negative), min(cosines[t, c] for t in positive)
        if high <= low:
            continue
        for t in positive:
            if cosines[t, c] < high and 0 < 4 * cosines[t, c] < 1:
                soft[t, c] = 4 * cosines[t, c]
        for t in negative:
            if cosines[t, c] > low and 0 < 0.4 * cosines[t, c] < 1:
                soft[t, c] = 0.4 * cosines[t, c]
    return soft


def test_overlap_softening_is_that_of_a_plain_loop() -> None:
    rng = np.random.default_rng(2)
    cosines = (0.2 + 0.05 * rng.standard_normal((300, 6))).astype(np.float32)
    hard = cosines + 0.05 * rng.standard_normal(cosines.shape) > 0.25
    hard[:, 3] = cosines[:, 3] > 0.22  # separated: nothing is written
    hard[:, 4], hard[:, 5] = True, False  # without negatives, without positives
    ours = overlap(hard, cosines, 4.0, 0.4)
    np.testing.assert_allclose(ours, _plain_overlap(hard, cosines), rtol=1e-6)
    np.testing.assert_array_equal(ours[:, 3:], hard[:, 3:])
    assert ((ours > 0) & (ours < 0.5))[:, :3].any()
    assert ((ours > 0.5) & (ours < 1))[:, :3].any()
    assert overlap(np.zeros((0, 2), bool), np.zeros((0, 2), np.float32), 4, 0.4).shape == (0, 2)


def test_soft_targets(store: FeatureStore) -> None:
    scores = np.array([[3.0, -200.0, 1e6]], np.float32)
    soft = sigmoid_margin(scores, np.array([3.0, 0.0, 0.0], np.float32))
    assert soft[0, 0] == 0.5
    assert np.isfinite(soft).all()
    hard, margin = (labels(store, audio={**SIDE, "target": t}).audio for t in ("hard", "sigmoid_margin"))
    assert hard is not None
    assert margin is not None
    weak = np.repeat(store.weak[store.select("train")], store.lengths[store.select("train")], axis=0)
    np.testing.assert_array_equal(margin[weak] > 0.5, hard[weak] > 0)
    assert not margin[~weak].any()
    lsld = {"teacher": "simulated", "decide": "subset_argmax", "target": "overlap"}
    spread = labels(store, visual=lsld).visual
    assert spread is not None
    assert (spread[~weak] > 0).any()  # also outside the weak label
    assert len(np.unique(spread)) > 10


def test_an_absent_modality_has_no_label(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    present = np.ones((int(store.lengths.sum()), 2), dtype=bool)
    present[::3, 1] = False
    monkeypatch.setattr(FeatureStore, "present", present)
    train = store.select("train")
    there = np.concatenate([present[store.first_row[i] : store.first_row[i] + store.lengths[i], 1] for i in train])
    for side in (
        SIDE,
        {**SIDE, "target": "sigmoid_margin"},
        {"teacher": "simulated", "score": "logit", "decide": "top_mass"},
        {**SIDE, "filter": "none"},
    ):
        made = labels(store, visual=side).visual
        assert made is not None
        assert not made[~there].any()
        assert made[there].any()


def test_settings_that_contradict_are_refused() -> None:
    def read(**side: Any) -> None:
        PseudoLabels.Config.read({"audio": {"teacher": "clap", **side}}, "recipe")

    with pytest.raises(UserError, match=r"audio: pseudo labels: .*give a 'threshold'"):
        read()
    with pytest.raises(UserError, match="target 'sigmoid_margin' needs thresholds"):
        read(decide="top_mass", target="sigmoid_margin")
    with pytest.raises(UserError, match="unknown table of thresholds 'valour'; did you mean 'valor'"):
        read(threshold="valour")
    with pytest.raises(UserError, match="unknown key 'treshold'; did you mean 'threshold'"):
        read(treshold=1)
    with pytest.raises(UserError, match="did you mean 'top_mass'"):
        read(decide="topmass")
    with pytest.raises(UserError, match="give settings of 'audio', of 'visual', or both"):
        PseudoLabels.Config.read({}, "recipe")


@pytest.mark.parametrize(
    ("side", "message"),
    [
        ({"threshold": 1, "temperature": 2}, "'temperature' has no effect without 'norm: softmax'; leave it out"),
        ({"threshold": 1, "mass": 0.3}, "'mass' has no effect with 'decide: threshold'; leave it out"),
        ({"threshold": 1, "overlap": [2, 0.1]}, "'overlap' has no effect with 'target: hard'; leave it out"),
        ({"decide": "top_mass", "threshold": 20}, "'threshold' has no effect with 'decide: top_mass'; leave it out"),
        *(
            (
                {"decide": "subset_argmax", key: value},
                f"'{key}' has no effect with 'decide: subset_argmax'; leave it out",
            )
            for key, value in {
                "score": "logit",
                "norm": "softmax",
                "temperature": 2,
                "threshold": 0.2,
                "mass": 0.3,
                "filter": "none",
            }.items()
        ),
        ({"threshold": "valor"}, "the table 'valor' is for logits; set 'score: logit', or give numbers"),
        (
            {"threshold": "valor", "score": "logit", "norm": "softmax"},
            "the table 'valor' is for logits; set 'norm: none'",
        ),
    ],
)
def test_settings_of_no_effect_are_refused(side: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        PseudoLabels.Config.read({"audio": {"teacher": "clap", **side}}, "recipe")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_recipe_with_every_default_written_out_is_read() -> None:
    """As a run folder has it: what has no effect and at its default says nothing wrong."""
    for decide in ("top_mass", "subset_argmax"):
        side = SideConfig.read({"teacher": "clap", "decide": decide}, "test")
        assert SideConfig.read(side.model_dump(mode="json"), "test") == side


@pytest.mark.parametrize(
    ("threshold", "message"),
    [
        ({"Bark": 1, "Voice": {"x": 1}}, "threshold: class 'Voice' has {'x': 1}; give a number"),
        ({"Bark": "high"}, "threshold: class 'Bark' has 'high'; give a number"),
        ({"Bark": float("nan")}, "threshold: class 'Bark' has nan; give a number"),
        ({"Bark": True}, "threshold: class 'Bark' has True; give a number"),
        ([1, 2], "threshold: found [1, 2]; give a number, one for each class by name, or the name of a table"),
        (True, "threshold: found True; give a number"),
    ],
)
def test_a_bad_threshold_names_its_class(threshold: Any, message: str) -> None:
    with pytest.raises(UserError) as error:
        PseudoLabels.Config.read({"audio": {"teacher": "clap", "threshold": threshold}}, "recipe")
    assert message in str(error.value)


def test_thresholds_that_decide_nothing_are_told(store: FeatureStore, caplog: pytest.LogCaptureFixture) -> None:
    """VAPLAN's 0.041 is meant for 25 classes: of four, no class can have so small a share."""
    for side, message in (
        ({"norm": "softmax", "threshold": 0.041}, "audio: every weak label is on in every segment"),
        ({"norm": "softmax", "threshold": 0.041, "target": "sigmoid_margin"}, "audio: every weak label is on"),
        ({"norm": "softmax", "threshold": 0.041, "filter": "none"}, "audio: every class is on in every segment"),
        ({"score": "logit", "threshold": 1000}, "audio: no label is on in any segment"),
    ):
        caplog.clear()
        labels(store, audio={"teacher": "simulated", **side})
        assert len(caplog.messages) == 1
        assert message in caplog.messages[0]
        assert "tune-thresholds" in caplog.messages[0]
    caplog.clear()
    labels(store, audio=SIDE, visual={"teacher": "simulated", "norm": "softmax", "threshold": 0.256})
    labels(store, audio={"teacher": "simulated", "threshold": -1})  # meant: teachers off (PLG)
    assert not caplog.messages


# Quality


@pytest.mark.parametrize(
    ("split", "rule", "metrics"),
    [
        ("val", "copy", (77.1, 58.7, 52.1, 62.6, 71.5, 63.8, 53.5, 44.1, 53.8, 61.1)),
        ("test", "copy", (76.1, 60.3, 52.6, 63.0, 71.7, 63.0, 55.8, 44.7, 54.5, 61.6)),
        ("val", "oracle", (79.9, 88.3, 82.6, 83.6, 81.3, 66.3, 81.4, 71.4, 73.0, 67.5)),
        ("test", "oracle", (79.5, 88.8, 82.3, 83.5, 81.1, 65.8, 82.9, 71.1, 73.3, 67.8)),
    ],
)
def test_reference_points_on_the_real_annotations(
    shared: Path, split: str, rule: str, metrics: tuple[float, ...]
) -> None:
    tables = read_llp(shared / "data" / "llp")
    videos, segments = tables.of_split(split), 10
    weak = np.array([tables.videos[v].weak for v in videos])
    truth = [np.stack([tables.dense(v, m, segments) for v in videos]) for m in MODALITIES]  # type: ignore[arg-type]
    sides = [np.broadcast_to(weak[:, None], t.shape) & (t.any(1, keepdims=True) | (rule == "copy")) for t in truth]
    quality = score_decisions(*sides, *truth, tables.vocabulary, np.ones(truth[0].shape[:2], bool))
    ours = quality.scores.as_dict()
    assert [round(ours[name], 1) for name in METRICS] == pytest.approx(metrics, abs=0.0501)
    if (split, rule) == ("val", "copy"):
        micro = quality.micro()
        assert [round(x, 1) for x in micro["audio"].values()] == [67.7, 97.9, 80.1]
        assert [round(x, 1) for x in micro["visual"].values()] == [51.2, 97.9, 67.2]


def test_quality_of_labels_against_plain_counts(store: FeatureStore) -> None:
    made = labels(store, "val", audio=SIDE)  # no visual labels: the weak label is copied
    quality = score_segment_labels(made, store)
    val = store.select("val")
    rows = np.concatenate([store.first_row[i] + np.arange(store.lengths[i]) for i in val])
    weak = np.repeat(store.weak[val], store.lengths[val], axis=0)
    for modality, given in (("audio", made.audio), ("visual", weak)):
        truth, on = np.asarray(store.truth(modality)[rows]), np.asarray(given) >= 0.5  # type: ignore[index]
        right = (truth & on).sum()
        micro = quality.micro()[modality]
        assert micro["precision"] == pytest.approx(100 * right / on.sum())
        assert micro["recall"] == pytest.approx(100 * right / truth.sum())
        assert micro["f"] == pytest.approx(200 * right / (on.sum() + truth.sum()))
    text = quality.as_markdown("Labels.", per_class=True)
    assert "| Bark, visual |" in text
    assert text.count("\n| ") == 3 + 1 + 2 + 8 - 1
    json.dumps(quality.as_dict(), allow_nan=False)


# Training


def small(name: str, *changes: str) -> Recipe:
    return load_recipe(
        name,
        [
            "parser.stem.width=16",
            "parser.encoder.feedforward=16",
            "training.epochs=2",
            "training.batch_size=16",
            "training.precision=float32",
            *changes,
        ],
    )


_SIDE = "{teacher: simulated, score: logit, threshold: 20}"
PSEUDO = f"pseudo_labels={{audio: {_SIDE}, visual: {_SIDE}}}"
SEGMENTS = "losses=[{name: video_bce, of: video}, {name: segment_bce, of: audio}, {name: segment_bce, of: visual}]"


def test_a_run_keeps_the_labels_it_began_with(store: FeatureStore, tmp_path: Path) -> None:
    recipe = small("han", PSEUDO, SEGMENTS)
    run = train(recipe, store, tmp_path / "run")
    kept = SegmentLabels.load(run.path / "pseudo.safetensors")
    expected = labels(store, audio=SIDE, visual=SIDE)
    assert kept.videos == expected.videos
    np.testing.assert_array_equal(kept.audio, expected.audio)
    for scores in SimulatedTeacher(SimulatedTeacher.Config(seed=9))(store):
        scores.save(store)
    again = prepare(Run.open(run.path), store)
    for scores in SimulatedTeacher(SimulatedTeacher.Config())(store):
        scores.save(store)
    assert again.segments is not None
    np.testing.assert_array_equal(again.segments.audio, expected.audio)


def test_a_denoiser_takes_segment_labels_away_too(store: FeatureStore, tmp_path: Path) -> None:
    recipe = small("oracle", PSEUDO, SEGMENTS)
    run = Run.create(tmp_path / "run", recipe, store, 1)
    for prepared in (prepare(run, store), prepare(run, store)):  # made, and taken up
        assert prepared.labels is not None
        assert prepared.segments is not None
        expected = labels(store, audio=SIDE, visual=SIDE).masked(prepared.labels)
        np.testing.assert_array_equal(prepared.segments.visual, expected.visual)
    from avparse.data.features import Step

    trainer = Trainer(run, store, prepared=prepared)
    batch = trainer.table.batch(store.select("train")[:8])
    targets = trainer.targets(batch, Step(0, 0, 1), trainer.parser(batch.features), trainer.model)
    rows = prepared.labels.rows(store.videos, store.weak)
    at = [list(rows).index(int(position)) for position in batch.index]
    assert not torch.equal(targets.visual, batch.weak), "the oracle took labels away"
    assert not ((targets.visual.numpy() > 0.5) & (prepared.labels.visual[at] < 0.5)).any()


def train_spec(store: FeatureStore) -> Any:
    from avparse.data.batching import task_spec

    return task_spec(store)


def test_losses_without_their_labels_are_refused(store: FeatureStore, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="this loss reads audio segment labels, but there are none"):
        train(small("han", SEGMENTS), store, tmp_path / "a")
    lonely = PSEUDO.replace("audio: {teacher: simulated", "audio: {teacher: nobody")
    with pytest.raises(UserError, match="no teacher 'nobody' of audio there; run: avparse teach"):
        train(small("han", lonely, SEGMENTS), store, tmp_path / "b")


def test_golden_valor_schedule() -> None:
    for known, arrays in golden.cases("valor_losses", "lr_schedule"):
        floor = known["lr_min"] / known["lr_max"]
        schedule = WarmupCosine(WarmupCosine.Config(warmup=known["warm_up_epoch"], last=floor))
        ours = [known["lr_max"] * schedule(int(epoch) - 1 + 0.5, known["max_epoch"]) for epoch in arrays["in/epoch"]]
        np.testing.assert_allclose(ours, arrays["out/lr"], rtol=1e-9)


def test_golden_valor_training_step() -> None:
    from avparse.data.features import Batch, Features, Step
    from avparse.labels.targets import Targets
    from avparse.losses import LOSSES
    from avparse.models.output import ParserOutput

    _, arrays = golden.one_case("valor_losses", "train_step")
    case = {name.removeprefix("in/"): x for name, x in arrays.items()}
    logits = case["frame_logits"].unbind(dim=2)
    video = case["global_prob"]
    output = ParserOutput(logits[0].sigmoid(), logits[1].sigmoid(), video, video, video, *logits)
    targets = Targets(case["label"], case["label"], case["label"], case["audio_pseudo"], case["visual_pseudo"])
    batch = Batch(torch.arange(len(video)), Features({"audio": logits[0]}), case["label"])
    for name, of in (("video_bce", "video"), ("segment_bce", "audio"), ("segment_bce", "visual")):
        part = LOSSES[name]
        config = part.Config(of=of)  # type: ignore[attr-defined]
        ours = part(config)(output, targets, batch, Step(0, 0, 1))
        assert float(ours) == pytest.approx(float(arrays[f"out/loss_{of}"]), rel=1e-5)


SHIPPED = [name for name in list_recipes() if load_recipe(name).pseudo_labels is not None]


def test_every_published_system_is_there() -> None:
    backbones = {f"{first}{second}" for first in ("", "mm-pyramid+", "jomold+") for second in ("vplan", "vaplan")}
    assert backbones | {"valor", "valor+", "valor++", "lsld", "lsld-clip", "rlld+valor"} <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_list_recipes_train_on_a_simulated_teacher(name: str, store: FeatureStore, tmp_path: Path) -> None:
    """Every recipe with pseudo labels, small, on toy data; features and teachers that these lack are replaced."""
    changes = ["parser.stem.audio=[audio]", "parser.stem.visual=[frames, clips]"]
    config = load_recipe(name).pseudo_labels
    assert isinstance(config, PseudoLabels.Config)
    for modality in MODALITIES:
        side = config.side(modality)
        if side is not None:
            changes.append(f"pseudo_labels.{modality}.teacher=simulated")
            threshold = {"cosine": 0.256, "logit": 20}[side.score] if side.decide == "threshold" else "null"
            changes.append(f"pseudo_labels.{modality}.threshold={threshold}")
    if hasattr(load_recipe(name).denoiser, "episodes"):
        changes += ["denoiser.episodes=1", "denoiser.steps=2", "denoiser.batch_size=8", "denoiser.check_seeds=0"]
    if "rlld-plus" in name:
        changes += ["denoiser.updates=20", "denoiser.finetune_epochs=2", "denoiser.epochs=1"]
    run = train(small(name, *changes), store, tmp_path / "run")
    losses = json.loads((run.path / "metrics.jsonl").read_text().splitlines()[0])
    assert np.isfinite(losses["loss"])
    assert (run.path / "pseudo.safetensors").is_file()
    assert (run.path / "results.md").is_file()
