"""Teachers' scores beside a store, and the simulated teacher."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avparse.app.run_teacher import run_teacher
from avparse.data.prompt_styles import prompt_style, published_thresholds, subsets_of
from avparse.data.scores import Subsets, TeacherInfo, TeacherScores, load_scores
from avparse.data.simulation.statistics import LabelStatistics
from avparse.data.simulation.truth import draw_truth
from avparse.data.store import FeatureStore
from avparse.data.store.block import Block
from avparse.data.store.format import StreamInfo
from avparse.data.store.writer import StoreWriter
from avparse.data.teachers.simulated import SimulatedTeacher
from avparse.data.vocabulary import LLP_CLASSES, MODALITIES, Vocabulary
from avparse.evaluation.pseudo_quality import score_segment_labels
from avparse.foundation.errors import UserError
from avparse.labels.pseudo import PseudoLabels
from tests.conftest import Command
from tests.toy import toy_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy_store(tmp_path_factory.mktemp("data") / "toy", videos=600, segments=9, ragged=True)


def simulated(store: FeatureStore, **settings: Any) -> dict[str, TeacherScores]:
    config = SimulatedTeacher.Config.model_validate(settings)
    return dict(zip(MODALITIES, SimulatedTeacher(config)(store), strict=True))


def rows_of(store: FeatureStore, indices: np.ndarray) -> np.ndarray:
    return np.concatenate([store.first_row[i] + np.arange(store.lengths[i]) for i in indices])


def decided(store: FeatureStore, scores: TeacherScores) -> np.ndarray:
    """What the teacher takes for active, in the order of its segments."""
    return scores.cosines(scores.rows(scores.videos)) > 0.2


# The cache


def random_scores(store: FeatureStore, indices: np.ndarray, dtype: str = "float32") -> TeacherScores:
    rng = np.random.default_rng(0)

    def unit(count: int) -> np.ndarray:
        x = rng.standard_normal((count, 7)).astype(np.float32)
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    classes = store.vocabulary.names
    info = TeacherInfo(
        teacher="random",
        modality="visual",
        checkpoint="numbers",
        logit_scale=50,
        segment_seconds=store.segment_seconds,
        classes=classes,
        prompts=classes,
        subset_prompts=("other", "a and b"),
    )
    lengths = store.lengths[indices]
    members = np.array([[0, 0, 0, 0], [1, 1, 0, 0]], dtype=bool)
    segments = unit(int(lengths.sum())).astype(dtype)
    videos = tuple(store.videos[i] for i in indices)
    return TeacherScores(info, videos, lengths, segments, unit(4), Subsets(members, unit(2)))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_is_cached_is_read(store: FeatureStore, dtype: str) -> None:
    train = store.select("train")
    scores = random_scores(store, train, dtype)
    path = scores.save(store)
    assert path == store.path / "teachers" / "random.visual.safetensors"
    found = load_scores(store, "random", "visual")
    assert found.info == scores.info
    assert found.videos == scores.videos
    assert found.segments.dtype == np.dtype(dtype)
    assert found.subsets is not None
    assert scores.subsets is not None
    for ours, theirs in (
        (scores.segments, found.segments),
        (scores.texts, found.texts),
        (scores.lengths, found.lengths),
        (scores.subsets.members, found.subsets.members),
        (scores.subsets.texts, found.subsets.texts),
    ):
        np.testing.assert_array_equal(ours, theirs)
    some = (scores.videos[5], scores.videos[2])
    rows = found.rows(some)
    starts = np.cumsum(scores.lengths) - scores.lengths
    expected = np.concatenate([starts[i] + np.arange(scores.lengths[i]) for i in (5, 2)])
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_allclose(
        found.cosines(rows), scores.segments[expected].astype(np.float32) @ scores.texts.T, rtol=1e-6
    )
    np.testing.assert_allclose(
        found.subset_cosines(rows, np.array([1])),
        scores.segments[expected].astype(np.float32) @ scores.subsets.texts[1:].T,
        rtol=1e-6,
    )
    FeatureStore.open(store.path).verify()  # the store is what it was


def test_a_missing_damaged_or_foreign_cache_is_refused(store: FeatureStore, tmp_path: Path) -> None:
    copied = tmp_path / "copy"
    shutil.copytree(store.path, copied, ignore=shutil.ignore_patterns("teachers"))
    other = FeatureStore.open(copied)
    with pytest.raises(UserError, match="no teacher 'random' of visual there; run: avparse teach"):
        load_scores(other, "random", "visual")
    path = random_scores(other, other.select("train")).save(other)
    with pytest.raises(UserError, match="did you mean 'random'"):
        load_scores(other, "randum", "visual")
    with pytest.raises(UserError, match=r"has not seen video 'toy0599'"):
        load_scores(other, "random", "visual").rows(("toy0599",))
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="checksum is wrong"):
        load_scores(other, "random", "visual")
    path.write_bytes(content[:100])
    with pytest.raises(UserError, match="cannot be read as a teacher's scores"):
        load_scores(other, "random", "visual")
    foreign = toy_store(tmp_path / "foreign", videos=600, segments=9, ragged=True, seed=1)
    path = random_scores(store, store.select("train")).save(store)
    (foreign.path / "teachers").mkdir()
    shutil.copy(path, foreign.path / "teachers")
    with pytest.raises(UserError, match=r"video 'toy\d+' has \d segments, in the store \d"):
        load_scores(foreign, "random", "visual")
    scores = random_scores(store, store.select("train"))
    with pytest.raises(UserError, match=r"its segments last 2 s, in the store 1 s"):
        replace(scores, info=scores.info.model_copy(update={"segment_seconds": 2.0})).save(store)
    with pytest.raises(UserError, match="other classes"):
        replace(scores, info=scores.info.model_copy(update={"classes": ("a", "b", "c", "d")})).save(store)


def test_wrong_arrays_are_refused(store: FeatureStore) -> None:
    scores = random_scores(store, store.select("train"))
    with pytest.raises(UserError, match="'segments' has shape"):
        replace(scores, segments=scores.segments[1:])
    with pytest.raises(UserError, match="'texts' are not all of length one"):
        replace(scores, texts=2 * scores.texts)
    blank = scores.segments.copy()
    blank[0] = 0  # nothing to embed
    replace(scores, segments=blank)
    with pytest.raises(UserError, match="no prompts for label subsets"):
        _ = replace(scores, subsets=None).known_subsets


def test_the_prompts_of_the_published_methods() -> None:
    valor = {
        m: dict(zip(LLP_CLASSES, prompt_style("valor").prompts(m).class_prompts(LLP_CLASSES), strict=True))
        for m in MODALITIES
    }
    assert valor["visual"]["Vacuum_cleaner"] == "A photo of a vaccum cleaner."  # as released
    assert valor["audio"]["Chicken_rooster"] == "This is a sound of chicken, rooster"
    assert prompt_style("vplan").visual.class_prompts(["Lawn_mower"]) == ("This photo contains the Lawn mower",)
    assert prompt_style("lsld").visual.class_prompts(["Lawn_mower"]) == ("Lawn_mower",)
    assert prompt_style("valor").audio.class_prompts(["Glass_break"]) == ("This is a sound of glass break",)
    subsets = subsets_of([[9, 0], [4], []])
    assert subsets == [(), (0,), (4,), (9,), (0, 9)]
    texts = prompt_style("lsld").audio.subset_prompts(LLP_CLASSES, subsets)
    assert texts[0] == "This is a sound of other"
    assert texts[-1] == "This is a sound of Speeching and playing the Cello"
    assert prompt_style("lsld").visual.subset_prompts(LLP_CLASSES, subsets)[-1] == "Speeching and playing the Cello"
    for modality, few in (
        ("audio", {"Cat": 6, "Frying_(food)": -2}),
        ("visual", {"Speech": 20, "Acoustic_guitar": 14}),
    ):
        assert tuple(published_thresholds("valor")[modality]) == LLP_CLASSES
        assert few.items() <= published_thresholds("valor")[modality].items()


# The simulated teacher


def test_the_simulated_teacher_repeats_itself(store: FeatureStore) -> None:
    first, again, other = simulated(store), simulated(store), simulated(store, seed=1)
    for modality in MODALITIES:
        np.testing.assert_array_equal(first[modality].segments, again[modality].segments)
        assert (first[modality].segments != other[modality].segments).any()
    assert (first["audio"].segments[:, :4] != first["visual"].segments[:, :4]).any()


def test_it_errs_at_the_stated_rates(store: FeatureStore) -> None:
    sure = {"miss_event": 0.0, "miss_audio": 0.0, "miss_visual": 0.0}
    quiet = {"hallucinate_audio": 0.0, "hallucinate_visual": 0.0}
    rows = rows_of(store, np.arange(len(store)))
    weak = np.repeat(store.weak, store.lengths, axis=0)
    for modality in MODALITIES:
        truth = np.asarray(store.truth(modality)[rows])  # type: ignore[index]
        perfect = decided(store, simulated(store, **sure, **quiet)[modality])
        np.testing.assert_array_equal(perfect, truth)
        missing = decided(store, simulated(store, **{**sure, "miss_audio": 0.3, "miss_visual": 0.3}, **quiet)[modality])
        assert not (missing & ~truth).any()
        assert (truth & ~missing).sum() / truth.sum() == pytest.approx(0.3, abs=0.05)
        seeing = decided(store, simulated(store, **sure, hallucinated=1.0, hallucinate_visual=0.15)[modality])
        assert not (seeing & ~weak & ~truth).any()
        assert (seeing >= truth).all()
        imagined = (seeing & ~truth)[weak & ~truth].mean()
        assert imagined == pytest.approx(0.15, abs=0.04)


def test_by_default_its_labels_are_as_good_as_published_ones(tmp_path: Path) -> None:
    """Of as many videos as LLP's test split has, drawn from LLP's statistics; features are not needed."""
    statistics, count, segments = LabelStatistics.load(), 1200, 10
    truth, classes = draw_truth(statistics, "test", count, segments, seed=0), len(statistics.classes)
    block = Block(
        videos=[f"v{n}" for n in range(count)],
        splits=["test"] * count,
        lengths=[segments] * count,
        durations=[float(segments)] * count,
        origins=["drawn"] * count,
        weak=truth.weak,
        streams={"nothing": np.zeros((count * segments, 1), dtype=np.float32)},
        truth={"audio": truth.audio.reshape(-1, classes), "visual": truth.visual.reshape(-1, classes)},
    )
    streams = {"nothing": StreamInfo(dimension=1, dtype="float32", extractor="none")}
    vocabulary = Vocabulary(statistics.classes)
    with StoreWriter.create(
        tmp_path / "s", vocabulary=vocabulary, streams=streams, segment_seconds=1.0, truth=True, description="drawn"
    ) as writer:
        writer.append(block)
    store = FeatureStore.open(tmp_path / "s")
    for scores in SimulatedTeacher(SimulatedTeacher.Config())(store):
        scores.save(store)
    side = {"teacher": "simulated", "score": "logit", "threshold": 20}
    config = PseudoLabels.Config.read({"audio": side, "visual": side}, "test")
    quality = score_segment_labels(PseudoLabels(config)(store, store.select("test")), store)
    # VALOR's labels, LLP's test split, segment level; a teacher that sees well (0.15) would be 20 points higher.
    published = (80.5, 61.7, 55.7, 66.0, 74.6)
    assert list(quality.scores.as_dict().values())[:5] == pytest.approx(
        published, abs=4
    )  # a teacher that sees well (0.15) is 20 points off


def test_a_setting_given_or_left_at_its_default_is_the_same_teacher(store: FeatureStore) -> None:
    """So that a table may write out what it stands on: neither scores nor description differ."""
    given, left = simulated(store, hallucinate_visual=0.65), simulated(store)
    for modality in MODALITIES:
        assert given[modality].info == left[modality].info
        np.testing.assert_array_equal(given[modality].segments, left[modality].segments)


def test_an_event_is_missed_as_a_whole(store: FeatureStore) -> None:
    settings = {"miss_event": 0.4, "miss_audio": 0, "miss_visual": 0, "hallucinate_audio": 0, "hallucinate_visual": 0}
    scores = simulated(store, **settings)["audio"]
    taken = decided(store, scores)
    truth = np.asarray(store.truth("audio")[rows_of(store, np.arange(len(store)))])  # type: ignore[index]
    missed = events = start = 0
    for length in store.lengths:
        for c in range(truth.shape[1]):
            column, seen = truth[start : start + length, c], taken[start : start + length, c]
            edges = np.flatnonzero(np.diff(np.concatenate(([0], column.astype(int), [0]))))
            for onset, offset in zip(edges[::2], edges[1::2], strict=True):
                assert seen[onset:offset].all() or not seen[onset:offset].any()
                events, missed = events + 1, missed + (not seen[onset])
        start += length
    assert missed / events == pytest.approx(0.4, abs=0.05)


def test_subsets_are_found_by_their_prompt(store: FeatureStore) -> None:
    """A segment in which the teacher is sure of both labels is nearest to the prompt that names both."""
    scores = simulated(store, spread=0.02)["audio"]
    cosines = scores.cosines(scores.rows(scores.videos))
    subsets = scores.known_subsets
    row = int(np.argmax(np.sort(cosines, axis=1)[:, -2]))
    first, second = np.argsort(cosines[row])[-2:]
    both = np.flatnonzero((subsets.members.sum(1) == 2) & subsets.members[:, first] & subsets.members[:, second])
    single = [np.flatnonzero((subsets.members.sum(1) == 1) & subsets.members[:, c])[0] for c in (first, second)]
    found = scores.subset_cosines(np.array([row]), np.array([*both, *single, 0]))[0]
    assert len(both) == 1
    assert found.argmax() == 0
    assert found[-1] == pytest.approx(0.2, abs=1e-5)  # "other" is as near as the threshold, everywhere
    assert not subsets.members[0].any()


def test_only_truth_can_be_simulated(store: FeatureStore, tmp_path: Path) -> None:
    part = toy_store(tmp_path / "part", videos=50, train_truth=False)
    scores = simulated(part)["audio"]
    assert set(scores.videos) == {part.videos[i] for i in np.flatnonzero(part.annotated)}
    assert not set(scores.videos) & {part.videos[i] for i in part.select("train")}


def test_the_command_line_asks_a_teacher(store: FeatureStore, command: Command) -> None:
    code, out, _ = command("teach", store.path, "--teacher", "simulated", "--set", "seed=3")
    assert code == 0
    assert out.split() == [str(store.path / "teachers" / f"simulated.{m}.safetensors") for m in MODALITIES]
    found = load_scores(store, "simulated", "visual")
    np.testing.assert_array_equal(found.segments, simulated(store, seed=3)["visual"].segments)
    code, _, err = command("teach", store.path, "--teacher", "simulatd")
    assert code == 2
    assert err == "avparse: error: unknown teacher 'simulatd'; did you mean 'simulated'?\n"
    with pytest.raises(UserError, match=r"unknown key 'mis_event'; did you mean 'miss_event'"):
        run_teacher(store, "simulated", ["mis_event=0.2"])
