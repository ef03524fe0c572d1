"""Settings that earlier versions wrote are read under their names of today."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import pytest

from avparse.foundation.errors import UserError
from avparse.foundation.settings import PartConfig, Settings, current_name, part_of, read_part


class Inner(Settings):
    renamed: ClassVar[dict[str, str]] = {"colour": "shade"}
    shade: int = 1


class Hammer:
    class Config(PartConfig):
        former_names = ("mallet",)
        renamed: ClassVar[dict[str, str]] = {"mass": "weight"}
        name: Literal["hammer"] = "hammer"
        weight: int = 1


class Saw:
    class Config(PartConfig):
        name: Literal["saw"] = "saw"


TOOLS = {"hammer": Hammer, "saw": Saw}


class Outer(Settings):
    inner: Inner = Inner()
    tool: Annotated[PartConfig, *part_of(TOOLS, "tool")]


def test_keys_and_names_of_earlier_versions_are_read_and_written_anew() -> None:
    read = Outer.read({"inner": {"colour": 3}, "tool": {"name": "mallet", "mass": 5}}, "file")
    assert read.model_dump() == {"inner": {"shade": 3}, "tool": {"name": "hammer", "weight": 5}}
    assert read == Outer.read(read.model_dump(), "file")
    assert read_part(TOOLS, "tool", "mallet") == Hammer.Config()
    assert current_name(TOOLS, "mallet") == "hammer"
    assert current_name(TOOLS, "saw") == "saw"
    assert current_name(TOOLS, "spanner") == "spanner"


def test_a_key_given_under_both_names_is_refused() -> None:
    with pytest.raises(UserError, match=r"^file: inner: 'colour' is an earlier name of 'shade'; give only 'shade'$"):
        Outer.read({"inner": {"colour": 3, "shade": 3}, "tool": "saw"}, "file")


def test_a_bad_value_under_an_earlier_name_is_told_by_todays() -> None:
    with pytest.raises(UserError, match=r"^file: 'inner.shade' is 'red'"):
        Outer.read({"inner": {"colour": "red"}, "tool": "saw"}, "file")
    with pytest.raises(UserError, match="did you mean 'hammer'"):
        read_part(TOOLS, "tool", "hamer")
    with pytest.raises(UserError, match="did you mean 'shade'"):
        Inner.read({"shad": 1}, "file")
