"""Encoders, one file each, listed by name: ``encoder(stem: Hidden, audio_mask, visual_mask, cross) -> Hidden``."""

from torch import nn

from avparse.models.encoders.avsdn import AVSDNEncoder
from avparse.models.encoders.cpsp import CPSPEncoder
from avparse.models.encoders.han import HANEncoder
from avparse.models.encoders.hcmn import HCMNEncoder
from avparse.models.encoders.lstm import LSTMEncoder
from avparse.models.encoders.mm_pyramid import MMPyramidEncoder

ENCODERS: dict[str, type[nn.Module]] = {
    "han": HANEncoder,
    "mm_pyramid": MMPyramidEncoder,
    "hcmn": HCMNEncoder,
    "cpsp": CPSPEncoder,
    "lstm": LSTMEncoder,
    "avsdn": AVSDNEncoder,
}
