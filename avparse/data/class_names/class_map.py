"""Class maps: YAML files that say which names of fixed lists a class stands for.

``CLASS: {LIST: [NAME, POSITION, "FIRST-LAST", ...]}``; an empty list says that the network knows no such thing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from os import PathLike

from avparse.data.class_names.name_list import NameList
from avparse.data.vocabulary import composed
from avparse.foundation.errors import UserError, nearest
from avparse.foundation.reading import parse_yaml, read_yaml

LISTS = ("imagenet", "audioset", "speech")
_SHIPPED = "class_map.yaml"
_RANGE = re.compile(r"(\d+)\s*-\s*(\d+)")
_SHOWN = "write CLASS: {imagenet: [names or positions], audioset: [names]}"

Entry = str | int


@dataclass(frozen=True)
class ClassMap:
    """Which names of fixed lists some classes stand for.

    Attributes:
        where: path of the file, for messages.
        entries: names, positions or ranges of positions by class and list.
        lenient: whether a name that a list lacks is passed over; the shipped map names more than some networks know.
    """

    where: str
    entries: Mapping[str, Mapping[str, Sequence[Entry]]] = field(default_factory=dict)
    lenient: bool = False

    def find(self, class_name: str, names: NameList) -> tuple[int, ...] | None:
        """Return the positions in a list of the names that a class stands for; None where the map does not say.

        Raises:
            UserError: the list has no such name or position.
        """
        given = self.entries.get(composed(class_name), {}).get(names.key)
        if given is None:
            return None
        places = (at for entry in given for at in self._places(entry, names, f"{self.where}: {class_name}"))
        return tuple(dict.fromkeys(places))

    def _places(self, entry: Entry, names: NameList, where: str) -> Sequence[int]:
        bounds = (entry, entry) if isinstance(entry, int) else _bounds(entry)
        if bounds is not None:
            if not bounds[0] <= bounds[1] < len(names.names):
                last = len(names.names) - 1
                raise UserError(f"{where}: '{entry}' is no position of the list '{names.key}'; give 0 to {last}")
            return range(bounds[0], bounds[1] + 1)
        found = names.find(str(entry))
        if not found and not self.lenient:
            raise UserError(f"{where}: '{entry}' is no name of the list '{names.key}'{names.offer(str(entry))}")
        return found


def read_class_map(path: str | PathLike[str]) -> ClassMap:
    """Read a class map of one's own.

    Raises:
        UserError: the file cannot be read or holds something else; the class and the mend are named.
    """
    return ClassMap(str(path), _checked(read_yaml(path), str(path)))


@cache
def shipped_map() -> ClassMap:
    """Return the class map of the package: the classes of LLP, those of AVE, and common ones that ImageNet splits."""
    text = (resources.files("avparse.data.class_names") / _SHIPPED).read_text(encoding="utf-8")
    return ClassMap(_SHIPPED, _checked(parse_yaml(text, _SHIPPED), _SHIPPED), lenient=True)


def _checked(given: object, where: str) -> dict[str, dict[str, list[Entry]]]:
    if not isinstance(given, dict):
        raise UserError(f"{where}: not a class map; {_SHOWN}")
    checked: dict[str, dict[str, list[Entry]]] = {}
    for name, lists in given.items():
        if not isinstance(lists, dict):
            raise UserError(f"{where}: class '{name}' has {lists!r}; {_SHOWN}")
        for key, entries in lists.items():
            if key not in LISTS:
                raise UserError(f"{where}: {name}: no list '{key}'{nearest(str(key), LISTS)}")
            if not isinstance(entries, list) or any(
                isinstance(e, bool) or not isinstance(e, str | int) for e in entries
            ):
                raise UserError(f"{where}: {name}.{key}: {entries!r} is no list of names or positions; {_SHOWN}")
        if composed(str(name)) in checked:
            raise UserError(f"{where}: class '{name}' is there twice; remove one")
        checked[composed(str(name))] = lists
    return checked


def _bounds(entry: str) -> tuple[int, int] | None:
    found = _RANGE.fullmatch(entry.strip())
    return None if found is None else (int(found[1]), int(found[2]))
