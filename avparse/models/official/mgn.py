"""MGN."""

from __future__ import annotations

from avparse.models.official.system import STEM, Names, OfficialSystem, StateDict, both, count, llp_spec
from avparse.models.parsers.mgn import MGNConfig

_MGN_STAGES = {"audio": "audio_cug", "visual": "visual_cug", "across": "av_mcg"}


def _mlp(ours: str, official: str) -> Names:
    return {**both(f"{ours}.0", f"{official}.fc1"), **both(f"{ours}.2", f"{official}.fc2")}


def _grouping(ours: str, official: str) -> Names:
    read, assign = f"{official}.pre_assign_attn", f"{official}.assign"
    return {
        **both(f"{ours}.group_norm", f"{official}.norm_tokens"),
        **_mlp(f"{ours}.mix", f"{official}.mlp_inter"),
        **both(f"{ours}.mixed_norm", f"{official}.norm_post_tokens"),
        **both(f"{ours}.segment_norm", f"{official}.norm_x"),
        **both(f"{ours}.read_query", f"{read}.attn.q_proj"),
        **both(f"{ours}.read_segments", f"{read}.attn.k_proj", f"{read}.attn.v_proj"),
        **both(f"{ours}.read_out", f"{read}.attn.proj"),
        **both(f"{ours}.read_feedforward_norm", f"{read}.norm2"),
        **_mlp(f"{ours}.read_feedforward", f"{read}.mlp"),
        **both(f"{ours}.read_norm", f"{read}.norm_post"),
        **both(f"{ours}.query", f"{assign}.q_proj"),
        **both(f"{ours}.segments", f"{assign}.k_proj", f"{assign}.v_proj"),
        **both(f"{ours}.out", f"{assign}.proj"),
        **both(f"{ours}.feedforward_norm", f"{official}.norm_new_x"),
        **_mlp(f"{ours}.feedforward", f"{official}.mlp_channels"),
    }


def _mgn_depths(state: StateDict) -> dict[str, int]:
    return {ours: count(state, f"{official}.blocks.*.norm1.weight") for ours, official in _MGN_STAGES.items()}


def _mgn_names(state: StateDict) -> Names:
    names = STEM | {"tokens.0": ("audio_token",), "tokens.1": ("visual_token",)} | both("identify", "fc_cls")
    for number, suffix in enumerate(("_a", "_v", "")):
        names |= both(f"occurs.{number}", f"fc_prob{suffix}")
    for stage, depth in _mgn_depths(state).items():
        names |= _grouping(f"{stage}.grouping", f"{_MGN_STAGES[stage]}.grouping")
        for number in range(depth):
            ours, official = f"{stage}.blocks.{number}", f"{_MGN_STAGES[stage]}.blocks.{number}"
            names |= {
                **both(f"{ours}.attention_norm", f"{official}.norm1"),
                **both(f"{ours}.project_in", f"{official}.attn.qkv"),
                **both(f"{ours}.project_out", f"{official}.attn.proj"),
                **both(f"{ours}.feedforward_norm", f"{official}.norm2"),
                **_mlp(f"{ours}.feedforward", f"{official}.mlp"),
            }
    return names | _grouping("anchors", "audio_cug.han_encoder")


def _mgn(assignment: str, across: str) -> OfficialSystem:
    """MGN; its kind of assignment is a setting that the weights do not reveal."""

    def config(state: StateDict) -> MGNConfig:
        depths = _mgn_depths(state)
        sizes = {"audio_depth": depths["audio"], "visual_depth": depths["visual"], "cross_depth": depths["across"]}
        stem = {"name": "linear", "width": len(state["fc_a.weight"])}
        how = {"assignment": assignment, "cross_assignment": across, "segments": "released"}
        return MGNConfig.read({"stem": stem, **sizes, **how}, "official weights")

        # There is one token per class; the outputs serve all classes.

    return OfficialSystem("mgn", config, lambda s: llp_spec({**s, "fc_prob.weight": s["audio_token"]}), _mgn_names)


SYSTEMS: dict[str, OfficialSystem] = {
    "mgn": _mgn("soft", "soft"),
    "mgn_soft_hard": _mgn("soft", "hard"),
    "mgn_hard_hard": _mgn("hard", "hard"),
}
