"""Files that are small on disk and large, deep or endless in memory are refused in one line."""

from __future__ import annotations

import json
import os
import time
import tracemalloc
from pathlib import Path

import pytest

from avparse.foundation.errors import UserError
from avparse.foundation.reading import SETTINGS, Limits, parse_json, parse_yaml, read_bytes, read_json, read_yaml

LAUGHS = "\n".join(
    [f"a0: &a0 [{', '.join(['lol'] * 10)}]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
)
MERGES = "a0: &a0 {x: 1}\n" + "\n".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 4)}]}}" for n in range(1, 40))
CHAIN = "\n".join(["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 100)])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (LAUGHS, "more than 20000 values"),
        (MERGES, "more than 20000 values"),
        (CHAIN, "nested more than 50 deep"),
        ("[" * 10_000 + "]" * 10_000, "nested more than 50 deep"),
        ("- " * 10_000 + "x", "nested more than 50 deep"),
        ("{a: " * 10_000 + "}" * 10_000, "nested more than 50 deep"),
        ("&a [*a]", "inside the value that it refers to"),
        ("a: &a {b: *a}", "inside the value that it refers to"),
        ("a: " + "9" * 1000, "a number of 1000 characters"),
        ("a: " + "9" * 30, "beyond 64 bits"),
        ("a: " + "1:" * 5_000 + "1", "a number of"),
        ("a: 2020-13-45", "not YAML"),
        ("a: !!int ''", "not YAML"),
        ("a: !!timestamp x", "not YAML"),
        ("? [a]\n: b", "not YAML"),
        ("a: !!python/object/apply:os.system [ls]", "not YAML"),
        ("a: [", "not YAML"),
        ("a: *b", "not YAML"),
        ("a: b\n---\nc: d", "not YAML"),
    ],
)
def test_yaml_that_is_no_settings_is_refused_at_once(text: str, problem: str) -> None:
    begun = time.monotonic()
    with pytest.raises(UserError, match=problem) as caught:
        parse_yaml(text, "recipe.yaml")
    taken = time.monotonic() - begun
    tracemalloc.start()
    with pytest.raises(UserError):
        parse_yaml(text, "recipe.yaml")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("recipe.yaml: ")
    assert taken < 1
    assert peak < 100e6


def test_yaml_aliases_within_reason_stay_what_they_were() -> None:
    text = (
        "base: &b {rate: 0.1, steps: [1, 2]}\nown: {<<: *b, rate: 2}\nagain: *b\nnone:\nday: 2020-01-02\nlarge: 1_000"
    )
    read = parse_yaml(text, "x")
    assert read["own"] == {"rate": 2, "steps": [1, 2]}
    assert read["again"] == {"rate": 0.1, "steps": [1, 2]}
    assert read["large"] == 1000
    assert parse_yaml("", "x") is None
    assert parse_yaml("7", "x") == 7


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[" * 10_000 + "]" * 10_000, "nested more than 50 deep"),
        ('{"a":' * 10_000 + "1" + "}" * 10_000, "nested more than 50 deep"),
        ("[" + "1," * 30_000 + "1]", "more than 20000 values"),
        ('{"a": ' + "9" * 1000 + "}", "beyond 64 bits"),
        ('{"a": ' + "9" * 5000 + "}", "beyond 64 bits"),
        ('{"a": 9223372036854775808}', "beyond 64 bits"),
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": -Infinity}', "-Infinity is not a number"),
        ("{", "not JSON"),
        ("", "not JSON"),
        ('"' * 100_001, "not JSON"),
    ],
)
def test_json_that_is_no_record_is_refused(text: str, problem: str) -> None:
    with pytest.raises(UserError, match=problem) as caught:
        parse_json(text, "run.json")
    assert "\n" not in str(caught.value)


def test_brackets_inside_texts_are_no_depth() -> None:
    value = {"a": "[" * 100, "b": '\\"[{', "c": [[1, -2, 2**63 - 1]]}
    assert parse_json(json.dumps(value), "x") == value


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "nothing").symlink_to(tmp_path / "gone")
    for name, problem in (("pipe", "a pipe or a device"), ("device", "a pipe or a device"), (".", "a folder")):
        with pytest.raises(UserError, match=problem):
            read_json(tmp_path / name)
    for name in ("nothing", "absent"):
        with pytest.raises(UserError, match="No such file"):
            read_yaml(tmp_path / name)
    with pytest.raises(UserError, match="not a path of a file"):
        read_yaml("a\0b")


def test_a_file_larger_than_its_kind_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with open(tmp_path / "large", "wb") as file:
        file.truncate(12 << 30)
    tracemalloc.start()
    with pytest.raises(UserError, match="larger than the 1 MiB"):
        read_yaml(tmp_path / "large")
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()
    (tmp_path / "small").write_bytes(b"abc")
    assert read_bytes(tmp_path / "small", 3) == b"abc"
    (tmp_path / "latin").write_bytes(b"a: \xe4")
    with pytest.raises(UserError, match="not UTF-8"):
        read_yaml(tmp_path / "latin")


def test_limits_are_those_that_the_caller_gives() -> None:
    assert parse_json("[[[1]]]", "x", Limits(10, 10, 3)) == [[[1]]]
    with pytest.raises(UserError, match="2 deep"):
        parse_json("[[[1]]]", "x", Limits(10, 10, 2))
    assert SETTINGS.depth == 50
