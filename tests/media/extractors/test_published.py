"""The extractor 'published' on random weights: networks against other forwards, what they are given, and its cards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from avparse.foundation.errors import UserError
from avparse.foundation.tensors import read_tensors
from avparse.media.decoding.chunks import read_chunks
from avparse.media.extractors import full_name, make_cards, make_extractor, make_streams, published
from avparse.media.extractors.mel import log_mel
from avparse.media.extractors.published import PublishedExtractor
from avparse.media.extractors.published_pictures import CLIPS, FRAMES
from avparse.media.extractors.published_settings import PublishedSettings
from avparse.media.networks import vggish
from avparse.media.networks.loading import load_network
from avparse.media.networks.vggish import PrincipalComponents, VGGish
from tests.clips import colours, tone, write_clip
from tests.decoded import read_whole
from tests.plain_vggish import plain_vggish
from tests.random_weights import keep_weights, random_state

torchvision = pytest.importorskip("torchvision")

SMALL_FRAMES = replace(FRAMES, name="resnet18", dimension=512, side=64, shorter_side=72)
SMALL_CLIPS = replace(CLIPS, side=32, shorter_side=36)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """VGGish with a narrow hidden layer, its PCA, R(2+1)D-18, and ResNet-18 in the place of ResNet-152."""
    folder = tmp_path_factory.mktemp("cache")
    generator = np.random.default_rng(0)
    pca = {"pca_eigen_vectors": generator.normal(size=(128, 128)), "pca_means": generator.normal(size=(128, 1))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vggish, "_HIDDEN", 64)
        yield {
            "vggish": keep_weights(folder, "vggish", random_state(VGGish), patch),
            "vggish-pca": keep_weights(folder, "vggish-pca", pca, patch),
            "resnet18": keep_weights(folder, "resnet18", random_state(torchvision.models.resnet18), patch),
            "r2plus1d_18": keep_weights(
                folder, "r2plus1d_18", random_state(torchvision.models.video.r2plus1d_18), patch
            ),
        }


@pytest.fixture
def small(weights: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The extractor with small pictures."""
    monkeypatch.setattr(published, "FRAMES", SMALL_FRAMES)
    monkeypatch.setattr(published, "CLIPS", SMALL_CLIPS)
    return weights


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(
        tmp_path_factory.mktemp("clip") / "a.mp4",
        sound=lambda t: tone(300)(t) * (0.3 + 0.7 * (t % 0.37 < 0.1)),
        picture=colours,
        seconds=2.0,
        fps=16,
    )


def _vggish_difference(path: Path) -> float:
    """Return the largest difference of VGGish to the independent forward, as a share of the largest output."""
    picture = np.random.default_rng(1).normal(size=(96, 64)).astype(np.float32)
    with torch.inference_mode():
        ours = load_network(VGGish, path)(torch.from_numpy(picture[None]))[0].numpy()
    theirs = plain_vggish(read_tensors(path), picture)
    assert theirs.std() > 0.1
    return float(np.abs(ours - theirs).max() / theirs.max())


def test_vggish_equals_an_independent_forward(weights: dict[str, Path]) -> None:
    assert _vggish_difference(weights["vggish"]) < 1e-5


def test_vggish_flattens_by_time_then_frequency_then_channel() -> None:
    network = VGGish()
    with torch.inference_mode():
        for layer in network.embeddings:
            if isinstance(layer, nn.Linear):
                layer.weight.zero_()
                layer.bias.zero_()
        place = (3 * 4 + 1) * 512 + 7  # time 3, frequency 1, channel 7
        network.embeddings[0].weight[0, place] = 1
        network.embeddings[2].weight[0, 0] = network.embeddings[4].weight[0, 0] = 1
        picture = torch.rand(1, 96, 64)
        expected = network.features(picture[:, None])[0, 7, 3, 1].relu()
        torch.testing.assert_close(network(picture)[0, 0], expected)


@pytest.mark.parametrize(("window_s", "first"), [(0.96, 0), (1.0, 2)])
def test_the_window_of_a_second_is_what_vggish_sees(
    weights: dict[str, Path], clip: Path, window_s: float, first: int
) -> None:
    stream = PublishedExtractor(PublishedSettings(window_s=window_s)).streams["audio"]
    (chunk,) = read_chunks(clip, [stream.view])
    frames = log_mel(read_whole(clip).audio[16000:32000])[first : first + 96]
    with torch.inference_mode():
        expected = load_network(VGGish, weights["vggish"])(torch.from_numpy(frames[None]))[0].numpy()
    # A product of matrices of another size may round otherwise, in the spectrogram as in the network.
    np.testing.assert_allclose(stream.features(chunk)[1], expected, rtol=1e-3, atol=1e-3)


def test_components_are_those_of_the_definition(weights: dict[str, Path]) -> None:
    parameters = read_tensors(weights["vggish-pca"], numpy_arrays=True)
    vectors, means = (parameters[f"pca_{name}"].numpy() for name in ("eigen_vectors", "means"))
    features = np.random.default_rng(2).normal(size=(3, 128)).astype(np.float32)
    turned = np.clip((vectors @ (features.T - means)).T, -2, 2)
    clipped, coded = (PrincipalComponents(parameters, c)(torch.from_numpy(features)).numpy() for c in (False, True))
    np.testing.assert_allclose(clipped, turned, atol=1e-4)
    assert np.abs(coded - np.round((turned + 2) * 255 / 4)).max() <= 1  # a value near a half may go either way
    with pytest.raises(UserError, match="would run numpy"):
        read_tensors(weights["vggish-pca"])


