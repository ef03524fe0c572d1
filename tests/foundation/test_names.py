"""Names of files as text."""

from __future__ import annotations

import os

import pytest

from avparse.foundation.names import writable


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"clip.mp4", "clip.mp4"),
        ("café 音.mp4".encode(), "café 音.mp4"),
        (b"caf\xe9.mp4", "caf\\xe9.mp4"),
        (b"\xff\xfe", "\\xff\\xfe"),
    ],
)
def test_bytes_that_are_no_text_are_escaped(name: bytes, text: str) -> None:
    assert writable(os.fsdecode(name)) == text


def test_other_names_than_of_files_can_be_written_too() -> None:
    assert writable("\ud800").encode("utf-8")
