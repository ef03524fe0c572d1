"""Tiny random networks of PE-AV, in the files of the published ones."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

_TEXT = {
    "model_type": "modernbert",
    "vocab_size": 600,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 0),
}
_ENCODER = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "head_dim": 8,
}
_DAC = {"model_type": "dac", "downsampling_ratios": [2, 8, 10, 12], "encoder_hidden_size": 2, "codebook_dim": 4}
_TIMM = {
    "model_type": "timm_wrapper",
    "architecture": "vit_pe_core_tiny_patch16_384",
    "do_pooling": True,
    "num_classes": 12,
    "global_pool": "map",
    "model_args": {"img_size": 32, "embed_dim": 24, "depth": 1, "num_heads": 2, "ref_feat_shape": [2, 2]},
}


def audio_config(transformers: ModuleType) -> Any:
    """Settings of a network that hears."""
    encoder = transformers.PeAudioEncoderConfig(dac_config=_DAC, **_ENCODER)
    return transformers.PeAudioConfig(text_config=_TEXT, audio_config=encoder)


def video_config(transformers: ModuleType, vision: Any = None) -> Any:
    """Settings of a network that sees; ``vision`` in place of the network of ``timm`` looks at the pictures."""
    encoder = transformers.PeVideoEncoderConfig(vision_config=vision or _TIMM, **_ENCODER)
    return transformers.PeVideoConfig(text_config=_TEXT, video_config=encoder)


def plain_vision(transformers: ModuleType) -> Any:
    """Settings of a network for pictures that needs no ``timm``."""
    sizes = {"image_size": 28, "patch_size": 14, "hidden_size": 16, "intermediate_size": 24}
    return transformers.ViTConfig(num_hidden_layers=1, num_attention_heads=2, num_labels=12, **sizes)


def joint_config(transformers: ModuleType, vision: Any = None) -> Any:
    """Settings of the joint network."""
    parts = {
        "audio_config": audio_config(transformers).audio_config,
        "video_config": video_config(transformers, vision).video_config,
    }
    encoder = transformers.PeAudioVideoEncoderConfig(**parts, **_ENCODER)
    return transformers.PeAudioVideoConfig(text_config=_TEXT, audio_video_config=encoder)


def random_network(transformers: ModuleType, name: str, config: Any, folder: Path | None = None) -> Any:
    """Make a network with weights so large that inputs end up far apart; save it where a folder is given."""
    torch.manual_seed(0)
    with contextlib.redirect_stdout(io.StringIO()):
        model = getattr(transformers, name)(config).eval()
    with torch.no_grad():
        for key, tensor in model.named_parameters():
            if "logit" in key:
                tensor.fill_(2.5 if key.endswith("scale") else -1.25 if "audio_logit" in key else -0.75)
            elif tensor.ndim > 1:
                tensor.mul_(20 if "dac_encoder" in key else 3)
    if folder is not None:
        model.save_pretrained(folder)
    return model
