"""Other classes for a trained parser that reads class names (LEAP)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from avparse.data.vocabulary import Vocabulary
from avparse.foundation.errors import UserError
from avparse.models.class_vectors.embedding import LabelEmbedding
from avparse.models.parsers import AnyParser
from avparse.models.parsers.twins import ParserPair


def with_classes(parser: AnyParser, classes: Sequence[str], vectors: Tensor | Path | None = None) -> AnyParser:
    """Return a copy of a trained parser for other classes: their label vectors change, every weight is kept.

    Args:
        parser: one whose decoder reads class names (LEAP).
        classes: the new names, of which any may be old ones.
        vectors: see :meth:`avparse.models.class_vectors.embedding.LabelEmbedding.replace`.

    Raises:
        UserError: the parser has outputs of fixed classes, a name is unusable, or the source has no vector for it.
    """
    names = Vocabulary(tuple(classes)).names
    changed = copy.deepcopy(parser)
    labels = label_embeddings(changed)
    if not labels:
        raise UserError("this parser learned one output a class and knows no others; train one with the decoder 'leap'")
    for embedding in labels:
        embedding.replace(names, vectors)
    changed.spec = parser.spec.model_copy(update={"classes": names})
    if isinstance(changed, ParserPair):
        changed.first.spec = changed.second.spec = changed.spec
    return changed


def label_embeddings(parser: nn.Module) -> list[LabelEmbedding]:
    """Return the parts of a parser that hold the vectors of class names; none where outputs belong to classes."""
    return [part for part in parser.modules() if isinstance(part, LabelEmbedding)]
