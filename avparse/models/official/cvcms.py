"""CVCMS."""

from __future__ import annotations

from avparse.models.official.han import han_layer, han_layer_names, han_layers
from avparse.models.official.system import (
    HAT_NORMS,
    STEM,
    Names,
    OfficialSystem,
    StateDict,
    both,
    layer_tensors,
    llp_spec,
    parser_config,
    tensors,
)
from avparse.models.parsers import ParserConfig


def _cvcms_names(state: StateDict) -> Names:
    classes = "av_class_encoder.layers.0"
    names = STEM | han_layer_names(state) | han_layer("decoder.layer", classes)
    for number, m in enumerate("av"):
        names |= both(f"decoder.tokens.{number}", f"fc_occ_class_{m}")
        names |= both(f"decoder.occurs.{number}", f"fc_occ_prob_{m}")
    return names | both("decoder.weights", "fc_frame_att", "fc_av_att")


def _cvcms_config(state: StateDict) -> ParserConfig:
    sizes = {"layers": han_layers(state), "feedforward": len(state["hat_encoder.layers.0.linear1.weight"])}
    size = state["fc_occ_prob_a.weight"].shape[1]
    feedforward = len(state["av_class_encoder.layers.0.linear1.weight"])
    decoder = {"name": "class_tokens", "size": size, "feedforward": feedforward, "dropout": 0.25}
    return parser_config({"name": "han", "chain": False, "dropout": 0.4, **sizes}, decoder)


_UNUSED = (
    *tensors("fc_prob", "fc_occ_class_av", "fc_occ_frame_prob", "fc_occ_modality_prob"),
    *tensors(*(f"fc_occ_{m}_{map_}" for m in ("a", "v", "av") for map_ in "qkv")),
    *(n for e in ("frame_att", "modality") for n in layer_tensors(f"{e}_encoder.layers.0", "self_attn", "cm_attn")),
    *tensors(*(f"{e}_encoder.norm{i}" for e in ("frame_att", "modality", "av_class") for i in (1, 2))),
    *HAT_NORMS,
)
SYSTEMS: dict[str, OfficialSystem] = {
    "cvcms": OfficialSystem("cvcms", _cvcms_config, llp_spec, _cvcms_names, lambda state: _UNUSED),
}
