"""Atomic files and folders, what killed processes leave, and locks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from avparse.foundation import files, platform
from avparse.foundation.errors import UserError, printable
from avparse.foundation.files import atomic_file, atomic_folder, scratch_folder, sweep, write_text
from avparse.foundation.locks import Lock

WRITER = """
import sys, time
from pathlib import Path
from avparse.foundation.files import atomic_file, atomic_folder
with atomic_file(Path(sys.argv[1]) / "file"), atomic_folder(Path(sys.argv[1]) / "folder"):
    print("writing", flush=True)
    time.sleep(60)
"""
HOLDER = """
import sys, time
from pathlib import Path
from avparse.foundation.locks import Lock
with Lock(Path(sys.argv[1]), "the run"):
    print("held", flush=True)
    time.sleep(60)
"""


def _start(script: str, *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def _temporary(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith(".tmp-"))


def test_what_a_killed_process_left_is_gone_after_the_next_start(tmp_path: Path) -> None:
    victim, living = _start(WRITER, str(tmp_path)), _start(WRITER, str(tmp_path))
    try:
        assert len(_temporary(tmp_path)) == 4
        victim.kill()
        victim.wait()
        files._swept.clear()
        write_text(tmp_path / "mine", "x")
        left = _temporary(tmp_path)
        assert len(left) == 2
        assert all(f"-{living.pid}-" in name for name in left)
    finally:
        living.kill()
        living.wait()
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_names_of_other_machines_and_of_no_one_are_left_for_a_day(tmp_path: Path) -> None:
    dead = platform.Owner(platform.Owner.this().host, 2**22 - 1, 1)
    for name in (f".tmp-{dead}-abc", ".tmp-ffffff-1-1-abc", ".tmp-abc", ".tmp-day", "kept", ".tmp-x-y-z"):
        (tmp_path / name).write_text("")
    os.utime(tmp_path / ".tmp-day", (0, 0))
    (tmp_path / f".tmp-{dead}-link").symlink_to(tmp_path / "kept")
    sweep(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".tmp-abc", ".tmp-ffffff-1-1-abc", ".tmp-x-y-z", "kept"]
    sweep(tmp_path, locked=True)
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_a_process_is_told_from_a_later_one_of_its_number() -> None:
    me = platform.Owner.this()
    assert not me.is_dead()
    assert platform.Owner(me.host, me.pid, me.started - 100).is_dead()
    assert platform.Owner.parse(str(me)) == me
    assert platform.Owner.parse("abcdef") is None


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), atomic_file(tmp_path / "a"):
        raise KeyboardInterrupt

    def build() -> None:
        with atomic_folder(tmp_path / "b") as folder:
            (folder / "c").write_text("")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build()
    with scratch_folder(tmp_path) as folder:
        (folder / "c").write_text("")
    assert not list(tmp_path.iterdir())


def test_of_two_who_make_a_folder_the_second_is_told(tmp_path: Path) -> None:
    def build() -> None:
        with atomic_folder(tmp_path / "a") as folder:
            (folder / "x").write_text("")
            (tmp_path / "a").mkdir()
            (tmp_path / "a" / "y").write_text("")

    with pytest.raises(UserError, match="made by another process meanwhile"):
        build()
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_lock_tells_who_holds_it_and_ends_with_its_owner(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    holder = _start(HOLDER, str(path), "an argument\x1b[2J")
    try:
        with pytest.raises(UserError) as refusal:
            Lock(path, "the run")
        text = str(refusal.value)
        assert text.startswith(f"the run: another process is writing there: process {holder.pid} on ")
        assert "an argument" in text
        assert "\x1b" not in text
        assert text.endswith("wait for it or stop it")
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with Lock(path, "the run"):
        assert json.loads(path.read_text())["pid"] == os.getpid()
        with pytest.raises(UserError, match=f"process {os.getpid()}"):
            Lock(path, "the run")
    assert not path.exists()


def test_a_lock_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    (tmp_path / ".lock").symlink_to(tmp_path / "mine")
    with pytest.raises(UserError, match="a link stands there"):
        Lock(tmp_path / ".lock", "the run")
    assert (tmp_path / "mine").read_text() == "precious"


def test_many_processes_take_turns(tmp_path: Path) -> None:
    """A lock that is removed when it is let go of must never be held twice."""
    script = """
import sys
from pathlib import Path
from avparse.foundation.errors import UserError
from avparse.foundation.locks import Lock
folder, done = Path(sys.argv[1]), 0
print("ready", flush=True)
while done < 100:
    try:
        with Lock(folder / ".lock", "it"):
            (folder / "inside").touch(exist_ok=False)
            (folder / "inside").unlink()
            done += 1
    except UserError:
        pass
"""
    processes = [_start(script, str(tmp_path)) for _ in range(3)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0, 0]
    assert not list(tmp_path.iterdir())


def test_waiting_for_the_disk_is_left_where_the_system_has_none(tmp_path: Path) -> None:
    begun = time.monotonic()
    platform.sync_folder(tmp_path / "absent")
    assert time.monotonic() - begun < 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ä 日本 👍", "plain ä 日本 👍"),
        ("a\x1b[2Jb\x07", "a\\x1b[2Jb\\x07"),
        ("a\rb\x9bc", "a\\x0db\\x9bc"),
        ("a\u202eb\u2028c", "a\\u202eb\\u2028c"),
        (os.fsdecode(b"v\xff.mp4"), "v\\xff.mp4"),
        ("two\nlines\tand", "two\nlines\tand"),
    ],
)
def test_no_character_reaches_the_terminal_that_it_would_obey(text: str, shown: str) -> None:
    assert printable(text) == shown
