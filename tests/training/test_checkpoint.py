"""Checkpoints and logs that were damaged, and file calls that fail: what is left always loads."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

from avparse.foundation.errors import UserError
from avparse.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from avparse.training.logs import JsonLines, RunLog
from tests.faults import Killed, faults


def _checkpoint(epoch: int) -> Checkpoint:
    value = {"x": torch.full((3,), float(epoch))}
    return Checkpoint(value, value, value, {"epoch": epoch, "step": 0})


def _epoch(folder: Path) -> int | None:
    found = load_checkpoint(folder)
    if found is None:
        return None
    assert torch.equal(found.weights["x"], torch.full((3,), float(found.state["epoch"])))
    return int(found.state["epoch"])


def _truncate(path: Path) -> None:
    os.truncate(path / "weights.safetensors", 40)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "half a file": _truncate,
    "a file is gone": lambda path: (path / "extra.safetensors").unlink(),
    "no manifest": lambda path: (path / "MANIFEST.json").unlink(),
    "an empty manifest": lambda path: (path / "MANIFEST.json").write_text("{}"),
    "a manifest without end": lambda path: (path / "MANIFEST.json").write_text("[" * 10_000),
    "another state": lambda path: (path / "state.json").write_text('{"epoch": 9, "step": 0}'),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_step_is_told_and_written_again(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for epoch in (1, 2):
        save_checkpoint(tmp_path, _checkpoint(epoch))
    DAMAGE[kind](tmp_path / "000002-00000")
    assert _epoch(tmp_path) == 1
    assert "000002-00000" in caplog.text
    assert "falling back to the checkpoint before it" in caplog.text
    save_checkpoint(tmp_path, _checkpoint(2))
    assert _epoch(tmp_path) == 2
    assert (tmp_path / "last").read_text() == "000002-00000\n"


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_step_that_is_there_in_a_damaged_form_is_written_again(kind: str, tmp_path: Path) -> None:
    save_checkpoint(tmp_path, _checkpoint(2))
    DAMAGE[kind](tmp_path / "000002-00000")
    save_checkpoint(tmp_path, _checkpoint(2))
    assert _epoch(tmp_path) == 2


def test_a_damaged_checkpoint_is_not_kept_in_place_of_a_whole_one(tmp_path: Path) -> None:
    for epoch in (1, 2):
        save_checkpoint(tmp_path, _checkpoint(epoch))
    (tmp_path / "000002-00000").rename(tmp_path / "000099-00000")
    _truncate(tmp_path / "000099-00000")
    assert _epoch(tmp_path) == 1
    for epoch in (2, 3):
        save_checkpoint(tmp_path, _checkpoint(epoch))
    assert sorted(p.name for p in tmp_path.glob("0*")) == ["000002-00000", "000003-00000"]


def test_names_that_are_none_of_a_checkpoint_are_left_alone(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, _checkpoint(2))
    for name in ("1-notes", "000003-00000.bak"):
        (tmp_path / name).mkdir()
    assert _epoch(tmp_path) == 2
    for epoch in (3, 4, 5):
        save_checkpoint(tmp_path, _checkpoint(epoch))
    assert (tmp_path / "1-notes").is_dir()


@pytest.mark.slow
@pytest.mark.parametrize("error", [Killed, OSError])
def test_whatever_file_call_fails_a_whole_checkpoint_is_left(error: type[BaseException], tmp_path: Path) -> None:
    """Between any two calls a kill, or an error of the disk in any call."""
    cuts = 0
    for number, injected in enumerate(faults(error)):
        folder = tmp_path / str(number)
        for epoch in (1, 2):
            save_checkpoint(folder, _checkpoint(epoch))
        with injected:
            save_checkpoint(folder, _checkpoint(3))
        if not injected.hit:
            break
        cuts += 1
        assert _epoch(folder) in (2, 3)
        assert not [p for p in folder.iterdir() if p.name.startswith(".tmp-")]
        save_checkpoint(folder, _checkpoint(3))
        assert _epoch(folder) == 3
    assert cuts > 40


def _lines(path: Path) -> list[int]:
    return [json.loads(line)["epoch"] for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("rest", "kept"),
    [
        (b'{"epoch": 3', [0, 1, 2]),
        (b'{"epoch": 3}', [0, 1, 2]),
        (b"hello\n", [0, 1, 2]),
        (b'hello\n{"epoch": 3}\n', [0, 1, 2, 3]),
        (b"\xff\xfe\n", [0, 1, 2]),
        (b"\x00\x00\x00\x00", [0, 1, 2]),
        (b"[1]\n", [0, 1, 2]),
        (b'{"epoch": "3"}\n', [0, 1, 2]),
        (b'{"epoch": true}\n', [0, 1, 2]),
        (b'{"epoch": -1}\n', [0, 1, 2]),
        (b'{"step": 3}\n', [0, 1, 2]),
        (b'{"epoch": 1}\n{"epoch": 2}\n{"epoch": 3}\n', [0, 1, 2, 3]),
        (b'{"epoch": 4}\n', [0, 1, 2]),
        (b'{"epoch": 3, "loss": NaN}\n', [0, 1, 2, 3]),
        (b"[" * 10_000 + b"\n", [0, 1, 2]),
    ],
)
def test_a_log_is_cut_back_to_its_own_whole_lines(rest: bytes, kept: list[int], tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"epoch": 0}\n{"epoch": 1}\n{"epoch": 2}\n' + rest)
    log = JsonLines(path, "epoch", keep=4)
    assert _lines(path) == kept
    log.write({"epoch": 4})
    assert _lines(path) == [*kept, 4]


def test_a_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    log = JsonLines(tmp_path / "metrics.jsonl", "epoch", keep=4)
    (tmp_path / "metrics.jsonl").unlink()
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(UserError, match="a folder stands where a file is needed"):
        log.write({"epoch": 0})


def test_curves_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    (tmp_path / "tensorboard").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*tensorboard: a file stands where a folder is needed"):
        RunLog(tmp_path)


def test_curves_that_cannot_be_continued_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorBoard writes in a thread and raises what went wrong there at a later call."""
    writer = pytest.importorskip("torch.utils.tensorboard.writer").SummaryWriter
    with RunLog(tmp_path) as log:
        full = OSError(errno.ENOSPC, "No space left on device")
        with monkeypatch.context() as patched:
            patched.setattr(writer, "add_scalar", Mock(side_effect=full))
            with pytest.raises(UserError, match=r"cannot write .*tensorboard: the disk is full"):
                log.write(0, {"loss": 1.0})
