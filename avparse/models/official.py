"""Published weights: official state dicts become our parsers, every name accounted for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from avparse.data.features import TaskSpec
from avparse.data.vocabulary import LLP_CLASSES
from avparse.foundation.errors import UserError
from avparse.foundation.settings import lookup
from avparse.models.parser import Parser, ParserConfig

StateDict = Mapping[str, Tensor]


@dataclass(frozen=True)
class OfficialSystem:
    """How one released network maps to ours.

    Attributes:
        config: reads the parser that it is from the official tensors.
        spec: reads the sizes, likewise.
        names: our parameter name -> official names, concatenated along the first axis.
        ignored: prefixes of official tensors that never act (declared, saved, unused).
    """

    config: Callable[[StateDict], ParserConfig]
    spec: Callable[[StateDict], TaskSpec]
    names: Callable[[StateDict], dict[str, tuple[str, ...]]]
    ignored: tuple[str, ...]


def load_official(system: str, state_dict: StateDict) -> Parser:
    """Build a parser from a released network's state dict.

    Args:
        system: name of a published system; see :data:`OFFICIAL`.
        state_dict: official name -> tensor.

    Returns:
        The parser, in evaluation mode.

    Raises:
        UserError: unknown system, or tensors that are missing, misshapen or neither used nor known as unused; each
            is named.
    """
    known = lookup(OFFICIAL, system, "system")
    state = {name.removeprefix("module."): tensor for name, tensor in state_dict.items()}
    names = known.names(state)
    used = [official for group in names.values() for official in group]
    problems = [f"missing {name}" for name in used if name not in state]
    problems += [f"unexpected {n}" for n in state if n not in used and not n.startswith(known.ignored)]
    if problems:
        raise UserError(f"{system}: not this system's weights: {', '.join(problems)}")
    parser = Parser(known.config(state), known.spec(state))
    ours = {name: torch.cat([state[o] for o in official]) for name, official in names.items()}
    shapes = {name: tuple(p.shape) for name, p in parser.state_dict().items()}
    wrong = [
        f"{'+'.join(names[name])} has shape {tuple(tensor.shape)}, expected {shapes[name]}"
        for name, tensor in ours.items()
        if tuple(tensor.shape) != shapes[name]
    ]
    if wrong:
        raise UserError(f"{system}: {', '.join(wrong)}")
    parser.load_state_dict(ours)
    return parser.eval()


def ignored_names(system: str, state_dict: StateDict) -> list[str]:
    """Return the official names that :func:`load_official` knows as unused and drops."""
    known = lookup(OFFICIAL, system, "system")
    return [name for name in state_dict if name.removeprefix("module.").startswith(known.ignored)]


def _llp_spec(state: StateDict) -> TaskSpec:
    classes = state["fc_prob.weight"].shape[0]
    names = LLP_CLASSES if classes == len(LLP_CLASSES) else tuple(f"class_{c}" for c in range(classes))
    return TaskSpec(
        classes=names,
        streams={
            n: state[f"{k}.weight"].shape[1] for n, k in (("audio", "fc_a"), ("frames", "fc_v"), ("clips", "fc_st"))
        },
        segments=10,  # LLP clips last ten seconds
    )


def _both(ours: str, *official: str) -> dict[str, tuple[str, ...]]:
    return {f"{ours}.{kind}": tuple(f"{o}.{kind}" for o in official) for kind in ("weight", "bias")}


def _attention(ours: str, official: str) -> dict[str, tuple[str, ...]]:
    return {
        f"{ours}.project_in.weight": (f"{official}.in_proj_weight",),
        f"{ours}.project_in.bias": (f"{official}.in_proj_bias",),
        **_both(f"{ours}.project_out", f"{official}.out_proj"),
    }


def _layers(state: StateDict) -> int:
    return sum(name.startswith("hat_encoder.layers.") and name.endswith(".norm1.weight") for name in state)


def _han_names(state: StateDict) -> dict[str, tuple[str, ...]]:
    names = {
        **_both("stem.maps.audio", "fc_a"),
        **_both("stem.maps.frames", "fc_v"),
        **_both("stem.maps.clips", "fc_st"),
        **_both("stem.fusions.visual", "fc_fusion"),
        **_both("decoder.heads", "fc_prob", "fc_frame_att", "fc_av_att"),
    }
    for layer in range(_layers(state)):
        ours, official = f"encoder.layers.{layer}", f"hat_encoder.layers.{layer}"
        names |= {
            **_attention(f"{ours}.self_attention", f"{official}.self_attn"),
            **_attention(f"{ours}.cross_attention", f"{official}.cm_attn"),
            **_both(f"{ours}.expand", f"{official}.linear1"),
            **_both(f"{ours}.contract", f"{official}.linear2"),
            **_both(f"{ours}.attention_norm", f"{official}.norm1"),
            **_both(f"{ours}.feedforward_norm", f"{official}.norm2"),
        }
    return names


def _han_family(chain: bool, visual_dropout: float, ignored: tuple[str, ...]) -> OfficialSystem:
    """HAN and the systems that keep its network; they differ in depth, dropout and what they declare but never run."""

    def config(state: StateDict) -> ParserConfig:
        encoder = {"name": "han", "layers": max(_layers(state), 1), "chain": chain}
        decoder = {"name": "mmil", "visual_dropout": visual_dropout}
        return ParserConfig.read({"stem": "linear", "encoder": encoder, "decoder": decoder}, "official weights")

    unused_norms = ("hat_encoder.norm1.", "hat_encoder.norm2.")
    return OfficialSystem(config, _llp_spec, _han_names, (*unused_norms, *ignored))


_UNUSED_ENCODERS = ("audio_encoder.", "visual_encoder.", "cmt_encoder.")
OFFICIAL: dict[str, OfficialSystem] = {
    "han": _han_family(chain=False, visual_dropout=0.0, ignored=_UNUSED_ENCODERS),
    "ma": _han_family(
        chain=False, visual_dropout=0.0, ignored=(*_UNUSED_ENCODERS, "t_att.", "t_att2.", "fc1.", "fc2.")
    ),
    "jomold": _han_family(chain=True, visual_dropout=0.5, ignored=()),
}
