"""Reading of text, JSON and YAML files with limits on size and depth.

A file that is small on disk may be large in memory, deeply nested, or not a regular file. All such files are read by
this module, so that the same limits hold for all of them.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import Any

import yaml

from avparse.foundation import platform
from avparse.foundation.errors import UserError

_MOST_DIGITS = 19  # digits of a whole number of 64 bits
_LONGEST_NUMBER = 70
_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)
_AGAIN = "restore it from a copy or make it again"


@dataclass(frozen=True)
class Limits:
    """Limits on the content of a file.

    Attributes:
        size: largest size of the file in bytes.
        values: largest number of entries of all lists and tables together; aliases count as often as they are used.
        depth: deepest nesting of lists and tables.
    """

    size: int
    values: int
    depth: int = 50


SETTINGS = Limits(size=1 << 20, values=20_000)  # files that people write, and descriptions of runs
RECORDS = Limits(size=256 << 20, values=16_000_000)  # timelines, and lists of a store's blocks


def read_bytes(path: str | os.PathLike[str], most: int, mend: str = "check the path") -> bytes:
    """Read a regular file of at most ``most`` bytes.

    Raises:
        UserError: the file cannot be read, is a pipe, device or folder, or is larger; ``mend`` is the advice in the
            message.
    """
    try:
        with platform.open_regular(path) as file:
            content = file.read(most + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}); {mend}") from None
    except ValueError as error:  # a path with a zero character
        raise UserError(f"{str(path)!r}: not a path of a file ({error}); {mend}") from None
    if len(content) > most:
        raise UserError(f"{path}: larger than the {_size(most)} that such a file may have; {mend}")
    return content


def check_file(path: str | os.PathLike[str], most: int | None = None, mend: str = _AGAIN) -> None:
    """Judge a file that a library will read by its name.

    Raises:
        UserError: the file cannot be opened, is a pipe, device or folder, has more than ``most`` bytes, or consists
            almost entirely of holes.
    """
    try:
        with platform.open_regular(path) as file:
            status = os.fstat(file.fileno())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}); {mend}") from None
    if most is not None and status.st_size > most:
        raise UserError(f"{path}: larger than the {_size(most)} that such a file may have; {mend}")
    if platform.has_holes(status):
        raise UserError(f"{path}: {_size(status.st_size)}, of which the disk holds next to none; {mend}")


def read_text(path: str | os.PathLike[str], most: int = 16 << 20, mend: str = "save it as UTF-8 text") -> str:
    """Read a UTF-8 text of at most ``most`` bytes, without a byte order mark.

    Raises:
        UserError: the file cannot be read (as for :func:`read_bytes`), or is not UTF-8.
    """
    try:
        return read_bytes(path, most, mend).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start}); {mend}") from None


def read_json(path: str | os.PathLike[str], limits: Limits = SETTINGS, mend: str = _AGAIN) -> Any:
    """Read a JSON file.

    Raises:
        UserError: the file cannot be read (as for :func:`read_text`) or parsed (as for :func:`parse_json`).
    """
    return parse_json(read_text(path, limits.size, mend), str(path), limits, mend)


def parse_json(text: str, where: str, limits: Limits = SETTINGS, mend: str = _AGAIN, nan: bool = False) -> Any:
    """Parse JSON within limits.

    Args:
        text: text of the JSON document.
        where: name of the file in error messages.
        limits: limits on size and nesting.
        mend: advice in error messages.
        nan: whether numbers may be NaN or infinite, as in a log.

    Raises:
        UserError: the text is not JSON, exceeds the limits, or has an invalid number or a whole number beyond 64 bits.
    """
    if text.count(",") + text.count("[") + text.count("{") > limits.values:
        raise UserError(f"{where}: holds more than {limits.values} values; {mend}")
    depth = 0
    for match in _BRACKETS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        if depth > limits.depth:
            raise UserError(f"{where}: nested more than {limits.depth} deep; {mend}")
    try:
        return json.loads(text, parse_int=_whole_number, parse_constant=float if nan else _no_number)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: not JSON ({_one_line(error)}); {mend}") from None


def read_yaml(path: str | os.PathLike[str], mend: str = "mend it", limits: Limits = SETTINGS) -> Any:
    """Read a YAML file.

    Raises:
        UserError: the file cannot be read (as for :func:`read_text`) or parsed (as for :func:`parse_yaml`).
    """
    return parse_yaml(read_text(path, limits.size, mend), str(path), mend, limits)


def parse_yaml(text: str, where: str, mend: str = "mend it", limits: Limits = SETTINGS) -> Any:
    """Parse YAML of plain values within limits.

    Args:
        text: text of the YAML document.
        where: name of the file in error messages.
        mend: advice in error messages.
        limits: limits on size and nesting; an alias counts as all that it refers to.

    Raises:
        UserError: the text is not YAML, exceeds the limits, or has a whole number beyond 64 bits or an alias inside the
            value that it refers to.
    """
    loader = None
    try:
        loader = _Loader(text, limits)
        return loader.get_single_data()
    except _TooMuch as error:
        raise UserError(f"{where}: {error}; {mend}") from None
    # The library also raises errors of conversions, such as for the 45th of a month or an empty "!!int".
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        raise UserError(f"{where}: not YAML: {_one_line(error)}; {mend}") from None
    finally:
        if loader is not None:
            loader.dispose()


class _TooMuch(ValueError):
    pass


class _Loader(yaml.SafeLoader):
    """Counts nodes while they are composed, because neither depth nor number is known before and aliases multiply."""

    def __init__(self, text: str, limits: Limits) -> None:
        super().__init__(text)
        self._limits = limits
        self._count = 0
        self._heights: list[int] = []  # for each node that is being composed, the height of its highest child so far
        self._known: dict[yaml.Node, tuple[int, int]] = {}  # for each composed node, its values and its height

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node and all below it, unless there are too many."""
        alias, before = self.check_event(yaml.AliasEvent), self._count
        if not alias:
            self._add(1, 1)
        self._heights.append(0)
        node = super().compose_node(parent, index)
        height = self._heights.pop() + 1
        assert node is not None
        if alias:
            if node not in self._known:
                raise _TooMuch("an alias is inside the value that it refers to")
            values, height = self._known[node]
            self._add(values, height)
        else:
            self._known[node] = self._count - before, height
        if self._heights:
            self._heights[-1] = max(self._heights[-1], height)
        return node

    def fetch_flow_collection_start(self, kind: Any) -> None:
        """Begin a bracket; the time to look ahead grows with the square of the number of open brackets."""
        self._check_depth(self.flow_level)
        super().fetch_flow_collection_start(kind)

    def _check_depth(self, depth: int) -> None:
        if depth > self._limits.depth:
            raise _TooMuch(f"nested more than {self._limits.depth} deep")

    def _add(self, values: int, height: int) -> None:
        self._count += values
        if self._count > self._limits.values:
            raise _TooMuch(f"holds more than {self._limits.values} values, aliases counted as often as they are used")
        self._check_depth(len(self._heights) + height)


def _number(read: Any) -> Any:
    """Return a constructor of numbers that refuses those with too many characters."""

    def construct(loader: _Loader, node: yaml.ScalarNode) -> int | float:
        if len(node.value) > _LONGEST_NUMBER:
            raise _TooMuch(f"a number of {len(node.value)} characters")
        value: int | float = read(loader, node)
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise _TooMuch("a whole number beyond 64 bits")
        return value

    return construct


_Loader.add_constructor("tag:yaml.org,2002:int", _number(yaml.SafeLoader.construct_yaml_int))
_Loader.add_constructor("tag:yaml.org,2002:float", _number(yaml.SafeLoader.construct_yaml_float))


def _whole_number(text: str) -> int:
    if len(text) > _MOST_DIGITS + 1 or not -(2**63) <= (value := int(text)) < 2**63:
        raise ValueError("a whole number beyond 64 bits")
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count >> 10} KiB"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
