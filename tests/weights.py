"""Random weights in the form of the released files, and the real ones where they are on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from avparse.foundation.errors import UserError
from avparse.media.weights import WEIGHTS, find_weights
from avparse.media.weights.source import FileSource

# Of each block of EfficientNet-Lite0: input channels, channels in between, output channels, kernel, stride.
BLOCKS = [(32, 32, 16, 3, 1), (16, 96, 24, 3, 2), (24, 144, 24, 3, 1), (24, 144, 40, 5, 2), (40, 240, 40, 5, 1)]
BLOCKS += [(40, 240, 80, 3, 2), (80, 480, 80, 3, 1), (80, 480, 80, 3, 1), (80, 480, 112, 5, 1)]
BLOCKS += (
    [(112, 672, 112, 5, 1)] * 2 + [(112, 672, 192, 5, 2)] + [(192, 1152, 192, 5, 1)] * 3 + [(192, 1152, 320, 3, 1)]
)


def _norm(name: str, channels: int, source: torch.Generator) -> dict[str, Tensor]:
    def some() -> Tensor:
        return torch.rand(channels, generator=source)

    made = {"weight": 0.5 + some(), "bias": some() - 0.5, "running_mean": some() - 0.5, "running_var": 0.5 + some()}
    counted = {"num_batches_tracked": torch.tensor(7)}
    return {f"{name}.{key}": value for key, value in (made | counted).items()}


def _kernel(shape: tuple[int, ...], source: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=source) * (2 / np.prod(shape[1:])) ** 0.5


def released_efficientnet() -> dict[str, Tensor]:
    """Return random tensors by the names of the released EfficientNet-Lite0."""
    source = torch.Generator().manual_seed(0)
    state = {"_conv_stem.weight": _kernel((32, 3, 3, 3), source), **_norm("_bn0", 32, source)}
    for number, (inputs, wide, outputs, size, _) in enumerate(BLOCKS):
        name = f"_blocks.{number}"
        if wide != inputs:
            state[f"{name}._expand_conv.weight"] = _kernel((wide, inputs, 1, 1), source)
            state |= _norm(f"{name}._bn0", wide, source)
        state[f"{name}._depthwise_conv.weight"] = _kernel((wide, 1, size, size), source)
        state |= _norm(f"{name}._bn1", wide, source)
        state[f"{name}._project_conv.weight"] = _kernel((outputs, wide, 1, 1), source)
        state |= _norm(f"{name}._bn2", outputs, source)
    state |= {"_conv_head.weight": _kernel((1280, 320, 1, 1), source), **_norm("_bn1", 1280, source)}
    return state | {"_fc.weight": _kernel((1000, 1280), source), "_fc.bias": torch.randn(1000, generator=source)}


def released_aisfx() -> tuple[dict[str, Tensor], dict[str, tuple[np.int64, int]]]:
    """Return random tensors by the names of the released aiSFX, and the table of scalars of numpy beside them."""
    source = torch.Generator().manual_seed(1)
    state: dict[str, Tensor] = {}
    for number, (inputs, outputs) in enumerate([(1, 64), (64, 128), (128, 256), (256, 512)], 1):
        name = f"embedding_net.conv_block{number}"
        state[f"{name}.conv1.weight"] = _kernel((outputs, inputs, 3, 3), source)
        state[f"{name}.conv2.weight"] = _kernel((outputs, outputs, 3, 3), source)
        state |= {**_norm(f"{name}.bn1", outputs, source), **_norm(f"{name}.bn2", outputs, source)}
    state |= {"fc.0.0.weight": torch.ones(2, 512), "fc.0.0.bias": torch.ones(2)}
    return state, {"a library": (np.int64(0), 2)}


def released_silero() -> dict[str, Tensor]:
    """Return random tensors by the names of the released Silero VAD for 16 kHz."""
    source = torch.Generator().manual_seed(2)
    state = {"stft_conv.weight": _kernel((258, 1, 256), source)}
    for number, (inputs, outputs) in enumerate([(129, 128), (128, 64), (64, 64), (64, 128)], 1):
        state[f"conv{number}.weight"] = _kernel((outputs, inputs, 3), source)
        state[f"conv{number}.bias"] = torch.randn(outputs, generator=source)
    for part in ("ih", "hh"):
        state[f"lstm_cell.weight_{part}"] = _kernel((512, 128), source)
        state[f"lstm_cell.bias_{part}"] = torch.randn(512, generator=source)
    return state | {"final_conv.weight": _kernel((1, 128, 1), source), "final_conv.bias": torch.tensor([-0.5])}


def random_compact(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the cache hold random weights of the extractor ``compact``, as if they were the published ones."""
    return offer_weights(
        {"efficientnet-lite0": released_efficientnet(), "aisfx": released_aisfx()}, folder, monkeypatch
    )


def offer_weights(contents: Mapping[str, object], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write contents by name of a network into a new cache, as if they were the published ones; return its folder."""
    monkeypatch.setenv("AVPARSE_CACHE", str(folder))
    (folder / "weights").mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        entry = WEIGHTS[name]
        assert isinstance(entry.source, FileSource)
        path = folder / "weights" / entry.source.file
        if path.suffix == ".safetensors":
            save_file(content, path)  # type: ignore[arg-type]
        else:
            torch.save(content, path)
        source = replace(entry.source, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        monkeypatch.setitem(WEIGHTS, name, replace(entry, source=source))
    return folder


def real_weights(*names: str) -> list[Path]:
    """Return the published weights that are on this machine; the test is skipped where one is not."""
    try:
        return [find_weights(name, fetch=False) for name in names]
    except UserError as error:
        pytest.skip(str(error))
