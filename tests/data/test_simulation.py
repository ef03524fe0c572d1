"""The simulator: labels and truth against the counted statistics, features against their equations, the store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from avparse.data.datasets.llp import read_llp
from avparse.data.simulation.features import draw_features
from avparse.data.simulation.label_sets import draw_label_sets
from avparse.data.simulation.simulate import simulate
from avparse.data.simulation.statistics import LabelStatistics
from avparse.data.simulation.timelines import fit_timelines
from avparse.data.simulation.truth import Truth, draw_truth, truth_for_labels
from avparse.data.simulation.world import CONFUSABLE, SCENES, Knobs, World
from avparse.data.store import FeatureStore
from avparse.data.vocabulary import LLP_CLASSES
from avparse.evaluation.parsing import score_parsing
from avparse.foundation.errors import UserError
from avparse.models.class_vectors.tensor import TensorVectors

SILENT = Knobs(
    snr_audio=200, snr_visual=200, confusability=0, prototype=1, mode=0, gain_spread=0, scene=0, bleed=0.15, modes=1
)


@pytest.fixture(scope="module")
def statistics() -> LabelStatistics:
    return LabelStatistics.load()


@pytest.fixture(scope="module")
def scored_truth(statistics: LabelStatistics) -> Truth:
    return draw_truth(statistics, "test", 6000, 10, seed=11)


@pytest.fixture(scope="module")
def train_truth(statistics: LabelStatistics) -> Truth:
    return draw_truth(statistics, "train", 6000, 10, seed=12)


# Statistics


def test_statistics_follow_the_published_counts(statistics: LabelStatistics) -> None:
    assert statistics.classes == LLP_CLASSES
    assert statistics.frequency["train"][0] == 0.4988
    assert statistics.label_counts["train"][2] == 0.5879
    assert statistics.frequency["test"].sum() == pytest.approx(3348 / 1849)
    np.testing.assert_allclose(statistics.states.sum(1), 1)
    assert statistics.audio.run_length[0] == pytest.approx(3.6285, abs=1e-3)
    assert statistics.missing("train")[LLP_CLASSES.index("Clapping")] > 0.05
    assert statistics.missing("test").sum() * 1849 == pytest.approx(65, abs=5)  # counted pairs without a label


def test_restricted_statistics_keep_order_and_number_of_labels(statistics: LabelStatistics) -> None:
    names = ("Dog", "Speech", "Cello", "Violin_fiddle", "Clapping", "Car")
    few = statistics.restricted_to(names)
    assert few.classes == names
    assert few.cooccurrence[2, 3] == 516
    weak = draw_label_sets(few, "train", 4000, np.random.default_rng(0))
    assert weak.sum(1).mean() == pytest.approx(1.6, abs=0.05)
    assert draw_truth(statistics.restricted_to(["Dog"]), "val", 5, 10, 0).weak.all()
    with pytest.raises(UserError, match="did you mean 'Dog'"):
        statistics.restricted_to(["Dogs"])


def test_label_sets_have_the_frequencies_counts_and_pairs(statistics: LabelStatistics) -> None:
    weak = draw_label_sets(statistics, "train", 40000, np.random.default_rng(1))
    np.testing.assert_allclose(weak.mean(0), statistics.frequency["train"], atol=0.008)
    shares = np.bincount(weak.sum(1), minlength=5)[:4] / len(weak)
    np.testing.assert_allclose(shares, statistics.label_counts["train"], atol=0.008)
    pairs = weak.T.astype(float) @ weak / 4
    frequent = statistics.cooccurrence > 100
    np.testing.assert_allclose(pairs[frequent], statistics.cooccurrence[frequent], rtol=0.35)
    assert np.corrcoef(pairs[frequent], statistics.cooccurrence[frequent])[0, 1] > 0.995


# Truth


def test_truth_has_the_shares_and_densities_of_llp(scored_truth: Truth) -> None:
    weak, heard, seen = scored_truth.weak, scored_truth.audio.any(1), scored_truth.visual.any(1)
    assert heard[weak].mean() == pytest.approx(0.947, abs=0.015)
    assert seen[weak].mean() == pytest.approx(0.645, abs=0.02)
    assert (heard & seen)[weak].mean() == pytest.approx(0.603, abs=0.02)
    assert scored_truth.audio.mean() == pytest.approx(0.049, abs=0.0015)
    assert scored_truth.visual.mean() == pytest.approx(0.0387, abs=0.0015)
    assert (scored_truth.audio & scored_truth.visual).mean() == pytest.approx(0.0317, abs=0.0015)
    assert (heard | seen).any(1).all()
    assert (~scored_truth.audio.any(2)).mean() == pytest.approx(0.103, abs=0.03)
    assert (~scored_truth.visual.any(2)).mean() == pytest.approx(0.196, abs=0.03)
    assert ((heard | seen) & ~weak).sum() / len(weak) == pytest.approx(65 / 1849, abs=0.01)


def test_weak_labels_read_as_modality_labels_are_as_noisy_as_in_llp(train_truth: Truth, scored_truth: Truth) -> None:
    for truth in (train_truth, scored_truth):
        assert 0.34 <= 1 - truth.visual.any(1)[truth.weak].mean() <= 0.37
        assert 0.04 <= 1 - truth.audio.any(1)[truth.weak].mean() <= 0.06


def test_train_holds_unlabelled_events_as_often_as_val_and_test_have_more(
    statistics: LabelStatistics, train_truth: Truth
) -> None:
    there = train_truth.audio.any(1) | train_truth.visual.any(1)
    unlabelled = (there & ~train_truth.weak).mean(0)
    np.testing.assert_allclose(unlabelled, statistics.missing("train"), atol=0.008)
    assert not (train_truth.visual.any(1) & ~train_truth.weak).any()
    clapping, cheering = LLP_CLASSES.index("Clapping"), LLP_CLASSES.index("Cheering")
    beside = (there & ~train_truth.weak)[train_truth.weak[:, cheering], clapping].mean()
    assert beside > unlabelled[clapping]


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        ("weak", [76.12, 60.35, 52.61, 63.03, 71.73, 63.03, 55.75, 44.69, 54.49, 61.6]),
        ("nothing", [0.5, 10.08, 14.5, 8.36, 0.0, 0.5, 10.08, 14.5, 8.36, 0.0]),
        ("modality", [80.14, 89.8, 82.78, 84.24, 81.96, 66.11, 83.69, 71.41, 73.74, 68.27]),
        ("audio", [100.0, 57.4, 63.89, 73.76, 81.36, 100.0, 52.85, 62.62, 71.82, 79.87]),
    ],
)
def test_reference_points_of_the_test_split(scored_truth: Truth, reading: str, expected: list[float]) -> None:
    audio, visual = scored_truth.audio, scored_truth.visual
    everywhere = np.ones_like(audio)
    weak = everywhere & scored_truth.weak[:, None]
    predicted = {
        "weak": (weak, weak),
        "nothing": (~everywhere, ~everywhere),
        "modality": (everywhere & audio.any(1, keepdims=True), everywhere & visual.any(1, keepdims=True)),
        "audio": (audio, audio),
    }[reading]
    found = list(score_parsing(*predicted, audio, visual).as_dict().values())
    np.testing.assert_allclose(found, expected, atol=2.2)


def test_timelines_keep_histograms_and_the_two_modalities_meet_as_counted(statistics: LabelStatistics) -> None:
    model = fit_timelines(statistics)
    active = model.timelines.sum(1)
    for modality, of in ((model.audio, statistics.audio), (model.visual, statistics.visual)):
        shares = np.stack([modality[:, active == n].sum(1) for n in range(1, 11)], axis=1)
        np.testing.assert_allclose(shares, of.active / of.videos[:, None], atol=2e-3)
    generator = np.random.default_rng(3)
    for name in ("Speech", "Cat", "Violin_fiddle", "Fire_alarm", "Helicopter"):
        c = LLP_CLASSES.index(name)
        audio = model.draw("audio", c, generator.random(4000))
        visual = model.draw_visual(c, audio, generator.random(4000))
        iou = model.iou[audio, visual]
        assert (audio == visual).mean() == pytest.approx(statistics.identical[c], abs=0.03)
        assert iou.mean() == pytest.approx(statistics.iou[c], abs=0.03)
        assert (iou > 0).mean() == pytest.approx(statistics.overlapping[c], abs=0.04)
        wanted = model.visual[c] @ active
        assert active[visual].mean() == pytest.approx(wanted, abs=0.2)


def test_truth_depends_on_seed_and_split_only(statistics: LabelStatistics) -> None:
    def drawn(split: str, seed: int) -> bytes:
        truth = draw_truth(statistics, split, 50, 10, seed)  # type: ignore[arg-type]
        return truth.weak.tobytes() + truth.audio.tobytes() + truth.visual.tobytes()

    assert drawn("val", 1) == drawn("val", 1)
    assert len({drawn("val", 1), drawn("val", 2), drawn("test", 1)}) == 3
    weak = draw_truth(statistics, "val", 50, 10, 1).weak
    assert (truth_for_labels(statistics, weak, 10, 1, "val").weak == weak).all()


@pytest.mark.parametrize("segments", [1, 4, 7, 20, 33])
def test_any_number_of_segments_keeps_events_and_density(statistics: LabelStatistics, segments: int) -> None:
    ten, other = (draw_truth(statistics, "test", 400, t, seed=5) for t in (10, segments))
    assert (ten.weak == other.weak).all()
    assert (ten.audio.any(1) == other.audio.any(1)).all()
    assert (ten.visual.any(1) == other.visual.any(1)).all()
    if segments > 3:
        assert other.audio.mean() == pytest.approx(ten.audio.mean(), rel=0.1)


def test_degenerate_requests_do_not_fail(statistics: LabelStatistics) -> None:
    assert len(draw_truth(statistics, "train", 0, 10, 0)) == 0
    assert len(draw_truth(statistics, "train", 1, 10, 0)) == 1
    unlabelled = truth_for_labels(statistics, np.zeros((3, 25), dtype=bool), 10, 0)
    assert not unlabelled.weak.any()


# Features


def _truth(videos: int, segments: int = 10) -> tuple[np.ndarray, np.ndarray]:
    shape = (videos, segments, len(LLP_CLASSES))
    return np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)


def test_features_without_noise_are_the_equations() -> None:
    world = World.draw(LLP_CLASSES, 0, SILENT)
    audio, visual = _truth(2)
    audio[0, 2:5, 3] = visual[0, :, 3] = visual[1, 9, 7] = audio[0, 0, 8] = True
    streams = draw_features(world, audio, visual, np.random.default_rng(0))
    for name, active in (("audio", audio), ("frames", visual), ("clips", visual)):
        space = world.spaces[name]
        before = np.concatenate([active[:, :1], active[:, :-1]], axis=1)
        after = np.concatenate([active[:, 1:], active[:, -1:]], axis=1)
        latent = (0.7 * active + 0.15 * before + 0.15 * after) @ space.prototypes
        expected = latent.reshape(20, -1) @ space.projection
        expected = np.maximum(0, 0.35 * expected + 0.4) if name == "frames" else 0.5 * expected
        np.testing.assert_allclose(streams[name], expected, atol=1e-4)


def test_noise_has_the_energy_and_persistence_of_the_knobs() -> None:
    world = World.draw(LLP_CLASSES, 0)
    audio, visual = _truth(800)
    streams = draw_features(world, audio, visual, np.random.default_rng(0))
    for name, snr in (("audio", -8.0), ("clips", -14.0)):
        x = streams[name].reshape(800, 10, -1) / 0.5
        sigma2 = 10 ** (-snr / 10)
        assert (x**2).mean() == pytest.approx(sigma2 / (1 + sigma2), rel=0.03)
        lag = [float((x[:, t:] * x[:, : 10 - t]).mean() / (x**2).mean()) for t in (1, 4)]
        assert lag == pytest.approx([0.5 + 0.25 * 0.8, 0.5 + 0.25 * 0.8**4], abs=0.02)
    assert streams["frames"].min() == 0
    assert streams["frames"].dtype == np.float32


def test_signal_to_noise_is_what_the_knobs_say() -> None:
    """The mean square length of an event's appearance is one, so the ratio is the noise alone."""
    loud = World.draw(LLP_CLASSES, 0, Knobs(snr_audio=200, snr_visual=200, scene=0, gain_spread=0, bleed=0))
    audio, visual = _truth(500)
    audio[:, :, 5] = visual[:, :, 5] = True
    streams = draw_features(loud, audio, visual, np.random.default_rng(1))
    assert (streams["audio"] ** 2).mean() / 0.25 == pytest.approx(1, rel=0.1)
    assert (streams["clips"] ** 2).mean() / 0.25 == pytest.approx(1, rel=0.1)


