"""Thresholds tuned on validation: the best one by brute force, shrinkage, the ascent on Type, cross-validation."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avparse.data.scores import load_scores
from avparse.data.store import FeatureStore
from avparse.data.teachers.simulated import SimulatedTeacher
from avparse.data.vocabulary import MODALITIES
from avparse.evaluation.parsing import score_parsing
from avparse.evaluation.teacher_thresholds import ScoredVideos, Thresholds, Tuning, best_threshold, cross_validate, tune
from avparse.labels.pseudo import PseudoLabels
from avparse.training.recipe import load_recipe
from tests.conftest import Command
from tests.toy import toy_store


def videos(seed: int = 0, count: int = 60, segments: int = 6, classes: int = 4) -> ScoredVideos:
    """Scores that are above a class's own level where it is true, with noise; nothing outside the weak label."""
    rng = np.random.default_rng(seed)
    scores, truth = {}, {}
    level = rng.normal(0, 2, (2, classes))
    weak = rng.random((count, classes)) < 0.5
    weak[:, -1] &= np.arange(count) < 3  # a rare class
    for number, modality in enumerate(MODALITIES):
        true = weak[:, None] & (rng.random((count, segments, classes)) < 0.4)
        noise = rng.standard_normal(true.shape).astype(np.float32)
        raw = level[number] + np.where(true, 1, -1) + noise
        scores[modality] = np.where(weak[:, None], raw, -np.inf).astype(np.float32)
        truth[modality] = true | (~weak[:, None] & (rng.random(true.shape) < 0.02))
    return ScoredVideos(scores, truth)


ZEROS: Thresholds = {m: np.zeros(4, np.float32) for m in MODALITIES}


def plain_f(scores: np.ndarray, truth: np.ndarray, missed: int, threshold: float) -> float:
    right = sum(1 for s, t in zip(scores, truth, strict=True) if s > threshold and t)
    on = sum(1 for s in scores if s > threshold)
    size = on + int(truth.sum()) + missed
    return 2 * right / size if size else 1.0


@pytest.mark.parametrize("seed", range(20))
def test_the_best_threshold_is_that_of_a_sweep(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 8, 30).astype(np.float32)  # many are equal
    truth = scores + rng.normal(0, 3, 30) > rng.integers(0, 8)
    missed = int(rng.integers(0, 3))
    ours = best_threshold(scores, truth, missed)
    candidates = [float(np.nextafter(scores.min(), np.float32(-9))), *sorted(set(scores.tolist()))]
    values = [plain_f(scores, truth, missed, c) for c in candidates]
    assert ours == candidates[values.index(max(values))]  # of equal ones the lowest
    assert plain_f(scores, truth, missed, ours) == max(values)


def test_the_ends_of_the_sweep() -> None:
    scores = np.array([1.0, 2.0, 3.0], np.float32)
    assert best_threshold(scores, np.array([True, True, True]), 0) < 1  # everything on: the threshold is below all
    assert best_threshold(scores, np.array([False, False, False]), 0) == 3  # nothing on
    assert best_threshold(scores, np.array([False, True, True]), 0) == 1  # strictly above
    assert best_threshold(np.empty(0, np.float32), np.empty(0, bool), 2) == 0


def test_shrinkage_is_the_weighted_mean() -> None:
    data = videos()
    found = tune(data, ZEROS, Tuning(prior=10, passes=0))
    common = tune(data, ZEROS, Tuning(shared=True, passes=0))
    alone = tune(data, ZEROS, Tuning(prior=0, passes=0))
    for modality in MODALITIES:
        assert len(set(common[modality].tolist())) == 1
        count = np.isfinite(data.scores[modality]).any(axis=1).sum(axis=0)
        expected = (count * alone[modality] + 10 * common[modality]) / (count + 10)
        np.testing.assert_allclose(found[modality], expected, rtol=1e-5)
        assert count[-1] <= 3
    nobody = ScoredVideos({m: x.copy() for m, x in data.scores.items()}, data.truth)
    for modality in MODALITIES:
        nobody.scores[modality][..., -1] = -np.inf
        shrunk, shared = (tune(nobody, ZEROS, Tuning(passes=0, shared=s))[modality] for s in (False, True))
        assert shrunk[-1] == shared[-1]  # a class that no video has follows the others


@pytest.mark.parametrize("shared", [False, True])
def test_the_ascent_raises_the_official_type(shared: bool) -> None:
    for seed in range(3):
        data = videos(seed)
        metrics = []
        for passes in (0, 1, 4):
            found = tune(data, ZEROS, Tuning(passes=passes, shared=shared))
            on = [data.scores[m] > found[m] for m in MODALITIES]
            metrics.append(score_parsing(*on, *(data.truth[m] for m in MODALITIES)).as_dict()["segment_type"])
            assert data.score(found).as_dict()["segment_type"] == metrics[-1]
            assert not shared or all(len(set(x.tolist())) == 1 for x in found.values())
        assert metrics[0] <= metrics[1] + 1e-9 <= metrics[2] + 2e-9
        assert shared or metrics[2] > metrics[0]


