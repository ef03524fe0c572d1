"""A system that offers what Windows offers: no folder is opened, no fcntl, no writes at a position, no signal masks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Libraries that need what is taken away are imported before; avparse is imported after.
SCRIPT = """
import os, signal, stat, subprocess, sys, types
from pathlib import Path
import numpy, psutil, pyarrow.parquet, pydantic, torch, tqdm, yaml, safetensors.torch, multiprocessing.resource_tracker

locked = {}

def locking(descriptor, mode, count):
    key = os.fstat(descriptor).st_ino
    if key in locked and locked[key] != descriptor:
        raise PermissionError(13, "Permission denied")
    locked[key] = descriptor

sys.modules["fcntl"] = None
sys.modules["msvcrt"] = types.SimpleNamespace(locking=locking, LK_NBLCK=2)
opened, replaced, synced, tries = os.open, os.replace, os.fsync, [0]

def refuse_folders(path, flags, *more, **named):
    if os.path.isdir(path):
        raise PermissionError(13, "Permission denied", str(path))
    return opened(path, flags, *more, **named)

def refuse_at_first(source, target):
    tries[0] += 1
    if tries[0] % 3 == 1 and os.path.exists(target):
        raise PermissionError(13, "Access is denied", str(target))
    return replaced(source, target)

def refuse_readers(descriptor):
    flags = int(open(f"/proc/self/fdinfo/{descriptor}").read().split("flags:")[1].split()[0], 8)
    if flags & 3 == 0:  # open for reading only
        raise OSError(9, "Bad file descriptor")
    return synced(descriptor)

os.open, os.replace, os.fsync = refuse_folders, refuse_at_first, refuse_readers
for name in ("pwrite", "O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "sched_getaffinity"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("pthread_sigmask", "SIGKILL"):
    delattr(signal, name)
signal.SIGBREAK = signal.SIGUSR1
signal.CTRL_BREAK_EVENT = signal.SIGUSR1
subprocess.CREATE_NEW_PROCESS_GROUP = 0

from avparse.foundation import interrupt, platform
from avparse.foundation.errors import UserError
from avparse.foundation.files import atomic_folder, write_json
from avparse.foundation.locks import Lock
from avparse.foundation.reading import read_json
from avparse.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from avparse.training.logs import JsonLines
from tests.toy import toy_store

assert platform.fcntl is None
folder = Path(sys.argv[1])
store = toy_store(folder / "store", videos=10)
store.verify()
for number in range(3):
    write_json(folder / "a.json", {"n": number})
assert read_json(folder / "a.json") == {"n": 2}
value = {"x": torch.ones(3)}
for epoch in (1, 2, 3):
    save_checkpoint(folder / "checkpoints", Checkpoint(value, value, value, {"epoch": epoch, "step": 0}))
assert load_checkpoint(folder / "checkpoints").state["epoch"] == 3
log = JsonLines(folder / "m.jsonl", "epoch", 5)
log.write({"epoch": 0})
with Lock(folder / ".lock", "it"):
    try:
        Lock(folder / ".lock", "it")
    except UserError as error:
        assert "another process is writing there" in str(error)
    else:
        raise SystemExit("locked twice")
with platform.interrupts_held():
    pass
assert platform.cores() >= 1
assert signal.SIGUSR1 in interrupt.STOP_SIGNALS
assert platform.own_group() == {"creationflags": 0}
try:
    read_json(folder)
except UserError:
    pass
else:
    raise SystemExit("a folder was read")
assert not [p for p in folder.rglob(".tmp-*")]
print("done")
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fdinfo").is_dir(), reason="the emulation looks into /proc")
def test_stores_checkpoints_logs_and_locks_do_with_what_windows_has(tmp_path: Path) -> None:
    call = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    root = Path(__file__).parents[2]
    done = subprocess.run(call, capture_output=True, text=True, cwd=root, check=False)
    assert done.stdout == "done\n", done.stderr
