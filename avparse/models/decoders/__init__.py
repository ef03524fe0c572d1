"""Decoders, one file each, listed by name: ``decoder(hidden, audio_mask, visual_mask) -> ParserOutput``.

A decoder is made from its settings, the width of the encoder and the class names.
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
