"""verify-features: features made with one changed setting are compared with a store, and the setting is named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avparse.app.extracting import extract_store
from avparse.app.verify_features import StreamMatch, Trial, verify_features
from avparse.data.datasets.annotations import AnnotatedVideo, Annotations
from avparse.data.store import FeatureStore
from avparse.data.vocabulary import Vocabulary
from avparse.foundation.errors import UserError
from avparse.media.extractors import make_streams, published
from avparse.media.extractors.published_pictures import CLIPS, FRAMES
from avparse.media.networks import vggish
from avparse.media.networks.vggish import VGGish
from avparse.media.pipeline import extract_video
from tests.clips import colours, write_clip
from tests.conftest import Command
from tests.random_weights import keep_weights, random_state

torchvision = pytest.importorskip("torchvision")

FOLDERS = {"audio": "vggish", "frames": "res152", "clips": "r2plus1d_18"}
ALIKE = 1 - 1e-7
CHANGES = [("audio", "window_s=1.0"), ("frames", "channels=bgr"), ("frames", "frames_resize=squash")]
MORE_CHANGES = [
    ("audio", "postprocess=pca"),
    ("audio", "postprocess=pca8"),
    ("audio", "offset_s=0.5"),
    ("frames", "offset_s=0.5"),
    ("clips", "clips_resize=crop"),
    ("clips", "channels=bgr"),
    ("clips", "offset_s=0.5"),
]


def _sweep(t: np.ndarray) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * (300 * t + 400 * t**2)) * (0.2 + 0.8 * (t % 0.31 < 0.12))


def _picture(t: float) -> np.ndarray:
    """A wide picture with an orange bar that moves over a gradient."""
    return np.concatenate([colours(t), colours(t + 0.4)[:, ::-1]], axis=1)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of one clip, and small networks with random weights in the places of the published ones."""
    cache, folder = tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("videos")
    generator = np.random.default_rng(0)
    pca = {"pca_eigen_vectors": generator.normal(size=(128, 128)), "pca_means": generator.normal(size=(128, 1))}
    write_clip(folder / "a.mp4", sound=_sweep, picture=_picture, seconds=2.0, fps=16)
    models = torchvision.models
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vggish, "_HIDDEN", 64)
        patch.setattr(published, "FRAMES", replace(FRAMES, name="resnet18", dimension=512, side=64, shorter_side=72))
        patch.setattr(published, "CLIPS", replace(CLIPS, side=32, shorter_side=36))
        keep_weights(cache, "vggish", random_state(VGGish), patch)
        keep_weights(cache, "vggish-pca", pca, patch)
        keep_weights(cache, "resnet18", random_state(models.resnet18), patch)
        keep_weights(cache, "r2plus1d_18", random_state(models.video.r2plus1d_18), patch)
        yield folder


@pytest.fixture(scope="module")
def store(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    labels = Annotations(Vocabulary(("Dog",)), {"a": AnnotatedVideo("train", np.ones(1, bool), None, "a")})
    path = tmp_path_factory.mktemp("store") / "store"
    extract_store(videos, labels, path, extractor="published", workers=0, progress=None)
    return FeatureStore.open(path)


def _publish(videos: Path, out: Path, stream: str, settings: str) -> Path:
    """Write what the extractor makes of a stream with some settings as a folder of published features."""
    made: Any = make_streams(f"published:{settings}")[stream]
    rows = extract_video(videos / "a.mp4", {stream: made}).streams[stream]
    (out / FOLDERS[stream]).mkdir(parents=True)
    np.save(out / FOLDERS[stream] / "a.npy", rows)
    return out


@pytest.mark.parametrize(
    ("stream", "change"), [*CHANGES, *(pytest.param(*more, marks=pytest.mark.slow) for more in MORE_CHANGES)]
)
def test_the_changed_setting_is_named(
    videos: Path, store: FeatureStore, tmp_path: Path, stream: str, change: str
) -> None:
    (match,) = verify_features(store, _publish(videos, tmp_path / "theirs", stream, change), videos, ALIKE)
    assert match.stream == stream
    assert match.mean < ALIKE
    found = match.explanation
    assert found is not None
    assert [f"{key}={value}" for key, value in found.changes.items()] == [change]
    assert found.cosine == pytest.approx(1)


@pytest.mark.slow
def test_two_changed_settings_are_named_together(videos: Path, store: FeatureStore, tmp_path: Path) -> None:
    theirs = _publish(videos, tmp_path / "theirs", "audio", "window_s=1.0,postprocess=pca")
    (match,) = verify_features(store, theirs, videos, ALIKE)
    assert match.explanation is not None
    assert match.explanation.changes == {"window_s": 1.0, "postprocess": "pca"}


def test_the_command_tells_agreement_mismatch_and_what_explains_it(
    videos: Path, store: FeatureStore, tmp_path: Path, command: Command
) -> None:
    theirs = _publish(videos, tmp_path / "theirs", "audio", "postprocess=pca")
    _publish(videos, theirs, "frames", "keep_frames=true")
    rows = np.load(theirs / "res152" / "a.npy")
    np.save(theirs / "res152" / "a.npy", rows.reshape(16, -1))  # as published: eight rows a second
    code, out, _ = command("verify-features", store.path, "--against", theirs, "--videos", videos)
    assert code == 3
    lines = out.splitlines()
    assert lines[0].startswith(f"frames against {theirs / 'res152'}: mean cosine 1.0000 over 2 segments of 1 videos")
    assert lines[2].startswith("audio against")
    assert lines[3].startswith("  a: 0.")
    assert lines[4].startswith("  explained by postprocess=pca: mean cosine 1.0000 in place of 0.")


@pytest.mark.slow
def test_what_nothing_explains_is_said(videos: Path, store: FeatureStore, tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    np.save(tmp_path / "audio" / "a.npy", np.random.default_rng(0).normal(size=(2, 128)))
    (match,) = verify_features(store, tmp_path, videos)
    assert match.explanation is None
    assert str(match).endswith("none of 11 choices of the open settings explains it")
    (untried,) = verify_features(store, tmp_path)
    assert not untried.trials


def test_a_setting_must_explain_most_of_a_mismatch() -> None:
    cosines = {"a": np.array([0.9])}
    trials = [Trial({}, 0.9), Trial({"channels": "bgr"}, 0.94)]
    assert StreamMatch("frames", Path("f"), cosines, trials).explanation is None
    assert StreamMatch("frames", Path("f"), cosines, [*trials, Trial({"offset_s": 0.5}, 0.96)]).explanation is not None


def test_a_folder_without_a_video_of_the_store_is_refused(store: FeatureStore, tmp_path: Path) -> None:
    (tmp_path / "vggish").mkdir()
    np.save(tmp_path / "vggish" / "other.npy", np.zeros((10, 128)))
    with pytest.raises(UserError, match=r"no folder of a stream .* has a file of a video of the store"):
        verify_features(store, tmp_path)
