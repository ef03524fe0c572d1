"""The parser of a run, for its own classes or for others."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from avparse.app.class_list import read_classes
from avparse.data.features import TaskSpec
from avparse.foundation.errors import UserError
from avparse.models.parsers import AnyParser
from avparse.models.parsers.classes import class_embeddings, with_classes
from avparse.models.trained import TrainedParser

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class OtherClasses(TrainedParser):
    """The parser of a run that reads class names, for other classes than it was trained on.

    Attributes:
        parser: the parser for these classes.
        untrained: names of the classes that the run was not trained on.
    """

    parser: AnyParser
    untrained: tuple[str, ...]

    @property
    def spec(self) -> TaskSpec:
        """Classes, streams and segment length that the parser reads now."""
        spec: TaskSpec = self.parser.spec
        return spec

    @property
    def note(self) -> str:
        """Remark that names the classes without training."""
        return f"The parser was not trained on: {', '.join(self.untrained)}." if self.untrained else ""

    def load(self, device: torch.device | str = "cpu") -> AnyParser:
        """Return the parser for these classes."""
        return self.parser.to(device)


def run_source(
    run: str | os.PathLike[str] | TrainedParser,
    classes: str | Path | Iterable[str] | None = None,
    vectors: Path | None = None,
) -> TrainedParser:
    """Return the parser of a run, for other classes where some are given.

    Args:
        run: trained run, or the path of its folder.
        classes: other classes, as :func:`read_classes` takes them; None for those that the run was trained on.
        vectors: path of a file with their vectors; None to read them from the run's own source of class vectors.

    Raises:
        UserError: the run's parser or its thresholds belong to the classes it was trained on, or the names or their
            vectors cannot be read.
    """
    trained = run if isinstance(run, TrainedParser) else TrainedParser.open(run)
    if classes is None:
        if vectors is not None:
            raise UserError(f"--label-vectors {vectors}: belongs to a list of classes; give it with --classes")
        return trained
    names = read_classes(classes)
    where = f"--classes {classes}" if isinstance(classes, str | Path) else "classes"
    if trained.rule.by_class:
        tuned = trained.path / "decoding.json"  # takes precedence over the recipe's rule
        file = tuned if tuned.is_file() else trained.path / "recipe.yaml"
        raise UserError(
            f"{where}: {file} has a threshold for each class that the run was trained on; give it one number for all"
        )
    parser = trained.load()
    try:
        changed = with_classes(parser, names, vectors)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    untrained = tuple(name for name in names if name not in parser.spec.classes)
    if untrained and not all(labels.config.tells for labels in class_embeddings(parser)):
        _log.warning(
            "%s was trained on class vectors that carry no meaning; its predictions of %s are arbitrary",
            trained.path,
            ", ".join(untrained),
        )
    return OtherClasses(**vars(trained), parser=changed, untrained=untrained)
