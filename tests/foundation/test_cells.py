"""Texts and paths come back from the cells of a table as they were."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from avparse.foundation.cells import cell_path, guarded, path_cell, unguarded, without_controls
from avparse.foundation.rows import read_rows, write_rows

TEXTS = ["plain", "=1+1", "'=1", "''=1", "+a", "-b", "@c", "'d", "''", "'"]
NAMES = [b"a", b"caf\xe9", b"caf\\xe9", "caf\u00e9".encode(), b"a\\b", b"a\nb\rc\td\x1b", b"\\\\x41\xff", b"\\u0041"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_guarded_text_comes_back_and_is_no_formula(text: str) -> None:
    assert unguarded(guarded(text)) == text
    assert not guarded(text).startswith(("=", "+", "-", "@"))


def test_paths_come_back_from_a_table_and_none_is_taken_for_another(tmp_path: Path) -> None:
    paths = [Path(os.fsdecode(os.path.join(b"/x", name))) for name in NAMES]
    assert len({path_cell(path) for path in paths}) == len(paths)
    write_rows(tmp_path / "t.csv", ("path",), [(path_cell(path),) for path in paths])
    assert [cell_path(row["path"]) for _, row in read_rows(tmp_path / "t.csv", ("path",))] == paths
    content = (tmp_path / "t.csv").read_bytes()
    assert not any(bytes([code]) in content for code in (0x1B, 0x0D, 0x09, 0xFF))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"clip.mp4", "clip.mp4"),
        ("café 音.mp4".encode(), "café 音.mp4"),
        (b"caf\xe9.mp4", "caf\\xe9.mp4"),
        (b"\xff\xfe", "\\xff\\xfe"),
    ],
)
def test_bytes_of_a_name_that_are_no_text_are_escaped(name: bytes, text: str) -> None:
    assert without_controls(os.fsdecode(name)) == text
