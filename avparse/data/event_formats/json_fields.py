"""Fields of JSON objects of others, read with an error that names them."""

from __future__ import annotations

import json
import math
from typing import Any

from avparse.foundation.errors import UserError

_KINDS: dict[object, str] = {str: "a text", dict: "an object", list: "a list"}


def read_field(raw: Any, key: str, kind: type | tuple[type, ...], where: str) -> Any:
    """Return a value of a JSON object.

    Raises:
        UserError: there is no such object or key, or the value is of another kind; ``where`` names the place.
    """
    value = raw.get(key) if isinstance(raw, dict) else None
    if not isinstance(value, kind) or not (is_number(value) or isinstance(value, str | dict | list)):
        shown = json.dumps(value, ensure_ascii=False)[:40]
        raise UserError(f"{where}: field '{key}' is {shown}, not {_KINDS.get(kind, 'a number')}; mend it")
    return value


def is_number(value: Any) -> bool:
    """Return whether a value of JSON is a number that can be calculated with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def read_numbers(values: Any) -> tuple[float, float] | None:
    """Return the two numbers of a list of JSON; None where it is no such list."""
    if isinstance(values, list) and len(values) == 2 and all(map(is_number, values)):
        return float(values[0]), float(values[1])
    return None


def read_pair(raw: Any, first: str, second: str, where: str) -> tuple[float, float]:
    """Return two numbers of a JSON object.

    Raises:
        UserError: one of them is missing, or no number; ``where`` names the place.
    """
    numbers = [float(read_field(raw, key, (int, float), where)) for key in (first, second)]
    return numbers[0], numbers[1]
