"""Released weights of CMPAE, and of CoLeaF with its reference networks."""

from __future__ import annotations

from avparse.data.features import TaskSpec
from avparse.data.vocabulary import LLP_FRAMES
from avparse.models.guides.unimodal import UnimodalConfig
from avparse.models.official.han import han_layer_names, han_layers
from avparse.models.official.system import (
    HAT_NORMS,
    KINDS,
    STEM,
    Names,
    OfficialSystem,
    StateDict,
    attention_tensors,
    both,
    llp_spec,
    parser_config,
    stem_names,
    tensors,
)
from avparse.models.parsers import ParserConfig


def _evidence(recipe: str, in_layers: tuple[str, ...] = ()) -> OfficialSystem:
    """CMPAE and CoLeaF's copy of it, which read every frame of a segment separately; ``in_layers`` are never used."""

    def config(state: StateDict) -> ParserConfig:
        feedforward = len(state["hat_encoder.layers.0.linear1.weight"])
        encoder = {"name": "han", "layers": han_layers(state), "feedforward": feedforward, "unimodal_share": 0.2}
        width = state["fc_prob.weight"].shape[1]
        stem = {"name": "linear", "width": width, "activation": "elu", "rates": {"frames": LLP_FRAMES}}
        return parser_config(encoder, {"name": "evidence", "unimodal_absence": "both"}, stem)

    def spec(state: StateDict) -> TaskSpec:
        found = llp_spec({name.replace(".0.", "."): tensor for name, tensor in state.items()})
        streams = {**found.streams, "frames": LLP_FRAMES * found.streams["frames"]}
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

    def unused(state: StateDict) -> tuple[str, ...]:
        layers = (f"hat_encoder.layers.{i}.{name}" for i in range(han_layers(state)) for name in in_layers)
        return (*HAT_NORMS, *tensors("fc_global.0", "fc_global.2"), *layers)

    return OfficialSystem(recipe, config, spec, names, unused)


def _reference(of: str) -> OfficialSystem:
    """CoLeaF's reference network of one modality."""

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
    # Its own training needs the whole of CoLeaF; trained by itself it learns the labels of its modality.
    changes = (f"title=CoLeaF's {of} reference", f"losses=[{{name: video_bce, of: {of}}}]", f"training.select={of}")
    unused = (*HAT_NORMS, *attention_tensors(f"{layer}.cm_attn"))
    return OfficialSystem("coleaf", config, llp_spec, names, lambda state: unused, changes)


SYSTEMS: dict[str, OfficialSystem] = {
    "cmpae": _evidence("cmpae"),
    "coleaf": _evidence("coleaf", in_layers=("cls_tokens_a", "cls_tokens_v")),
    "coleaf_audio": _reference("audio"),
    "coleaf_video": _reference("visual"),
}
