"""Class logits of a teacher: kept beside a store as embeddings are, and good for pseudo labels that need no cosines."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from avparse.app.run_teacher import run_teacher
from avparse.data.prompt_styles import prompt_style
from avparse.data.scores import ScoreTable, TeacherInfo, TeacherScores, load_scores
from avparse.data.store import FeatureStore
from avparse.data.teachers import TEACHERS
from avparse.foundation.errors import UserError
from avparse.foundation.settings import PartConfig
from avparse.labels.pseudo import PseudoLabels
from avparse.training.denoisers.plus_evidence import centre_and_scale, teacher_evidence
from avparse.training.recipe import load_recipe
from avparse.training.run import Run
from avparse.training.train import train
from tests.conftest import Command
from tests.toy import toy_store

SPREAD = 2.0


class TemporalTeacher:
    """Like the temporal teacher of UWAV: one network a modality that sees a whole video and gives class logits."""

    class Config(PartConfig):
        name: Literal["temporal"] = "temporal"
        doubt: float = 0.5

    def __init__(self, config: Config) -> None:
        self.config = config

    def __call__(self, store: FeatureStore) -> Iterator[ScoreTable]:
        for modality in ("audio", "visual"):
            truth = store.truth(modality)
            assert truth is not None
            noise = np.random.default_rng(0).normal(0, self.config.doubt, truth.shape)
            logits = (np.where(truth, SPREAD, -SPREAD) + noise).astype(np.float32)
            logits[~store.present[:, ("audio", "visual").index(modality)]] = np.nan
            yield ScoreTable(info(store, modality), tuple(store.videos), store.lengths, logits)


def info(store: FeatureStore, modality: str = "audio", teacher: str = "temporal") -> TeacherInfo:
    return TeacherInfo(
        teacher=teacher,
        modality=modality,  # type: ignore[arg-type]
        checkpoint="of this test",
        segment_seconds=store.segment_seconds,
        classes=store.vocabulary.names,
    )


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FeatureStore:
    monkeypatch.setitem(TEACHERS, "temporal", TemporalTeacher)
    return toy_store(tmp_path / "store", silent=("toy0003",), blind=("toy0006",))


def sides(**settings: Any) -> dict[str, Any]:
    side = {"teacher": "temporal", "score": "logit", "threshold": 0.0, **settings}
    return {"audio": side, "visual": side}


def test_a_teacher_of_ones_own_is_taught_and_trained_from(
    store: FeatureStore, tmp_path: Path, command: Command
) -> None:
    code, out, err = command("teach", store.path, "--teacher", "temporal", "--set", "doubt=0")
    assert code == 0, err
    assert len(out.splitlines()) == 2
    making = PseudoLabels(PseudoLabels.Config.read(sides(target="sigmoid_margin"), "test"))
    labels = making(store, store.select("train"))
    assert labels.audio is not None
    truth, mask = store.dense_truth(store.select("train"))[0::2]
    certain = 1 / (1 + np.exp(-SPREAD))  # a soft label: the sigmoid of the logit above its threshold
    expected = np.where(truth[mask], certain, 1 - certain)
    allowed = np.repeat(store.weak[store.select("train")], store.lengths[store.select("train")], axis=0)
    present = store.present[store.first_row[store.select("train")][0] : len(allowed), :1]
    np.testing.assert_allclose(labels.audio, expected * (allowed & present), atol=2e-3)
    recipe = load_recipe("vaplan", ["training.epochs=1", "training.batch_size=16", "parser.stem.width=8"])
    changed = recipe.model_copy(update={"pseudo_labels": PseudoLabels.Config.read(sides(), "test")})
    run = train(changed, store, tmp_path / "run")
    assert (Run.open(run.path).path / "results.json").is_file()
    code, out, err = command("pseudo-labels", run.path, "--data", store.path)
    assert code == 0, err
    code, out, err = command(
        "tune-thresholds", run.path / "recipe.yaml", "--data", store.path, "-o", tmp_path / "tuned.yaml"
    )
    assert code == 0, err
    assert load_recipe(tmp_path / "tuned.yaml").pseudo_labels is not None


def test_one_loader_gives_whichever_kind_is_there(store: FeatureStore) -> None:
    run_teacher(store, "temporal", ["doubt=0"])
    run_teacher(store, "simulated")
    table, embedded = (load_scores(store, name, "visual") for name in ("temporal", "simulated"))
    assert isinstance(table, ScoreTable)
    assert isinstance(embedded, TeacherScores)
    rows = table.rows(tuple(store.videos[5:8]))
    present = store.present[rows, 1]
    np.testing.assert_array_equal(table.known(rows), present)
    truth = store.truth("visual")
    assert truth is not None
    np.testing.assert_array_equal(table.logits(rows), np.where(truth[rows], SPREAD, -SPREAD) * present[:, None])
    np.testing.assert_array_equal(embedded.logits(rows), embedded.cosines(rows) * np.float32(100))


def test_damaged_and_foreign_tables_are_refused(store: FeatureStore, tmp_path: Path) -> None:
    (path, _), _ = run_teacher(store, "temporal")
    content = path.read_bytes()
    path.write_bytes(content[:-3] + b"abc")
    with pytest.raises(UserError, match="its checksum is wrong"):
        load_scores(store, "temporal", "audio")
    path.write_bytes(content[:100])
    with pytest.raises(UserError, match="cannot be read as a teacher's scores"):
        load_scores(store, "temporal", "audio")
    with pytest.raises(UserError, match=r"no teacher 'temporl' of visual there.*did you mean 'temporal'"):
        load_scores(store, "temporl", "visual")
    path.write_bytes(content)
    table = load_scores(store, "temporal", "audio")
    assert isinstance(table, ScoreTable)
    other = toy_store(tmp_path / "other", classes=("Bark", "Bell", "Engine", "Song"))
    with pytest.raises(UserError, match="made for other classes"):
        table.save(other)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([np.inf, 0, 0, 0], "a logit is infinite or NaN"),
        ([np.nan, 0, 0, 0], "a logit is infinite or NaN"),
        ([0, 0, 0], r"'logits' has shape \(1, 3\), expected \(1, 4\)"),
    ],
)
def test_bad_logits_are_refused(row: list[float], message: str, store: FeatureStore) -> None:
    with pytest.raises(UserError, match=message):
        ScoreTable(info(store), ("a",), np.array([1]), np.array([row]))


def test_of_logits_the_cosine_is_the_probability_and_the_nearest_subset_the_likeliest(store: FeatureStore) -> None:
    run_teacher(store, "temporal", ["doubt=2"])
    table, train_split = load_scores(store, "temporal", "audio"), store.select("train")
    rows = table.rows(tuple(store.videos[i] for i in train_split))
    known, logits = table.known(rows)[:, None], table.logits(rows)
    weak = np.repeat(store.weak[train_split], store.lengths[train_split], axis=0)
    probability = np.where(known, 1 / (1 + np.exp(-logits)), 0)
    np.testing.assert_allclose(table.similarities(rows), np.where(known, probability, 0), atol=1e-6)

    def made(**settings: Any) -> np.ndarray:
        labels = PseudoLabels(PseudoLabels.Config.read({"audio": sides(**settings)["audio"]}, "test"))
        found = labels(store, train_split).audio
        assert found is not None
        return found.astype(np.float32)

    allowed = weak & known
    np.testing.assert_array_equal(made(score="cosine", threshold=0.7), (probability > 0.7) & allowed)
    lsld = {"decide": "subset_argmax", "threshold": None, "score": "cosine"}
    subset = made(**lsld)
    np.testing.assert_array_equal(subset, (probability > 0.5) & allowed)
    for row, given, mine in zip(probability, weak, subset, strict=True):
        options = [np.array(bits) & given for bits in np.ndindex(*(2,) * len(given))]
        best = max(options, key=lambda bits: np.prod(np.where(bits, row, 1 - row)[given]))
        if row.any():
            np.testing.assert_array_equal(mine > 0, best > 0)
    softened = made(**lsld, target="overlap")
    changed = softened != subset
    assert changed.any()
    assert not (changed & (subset > 0)).any()  # four times a probability above one half is no label
    np.testing.assert_allclose(softened[changed], 0.4 * probability[changed], atol=2e-3)
    with pytest.raises(UserError, match=r"audio\.threshold: the table 'valor' is of scaled cosines.*set it to 0, or"):
        made(threshold="valor")


def test_a_class_that_no_teacher_can_judge_keeps_the_word_of_the_weak_label(store: FeatureStore) -> None:
    run_teacher(store, "temporal")
    table = load_scores(store, "temporal", "audio")
    assert isinstance(table, ScoreTable)
    train_split, first = store.select("train"), int(store.select("train")[0])
    blind = table.table.copy()
    blind[store.first_row[first]] = np.nan
    blind[:, 1] = np.nan
    about = table.info.model_copy(update={"unjudged": (store.vocabulary.names[1],)})
    with pytest.raises(UserError, match="a logit of a class that it cannot judge"):
        ScoreTable(about, table.videos, table.lengths, table.table)
    ScoreTable(about, table.videos, table.lengths, blind).save(store)
    told = load_scores(store, "temporal", "audio")
    assert told.info.judged.tolist() == [True, False, True, True]
    assert np.isfinite(told.logits(np.arange(len(blind)))).all()
    weak = np.repeat(store.weak[train_split], store.lengths[train_split], axis=0)
    rows = told.rows(tuple(store.videos[i] for i in train_split))
    word = weak[:, 1] & store.present[rows, 0]
    lsld = {"decide": "subset_argmax", "threshold": None, "score": "cosine", "target": "overlap"}
    top = {"decide": "top_mass", "threshold": None}
    shares, margin = {"norm": "softmax", "threshold": 0.3}, {"target": "sigmoid_margin"}
    for settings in ({}, shares, margin, {"filter": "none"}, lsld, top):
        config = PseudoLabels.Config.read({"audio": sides(**settings)["audio"]}, "test")
        labels = PseudoLabels(config)(store, train_split).audio
        assert labels is not None
        np.testing.assert_array_equal(labels[:, 1], word)
        assert np.isnan(labels[0]).any() == store.weak[first, [0, 2, 3]].any() or settings == {"filter": "none"}
        scores = PseudoLabels(config).scores(store, train_split, "audio")
        assert scores is not None
        np.testing.assert_array_equal(scores[:, 1], np.where(word, np.inf, -np.inf))
        if settings.get("norm") == "softmax":
            shown = scores[rows != rows[0]][:, [0, 2, 3]]
            np.testing.assert_allclose(shown[np.isfinite(shown).all(axis=1)].sum(axis=1), 1, atol=1e-5)
    evidence = teacher_evidence(PseudoLabels.Config.read({"audio": sides()["audio"]}, "test"), store, train_split)
    assert evidence[:, 1].isnan().all()
    assert evidence[1:, [0, 2, 3]].isfinite().all()
    centre, scale = centre_and_scale(evidence[:, 1])
    assert (centre.tolist(), scale.tolist()) == ([0, 0], [1, 1])


def test_labels_are_unknown_where_the_teacher_cannot_tell(store: FeatureStore) -> None:
    run_teacher(store, "temporal", ["doubt=0"])
    table = load_scores(store, "temporal", "audio")
    assert isinstance(table, ScoreTable)
    first = int(store.select("train")[0])
    blind = table.table.copy()
    blind[store.first_row[first]] = np.nan
    replace(table, table=blind).save(store)
    for settings in ({}, {"target": "sigmoid_margin"}, {"decide": "top_mass", "threshold": None}):
        making = PseudoLabels(PseudoLabels.Config.read(sides(**settings), "test"))
        labels = making(store, np.array([first])).audio
        assert labels is not None
        present = bool(store.present[store.first_row[first], 0])
        np.testing.assert_array_equal(np.isnan(labels[0]), store.weak[first] & present)
        assert np.isfinite(labels[1:]).all()


def test_a_style_of_ones_own_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "audio: {template: 'Hear {}!', naming: lower, phrases: {Dog: a barking dog}}\n"
        "teachers: {clap: {checkpoint: mine/clap}}\n"
    )
    style = prompt_style(str(path))
    assert style.audio.class_prompts(["Dog", "Lawn_mower"]) == ("Hear a barking dog!", "Hear lawn mower!")
    assert style.visual.class_prompts(["Lawn_mower"]) == ("Lawn_mower",)
    config = TEACHERS["clap"].Config.read({"style": str(path)}, "test")  # type: ignore[attr-defined]
    assert (config.teacher, config.checkpoint) == ("mine", "mine/clap")
    path.write_text("audio: {template: Hear}\n")
    with pytest.raises(UserError, match=r"mine.yaml: audio.template: 'Hear' has no place for the class; write \{\}"):
        prompt_style(str(path))
    path.write_text("audio: {templat: Hear}\n")
    with pytest.raises(UserError, match=r"unknown key 'audio.templat'; did you mean 'template'"):
        prompt_style(str(path))
    with pytest.raises(UserError, match=r"absent.yaml: cannot be read"):
        prompt_style(str(tmp_path / "absent.yaml"))


@pytest.mark.slow
def test_labels_read_scores_without_the_networks_of_teachers() -> None:
    heavy = "'data.teachers' in m or 'towers.cl' in m or m == 'transformers'"
    code = f"import sys, avparse.labels.pseudo; print(*(m for m in sys.modules if {heavy}))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""