def test_the_ascent_finds_the_best_of_a_single_threshold() -> None:
    """With one class and one modality to tune, one pass is an exhaustive search over the quantiles."""
    data = videos(3, classes=1)
    data = ScoredVideos(data.scores, data.truth, fixed=("audio",))
    given = {m: np.full(1, 0.5, np.float32) for m in MODALITIES}
    found = tune(data, given, Tuning(passes=1))
    assert found["audio"] == given["audio"]
    finite = data.scores["visual"][np.isfinite(data.scores["visual"])]
    values = [
        data.score({**given, "visual": np.array([x], np.float32)}).as_dict()["segment_type"]
        for x in np.quantile(finite, np.linspace(0, 1, 24), method="lower")
    ]
    assert data.score(found).as_dict()["segment_type"] >= max(values) - 1e-9


def test_no_video_is_judged_by_thresholds_that_saw_it() -> None:
    data, tuning = videos(4), Tuning(folds=4, passes=1)
    ours = cross_validate(data, ZEROS, tuning).per_video
    fold = np.random.default_rng(0).permutation(60) % 4
    for number in range(4):
        # Whatever the truth of the judged videos is, the thresholds that judge them are the same.
        blind = ScoredVideos(data.scores, {m: x & (fold != number)[:, None, None] for m, x in data.truth.items()})
        found = tune(blind.part(np.flatnonzero(fold != number)), ZEROS, tuning)
        judged = data.part(np.flatnonzero(fold == number)).score(found).per_video
        np.testing.assert_array_equal(ours[fold == number], judged)
    fitted = data.score(tune(data, ZEROS, tuning)).as_dict()["segment_type"]
    assert 100 * ours.mean(axis=0)[3] < fitted


# The command


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    store = toy_store(tmp_path_factory.mktemp("data") / "toy", videos=200, ragged=True)
    for scores in SimulatedTeacher(SimulatedTeacher.Config(hallucinate_visual=0.6))(store):
        scores.save(store)
    return store


SIMULATED = [
    f"pseudo_labels.{modality}.{key}" for modality in MODALITIES for key in ("teacher=simulated", "threshold=20")
]


def options(changes: list[str]) -> list[str]:
    return [part for change in changes for part in ("--set", change)]


