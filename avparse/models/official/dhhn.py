"""Released weights of DHHN, one of whose two halves parses."""

from __future__ import annotations

from avparse.models.official.han import han_layer
from avparse.models.official.system import (
    HAT_NORMS,
    MMIL,
    STEM,
    Names,
    OfficialSystem,
    StateDict,
    count,
    llp_spec,
    parser_config,
)


def _scales(state: StateDict) -> int:
    return count(state, "conv_x1.*.blocks.0.0.weight")


def _dhhn_names(state: StateDict) -> Names:
    names = STEM | MMIL | han_layer("encoder.layer", "hat_encoder.layers.0")
    for scale in range(_scales(state)):
        for modality in range(2):
            ours, official = f"encoder.scales.{scale}", f"conv_x{modality + 1}.{scale}.blocks.0"
            names[f"{ours}.convolve.{modality}.weight"] = (f"{official}.0.weight",)
            for kind in ("weight", "bias", "running_mean", "running_var"):
                names[f"{ours}.norms.{modality}.{kind}"] = (f"{official}.1.{kind}",)
    return names


def _dhhn_unused(state: StateDict) -> tuple[str, ...]:
    steps = (f"conv_x{m}.{scale}.blocks.0.1.num_batches_tracked" for m in (1, 2) for scale in range(_scales(state)))
    return (*HAT_NORMS, *steps)


SYSTEMS: dict[str, OfficialSystem] = {
    "dhhn": OfficialSystem(
        "dhhn",
        lambda state: parser_config({"name": "hcmn"}, {"name": "mmil"}),
        llp_spec,
        _dhhn_names,
        _dhhn_unused,
    ),
}
