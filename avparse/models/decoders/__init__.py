"""Decoders: ``decoder(hidden, audio_mask, visual_mask) -> ParserOutput``, one file each, listed here by name.

They are made from their settings, the width of the encoder and the names of the classes.
"""

from torch import nn

from avparse.models.decoders.branches import BranchesDecoder
from avparse.models.decoders.class_tokens import ClassTokenDecoder
from avparse.models.decoders.evidence import EvidenceDecoder
from avparse.models.decoders.leap import LEAPDecoder
from avparse.models.decoders.mmil import MMILDecoder

DECODERS: dict[str, type[nn.Module]] = {
    "mmil": MMILDecoder,
    "leap": LEAPDecoder,
    "class_tokens": ClassTokenDecoder,
    "branches": BranchesDecoder,
    "evidence": EvidenceDecoder,
}