def test_scene_cue_of_a_sound_is_in_the_picture_too() -> None:
    knobs = SILENT.model_copy(update={"scene": 0.5})
    world = World.draw(LLP_CLASSES, 0, knobs)
    audio, visual = _truth(300)
    audio[:, 3, 0] = True
    clips = draw_features(world, audio, visual, np.random.default_rng(0))["clips"].reshape(300, 10, -1)
    assert np.ptp(clips, axis=1).max() < 1e-4  # constant over the video
    cue = 0.5 * world.spaces["clips"].cues[0] @ world.spaces["clips"].projection
    strength = clips[:, 0] @ cue / (cue @ cue) / 0.5
    assert strength.mean() == pytest.approx(
        np.abs(1 + 0.5 * np.random.default_rng(1).normal(size=10**5)).mean(), abs=0.1
    )


def test_confusable_classes_and_scenes_lean_on_each_other() -> None:
    near, far, scene = [], [], []
    for seed in range(10):
        space = World.draw(LLP_CLASSES, seed).spaces["frames"]
        likeness = space.prototypes @ space.prototypes.T
        for one, other in CONFUSABLE:
            near.append(likeness[LLP_CLASSES.index(one), LLP_CLASSES.index(other)])
        far.append(likeness[0, 1])
        people = [LLP_CLASSES.index(name) for name in SCENES[0][:2]]
        scene.append(space.cues[people[0]] @ space.cues[people[1]])
    assert np.mean(near) == pytest.approx(0.5, abs=0.05)
    assert np.mean(scene) == pytest.approx(0.5, abs=0.1)
    assert np.mean(far) == pytest.approx(0, abs=0.1)
    assert {name for group in SCENES for name in group} == set(LLP_CLASSES)


