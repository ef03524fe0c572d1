"""New classes for a trained parser that reads class names (LEAP)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from avparse.data.vocabulary import Vocabulary
from avparse.foundation.errors import UserError
from avparse.models.class_vectors.embedding import ClassEmbedding
from avparse.models.parsers import AnyParser
from avparse.models.parsers.twins import ParserPair


def with_classes(parser: AnyParser, classes: Sequence[str], vectors: Tensor | Path | None = None) -> AnyParser:
    """Return a copy of a trained parser for other classes: their class vectors change, every weight is kept.

    Args:
        parser: parser whose decoder reads class names (LEAP).
        classes: new class names, any of which may be old ones.
        vectors: class vectors ``[C, dimension]`` or a file that holds them; None to read those of new classes from the
            parser's own source.

    Raises:
        UserError: the parser's outputs belong to fixed classes, a name is unusable, or the source has no vector for it.
    """
    names = Vocabulary(tuple(classes)).names
    changed = copy.deepcopy(parser)
    labels = class_embeddings(changed)
    if not labels:
        raise UserError("this parser has one output per class and takes no others; train one with the decoder 'leap'")
    for embedding in labels:
        embedding.replace(names, vectors)
    changed.spec = parser.spec.model_copy(update={"classes": names})
    if isinstance(changed, ParserPair):
        changed.first.spec = changed.second.spec = changed.spec
    return changed


def class_embeddings(parser: nn.Module) -> list[ClassEmbedding]:
    """Return the parts of a parser that hold class vectors; none where outputs belong to fixed classes."""
    return [part for part in parser.modules() if isinstance(part, ClassEmbedding)]
