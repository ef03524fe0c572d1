"""Guides: networks of one modality each, trained next to a parser; listed by name: ``guides(features) -> Guidance``.

They are made from their settings, the parser's stem settings and the parser's specification of the data.
"""

from torch import nn

from avparse.models.guides.modality import ModalityGuides
from avparse.models.guides.references import ReferenceGuides

GUIDES: dict[str, type[nn.Module]] = {"modality": ModalityGuides, "references": ReferenceGuides}
