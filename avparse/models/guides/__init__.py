"""Guides: networks of one modality each that learn beside a parser; ``guides(features) -> Guidance``, listed by name.

They are made from their settings, the parser's stem settings and what the parser knows of the data.
"""

from torch import nn

from avparse.models.guides.modality import ModalityGuides
from avparse.models.guides.references import ReferenceGuides

GUIDES: dict[str, type[nn.Module]] = {"modality": ModalityGuides, "references": ReferenceGuides}
