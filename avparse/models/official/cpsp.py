"""Released weights of CPSP for video parsing."""

from __future__ import annotations

from avparse.models.official.system import (
    MMIL,
    STEM,
    Names,
    OfficialSystem,
    StateDict,
    both,
    llp_spec,
    parser_config,
)

_LSTM = [f"{kind}_{of}_l0{way}" for kind in ("weight", "bias") for of in ("ih", "hh") for way in ("", "_reverse")]


def _cpsp_names(state: StateDict) -> Names:
    names = STEM | MMIL | both("encoder.norm", "psp.layer_norm")
    for number, (m, modality) in enumerate((("a", "audio"), ("v", "video"))):
        prefix = f"lstm.lstm_{modality}."
        names |= {f"encoder.read.{number}.lstm.{name}": (f"{prefix}{name}",) for name in _LSTM}
        names[f"encoder.project.{number}.weight"] = (f"psp.{m}_L1.weight", f"psp.{m}_L2.weight")
        names[f"encoder.merge.{number}.weight"] = (f"psp.{m}_fc.weight",)
    return names


SYSTEMS: dict[str, OfficialSystem] = {
    "cpsp": OfficialSystem(
        "cpsp", lambda state: parser_config({"name": "cpsp"}, {"name": "mmil"}), llp_spec, _cpsp_names
    ),
}