def test_bad_knobs_are_refused() -> None:
    with pytest.raises(UserError, match="must not exceed 1"):
        Knobs.read({"prototype": 0.7, "mode": 0.7}, "simulate")
    with pytest.raises(UserError, match="did you mean 'snr_audio'"):
        Knobs.read({"snr_audi": 0}, "simulate")


# The store


@pytest.mark.slow
def test_store_is_equal_whatever_the_number_of_workers(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for workers in (0, 1, 2):
            simulate(tmp_path / str(workers), seed=3, train=450, val=20, test=30, workers=workers)
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    none, one, two = (tmp_path / name for name in "012")
    files = {path.name for path in one.iterdir()}
    assert {"audio.npy", "frames.npy", "clips.npy", "annotations.json", "manifest.json"} <= files
    for name in files:
        assert (none / name).read_bytes() == (one / name).read_bytes() == (two / name).read_bytes(), name
    store = FeatureStore.open(one)
    store.verify()
    assert store.manifest.description.startswith("simulated")
    assert '"snr_audio":-8.0' in store.manifest.description
    assert "seed 3" in store.manifest.description
    assert {name: info.dimension for name, info in store.streams.items()} == {
        "audio": 128,
        "frames": 2048,
        "clips": 512,
    }
    assert list(np.unique(store.splits, return_counts=True)[1]) == [30, 450, 20]
    assert store.annotated.all()
    assert np.isfinite(store.stream("frames")).all()


@pytest.mark.slow
def test_a_split_does_not_depend_on_the_size_of_others(tmp_path: Path) -> None:
    simulate(tmp_path / "a", train=30, val=0, test=20, dtype="float16", segments=4)
    simulate(tmp_path / "b", train=50, val=10, test=20, dtype="float16", segments=4)
    a, b = (FeatureStore.open(tmp_path / name) for name in "ab")
    assert a.stream("frames").dtype == np.float16
    for modality in ("audio", "visual"):
        assert (np.array(a.truth(modality))[-80:] == np.array(b.truth(modality))[-80:]).all()
    assert (np.array(a.stream("clips"))[-80:] == np.array(b.stream("clips"))[-80:]).all()
    simulate(tmp_path / "c", seed=1, train=30, val=0, test=20, dtype="float16", segments=4)
    assert (np.array(a.stream("clips")) != np.array(FeatureStore.open(tmp_path / "c").stream("clips"))).mean() > 0.9


@pytest.mark.slow
def test_official_tables_are_kept_and_train_truth_is_drawn(shared: Path, tmp_path: Path) -> None:
    tables = read_llp(shared / "data" / "llp")
    simulate(tmp_path / "store", train=300, val=40, test=50, annotations=shared / "data" / "llp", dtype="float16")
    store = FeatureStore.open(tmp_path / "store")
    assert store.videos[:300] == tables.of_split("train")[:300]
    assert store.videos[-50:] == tables.of_split("test")[:50]
    assert (store.weak == np.array([tables.videos[video].weak for video in store.videos])).all()
    truth = {m: np.array(store.truth(m)).reshape(390, 10, 25) for m in ("audio", "visual")}
    for n in range(300, 390):
        for modality in truth:
            dense = tables.dense(store.videos[n], modality, 10)
            assert dense is not None
            assert (truth[modality][n] == dense).all()
    labelled = store.weak[:300]
    assert truth["audio"][:300].any(1)[labelled].mean() > 0.9
    assert 0.55 < truth["visual"][:300].any(1)[labelled].mean() < 0.75
    assert "official annotations" in store.manifest.description


def test_bad_requests_leave_nothing(tmp_path: Path) -> None:
    out = tmp_path / "store"
    for arguments, message in (
        ({"seed": -1}, "'seed' is -1"),
        ({"segments": 0}, "'segments' is 0"),
        ({"workers": -1}, "'workers' is -1; give at least 0"),
        ({"train": -5}, "'train' is -5"),
        ({"train": 0, "val": 0, "test": 0}, "all 0"),
        ({"dtype": "float8", "train": 5, "val": 0, "test": 0}, "float8"),
        ({"annotations": tmp_path, "segments": 20}, "leave it out"),
        ({"annotations": tmp_path}, "no LLP tables"),
    ):
        with pytest.raises(UserError, match=message) as error:
            simulate(out, **arguments)  # type: ignore[arg-type]
        assert "\n" not in str(error.value)
        assert not list(tmp_path.iterdir())
    (tmp_path / "store").mkdir()
    with pytest.raises(UserError, match="exists"):
        simulate(out, train=5, val=0, test=0)


def test_label_vectors_tell_what_classes_are_like(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"v\.txt: label vectors are written as \.npz"):
        simulate(tmp_path / "store", train=5, val=0, test=0, seed=3, label_vectors=tmp_path / "v.txt")
    assert not list(tmp_path.iterdir())
    simulate(tmp_path / "store", train=5, val=0, test=0, seed=3, label_vectors=tmp_path / "v.npz")
    source = TensorVectors.Config(path=str(tmp_path / "v.npz"), dimension=64 + 256 + 128)
    vectors = TensorVectors(source)(LLP_CLASSES[::-1])[::-1]
    np.testing.assert_allclose(np.square(vectors).mean(1), 1 / 9, rtol=1e-5)
    world = World.draw(LLP_CLASSES, 3)
    for c, vector in enumerate(vectors):
        prototypes = np.concatenate([space.prototypes[c] for space in world.spaces.values()])
        np.testing.assert_allclose(vector / np.linalg.norm(vector), prototypes / np.linalg.norm(prototypes), rtol=1e-4)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit.T
    alike = np.zeros_like(cosines, dtype=bool)
    for pair in CONFUSABLE:
        i, j = (LLP_CLASSES.index(name) for name in pair)
        alike[i, j] = alike[j, i] = True
    assert cosines[alike].mean() == pytest.approx(0.5, abs=0.05)
    assert np.abs(cosines[~alike & ~np.eye(25, dtype=bool)]).max() < 0.3


def _has_rows(folder: Path) -> bool:
    try:
        return any(file.stat().st_size > 10**7 for file in folder.rglob("frames.npy"))
    except FileNotFoundError:  # a temporary folder went while it was listed
        return False


@pytest.mark.slow
def test_a_killed_run_leaves_no_store(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from avparse.data.simulation.simulate import simulate;"
        f"simulate(Path({str(tmp_path / 'out')!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not _has_rows(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="no feature store"):
        FeatureStore.open(tmp_path / "out")


@pytest.mark.slow
def test_full_size_within_the_stated_memory(tmp_path: Path) -> None:
    code = (
        "import resource; from pathlib import Path; from avparse.data.simulation.simulate import simulate;"
        f"simulate(Path({str(tmp_path / 'out')!r}));"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 4 * 2**20  # KiB
    assert len(FeatureStore.open(tmp_path / "out").videos) == 11849


def test_a_caption_names_the_data_without_the_settings_of_the_simulator(tmp_path: Path) -> None:
    simulate(tmp_path / "store", seed=3, train=4, val=2, test=2, workers=0)
    store = FeatureStore.open(tmp_path / "store")
    assert store.about == "simulated LLP, seed 3, packaged statistics"
    assert "snr_audio" in store.manifest.description
