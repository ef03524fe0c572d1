"""Streams with sample rates, windows, frame rates and sizes of their own, made of one decoding of a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from avparse.app.extracting import extract_store
from avparse.data.batching import task_spec
from avparse.data.datasets.annotations import AnnotatedVideo, Annotations
from avparse.data.features import TaskSpec
from avparse.data.store import FeatureStore
from avparse.data.vocabulary import Vocabulary
from avparse.foundation.errors import UserError
from avparse.media.decoding import track
from avparse.media.decoding.chunks import Chunk, read_chunks
from avparse.media.decoding.views import PictureView, SoundView, View
from avparse.media.extractors import EXTRACTORS, Stream, make_streams
from avparse.media.pipeline import extract_video
from tests.clips import click, colours, flash, write_clip

_HEARD = SoundView(16000, window_s=0.96)
_SEEN = PictureView((224, 224), per_second=2, shorter_side=256)
_MOVED = PictureView((112, 112), per_segment=16)


class Published:
    """Streams with the needs of VGGish, ResNet-152 and R(2+1)D-18, with the mean of each second for a network."""

    name = "three"
    version = "1"

    def __init__(self) -> None:
        self.streams = {
            "heard": Stream(2, _HEARD, _loudness),
            "seen": Stream(3, _SEEN, lambda chunk: _colour(chunk, _SEEN, (2, 224, 224, 3))),
            "moved": Stream(3, _MOVED, lambda chunk: _colour(chunk, _MOVED, (16, 112, 112, 3))),
        }


def _loudness(chunk: Chunk) -> np.ndarray:
    sound = chunk.sounds[_HEARD]
    assert sound.shape == (chunk.segments, 1, 15360)
    return np.stack([np.abs(sound).mean(axis=(1, 2)), sound.std(axis=(1, 2))], axis=1)


def _colour(chunk: Chunk, view: PictureView, shape: tuple[int, ...]) -> np.ndarray:
    pictures = chunk.pictures[view]
    assert pictures.shape == (chunk.segments, *shape)
    return pictures.mean(axis=(1, 2, 3), dtype=np.float32)


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EXTRACTORS, "three", Published)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    (tmp_path / "v").mkdir()
    return write_clip(tmp_path / "v" / "a.mp4", sound=click(1.3), picture=flash(2.4), seconds=4.0)


def test_an_extractor_of_three_different_streams_extracts_a_clip(three: None, clip: Path) -> None:
    made = extract_video(clip, make_streams("three"))
    assert {name: x.shape for name, x in made.streams.items()} == {"heard": (4, 2), "seen": (4, 3), "moved": (4, 3)}
    assert made.streams["heard"][:, 0].argmax() == 1
    assert made.streams["moved"][:, 0].argmax() == 2
    assert made.streams["moved"][2] == pytest.approx(255 * 4 / 16, abs=9)  # the flash is on at 4 of 16 instants


def test_a_file_is_decoded_once_for_all_streams(three: None, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    real = track.open_media
    monkeypatch.setattr(track, "open_media", lambda *given: opened.append(given) or real(*given))
    extract_video(clip, make_streams({"heard": "three", "moved": "three", "audio": "light", "clips": "light"}))
    assert len(opened) == 2  # one reader of the sound, one of the pictures


def test_streams_of_several_extractors_equal_those_of_each_alone(three: None, clip: Path) -> None:
    wanted = {"audio": "light", "seen": "three", "clips": "light"}
    joined = extract_video(clip, make_streams(wanted))
    assert list(joined.streams) == list(wanted)
    for name, key in wanted.items():
        np.testing.assert_array_equal(joined.streams[name], extract_video(clip, make_streams(key)).streams[name])


def test_unknown_streams_and_extractors_are_refused() -> None:
    with pytest.raises(UserError, match="did you mean 'light'"):
        make_streams({"audio": "ligth"})
    with pytest.raises(UserError, match="'light' makes no stream 'clap'; it makes audio, frames, clips"):
        make_streams({"audio": "light", "clap": "light"})


def test_a_parser_knows_which_extractor_made_each_stream(three: None, clip: Path, tmp_path: Path) -> None:
    labels = Annotations(Vocabulary(("Dog",)), {"a": AnnotatedVideo("train", np.ones(1, bool), None, "a")})
    extract_store(clip.parent, labels, tmp_path / "store", extractor="three", workers=0)
    store = FeatureStore.open(tmp_path / "store")
    spec = task_spec(store)
    assert spec.streams == {"heard": 2, "seen": 3, "moved": 3}
    assert spec.extractors == dict.fromkeys(spec.streams, "three")
    assert spec.extractable(EXTRACTORS)
    mixed = spec.model_copy(update={"extractors": spec.extractors | {"seen": "res152"}})
    assert not mixed.extractable(EXTRACTORS)


def test_runs_of_earlier_versions_name_one_extractor() -> None:
    old = {"classes": ["Dog"], "streams": {"audio": 3, "frames": 4}, "segments": 10, "extractor": "light"}
    assert TaskSpec.read(old, "run.json").extractors == {"audio": "light", "frames": "light"}
    assert not TaskSpec.read(old | {"extractor": ""}, "run.json").extractable(EXTRACTORS)


@pytest.mark.parametrize("chunk_segments", [1, 3, None])
def test_windows_begin_in_their_segment_and_may_reach_beyond_it(tmp_path: Path, chunk_segments: int | None) -> None:
    ramp = write_clip(tmp_path / "a.avi", sound=lambda t: t / 8, picture=colours, seconds=5.0, sample_rate=16000)
    view = SoundView(8000, window_s=1.5, hop_s=0.25)
    chunks = list(read_chunks(ramp, [view, SoundView(16000)], chunk_segments=chunk_segments))
    windows = np.concatenate([chunk.sounds[view] for chunk in chunks])
    assert windows.shape == (5, 4, 12000)
    starts = np.arange(5)[:, None] + np.arange(4) * 0.25
    np.testing.assert_allclose(windows[:, :, 4000], (starts + 0.5) / 8 * (starts + 0.5 < 5), atol=0.01)
    inside = starts + 1.4 < 4.99
    np.testing.assert_allclose(windows[:, :, 11200][inside], ((starts + 1.4) / 8)[inside], atol=0.01)
    assert not windows[:, :, 11200][starts + 1.4 > 5.01].any()


def test_every_rate_hears_the_same_instants(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", sound=click(2.25), picture=colours, seconds=4.0)
    views = [SoundView(rate) for rate in (8000, 16000, 44100)]
    (chunk,) = read_chunks(path, views)
    for view in views:
        loud = np.flatnonzero(np.abs(chunk.sounds[view].ravel()) > 0.3)
        assert loud[0] / view.sample_rate == pytest.approx(2.25, abs=0.003)


def test_the_middle_is_cut_after_scaling_the_shorter_side(tmp_path: Path) -> None:
    wide = np.zeros((60, 180, 3), np.uint8)
    wide[:, 60:120] = (0, 250, 0)
    path = write_clip(tmp_path / "a.mp4", picture=lambda t: wide, seconds=1.0)
    views: list[View] = [PictureView((32, 32), 4, shorter_side=32), PictureView((32, 32), 4)]
    (chunk,) = read_chunks(path, views)
    cut, squashed = (chunk.pictures[view][0, 0] for view in views)  # type: ignore[index]
    assert cut[:, 2:-2, 1].min() > 200
    assert squashed[:, :8, 1].max() < 60
    assert squashed[:, 13:19, 1].min() > 200


def test_the_middle_of_a_turned_picture_is_cut_upright(tmp_path: Path) -> None:
    tall = np.zeros((60, 180, 3), np.uint8)
    tall[:, :90] = (250, 0, 0)
    path = write_clip(tmp_path / "a.mp4", picture=lambda t: tall, seconds=1.0, rotation=(90, False, False))
    view = PictureView((40, 30), 2, shorter_side=40)
    (chunk,) = read_chunks(path, [view])
    picture = chunk.pictures[view][0, 0]  # the left half is shown below
    assert picture[18:, :, 0].min() > 180
    assert picture[:12, :, 0].max() < 70


def test_memory_of_large_views_is_bounded_by_shorter_chunks(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", picture=colours, seconds=7.0)
    view = PictureView((1024, 768), per_second=20)
    sizes = [chunk.segments for chunk in read_chunks(path, [view])]
    assert sum(sizes) == 7
    assert max(sizes) * view.segment_bytes(1.0) <= 1 << 27


@pytest.mark.parametrize(
    "make",
    [
        lambda: SoundView(0),
        lambda: SoundView(16000, window_s=-1.0),
        lambda: PictureView((8, 8)),
        lambda: PictureView((8, 8), 2, per_second=3.0),
        lambda: PictureView((8, 0), 2),
        lambda: PictureView((224, 224), 8, shorter_side=128),
    ],
)
def test_views_that_make_no_sense_are_refused(make: object) -> None:
    with pytest.raises(ValueError, match=r"positive|either|hold"):
        make()  # type: ignore[operator]


def test_a_window_with_a_lead_also_holds_the_sound_before_its_segment(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    write_clip(path, sound=lambda t: np.round(t * 4) / 40, seconds=3)
    plain, led = SoundView(8000), SoundView(8000, lead_s=1.5)
    chunks = [list(read_chunks(path, [plain, led], chunk_segments=size)) for size in (1, 2, 60)]
    whole = [np.concatenate([chunk.sounds[led] for chunk in each]) for each in chunks]
    for each in whole:
        np.testing.assert_array_equal(each, whole[0])
    alone = np.concatenate([chunk.sounds[plain] for chunk in chunks[0]]).reshape(-1)
    before = np.concatenate([np.zeros(12000, np.float32), alone])
    for segment, window in enumerate(whole[0][:, 0]):
        np.testing.assert_array_equal(window, before[segment * 8000 : segment * 8000 + 20000])
    with pytest.raises(ValueError, match="the lead must not be negative"):
        SoundView(8000, lead_s=-1)
