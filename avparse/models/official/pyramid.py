"""Released weights of MM-Pyramid, and of LEAP with that encoder."""

from __future__ import annotations

from collections.abc import Iterable

from avparse.models.official.system import (
    MMIL,
    STEM,
    Names,
    OfficialSystem,
    StateDict,
    both,
    count,
    llp_spec,
    parser_config,
    tensors,
)
from avparse.models.parsers import ParserConfig


def _block(ours: str, official: str) -> Names:
    return {
        **both(f"{ours}.query_norm", f"{official}.sublayer.0.norm"),
        **both(f"{ours}.project_query", f"{official}.self_attn.linears.0"),
        **both(f"{ours}.project_segments", f"{official}.self_attn.linears.1", f"{official}.self_attn.linears.2"),
        **both(f"{ours}.project_out", f"{official}.self_attn.linears.3"),
        **both(f"{ours}.feedforward_norm", f"{official}.sublayer.1.norm"),
        **both(f"{ours}.expand", f"{official}.feed_forward.w_1"),
        **both(f"{ours}.contract", f"{official}.feed_forward.w_2"),
    }


def _pyramid_levels(state: StateDict) -> int:
    return count(state, "MMP.capture.msa.*.lv1.weight")


def _pyramid_names(state: StateDict) -> Names:
    names = dict(STEM)
    for level in range(_pyramid_levels(state)):
        ours, official = f"encoder.levels.{level}", f"MMP.capture.msa.{level}"
        names |= _block(f"{ours}.cross", f"{official}.cmablock.layer")
        for number, m in enumerate("av"):
            side, convolutions = f"{ours}.sides.{number}", f"MMP.capture.{m}network.{level}"
            names |= {
                **_block(f"{side}.block", f"{official}.{m}sablock.layer"),
                **both(f"{side}.gates", f"{official}.l{m}1", f"{official}.l{m}2"),
                **both(f"{side}.convolve", f"{convolutions}.conv1"),
                **both(f"{side}.mix", f"{convolutions}.conv2"),
            }
    for number, m in enumerate("av"):
        names |= _block(f"encoder.fusions.{number}.block", f"MMP.fusion.{m}adaptiveinteraction")
        names |= both(f"encoder.fusions.{number}.weigh", f"MMP.fusion.{m}selectfusion")
    return names


def _mm_pyramid_config(state: StateDict) -> ParserConfig:
    encoder = {"name": "mm_pyramid", "levels": _pyramid_levels(state), "slot_order": "visual_audio"}
    return parser_config(encoder, {"name": "mmil"})


def _leap_blocks(state: StateDict) -> int:
    return count(state, "AVL.la_cma_network.*.sublayer.0.norm.weight")


def _leap_names(state: StateDict) -> Names:
    names = _pyramid_names(state) | both("decoder.project_labels", "fc_l")
    for number, m in enumerate("av"):
        for block in range(_leap_blocks(state)):
            names |= _block(f"decoder.sides.{number}.blocks.{block}", f"AVL.l{m}_cma_network.{block}")
        names |= both(f"decoder.sides.{number}.occurs", f"fc_l{m}")
    return names


def _leap_config(state: StateDict) -> ParserConfig:
    encoder = {"name": "mm_pyramid", "levels": _pyramid_levels(state)}
    labels = {"name": "tensor", "path": "llp_label_glove_embeddings.npz", "dimension": state["fc_l.weight"].shape[1]}
    return parser_config(encoder, {"name": "leap", "blocks": _leap_blocks(state), "labels": labels})


def _template(name: str) -> tuple[str, ...]:
    """Return the tensors of the layer that others were copied from."""
    attention = (*(f"{name}.multiheadattn.linears.{i}" for i in range(4)), f"{name}.multiheadattn.layer_norm")
    return tensors(*attention, f"{name}.feedforward.w_1", f"{name}.feedforward.w_2")


def _norms_inside(blocks: Iterable[str]) -> tuple[str, ...]:
    """Return the norms that the attention of every block declares and never uses."""
    return tensors(*(f"{block}.self_attn.layer_norm" for block in blocks))


def _pyramid_unused(state: StateDict) -> tuple[str, ...]:
    levels = range(_pyramid_levels(state))
    blocks = [f"MMP.capture.msa.{level}.{m}block.layer" for level in levels for m in ("asa", "vsa", "cma")]
    blocks += [f"MMP.fusion.{m}adaptiveinteraction" for m in "av"]
    # Convolutions under their second names.
    again = tensors(*(f"MMP.capture.{m}network.{level}.net.{i}" for m in "av" for level in levels for i in (0, 2)))
    return (*_template("MMP.capture"), *_template("MMP.fusion"), *_norms_inside(blocks), *again)


def _leap_unused(state: StateDict) -> tuple[str, ...]:
    blocks = (f"AVL.l{m}_cma_network.{block}" for m in "av" for block in range(_leap_blocks(state)))
    return (*_pyramid_unused(state), *_template("AVL"), *_norms_inside(blocks))


SYSTEMS: dict[str, OfficialSystem] = {
    "mm_pyramid": OfficialSystem(
        "mm-pyramid", _mm_pyramid_config, llp_spec, lambda state: _pyramid_names(state) | MMIL, _pyramid_unused
    ),
    "leap": OfficialSystem("leap-mm-pyramid", _leap_config, llp_spec, _leap_names, _leap_unused),
}
