"""The synthesised corpus: real files whose sound and picture follow the truth, and tables that state it."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from avparse.data.datasets.llp import read_llp
from avparse.data.simulation.corpus import synthesise
from avparse.data.simulation.statistics import LabelStatistics
from avparse.data.simulation.truth import draw_truth
from avparse.data.vocabulary import LLP_CLASSES, MODALITIES
from avparse.foundation.errors import UserError
from avparse.media.synthesis.pictures import PICTURES
from avparse.media.synthesis.render import FRAME_RATE, SAMPLE_RATE, Scene, frames, mix, render_video
from avparse.media.synthesis.sounds import SOUNDS

SECONDS = 10
FEW = ("Speech", "Dog", "Fire_alarm")


def scene(name: str, heard: range = range(0), seen: range = range(0)) -> Scene:
    audio, visual = np.zeros((2, SECONDS, 1), dtype=bool)
    audio[heard], visual[seen] = True, True
    return Scene((name,), audio, visual)


def decoded(path: Path) -> tuple[list[np.ndarray], np.ndarray]:
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    with av.open(str(path)) as container:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    return pictures, sound


def power(sound: np.ndarray) -> np.ndarray:
    """RMS of each whole second."""
    return np.sqrt((sound[: SECONDS * SAMPLE_RATE].reshape(SECONDS, -1) ** 2).mean(axis=1))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synth") / "corpus"
    synthesise(folder, videos=8, seed=3, workers=1, classes=FEW)
    return folder


def test_every_class_of_llp_names_has_a_sound_and_a_picture() -> None:
    assert list(SOUNDS) == list(PICTURES)
    assert set(SOUNDS) <= set(LLP_CLASSES)
    assert len(SOUNDS) >= 14


@pytest.mark.parametrize("name", SOUNDS)
def test_sounds_have_any_length_and_variants(name: str) -> None:
    for samples in (SAMPLE_RATE // 2, 2 * SAMPLE_RATE + 7):
        first, again, other = (SOUNDS[name](np.random.default_rng(s), samples, SAMPLE_RATE) for s in (1, 1, 2))
        assert first.shape == (samples,)
        assert first.dtype == np.float32
        assert np.isfinite(first).all()
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", SOUNDS)
def test_sound_is_louder_where_the_class_is_heard(name: str) -> None:
    heard = [2, 3, 4, 7]
    audio = np.isin(np.arange(SECONDS), heard)[:, None]
    for seed in range(3):
        loudness = power(mix(Scene((name,), audio, np.zeros_like(audio)), seed))
        assert loudness[audio[:, 0]].min() > 1.3 * loudness[~audio[:, 0]].max()
        assert loudness[audio[:, 0]].mean() > 2 * loudness[~audio[:, 0]].mean()


@pytest.mark.parametrize("name", PICTURES)
def test_picture_differs_and_moves_exactly_where_the_class_is_seen(name: str) -> None:
    seen, seed = range(3, 6), 11
    empty = [np.asarray(image, dtype=int) for image in frames(scene(name), seed)]
    filled = [np.asarray(image, dtype=int) for image in frames(scene(name, seen=seen), seed)]
    changed = np.array([(np.abs(a - b).max(axis=2) > 20).mean() for a, b in zip(filled, empty, strict=True)])
    there = np.repeat(np.isin(np.arange(SECONDS), seen), FRAME_RATE)
    assert changed[there].min() > 0.02
    assert changed[~there].max() == 0
    drawing = PICTURES[name](np.random.default_rng(seed))
    poses = [np.asarray(sprite, dtype=int) for sprite in drawing.sprites(96)]
    moves = [np.abs(a - b).max(axis=2) > 40 for a, b in itertools.pairwise(poses)]
    assert np.mean(moves) > 0.005  # half a percent of the object's square at each step


def test_classes_sound_different() -> None:
    """Nearest centroid of log-band spectra and their change, on variants that the centroids have not seen."""
    edges = np.geomspace(200, 7500, 25)
    bins = np.digitize(np.fft.rfftfreq(512, 1 / SAMPLE_RATE), edges)

    def describe(name: str, seed: int) -> np.ndarray:
        sound = SOUNDS[name](np.random.default_rng(seed), 2 * SAMPLE_RATE, SAMPLE_RATE)
        sound = sound / np.sqrt(np.mean(sound**2)) + 0.2 * np.random.default_rng(seed).standard_normal(len(sound))
        spectra = (
            np.abs(np.fft.rfft(np.lib.stride_tricks.sliding_window_view(sound, 512)[::256] * np.hanning(512))) ** 2
        )
        logs = np.log(np.stack([spectra[:, bins == b].sum(axis=1) + 1e-3 for b in range(1, len(edges))], axis=1))
        return np.concatenate([logs.mean(0), logs.std(0), np.abs(np.diff(logs, axis=0)).mean(0)])

    train = np.array([[describe(name, seed) for seed in range(12)] for name in SOUNDS])
    test = np.array([[describe(name, seed) for seed in range(12, 20)] for name in SOUNDS])
    scale = train.reshape(-1, train.shape[-1]).std(axis=0)
    distance = ((test[:, :, None] - train.mean(axis=1)) / scale) ** 2
    right = distance.sum(axis=-1).argmin(axis=-1) == np.arange(len(SOUNDS))[:, None]
    assert right.mean() > 0.8


def test_file_has_both_streams_of_exactly_ten_seconds(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    heard = range(4, 7)
    render_video(path, scene("Fire_alarm", heard=heard, seen=range(10)), seed=5)
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert video.codec_context.pix_fmt == "yuv420p"
        assert video.duration * video.time_base == audio.duration * audio.time_base == SECONDS
        assert video.start_time == audio.start_time == 0
        assert container.duration == SECONDS * 1_000_000
    pictures, sound = decoded(path)
    assert len(pictures) == SECONDS * FRAME_RATE
    assert SECONDS * SAMPLE_RATE <= len(sound) < SECONDS * SAMPLE_RATE + 1024  # the last AAC frame is padded
    loudness = power(sound)
    assert loudness[list(heard)].min() > 2 * np.delete(loudness, list(heard)).max()
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # plays before it is loaded whole
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_timeline_of_any_length_and_segment(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    active = np.array([[1, 0], [1, 1], [0, 1]], dtype=bool)
    render_video(path, Scene(("Cat", "Car"), active, active, segment_seconds=0.96), seed=1)
    with av.open(str(path)) as container:
        for stream in container.streams:
            assert float(stream.duration * stream.time_base) == pytest.approx(3 * 0.96, abs=1 / FRAME_RATE)


def test_equal_seeds_give_equal_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        render_video(tmp_path / name, scene("Dog", heard=range(2), seen=range(3)), seed)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_bad_scenes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"unknown class .* 'Dogs'; did you mean 'Dog'"):
        render_video(tmp_path / "a.mp4", scene("Dogs", heard=range(1)), seed=0)
    with pytest.raises(UserError, match="do not fit 2 classes"):
        Scene(("Dog", "Cat"), np.zeros((3, 1), bool), np.zeros((3, 1), bool))
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        render_video(tmp_path / "file" / "a.mp4", scene("Dog"), seed=0)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_tables_agree_with_the_files(corpus: Path) -> None:
    tables = read_llp(corpus)
    assert tuple(tables.vocabulary) == FEW
    assert tables.notes == ()
    sizes = {split: len(tables.of_split(split)) for split in ("train", "val", "test")}
    assert sizes == {"train": 5, "val": 1, "test": 2}
    videos = list(tables.videos)
    assert sorted(f"{video}.mp4" for video in videos) == sorted(p.name for p in (corpus / "videos").iterdir())
    assert all(len(video.removesuffix("_0_10")) == 11 for video in videos)
    truth = {m: np.array([tables.dense(video, m, SECONDS) for video in videos]) for m in MODALITIES}
    statistics = LabelStatistics.load().restricted_to(FEW)
    drawn = [draw_truth(statistics, split, count, SECONDS, 3) for split, count in sizes.items()]
    assert np.array_equal(truth["audio"], np.concatenate([part.audio for part in drawn]))
    assert np.array_equal(truth["visual"], np.concatenate([part.visual for part in drawn]))
    assert np.array_equal(
        [tables.videos[video].weak for video in videos], np.concatenate([part.weak for part in drawn])
    )
    compared = 0
    for video, audio in zip(videos, truth["audio"].any(axis=2), strict=True):
        loudness = power(decoded(corpus / "videos" / f"{video}.mp4")[1])
        if not audio.all():
            assert loudness[audio].mean() > 2 * loudness[~audio].mean()
            compared += 1
    assert compared


def test_label_statistics_are_those_of_llp() -> None:
    statistics = LabelStatistics.load().restricted_to(tuple(SOUNDS))
    truth = draw_truth(statistics, "test", 400, SECONDS, seed=1)
    heard, seen = truth.audio.any(axis=1)[truth.weak], truth.visual.any(axis=1)[truth.weak]
    assert heard.mean() == pytest.approx(0.95, abs=0.03)
    assert seen.mean() == pytest.approx(0.65, abs=0.06)
    assert (truth.audio.sum(axis=2) >= 2).mean() > 0.15  # overlapping events
    assert (truth.audio != truth.visual).any(axis=(1, 2)).mean() > 0.5  # timelines of their own


@pytest.mark.parametrize("workers", [0, 2])
def test_a_partial_corpus_is_finished_by_any_number_of_processes(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    if not workers:
        monkeypatch.delattr("avparse.data.simulation.corpus.ProcessPoolExecutor")
    partial = tmp_path / "corpus"
    shutil.copytree(corpus, partial)
    for path in [*sorted((partial / "videos").iterdir())[::2], *partial.glob("*.csv")]:
        path.unlink()
    before = {path: path.stat().st_mtime_ns for path in (partial / "videos").iterdir()}
    summary = synthesise(partial, videos=8, seed=3, workers=workers, classes=FEW)
    assert (summary.kept, summary.rendered) == (4, 4)
    assert all(path.stat().st_mtime_ns == at for path, at in before.items())
    files = sorted(path.relative_to(corpus) for path in corpus.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(partial) for path in partial.rglob("*") if path.is_file())
    assert all((corpus / file).read_bytes() == (partial / file).read_bytes() for file in files)


def test_another_corpus_or_folder_is_left_alone(corpus: Path, tmp_path: Path) -> None:
    before = sorted(corpus.rglob("*"))
    with pytest.raises(UserError, match=r"corpus\.json: a corpus with another seed is there; choose another folder"):
        synthesise(corpus, videos=8, seed=4, workers=1, classes=FEW)
    assert sorted(corpus.rglob("*")) == before
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match="not empty"):
        synthesise(tmp_path, videos=2, seed=0)
    with pytest.raises(UserError, match="videos is 0"):
        synthesise(tmp_path / "new", videos=0, seed=0)
    with pytest.raises(UserError, match="'Violin'; did you mean 'Violin_fiddle'"):
        synthesise(tmp_path / "new", videos=2, seed=0, classes=["Violin"])
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.slow
def test_a_killed_run_leaves_only_whole_files_and_resumes(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    script = tmp_path / "run.py"
    call = f"synthesise({str(folder)!r}, videos=24, seed=0, workers=2, classes={FEW})"
    script.write_text(
        f"from avparse.data.simulation.corpus import synthesise\nif __name__ == '__main__':\n    {call}\n"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}  # drafts of killed workers stay there
    process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL, env=environment)
    until = time.monotonic() + 60
    while len(list(folder.glob("videos/*.mp4"))) < 5 and time.monotonic() < until:
        time.sleep(0.02)
    process.kill()
    process.wait()
    time.sleep(1.0)  # the workers end with their parent
    made = sorted(folder.glob("videos/*.mp4"))
    assert 5 <= len(made) < 24
    assert not list(folder.glob("*.csv"))
    assert all(len(decoded(path)[0]) == SECONDS * FRAME_RATE for path in made)
    summary = synthesise(folder, videos=24, seed=0, workers=1, classes=FEW)
    assert summary.kept == len(made)
    assert summary.kept + summary.rendered == 24


def test_ffprobe_finds_nothing_wrong(corpus: Path) -> None:
    ffprobe = shutil.which("ffprobe")
    if ffprobe is None:
        pytest.skip("ffprobe is not installed")
    for path in sorted((corpus / "videos").glob("*.mp4"))[:3]:
        command = [
            ffprobe,
            "-v",
            "error",
            "-count_frames",
            "-show_entries",
            "stream=duration",
            "-of",
            "csv=p=0",
            str(path),
        ]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        assert result.stderr == ""
        assert [float(line) for line in result.stdout.split()] == [SECONDS, SECONDS]
