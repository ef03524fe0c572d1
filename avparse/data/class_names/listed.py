"""From the outputs of a network that knows a fixed list of names to logits of one's own classes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike

import numpy as np
import torch
from torch import Tensor

from avparse.data.class_names.class_map import read_class_map, shipped_map
from avparse.data.class_names.name_list import NameList
from avparse.foundation.arrays import BoolArray

_LARGEST = 50.0  # of a logit, so that all stay finite


@dataclass(frozen=True)
class ListedClasses:
    """Some classes, each a set of names of a list.

    Attributes:
        names: list of names that the network knows.
        classes: names of the C classes, in order.
        members: positions in the list of the names of each class; none for a class that the list cannot judge.
        unknown: classes that neither the list nor a class map knows; that a map says "none" of a class is knowledge.
    """

    names: NameList
    classes: tuple[str, ...]
    members: tuple[tuple[int, ...], ...]
    unknown: tuple[str, ...]

    @cached_property
    def judges(self) -> BoolArray:
        """Whether each class can be judged at all, ``[C]``."""
        return np.array([bool(places) for places in self.members], dtype=bool)

    @property
    def digest(self) -> str:
        """Twelve digits that are equal for two mappings only if they make the same of the list's outputs."""
        told = [[self.names.names[at] for at in places] for places in self.members]
        return hashlib.sha256(repr((self.names.exclusive, told)).encode()).hexdigest()[:12]

    def logits(self, outputs: Tensor) -> Tensor:
        """Return the log-odds ``[T, C]`` that any of a class's names holds; NaN for classes that cannot be judged.

        With an exclusive list the probabilities (softmax) of the names are summed; else the names are taken for
        independent, so that the probability that none holds is the product of those of each (sigmoid). For a class
        of one name that is the network's own probability in both cases.

        Args:
            outputs: outputs ``[T, L]`` of the network before its softmax or sigmoid.
        """
        logits = outputs.new_full((len(outputs), len(self.classes)), torch.nan)
        for column, places in enumerate(self.members):
            if places:
                inside = outputs.new_zeros(outputs.shape[1], dtype=torch.bool)
                inside[list(places)] = True
                logits[:, column] = _sum_odds(outputs, inside) if self.names.exclusive else _any_odds(outputs, inside)
        return logits.clamp(-_LARGEST, _LARGEST)

    def explain(self) -> str:
        """Return the unknown classes, each with the nearest names of the list, in one line; empty if there are none."""
        told = "; ".join(f"'{name}' is no name of it{self.names.offer(name)}" for name in self.unknown)
        return told and f"list '{self.names.key}': {told}; say what it is in a class map (--class-map FILE)"


def find_classes(
    classes: Sequence[str], names: NameList, class_map: str | PathLike[str] | None = None
) -> ListedClasses:
    """Find classes in a list: by a class map of one's own, else by their names, else by the shipped class map.

    Args:
        classes: names of the wanted classes.
        names: list of names that the network knows.
        class_map: path of a class map of one's own.

    Raises:
        UserError: the class map cannot be read, or names something that the list lacks.
    """
    own = None if class_map is None else read_class_map(class_map)
    found: list[tuple[int, ...] | None] = []
    for name in classes:
        said = None if own is None else own.find(name, names)
        by_name = names.find(name) if said is None else ()
        found.append(said if said is not None else by_name or shipped_map().find(name, names))
    unknown = tuple(name for name, places in zip(classes, found, strict=True) if places is None)
    return ListedClasses(names, tuple(classes), tuple(places or () for places in found), unknown)


def _sum_odds(outputs: Tensor, inside: Tensor) -> Tensor:
    """Return log(p / (1 - p)) of the summed softmax p of the outputs ``inside``, ``[T]``."""
    if inside.all():
        return outputs.new_full((len(outputs),), torch.inf)
    return outputs[:, inside].logsumexp(dim=1) - outputs[:, ~inside].logsumexp(dim=1)


def _any_odds(outputs: Tensor, inside: Tensor) -> Tensor:
    """Return log(p / (1 - p)) of p = 1 - prod(1 - sigmoid) over the outputs ``inside``, ``[T]``."""
    some = outputs[:, inside]
    if some.shape[1] == 1:
        return some[:, 0]
    none = torch.nn.functional.softplus(some).sum(dim=1)  # -log of the probability that none holds
    return none + torch.log(-torch.expm1(-none))
