"""Class vectors as a part of a parser's state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from avparse.foundation.errors import UserError
from avparse.foundation.settings import build
from avparse.models.class_vectors import CLASS_VECTORS
from avparse.models.class_vectors.config import ClassVectorConfig
from avparse.models.class_vectors.glove import GloVeVectors
from avparse.models.class_vectors.tensor import TensorVectors


class ClassEmbedding(nn.Module):
    """One fixed vector per class, stored in the parser's state.

    The source is read when the vectors are first needed, unless a loaded state holds them already: a trained parser
    does not need its source again.

    Args:
        config: settings of the source of class vectors.
        classes: class names in the order of the vectors.
    """

    vectors: Tensor

    def __init__(self, config: ClassVectorConfig, classes: Sequence[str]) -> None:
        super().__init__()
        self.config = config
        self.dimension = config.dimension
        self.classes = tuple(classes)
        self.known = False
        self.register_buffer("vectors", torch.full((len(self.classes), self.dimension), torch.nan))
        self.register_load_state_dict_post_hook(_loaded)  # type: ignore[no-untyped-call]

    def forward(self) -> Tensor:
        """Return the vectors ``[C, dimension]``.

        Raises:
            UserError: the source cannot be read, or has no vector for a class.
        """
        if not self.known:
            self.replace(self.classes)
        return self.vectors

    def replace(self, classes: Sequence[str], vectors: Tensor | Path | None = None) -> None:
        """Replace the classes, and with them their vectors.

        Args:
            classes: new class names, in order.
            vectors: vectors ``[C, dimension]``, or a file that holds them (``.txt`` with word vectors, or a matrix as
                :class:`TensorVectors` reads). None: known classes keep their vectors, and the source is read for the
                others.

        Raises:
            UserError: the source cannot be read or has no vector for a class, or the vectors have another shape, are
                not finite, or two are the same.
        """
        if vectors is None:
            kept = dict(zip(self.classes, self.vectors.cpu(), strict=True)) if self.known else {}
            new = [name for name in classes if name not in kept]
            read = self._checked(_read(self.config, new), len(new)) if new else ()
            known = kept | dict(zip(new, read, strict=True))
            vectors = torch.stack([known[name] for name in classes])
        elif isinstance(vectors, Path):
            vectors = _read(_file_config(vectors, self.dimension), classes)
        self._checked(vectors, len(classes))
        first: dict[bytes, str] = {}
        for name, vector in zip(classes, vectors.float().cpu().numpy(), strict=True):
            twin = first.setdefault(vector.tobytes(), name)
            if twin != name:
                raise UserError(
                    f"labels '{self.config.name}': classes '{twin}' and '{name}' have the same vector; rename one"
                )
        self.vectors = vectors.to(self.vectors)
        self.classes = tuple(classes)
        self.known = True

    def _checked(self, vectors: Tensor, classes: int) -> Tensor:
        if vectors.shape != (classes, self.dimension) or not vectors.isfinite().all():
            raise UserError(
                f"labels '{self.config.name}': expected {classes} vectors of {self.dimension} finite numbers, "
                f"found {tuple(vectors.shape)}; give one vector a class and set 'dimension' of the labels"
            )
        return vectors


def _read(config: ClassVectorConfig, classes: Sequence[str]) -> Tensor:
    return torch.from_numpy(build(CLASS_VECTORS, config)(classes))


def _file_config(path: Path, dimension: int) -> ClassVectorConfig:
    config = GloVeVectors.Config if path.suffix == ".txt" else TensorVectors.Config
    return config(path=str(path), dimension=dimension)


def _loaded(module: Any, _: Any) -> None:
    """Record, after a state was loaded, whether it held vectors."""
    module.known = bool(module.vectors.isfinite().all())
