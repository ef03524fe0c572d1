"""Fixtures shared by the whole suite."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from avparse.app import cli

torch.set_num_threads(1)  # tests are many and small; pytest-xdist fills the other cores

Command = Callable[..., tuple[int, str, str]]

_SHARED = Path(os.environ.get("AVPARSE_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with annotations of LLP and a real clip beside the project; the test is skipped where it is absent."""
    if not (_SHARED / "golden").is_dir():
        pytest.skip(f"no shared folder at {_SHARED} (set AVPARSE_SHARED)")
    return _SHARED


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command line in this process; return exit code, standard output and standard error."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["avparse", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        text = capsys.readouterr()
        return int(stop.value.code or 0), text.out, text.err

    return run
