"""Released weights of HAN and of the systems that use its network."""

from __future__ import annotations

from typing import Any

from avparse.models.official.system import (
    HAT_NORMS,
    MMIL,
    STEM,
    Names,
    OfficialSystem,
    StateDict,
    both,
    count,
    layer_tensors,
    llp_spec,
    parser_config,
    tensors,
)
from avparse.models.parsers import ParserConfig

STEM_2D = {ours: official for ours, official in STEM.items() if "clips" not in ours and "fusions" not in ours}


def _attention(ours: str, official: str) -> Names:
    return {
        f"{ours}.project_in.weight": (f"{official}.in_proj_weight",),
        f"{ours}.project_in.bias": (f"{official}.in_proj_bias",),
        **both(f"{ours}.project_out", f"{official}.out_proj"),
    }


def han_layers(state: StateDict) -> int:
    """Return the number of layers."""
    return count(state, "hat_encoder.layers.*.norm1.weight")


def _han_names(state: StateDict, stem: Names = STEM, norms: str = "") -> Names:
    """Return the names of HAN; ``norms`` is the prefix of the last norms, before the first letter of the modality."""
    names = stem | MMIL | han_layer_names(state)
    if norms:
        names |= {**both("encoder.norms.0", f"{norms}a"), **both("encoder.norms.1", f"{norms}v")}
    return names


def han_layer_names(state: StateDict) -> Names:
    """Return the names of all layers of HAN's encoder."""
    names: Names = {}
    for layer in range(han_layers(state)):
        names |= han_layer(f"encoder.layers.{layer}", f"hat_encoder.layers.{layer}")
    return names


def han_layer(ours: str, official: str) -> Names:
    """Return the names of one hybrid attention layer."""
    return {
        **_attention(f"{ours}.self_attention", f"{official}.self_attn"),
        **_attention(f"{ours}.cross_attention", f"{official}.cm_attn"),
        **both(f"{ours}.expand", f"{official}.linear1"),
        **both(f"{ours}.contract", f"{official}.linear2"),
        **both(f"{ours}.attention_norm", f"{official}.norm1"),
        **both(f"{ours}.feedforward_norm", f"{official}.norm2"),
    }


def _han_family(
    recipe: str,
    *unused: str,
    visual_dropout: float = 0.0,
    stem: Names = STEM,
    norms: str = "",
    **encoder: Any,
) -> OfficialSystem:
    """HAN and the systems that use its network; they differ in sizes, settings and tensors that they never use."""

    def config(state: StateDict) -> ParserConfig:
        sizes = {"layers": han_layers(state), "feedforward": len(state["hat_encoder.layers.0.linear1.weight"])}
        decoder = {"name": "mmil", "visual_dropout": visual_dropout}
        visual = ("frames", "clips") if stem is STEM else ("frames",)
        width = len(state["fc_a.weight"])
        return parser_config(
            {"name": "han", **sizes, **encoder}, decoder, {"name": "linear", "width": width, "visual": visual}
        )

    return OfficialSystem(recipe, config, llp_spec, lambda state: _han_names(state, stem, norms), lambda state: unused)


_VALOR: dict[str, Any] = {"order": "sequential", "heads": 8}
_UNUSED_ENCODERS = (
    *(name for e in ("audio", "visual", "cmt") for name in layer_tensors(f"{e}_encoder.layers.0", "self_attn")),
    *tensors("cmt_encoder.norm1", "cmt_encoder.norm2"),
    *HAT_NORMS,
)
# Two attentions over time from another library, whose norms have different names.
_MA_ATTENTIONS = tuple(
    name
    for attention in ("t_att", "t_att2")
    for name in (
        *tensors(*(f"{attention}.{part}" for part in ("w_qs", "w_ks", "w_vs", "fc"))),
        *(f"{attention}.layer_norm.{kind}" for kind in ("gamma", "beta")),
    )
)
SYSTEMS: dict[str, OfficialSystem] = {
    "han": _han_family("han", *_UNUSED_ENCODERS, chain=False),
    "ma": _han_family("ma", *_UNUSED_ENCODERS, *_MA_ATTENTIONS, *tensors("fc1", "fc2"), chain=False),
    "jomold": _han_family("jomold", *HAT_NORMS, visual_dropout=0.5),
    "lsld": _han_family("lsld", *HAT_NORMS, visual_dropout=0.5, stem=STEM_2D),
    "valor": _han_family("valor", *tensors("hat_encoder.final_norm_a", "hat_encoder.final_norm_v"), **_VALOR),
    "valor_prenorm": _han_family("valor", norms="hat_encoder.final_norm_", norm="pre", **_VALOR),
}
