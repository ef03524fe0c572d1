"""Tiny random CLIP and CLAP networks in the files of published ones."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import torch

from tests.tokenizers import byte_tokenizer

_TEXT = {
    "vocab_size": 600,
    "hidden_size": 16,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "intermediate_size": 32,
}


def write_towers(transformers: ModuleType, folder: Path) -> Path:
    """Write ``clip``, ``fused`` (a CLAP with fusion and the published front end) and ``unfused`` into a folder."""
    seen = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 32}
    ends = {"bos_token_id": 512, "eos_token_id": 513, "pad_token_id": 513}
    clip = transformers.CLIPConfig(
        text_config=_TEXT | ends, vision_config=seen | {"image_size": 32, "patch_size": 16}, projection_dim=12
    )
    heard = {"patch_embeds_hidden_size": 8, "depths": [1, 1], "num_attention_heads": [2, 2], "hidden_size": 16}
    fused = heard | {"enable_fusion": True, "fusion_type": "aff_2d"}
    small = heard | {"num_mel_bins": 16, "spec_size": 64, "window_size": 4}
    torch.manual_seed(0)
    for name, config in (
        ("clip", clip),
        ("fused", transformers.ClapConfig(text_config=_TEXT, audio_config=fused, projection_dim=10)),
        ("unfused", transformers.ClapConfig(text_config=_TEXT, audio_config=small, projection_dim=10)),
    ):
        model = getattr(transformers, "CLIPModel" if name == "clip" else "ClapModel")(config).eval()
        _vary(model)
        model.save_pretrained(folder / name)
        byte_tokenizer(transformers, "clip" if name == "clip" else "clap", folder / name)
    size = {"shortest_edge": 32}
    transformers.CLIPImageProcessor(size=size, crop_size={"height": 32, "width": 32}).save_pretrained(folder / "clip")
    transformers.ClapFeatureExtractor(truncation="fusion").save_pretrained(folder / "fused")
    short = {"feature_size": 16, "max_length_s": 2, "truncation": "rand_trunc"}
    transformers.ClapFeatureExtractor(**short).save_pretrained(folder / "unfused")
    return folder


def _vary(model: torch.nn.Module) -> None:
    """Weights so large that different inputs end up far apart, and statistics of mel bands that matter."""
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if tensor.ndim > 1:
                tensor.mul_(6)
            elif "logit_scale" in name:
                tensor.fill_(3.0)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.fill_(-20)
            module.running_var.fill_(400)
