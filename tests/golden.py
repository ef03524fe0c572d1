"""Golden files: what published networks, losses and metrics gave, to be compared with ours (see golden/README.md)."""

from __future__ import annotations

import json
import lzma
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy
import torch
from torch import Tensor
from torch.nn import functional

from avparse.data.features import Features
from avparse.foundation.arrays import Float64Array
from avparse.models.official import OFFICIAL
from avparse.models.output import ParserOutput

Arrays = dict[str, Tensor]
_FOLDER = Path(__file__).parent / "golden"
_SEGMENTS = 10  # of a video


@cache
def _read(name: str) -> tuple[Any, dict[str, npt.NDArray[Any]]]:
    texts, tensors = (lzma.decompress((_FOLDER / f"{name}.{kind}.xz").read_bytes()) for kind in ("json", "safetensors"))
    return json.loads(texts), safetensors.numpy.load(tensors)


# --- networks -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Network:
    """A released network with invented weights, and what it said of three videos.

    Attributes:
        name: which network.
        config: settings of the reference implementation.
        parameter_count: numbers in its state, those that never act included.
        outputs: what it said; of features, only the first channels.
    """

    name: str
    config: dict[str, Any]
    parameter_count: int
    outputs: Arrays

    @property
    def state(self) -> dict[str, Tensor]:
        """The tensors under the names that they have in a released file."""
        known = _read("networks")[0][self.name]
        return {
            name: torch.from_numpy((base + known["scale"] * _normal(drawn_from, shape)).astype(np.float32))
            for name, shape, drawn_from, base in known["state"]
        }

    @property
    def second_names(self) -> set[str]:
        """Names of tensors that the released file has under another name as well."""
        return {name for name, _, drawn_from, _ in _read("networks")[0][self.name]["state"] if drawn_from != name}

    @property
    def inputs(self) -> Arrays:
        """The inputs of the reference implementation."""
        known = _read("networks")[0][self.name]["inputs"]
        return {k: torch.from_numpy(_normal(name, shape).astype(np.float32)) for k, (shape, name) in known.items()}

    def features(self, every_frame: bool = False) -> Features:
        """The inputs as our parsers read them: frames averaged over each segment, or one after the other in it."""
        given, streams = self.inputs, {}
        if "audio" in given:
            is_map = given["audio"].shape[1] != _SEGMENTS
            streams["audio"] = pool_maps(given["audio"], _SEGMENTS) if is_map else given["audio"]
        if "visual" in given:
            frames = given["visual"].unflatten(1, (_SEGMENTS, -1))
            streams["frames"] = frames.flatten(2) if every_frame else frames.mean(dim=2)
        if "visual_st" in given:
            streams["clips"] = given["visual_st"]
        return Features(streams)

    def compare(self, ours: Mapping[str, Tensor], relative: bool = False) -> None:
        """Compare all outputs: to 1e-5, or (``relative``) to 1e-5 of the largest number where that is above one."""
        assert set(ours) == set(self.outputs), self.name
        for name, value in ours.items():
            expected = self.outputs[name]
            if name.endswith(("feat", "embed", "embed_pooled")):  # the first channels are stored
                value = value[..., : expected.shape[-1]]
            tolerance = 1e-5 * max(1.0, float(expected.abs().max()) if relative else 0.0)
            assert value.shape == expected.shape, (self.name, name)
            distance = float((value - expected).abs().max())
            assert distance < tolerance, (self.name, name, distance)


@cache
def network_names() -> tuple[str, ...]:
    """All networks, in the order of the alphabet."""
    return tuple(_read("networks")[0])


def network(name: str) -> Network:
    """One network."""
    descriptions, arrays = _read("networks")
    outputs = {k.removeprefix(f"{name}/"): _copy(v) for k, v in arrays.items() if k.startswith(f"{name}/")}
    return Network(name, descriptions[name]["config"], descriptions[name]["parameter_count"], outputs)


def networks_of(system: str) -> list[Network]:
    """The networks of a system: those whose names begin with its name, and with no longer one of another."""
    own = [n for n in network_names() if max((s for s in OFFICIAL if n.startswith(s)), key=len, default="") == system]
    assert own, f"no golden network of {system}"
    return [network(name) for name in own]


def evidence_outputs(output: ParserOutput) -> Arrays:
    """The outputs that CMPAE's and CoLeaF's golden files share."""
    unsure = output.uncertainty
    return {
        "global_prob": output.video,
        "a_prob": output.audio,
        "v_prob": output.visual,
        "frame_prob": torch.stack((output.audio_segments, output.visual_segments), dim=2),
        "global_uct": unsure.video,
        "a_uct": unsure.audio,
        "v_uct": unsure.visual,
        "frame_uct": torch.stack((unsure.audio_segments, unsure.visual_segments), dim=2),
    }


def pool_maps(maps: Tensor, segments: int) -> Tensor:
    """Pool feature maps of CLAP's audio network ``[..., 2 * steps, D]``, frequency slow, to ``[..., segments, D]``.

    This is what VALOR++ does with them. The map is stretched to 1024 steps (bicubic) and averaged over its two bins of
    frequency and within each segment.
    """
    *lead, positions, width = maps.shape
    rows = maps.reshape(-1, 2, positions // 2, width).mean(dim=1)
    stretched = functional.interpolate(rows.transpose(1, 2).unsqueeze(2), size=(1, 1024), mode="bicubic")
    pooled = functional.adaptive_avg_pool1d(stretched.squeeze(2), segments)
    return pooled.transpose(1, 2).reshape(*lead, segments, width)


# --- losses ---------------------------------------------------------------------------------------------------------


def cases(name: str, label: str = "") -> list[tuple[dict[str, Any], Arrays]]:
    """The cases of a golden file of losses whose labels begin with ``label``.

    Each with its parameters, and with its arrays by name: ``in/NAME``, ``out/NAME``.
    """
    descriptions, arrays = _read("losses")
    chosen = [case for case in descriptions[name] if case["label"].startswith(label)]
    assert chosen, f"no golden case '{label}' of {name}"
    found = []
    for case in chosen:
        prefix = f"{name}/{case['label']}/"
        own = {k.removeprefix(prefix): _copy(v) for k, v in arrays.items() if k.startswith(prefix)}
        found.append((case["parameters"], own))
    return found


def one_case(name: str, label: str) -> tuple[dict[str, Any], Arrays]:
    """The only case whose label begins so."""
    (found,) = cases(name, label)
    return found


# --- metrics --------------------------------------------------------------------------------------------------------

MetricCase = tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]


def metric_cases(full: Path | None = None) -> tuple[dict[str, Any], Iterator[MetricCase]]:
    """The listing of metrics, and its cases with their arrays.

    Args:
        full: the larger set, of which the cases with annotations of LLP are taken; by default those of this folder.
    """
    if full is None:
        listing, arrays = _read("metrics")
        chosen = listing["cases"]
    else:
        listing, arrays = json.loads((full / "metrics_public.json").read_text()), np.load(full / "metrics_public.npz")
        here = {case["name"] for case in _read("metrics")[0]["cases"]}
        chosen = [case for case in listing["cases"] if case["name"] not in here]
    return listing, ((c, {name: arrays[f"{c['name']}/{name}"] for name in c["arrays"]}) for c in chosen)


def _normal(name: str, shape: list[int]) -> Float64Array:
    return np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)


def _copy(array: npt.NDArray[Any]) -> Tensor:
    return torch.from_numpy(array.copy())
