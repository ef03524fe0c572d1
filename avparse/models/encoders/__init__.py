"""Encoders: ``encoder(stem: Hidden, audio_mask, visual_mask, cross) -> Hidden``, one file each, listed here by name."""

from torch import nn

from avparse.models.encoders.han import HANEncoder

ENCODERS: dict[str, type[nn.Module]] = {"han": HANEncoder}
