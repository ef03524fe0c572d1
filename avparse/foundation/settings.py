"""Strict settings: unknown keys and bad values are refused, naming the field, the reason and the nearest known name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Self, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, SerializeAsAny, ValidationError, model_validator

from avparse.foundation.errors import UserError, nearest

T = TypeVar("T")


class Settings(BaseModel):
    """Base class of all settings: immutable, without unknown keys, NaN or infinity.

    Attributes:
        renamed: today's key by the key that an earlier version wrote. Both are read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())
    renamed: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        for old, new in cls.renamed.items():
            if old in value and new in value:
                raise UserError(f"'{old}' is an earlier name of '{new}'; give only '{new}'")
        return {cls.renamed.get(key, key): item for key, item in value.items()}

    @classmethod
    def read(cls, value: Any, where: str) -> Self:
        """Validate ``value``; ``where`` names the file (and section) in the error.

        Raises:
            UserError: a value is not accepted; one line names the field, what is wrong and the nearest known key.
        """
        if not isinstance(value, Mapping):
            raise UserError(f"{where}: expected a table of settings, found {type(value).__name__}")
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise UserError(f"{where}: {_first_line(cls, value, error)}") from None


def lookup(registry: Mapping[str, T], name: object, what: str) -> T:
    """Return ``registry[name]``; ``what`` is the kind of part that the registry lists, for the error.

    Raises:
        UserError: the name is unknown; the message offers the nearest known one.
    """
    if not isinstance(name, str) or name not in registry:
        raise UserError(f"unknown {what} '{name}'{nearest(str(name), registry)}")
    return registry[name]


class PartConfig(Settings):
    """Base class of the settings of a part that is chosen by name; each part restricts ``name`` to its own.

    Attributes:
        former_names: names that earlier versions gave the part; they are read as well.
    """

    former_names: ClassVar[tuple[str, ...]] = ()
    name: str


def current_name(registry: Mapping[str, Any], name: object) -> object:
    """Return the current name of a part in ``registry`` for one of its former names; other names are returned as is."""
    return next((known for known, part in registry.items() if name in part.Config.former_names), name)


def build(registry: Mapping[str, Callable[..., T]], config: PartConfig, *arguments: Any) -> T:
    """Create the part that ``config`` names: ``registry[config.name](config, *arguments)``."""
    return registry[config.name](config, *arguments)


def read_part(registry: Mapping[str, Any], what: str, value: Any, default: str | None = None) -> PartConfig:
    """Read ``{name: NAME, ...}`` (or just ``NAME``) as ``registry[NAME].Config``; the name defaults to ``default``.

    Raises:
        UserError: there is neither a name nor a default, the name is unknown, or the part refuses its settings; the
            message names the kind of part, ``what``.
    """
    given = {"name": value} if isinstance(value, str) else value
    if default is not None and isinstance(given, Mapping):
        given = {"name": default, **given}
    if not isinstance(given, Mapping) or "name" not in given:
        raise UserError(f"give the {what} a 'name'; known: {', '.join(sorted(registry))}")
    name = current_name(registry, given["name"])
    config: type[PartConfig] = lookup(registry, name, what).Config
    return config.read({**given, "name": name}, f"{what} '{name}'")


def part_of(registry: Mapping[str, Any], what: str, default: str | None = None) -> tuple[Any, ...]:
    """Return the pydantic annotations of a field that holds the settings of one part of ``registry``.

    The field is read by :func:`read_part`. Example: ``encoder: Annotated[PartConfig, *part_of(ENCODERS, "encoder")]``.
    """

    def read(value: Any) -> PartConfig | None:
        return value if value is None or isinstance(value, PartConfig) else read_part(registry, what, value, default)

    return BeforeValidator(read), SerializeAsAny()  # type: ignore[type-arg]


def _first_line(cls: type[BaseModel], value: Mapping[str, Any], error: ValidationError) -> str:
    found = error.errors(include_url=False)
    # An unknown key explains a missing one (a misspelling), so it is reported first.
    first = next((e for e in found if e["type"] == "extra_forbidden"), found[0])
    field = ".".join(str(part) for part in first["loc"]) or "settings"
    if first["type"] == "extra_forbidden":
        keys = _known_keys(cls, first["loc"][:-1])
        return f"unknown key '{field}'{nearest(str(first['loc'][-1]), keys)}"
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, UserError):
        return f"{field}: {cause}"
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "missing":
        return f"'{field}' is missing"
    shown = repr(first["input"])
    if first["type"] == "literal_error":
        options = [o.strip(" '") for o in str(first.get("ctx", {}).get("expected", "")).replace(" or ", ",").split(",")]
        return f"'{field}' is {shown}{nearest(str(first['input']), options)}"
    return f"'{field}' is {shown[:80]}: {message[:1].lower()}{message[1:]}"


def _known_keys(cls: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = cls
    for part in path:  # a number is an index into a list, whose field was the step before
        field = model.model_fields.get(str(part))
        model = next(_models(field.annotation), model) if field else model
    return list(model.model_fields)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the settings classes in an annotation such as ``Part | None`` or ``tuple[Part, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
