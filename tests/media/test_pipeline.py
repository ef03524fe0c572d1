"""Extraction of many files: in order, and one bad file costs one file."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from avparse.foundation.errors import UserError
from avparse.media.extractors.light import LightExtractor
from avparse.media.pipeline import Extracted, Failed, extract_video, extract_videos
from tests.clips import colours, tone, write_clip


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Six clips of different lengths, the first the longest, so that with two workers the later ones finish first."""
    folder = tmp_path_factory.mktemp("clips")
    return [
        write_clip(folder / f"v{i}.mp4", sound=tone(200 + 50 * i), picture=colours, seconds=seconds)
        for i, seconds in enumerate((6.0, 1.0, 1.0, 2.0, 1.0, 3.2))
    ]


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip that takes a good part of a second to extract."""
    path = tmp_path_factory.mktemp("long") / "long.mkv"
    return write_clip(path, sound=tone(), picture=colours, seconds=150.0, fps=4, sample_rate=16000)


def test_one_video(clips: list[Path]) -> None:
    extractor = LightExtractor()
    result = extract_video(clips[5], extractor.streams, 1.0)
    assert (result.video, result.path) == ("v5", str(clips[5]))
    assert result.duration_s == pytest.approx(3.2, abs=0.06)
    assert {n: x.shape for n, x in result.streams.items()} == {
        n: (4, s.dimension) for n, s in extractor.streams.items()
    }
    assert result.audio_present.tolist() == result.visual_present.tolist() == [True] * 4
    assert result.warnings == ()


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_results_are_in_order_and_equal_whatever_the_workers(clips: list[Path], tmp_path: Path, workers: int) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a video\n" * 100)
    paths = [clips[0], text, *clips[1:], tmp_path / "missing.mp4"]
    results = list(extract_videos(paths, "light", workers=workers))
    assert [result.path for result in results] == [str(path) for path in paths]
    assert [isinstance(result, Failed) for result in results] == [False, True] + [False] * 5 + [True]
    assert isinstance(results[1], Failed)
    assert results[1].reason.startswith(str(text))
    assert "\n" not in results[1].reason
    expected = extract_video(clips[3], LightExtractor().streams, 1.0)
    found = results[4]
    assert isinstance(found, Extracted)
    for name, values in expected.streams.items():
        np.testing.assert_array_equal(found.streams[name], values)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("cause", [signal.SIGKILL, signal.SIGSEGV])
def test_a_killed_child_costs_its_file_only(clips: list[Path], long_clip: Path, cause: signal.Signals) -> None:
    results = extract_videos([clips[1], long_clip, clips[2], clips[3]], "light", workers=1)
    assert isinstance(next(results), Extracted)
    # The only child was handed the long clip before the first result was given out.
    (child,) = multiprocessing.active_children()
    assert child.pid is not None
    os.kill(child.pid, cause)
    failed = next(results)
    assert isinstance(failed, Failed)
    assert failed.path == str(long_clip)
    assert cause.name in failed.reason
    assert [type(result) for result in results] == [Extracted, Extracted]
    assert not multiprocessing.active_children()


def test_few_files_are_in_flight(clips: list[Path]) -> None:
    asked: list[int] = []

    def paths() -> Iterator[Path]:
        for i in range(1000):
            asked.append(i)
            yield clips[1]

    results = extract_videos(paths(), "light", workers=1)
    for _ in range(3):
        next(results)
    assert len(asked) < 12
    results.close()
    assert not multiprocessing.active_children()


def test_damage_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_clip(tmp_path / "a.mkv", sound=tone(), picture=colours, seconds=8.0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for workers in (0, 1):
        caplog.clear()
        (result,) = extract_videos([path], "light", workers=workers)
        assert isinstance(result, Extracted)
        assert 2 <= len(result.audio_present) <= 6
        assert any("states 8.0" in warning.message for warning in result.warnings)
        assert sum("states 8.0" in record.message for record in caplog.records) == 1


def test_unknown_extractor() -> None:
    with pytest.raises(UserError, match="did you mean 'light'"):
        extract_videos([], "ligth")


def test_no_files() -> None:
    assert list(extract_videos([], "light")) == []


SCRIPT = """
import sys
from avparse.media.pipeline import extract_videos
{guard}
    for result in extract_videos([sys.argv[1]] + [sys.argv[-1]] * 50, "light", workers=2):
        print("one", flush=True)
"""


def _script(tmp_path: Path, guard: str) -> list[str]:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT).format(guard=guard))
    return [sys.executable, str(script)]


ROOT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no signal masks on this system")
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_interrupts_stay_held_once_a_child_is_started(method: str) -> None:
    code = f"""
import multiprocessing, signal
from avparse.foundation.platform import interrupts_held
with interrupts_held():
    multiprocessing.get_context({method!r}).Process(target=int).start()
    print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))
print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=ROOT, timeout=60, check=True
    )
    assert done.stdout.split() == ["True", "False"]


@pytest.mark.parametrize("delay", [0.1, 0.4, 0.8])
def test_ctrl_c_while_children_start_is_the_parents_alone(tmp_path: Path, long_clip: Path, delay: float) -> None:
    guard = "if __name__ == '__main__':\n    print('go', flush=True)"
    with subprocess.Popen(
        [*_script(tmp_path, guard), str(long_clip)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ROOT,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "go\n"
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGINT
        assert errors.count("KeyboardInterrupt") == 1


def test_ctrl_c_stops_everything(tmp_path: Path, clips: list[Path], long_clip: Path) -> None:
    command = [*_script(tmp_path, "if __name__ == '__main__':"), str(clips[1]), str(long_clip)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ROOT, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "one\n"
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the children as well
        start = time.monotonic()
        _, errors = process.communicate(timeout=20)
        assert time.monotonic() - start < 5
        assert process.returncode == -signal.SIGINT
        assert errors.count("Traceback") == 1  # the parent's; the children stay quiet
    for _ in range(50):  # Python's own helper process needs a moment to notice
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("processes are left over")


def test_a_script_without_guard_is_told_so(tmp_path: Path, clips: list[Path]) -> None:
    command = [*_script(tmp_path, "if True:"), str(clips[1])]
    done = subprocess.run(command, capture_output=True, text=True, env=ROOT, timeout=60, check=False)
    assert done.returncode == 1
    assert "workers=0" in done.stderr
