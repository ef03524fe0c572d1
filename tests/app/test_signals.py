"""One rule for all commands: a signal ends them with its code and a line that says how to go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from avparse.app.report.csv import kept_rows, write_events_csv
from avparse.data.timeline import Event, Timeline
from avparse.foundation.errors import UserError
from avparse.foundation.rows import read_rows
from avparse.media.feature_cache import FeatureCache
from tests.conftest import Command
from tests.toy import toy_store


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_command_with_its_code_and_a_way_to_go_on(number: signal.Signals, tmp_path: Path) -> None:
    toy_store(tmp_path / "toy", videos=40)
    words = ["-m", "avparse", "train", "rlld-paper", "--data", str(tmp_path / "toy"), "-o", str(tmp_path / "run")]
    words += ["--set", "denoiser.steps=5000", "--set", "denoiser.check_seeds=0", "--device", "cpu"]
    process = subprocess.Popen([sys.executable, *words], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    deadline = time.monotonic() + 300
    while not (tmp_path / "run" / "denoised" / "episodes.jsonl").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(number)
    begun = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - begun < 30  # ten seconds on a machine that does nothing else
    assert process.returncode == 128 + number
    assert "Traceback" not in errors
    last = errors.strip().splitlines()[-1]
    assert "avparse: interrupted; go on with: " in last
    assert last.endswith("--resume")


def test_two_trainings_of_one_run_do_not_meet(tmp_path: Path, command: Command) -> None:
    from avparse.foundation.locks import LOCK, Lock

    store = toy_store(tmp_path / "toy", videos=40)
    small = ("--set", "training.epochs=1", "--set", "parser.encoder.feedforward=8", "--device", "cpu")
    arguments = ("train", "han", "--data", store.path, "-o", tmp_path / "run", *small)
    assert command(*arguments)[0] == 0
    with Lock(tmp_path / "run" / LOCK, "x"):
        code, _, err = command(*arguments, "--resume")
    assert code == 2
    assert f"another process is writing there: process {os.getpid()} on" in err
    assert not (tmp_path / "run" / LOCK).exists()


def test_no_control_character_of_a_name_reaches_the_terminal(tmp_path: Path, command: Command) -> None:
    code, out, err = command("data", "info", tmp_path / "a\x1b[2Jb")
    assert code == 2
    assert "\x1b" not in out + err
    assert "a\\x1b[2Jb" in err


def _timeline(video: str) -> Timeline:
    return Timeline(video, 1.0, 1.0, ("Dog",), {"audio": None, "visual": None}, [Event("Dog", "audio", 0.0, 1.0, 0.5)])


def test_names_that_begin_a_formula_are_texts_in_a_table_and_come_back(tmp_path: Path) -> None:
    path, names = tmp_path / "events.csv", ["=1+1.mp4", "+a", "-b", "@c", "'d", "plain"]
    write_events_csv(path, [_timeline(name) for name in names])
    cells = [line.split(",")[0] for line in path.read_text().splitlines()[1:]]
    assert cells == ["'=1+1.mp4", "'+a", "'-b", "'@c", "'d", "plain"]
    assert [row["video"] for _, row in read_rows(path, ("video", "class"))] == names


def test_a_second_call_keeps_the_rows_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    write_events_csv(path, [_timeline("a.mp4"), _timeline("=b.mp4")])
    write_events_csv(path, [_timeline("=b.mp4"), _timeline("c.mp4")], kept_rows(path, ["=b.mp4", "c.mp4"]))
    assert [row["video"] for _, row in read_rows(path, ("video",))] == ["a.mp4", "=b.mp4", "c.mp4"]
    path.write_text("video,class,modality,onset,offset\na,Dog,audio,0,1\n")
    with pytest.raises(UserError, match=r"column 'score' is missing.*'parse' did not write this table so: rename it"):
        kept_rows(path, [])


def test_kept_features_are_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".parsing").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="a link stands there"):
        FeatureCache(tmp_path / ".parsing", "light", 1.0)
