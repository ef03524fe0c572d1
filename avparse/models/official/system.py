"""Conversion of a released network to ours, and helpers that most conversions share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor

from avparse.data.features import TaskSpec
from avparse.data.vocabulary import LLP_CLASSES
from avparse.foundation.settings import PartConfig
from avparse.models.parsers import ParserConfig

StateDict = Mapping[str, Tensor]
Names = dict[str, tuple[str, ...]]
KINDS = ("weight", "bias")


@dataclass(frozen=True)
class OfficialSystem:
    """Conversion of one released network to ours.

    Attributes:
        recipe: name of the shipped recipe that trains the system.
        config: function from the official tensors to the settings of our parser.
        spec: function from the official tensors to classes and stream sizes.
        names: function from the official tensors to a mapping of each of our parameter names to official names, which
            are concatenated along the first axis.
        unused: function from the official tensors to the names that have no effect (declared, saved, unused) or repeat
            another tensor.
        changes: settings of the recipe to replace, each ``key=value``, where the network is only a part of its system.
    """

    recipe: str
    config: Callable[[StateDict], PartConfig]
    spec: Callable[[StateDict], TaskSpec]
    names: Callable[[StateDict], Names]
    unused: Callable[[StateDict], Iterable[str]] = lambda state: ()
    changes: tuple[str, ...] = ()


def llp_spec(state: StateDict) -> TaskSpec:
    """Read classes and streams from heads and stem; where there are as many classes as in LLP, they get its names."""
    head = state.get("fc_prob.weight")  # LEAP has no output per class
    classes = len(LLP_CLASSES) if head is None else head.shape[0]
    names = LLP_CLASSES if classes == len(LLP_CLASSES) else tuple(f"class_{c}" for c in range(classes))
    return TaskSpec(
        classes=names,
        streams={
            stream: state[f"{layer}.weight"].shape[1]
            for stream, layer in (("audio", "fc_a"), ("frames", "fc_v"), ("clips", "fc_st"))
            if f"{layer}.weight" in state
        },
        segments=10,  # LLP clips last ten seconds
    )


def both(ours: str, *official: str) -> Names:
    """Return the names of weight and bias of a layer."""
    return {f"{ours}.{kind}": tuple(f"{o}.{kind}" for o in official) for kind in KINDS}


def tensors(*layers: str) -> tuple[str, ...]:
    """Return the official names of weight and bias of each layer."""
    return tuple(f"{layer}.{kind}" for layer in layers for kind in KINDS)


def attention_tensors(attention: str) -> tuple[str, ...]:
    """Return the official names of an attention of PyTorch."""
    return (*(f"{attention}.in_proj_{kind}" for kind in KINDS), *tensors(f"{attention}.out_proj"))


def layer_tensors(layer: str, *attentions: str) -> tuple[str, ...]:
    """Return the official names of a layer of attentions, feed-forward maps and norms."""
    inside = tensors(*(f"{layer}.{part}" for part in ("linear1", "linear2", "norm1", "norm2")))
    return (*inside, *(name for attention in attentions for name in attention_tensors(f"{layer}.{attention}")))


def count(state: StateDict, pattern: str) -> int:
    """Return how many names match; at least one, so that the error names a part that is missing altogether."""
    return max(sum(fnmatchcase(name, pattern) for name in state), 1)


def stem_names(inner: str = "") -> Names:
    """Return the names of the stem; ``inner`` is the suffix of a layer's name where it has an activation."""
    return {
        **both("stem.maps.audio", f"fc_a{inner}"),
        **both("stem.maps.frames", f"fc_v{inner}"),
        **both("stem.maps.clips", f"fc_st{inner}"),
        **both("stem.fusions.visual", f"fc_fusion{inner}"),
    }


def parser_config(encoder: dict[str, Any], decoder: dict[str, Any], stem: Any = "linear") -> ParserConfig:
    """Return the settings of a composed parser."""
    return ParserConfig.read({"stem": stem, "encoder": encoder, "decoder": decoder}, "official weights")


# Every hybrid attention encoder declares two norms outside its layers, and uses neither.
HAT_NORMS = tensors("hat_encoder.norm1", "hat_encoder.norm2")
STEM = stem_names()
MMIL = both("decoder.heads", "fc_prob", "fc_frame_att", "fc_av_att")