def test_pictures_equal_torchvision_s_own_forward(small: dict[str, Path], clip: Path) -> None:
    """The networks as torchvision builds and fills them, on pictures prepared by other steps than ours."""
    streams = PublishedExtractor(PublishedSettings(keep_frames=True)).streams
    (chunk,) = read_chunks(clip, [streams["frames"].view, streams["clips"].view])
    builds = {"frames": torchvision.models.resnet18, "clips": torchvision.models.video.r2plus1d_18}
    for name, about in (("frames", SMALL_FRAMES), ("clips", SMALL_CLIPS)):
        with torch.device("meta"):
            network = builds[name](weights=None)
        network.load_state_dict(read_tensors(small[about.name]), assign=True)
        network.float().eval()
        pictures = torch.from_numpy(chunk.pictures[streams[name].view][1]).movedim(-1, -3)  # type: ignore[index]
        pixels = torchvision.transforms.functional.normalize(pictures / 255, about.mean, about.deviation)
        with torch.inference_mode():
            last = nn.Sequential(*list(network.children())[:-1])  # all but the layer of classes
            expected = last(pixels.movedim(0, 1)[None] if about.of_clips else pixels).flatten().numpy()
        made = streams[name].features(chunk)
        assert made.shape == (2, streams[name].dimension)
        assert np.abs(made[1] - expected).max() < 1e-5 * np.abs(expected).max()


def test_settings_change_what_they_name(small: dict[str, Path], clip: Path) -> None:
    plain, kept, blue = (make_streams(f"published{text}")["frames"] for text in ("", ":keep_frames=1", ":channels=bgr"))
    (chunk,) = read_chunks(clip, [plain.view])
    means = kept.features(chunk).reshape(2, 8, -1).mean(axis=1)
    np.testing.assert_allclose(means, plain.features(chunk), rtol=1e-5, atol=1e-6)
    assert not np.allclose(blue.features(chunk), plain.features(chunk))


def test_extractors_are_asked_for_by_name_and_settings() -> None:
    assert full_name("published:window_s=1.0,postprocess=none") == "published:window_s=1.0"
    assert full_name("published:postprocess=pca,window_s=1") == full_name("published: window_s=1.0, postprocess=pca")
    assert full_name("published:window_s=0.96") == "published"
    assert full_name("light") == "light"
    with pytest.raises(UserError, match=r"extractor 'published': 'window_s' is '0.9': give 0.96 or 1.0"):
        make_extractor("published:window_s=0.9")
    with pytest.raises(UserError, match="did you mean 'postprocess'"):
        make_extractor("published:postproces=pca")
    with pytest.raises(UserError, match="extractor 'light' has no settings"):
        make_extractor("light:window_s=1.0")


def test_cards_tell_networks_weights_and_settings(small: dict[str, Path]) -> None:
    cards = make_cards("published", 1.0)
    assert cards["audio"].window_s == 0.96
    assert cards["audio"].hop_s == 1.0
    assert cards["frames"].frame_rate == 8.0
    assert cards["clips"].crop == "squashed (bilinear)"
    assert cards["clips"].weights_sha256[:8] == small["r2plus1d_18"].stem.rpartition("-")[2]
    assert cards["clips"].libraries["torchvision"] == torchvision.__version__.partition("+")[0]
    changed = make_cards("published:window_s=1.0,channels=bgr", 1.0)
    assert cards["audio"].differences(changed["audio"])[0] == "window_s 1 in place of 0.96"
    assert [line.partition(" ")[0] for line in cards["frames"].differences(changed["frames"])] == ["processing"]


def test_other_weights_are_refused_in_one_line(small: dict[str, Path], tmp_path: Path) -> None:
    state = read_tensors(small["r2plus1d_18"])
    state.pop("stem.0.weight")
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"not weights of VideoResNet: missing stem\.0\.weight"):
        load_network(torchvision.models.video.r2plus1d_18, tmp_path / "w.pth")


def test_a_segment_depends_on_itself_alone(small: dict[str, Path], clip: Path) -> None:
    streams = make_streams("published:postprocess=pca8")
    views = [stream.view for stream in streams.values()]
    (whole,) = read_chunks(clip, views)
    parts = list(read_chunks(clip, views, chunk_segments=1))
    for stream in streams.values():
        one_by_one = np.concatenate([stream.features(part) for part in parts])
        np.testing.assert_array_equal(stream.features(whole), one_by_one)


@pytest.mark.slow
def test_vggish_at_its_real_size_equals_an_independent_forward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vggish, "_HIDDEN", 4096)
    assert _vggish_difference(keep_weights(tmp_path, "vggish", random_state(VGGish), monkeypatch)) < 1e-5


@pytest.mark.slow
def test_resnet152_at_its_real_size_equals_torchvision_s_own_forward(
    weights: dict[str, Path], clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = keep_weights(tmp_path, "resnet152", random_state(torchvision.models.resnet152), monkeypatch)
    stream = PublishedExtractor(PublishedSettings(keep_frames=True)).streams["frames"]
    chunk = next(iter(read_chunks(clip, [stream.view], chunk_segments=1)))
    with torch.device("meta"):
        network = torchvision.models.resnet152(weights=None)
    network.load_state_dict(read_tensors(path), assign=True)
    network.fc = nn.Identity()
    pictures = torch.from_numpy(chunk.pictures[stream.view][0]).movedim(-1, -3) / 255  # type: ignore[index]
    with torch.inference_mode():
        pixels = torchvision.transforms.functional.normalize(pictures, FRAMES.mean, FRAMES.deviation)
        expected = network.float().eval()(pixels).flatten().numpy()
    made = stream.features(chunk)[0]
    assert np.abs(made - expected).max() < 1e-5 * np.abs(expected).max()
