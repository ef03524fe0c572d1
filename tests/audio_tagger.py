"""A tiny random audio tagger, in the files of the published ones."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import torch

from tests.name_lists import AUDIOSET_NAMES


def random_tagger(transformers: ModuleType, folder: Path) -> None:
    """Save a tagger that knows :data:`AUDIOSET_NAMES`, and reads up to 1.3 s."""
    torch.manual_seed(0)
    labels = dict(enumerate(AUDIOSET_NAMES))
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
    config = transformers.ASTConfig(
        **sizes, max_length=128, num_mel_bins=32, id2label=labels, label2id={name: i for i, name in labels.items()}
    )
    model = transformers.ASTForAudioClassification(config).eval()
    with torch.no_grad():
        for tensor in model.parameters():
            if tensor.ndim > 1:
                tensor.mul_(10)
    model.save_pretrained(folder)
    transformers.ASTFeatureExtractor(num_mel_bins=32, max_length=128).save_pretrained(folder)
