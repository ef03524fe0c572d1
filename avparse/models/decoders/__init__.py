"""Decoders: ``decoder(hidden, audio_mask, visual_mask) -> ParserOutput``, one file each, listed here by name."""

from torch import nn

from avparse.models.decoders.mmil import MMILDecoder

DECODERS: dict[str, type[nn.Module]] = {"mmil": MMILDecoder}