def test_the_command_writes_a_recipe(
    store: FeatureStore, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    select = FeatureStore.select
    monkeypatch.setattr(FeatureStore, "select", lambda self, split: asked.append(split) or select(self, split))
    out = tmp_path / "tuned.yaml"
    code, text, _ = command("tune-thresholds", "valor", "--data", store.path, "-o", out, *options(SIMULATED))
    assert code == 0
    assert set(asked) == {"val"}  # never test
    assert "val videos, simulated teacher, percent" in text
    for row in ("weak label copied everywhere", "thresholds of the recipe", "5-fold cross-validated", "tuned on |"):
        assert row in text
    tuned, before = load_recipe(out), load_recipe("valor", SIMULATED)
    assert isinstance(tuned.pseudo_labels, PseudoLabels.Config)
    assert tuned.model_copy(update={"pseudo_labels": before.pseudo_labels}) == before
    val = select(store, "val")
    scored = {}
    for name, recipe in (("tuned", tuned), ("before", before)):
        assert isinstance(recipe.pseudo_labels, PseudoLabels.Config)
        labels = PseudoLabels(recipe.pseudo_labels)(store, val)
        from avparse.evaluation.pseudo_quality import score_segment_labels

        scored[name] = score_segment_labels(labels, store).scores.as_dict()
    assert scored["tuned"]["segment_type"] > scored["before"]["segment_type"]
    metrics = text.splitlines()[-2].split("|")
    assert float(metrics[5]) == pytest.approx(scored["tuned"]["segment_type"], abs=0.0501)  # what was promised
    code, _, err = command("tune-thresholds", "valor", "--data", store.path, "-o", out)
    assert (code, err) == (2, f"avparse: error: {out}: exists already; choose another name or remove it\n")


def test_other_classes_than_those_of_the_table_are_tuned_too(
    store: FeatureStore, command: Command, tmp_path: Path
) -> None:
    """The library's default recipe has VALOR's thresholds, which four toy classes are not among."""
    shutil.copytree(store.path, tmp_path / "store")
    for modality in MODALITIES:  # as if real teachers had been asked
        scores = load_scores(store, "simulated", modality)
        info = scores.info.model_copy(update={"teacher": "valor", "checkpoint": "theirs"})
        replace(scores, info=info).save(FeatureStore.open(tmp_path / "store"))
    out = tmp_path / "mine.yaml"
    code, text, err = command("tune-thresholds", "rlld-plus+valor", "--data", tmp_path / "store", "-o", out)
    assert (code, err) == (0, "")
    assert "thresholds of the recipe" not in text
    assert text.count("\n| tuned") == 2
    assert "simulated" not in text
    config = load_recipe(out).pseudo_labels
    assert isinstance(config, PseudoLabels.Config)
    for modality in MODALITIES:
        side = config.side(modality)
        assert side is not None
        assert isinstance(side.threshold, dict)
        assert tuple(side.threshold) == store.vocabulary.names
    code, text, _ = command("pseudo-labels", out, "--data", tmp_path / "store")
    assert code == 0
    assert "simulated" not in text


def test_more_folds_than_videos_are_refused(store: FeatureStore, command: Command, tmp_path: Path) -> None:
    count, out = len(store.select("val")), tmp_path / "tuned.yaml"
    base = ["tune-thresholds", "valor", "--data", store.path, "-o", out, *options(SIMULATED), "--prior", 5]
    code, _, err = command(*base, "--folds", count + 1)
    assert code == 2
    told = f"--folds is {count + 1}, but there are {count} videos to tune on; give at most {count}"
    assert err == f"avparse: error: {told}\n"
    assert not out.exists()
    data = videos(count=3)
    assert cross_validate(data, ZEROS, Tuning(folds=3, passes=0)).per_video.shape[0] == 3


def test_one_teacher_alone_and_one_threshold(store: FeatureStore, command: Command, tmp_path: Path) -> None:
    changes = ["pseudo_labels.visual.teacher=simulated", "pseudo_labels.visual.threshold=0.25"]
    out = tmp_path / "tuned.yaml"
    code, _, _ = command("tune-thresholds", "vplan", "--shared", "--data", store.path, "-o", out, *options(changes))
    assert code == 0
    config = load_recipe(out).pseudo_labels
    assert isinstance(config, PseudoLabels.Config)
    assert config.audio is None
    assert config.visual is not None
    assert isinstance(config.visual.threshold, float)


@pytest.mark.parametrize(
    ("recipe", "changes", "message"),
    [
        ("han", [], "han: the recipe makes no pseudo labels; choose one that does, such as 'vaplan'"),
        (
            "lsld",
            ["pseudo_labels.audio.teacher=simulated", "pseudo_labels.visual.teacher=simulated"],
            "lsld: labels of audio are decided by 'subset_argmax', not by thresholds",
        ),
        ("vplan", [], "no teacher 'vplan' of visual there; run: avparse teach"),
    ],
)
def test_what_cannot_be_tuned_is_said(
    store: FeatureStore, command: Command, tmp_path: Path, recipe: str, changes: list[str], message: str
) -> None:
    out = tmp_path / "tuned.yaml"
    code, _, err = command("tune-thresholds", recipe, "--data", store.path, "-o", out, *options(changes))
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert not out.exists()


def test_the_quality_of_a_recipe_and_of_a_run(store: FeatureStore, command: Command, tmp_path: Path) -> None:
    code, text, _ = command("pseudo-labels", "valor", "--data", store.path, "--per-class", *options(SIMULATED))
    assert code == 0
    assert text.startswith("Pseudo labels of VALOR, 40 val videos, simulated teacher, percent. Data: toy data.\n")
    assert "| pseudo labels |" in text
    assert "| Bark, audio |" in text
    small = ["parser.stem.width=8", "training.epochs=1", "training.batch_size=32", "denoiser.passes=2"]
    changes = [*small, "pseudo_labels.visual.teacher=simulated", "pseudo_labels.visual.threshold=0.25"]
    code, _, _ = command(
        "train", "vplan", "--data", store.path, "-o", tmp_path / "run", "--device", "cpu", *options(changes)
    )
    assert code == 0
    code, text, _ = command("pseudo-labels", tmp_path / "run", "--data", store.path, "--split", "train")
    assert code == 0
    assert [line.split(" of ")[0] for line in text.splitlines() if line.endswith(".") and "videos" in line] == [
        "Pseudo labels",
        "After pass 1",
        "After pass 2",
    ]
    for modality in MODALITIES:  # precision, recall and F of each, before and after
        rows = [line for line in text.splitlines() if line.startswith(f"| {modality} | ")]
        assert [row.count("|") for row in rows] == [5, 5, 5]
    code, _, err = command("pseudo-labels", tmp_path / "run", "--data", store.path, "--set", "nonsense=1")
    assert code == 2
    told = "is a run, whose recipe is fixed; leave '--set' out, or name a recipe instead"
    assert err == f"avparse: error: {tmp_path / 'run'}: {told}\n"
