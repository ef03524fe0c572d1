"""DHHN, one of its two halves."""

from __future__ import annotations

from avparse.models.official.han import han_layer
from avparse.models.official.system import (
    MMIL,
    STEM,
    Names,
    OfficialSystem,
    StateDict,
    count,
    llp_spec,
    parser_config,
)


def _dhhn_names(state: StateDict) -> Names:
    names = STEM | MMIL | han_layer("encoder.layer", "hat_encoder.layers.0")
    for scale in range(count(state, "conv_x1.*.blocks.0.0.weight")):
        for modality in range(2):
            ours, official = f"encoder.scales.{scale}", f"conv_x{modality + 1}.{scale}.blocks.0"
            names[f"{ours}.convolve.{modality}.weight"] = (f"{official}.0.weight",)
            for kind in ("weight", "bias", "running_mean", "running_var"):
                names[f"{ours}.norms.{modality}.{kind}"] = (f"{official}.1.{kind}",)
    return names


SYSTEMS: dict[str, OfficialSystem] = {
    "dhhn": OfficialSystem(
        lambda state: parser_config({"name": "hcmn"}, {"name": "mmil"}),
        llp_spec,
        _dhhn_names,
        ("hat_encoder.norm?.*", "*.num_batches_tracked"),
    ),
}
