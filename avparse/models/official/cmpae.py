"""CMPAE, and CoLeaF with its reference networks."""

from __future__ import annotations

from avparse.data.features import TaskSpec
from avparse.models.official.han import han_layer_names, han_layers
from avparse.models.official.system import (
    KINDS,
    STEM,
    Names,
    OfficialSystem,
    StateDict,
    both,
    llp_spec,
    parser_config,
    stem_names,
)
from avparse.models.parser import ParserConfig
from avparse.models.unimodal import UnimodalConfig

_LLP_FRAMES = 8  # a second, of LLP's published features


def _evidence(*ignored: str) -> OfficialSystem:
    """CMPAE and CoLeaF's copy of it; they read every frame of a segment by itself."""

    def config(state: StateDict) -> ParserConfig:
        feedforward = len(state["hat_encoder.layers.0.linear1.weight"])
        encoder = {"name": "han", "layers": han_layers(state), "feedforward": feedforward, "alone": 0.2}
        width = state["fc_prob.weight"].shape[1]
        stem = {"name": "linear", "width": width, "activation": "elu", "rates": {"frames": _LLP_FRAMES}}
        return parser_config(encoder, {"name": "evidence", "apart": "both"}, stem)

    def spec(state: StateDict) -> TaskSpec:
        found = llp_spec({name.replace(".0.", "."): tensor for name, tensor in state.items()})
        streams = {**found.streams, "frames": _LLP_FRAMES * found.streams["frames"]}
        return found.model_copy(update={"streams": streams})

    def names(state: StateDict) -> Names:
        heads = {
            "presence": "fc_prob",
            "absence": "fc_prob_beta",
            "gates.0": "v2a.0",
            "gates.1": "a2v.0",
            "attention": "fc_frame_att",
            "video_map": "classifier1.0",
            "video_head": "classifier2",
        }
        found = stem_names(".0") | han_layer_names(state)
        for ours, official in heads.items():
            found |= both(f"decoder.{ours}", official)
        return found

    return OfficialSystem(config, spec, names, ("hat_encoder.norm?.*", "fc_global.*", *ignored))


def _reference(of: str) -> OfficialSystem:
    """CoLeaF's network of one modality."""

    def config(state: StateDict) -> UnimodalConfig:
        stem = {"name": "linear", "width": state["fc_prob.weight"].shape[1]}
        sizes = {"feedforward": len(state[f"{layer}.linear1.weight"])}
        return UnimodalConfig.read({"of": of, "stem": stem, **sizes}, "official weights")

    def names(state: StateDict) -> Names:
        found = {n: o for n, o in STEM.items() if n.startswith("stem.maps.audio") == (of == "audio")}
        found |= (
            {"tokens": (f"cls_tokens_{of[0]}",)} | both("probability", "fc_prob") | both("attention", "fc_frame_att")
        )
        for part in ("linear1", "linear2", "norm1", "norm2", "self_attn.out_proj"):
            found |= both(f"layer.{part}", f"{layer}.{part}")
        return found | {f"layer.self_attn.in_proj_{kind}": (f"{layer}.self_attn.in_proj_{kind}",) for kind in KINDS}

    layer = "hat_encoder.layers.0"
    return OfficialSystem(config, llp_spec, names, ("hat_encoder.norm?.*", f"{layer}.cm_attn.*"))


SYSTEMS: dict[str, OfficialSystem] = {
    "cmpae": _evidence(),
    "coleaf": _evidence("hat_encoder.layers.*.cls_tokens_?"),
    "coleaf_audio": _reference("audio"),
    "coleaf_video": _reference("visual"),
}
