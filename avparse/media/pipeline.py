"""Features of many files: in order, on all cores, and whatever happens to one file, the others go on."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from threadpoolctl import threadpool_limits

from avparse.foundation.arrays import BoolArray, Float32Array
from avparse.foundation.errors import UserError
from avparse.foundation.platform import cores, interrupts_held, leave_signals_to_parent
from avparse.media.decoding.chunks import Chunk, read_chunks
from avparse.media.decoding.guard import DEFAULT_LIMITS, Limits, tell_busy
from avparse.media.decoding.problems import MediaError, MediaWarning, Reason
from avparse.media.decoding.still import is_still, read_still
from avparse.media.extractors import Stream, make_streams

_log = logging.getLogger(__name__)
_AHEAD = 4  # files in flight per worker: bounds what waits for its turn in memory
_CHILD_MB = 4096  # mebibytes that a child may have beside what decoding adds: networks and features
_WATCH_S = 1.0  # between two looks at children that are stuck
_PROCESSES = multiprocessing.get_context("spawn")
_THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_NO_START = (
    "no child process could start; a script must call this under 'if __name__ == \"__main__\":', "
    "or pass workers=0 to work in its own process"
)


@dataclass(frozen=True)
class Extracted:
    """The features of one file.

    Attributes:
        video: name, the file's without its suffix.
        path: path of the file.
        duration_s: seconds as decoded.
        streams: name -> float32 ``[T, D]``.
        audio_present, visual_present: presence of the modality in each segment, bool ``[T]``.
        origin_s: reading of the file's own clock at time 0 of the streams, in seconds.
        warnings: parts of the file that cannot be trusted; the streams hold everything that could be decoded.
    """

    video: str
    path: str
    duration_s: float
    streams: dict[str, Float32Array]
    audio_present: BoolArray
    visual_present: BoolArray
    origin_s: float = 0.0
    warnings: tuple[MediaWarning, ...] = ()


@dataclass(frozen=True)
class Failed:
    """A file without features.

    Attributes:
        path: path of the file.
        reason: why, in one line that names it.
        kind: why, in one word; see :class:`avparse.media.decoding.problems.MediaError`.
    """

    path: str
    reason: str
    kind: Reason = "error"


def extract_video(
    path: str | Path,
    streams: Mapping[str, Stream],
    segment_seconds: float = 1.0,
    limits: Limits = DEFAULT_LIMITS,
) -> Extracted:
    """Decode a file and extract the features of its segments; memory grows with the features only.

    A still picture, by its ending, is one segment without sound.

    Raises:
        MediaError: the file cannot be opened, exceeds a limit, costs too much, or nothing in it can be decoded.
        UserError: the segments are too short for a stream.
    """
    views = [stream.view for stream in streams.values()]
    chunks: Iterable[Chunk]
    if is_still(path):
        chunks = [read_still(path, views, segment_seconds=segment_seconds, limits=limits)]
    else:
        chunks = read_chunks(path, views, segment_seconds=segment_seconds, limits=limits)
    parts, audio, visual = [], [], []
    warnings: list[MediaWarning] = []
    end_s = origin_s = 0.0
    for chunk in chunks:
        # The split of a matrix product over threads changes its last bits; features must not depend on the cores.
        with threadpool_limits(limits=1, user_api="blas"):
            parts.append({name: stream.features(chunk) for name, stream in streams.items()})
        audio.append(chunk.audio_present)
        visual.append(chunk.visual_present)
        warnings.extend(chunk.warnings)
        end_s, origin_s = chunk.end_s, chunk.origin_s
    return Extracted(
        video=Path(path).stem,
        path=str(path),
        duration_s=end_s,
        streams={name: np.concatenate([part[name] for part in parts]) for name in streams},
        audio_present=np.concatenate(audio),
        visual_present=np.concatenate(visual),
        origin_s=origin_s,
        warnings=tuple(warnings),
    )


def extract_videos(
    paths: Iterable[str | Path],
    wanted: str | Mapping[str, str],
    *,
    segment_seconds: float = 1.0,
    workers: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[Extracted | Failed]:
    """Extract many files and yield the results in the order of ``paths``, the same for every number of workers.

    Files are decoded in child processes of one thread each, so that a file on which the decoder crashes or hangs, or
    the system runs out of memory, costs that file only: its process is ended and replaced.

    Args:
        paths: read lazily; only a few files a worker are in flight.
        wanted: the extractor, or the streams with their extractors; see :func:`make_streams`.
        segment_seconds: length of a segment.
        workers: child processes; None for all cores, 0 to work in this process (a crash then ends it, and a single
            call of the decoder may take as long as it likes).
        limits: limits of the size and cost of a file.

    Raises:
        UserError: an unknown extractor or stream, or an extractor that cannot start.
    """
    streams = make_streams(wanted)
    job = _Job(wanted, segment_seconds, limits)
    if workers == 0:
        return (_attempt(path, streams, job) for path in paths)
    return _in_children(paths, job, workers or cores())


@dataclass(frozen=True)
class _Job:
    """What is to be done with each file."""

    wanted: str | Mapping[str, str]
    segment_seconds: float
    limits: Limits


def _attempt(path: str | Path, streams: Mapping[str, Stream], job: _Job) -> Extracted | Failed:
    try:
        return extract_video(path, streams, job.segment_seconds, job.limits)
    except MediaError as error:
        return Failed(str(path), str(error), error.reason)
    except UserError as error:
        return Failed(str(path), str(error))
    except MemoryError:
        return Failed(str(path), f"{path}: the memory of this machine does not suffice for it; cut it", "budget")
    except Exception as error:  # one bad file must not cost the others; the reason keeps the error's name
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return Failed(str(path), f"{path}: could not be extracted ({reason})")


def _serve(link: Connection, busy_since: Any, job: _Job) -> None:
    """Run in a child: answer paths with results until the parent is gone."""
    leave_signals_to_parent()
    logging.getLogger("avparse").setLevel(logging.ERROR)  # warnings travel with the result
    tell_busy(busy_since)
    streams = make_streams(job.wanted)
    link.send(None)
    with contextlib.suppress(EOFError):
        while True:
            link.send(_attempt(link.recv(), streams, job))


class _Worker:
    """A child process and the one file that it is on."""

    def __init__(self, job: _Job) -> None:
        self.link, far_end = _PROCESSES.Pipe()
        self._limits = job.limits
        self._busy_since = _PROCESSES.Value("d", 0.0, lock=False)
        self.process = _PROCESSES.Process(target=_serve, args=(far_end, self._busy_since, job), daemon=True)
        with _one_thread(), interrupts_held():
            self.process.start()
        far_end.close()
        self.started = False
        self.position, self.path = 0, ""

    def give(self, position: int, path: str) -> None:
        self.position, self.path = position, path
        with contextlib.suppress(OSError):  # a child that died meanwhile is noticed when its answer is read
            self.link.send(path)

    def answer(self) -> Extracted | Failed | None:
        """Return the result that has arrived, or what the child died of; None if it only said that it started."""
        try:
            result: Extracted | Failed | None = self.link.recv()
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode or 0
            cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            hint = "; it may have run out of memory" if code == -signal.SIGKILL else ""
            return Failed(self.path, f"{self.path}: the process that decoded it died ({cause}){hint}", "crash")
        self.started = True
        return result

    def overdue(self) -> Failed | None:
        """End the child where a single call of the decoder takes too much; return what to say of its file."""
        since, limits = self._busy_since.value, self._limits
        if not since or self.link.poll():
            return None
        if time.monotonic() - since > limits.stuck_seconds:
            what = (
                f"was stuck for {limits.stuck_seconds:.0f} s; it may be damaged: convert it, or raise 'stuck_seconds'"
            )
        elif self._memory_mb() > _CHILD_MB + limits.max_memory_mb:
            what = "took too much memory; it may be damaged: convert it, or raise 'max_memory_mb'"
        else:
            return None
        self.process.kill()
        return Failed(self.path, f"{self.path}: the decoder {what}", "budget")

    def _memory_mb(self) -> float:
        try:
            return float(psutil.Process(self.process.pid).memory_info().rss / (1 << 20))
        except psutil.Error:  # it died meanwhile, which its answer tells
            return 0.0

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.link.close()


def _in_children(paths: Iterable[str | Path], job: _Job, count: int) -> Iterator[Extracted | Failed]:
    tasks = enumerate(map(str, paths))
    task = next(tasks, None)
    turn = 0
    done: dict[int, Extracted | Failed] = {}
    busy: list[_Worker] = []
    idle: list[_Worker] = []
    try:
        while task or busy or done:
            while task and len(busy) < count and len(busy) + len(done) < _AHEAD * count:
                busy.append(idle.pop() if idle else _Worker(job))
                busy[-1].give(*task)
                task = next(tasks, None)
            if turn in done:
                result = done.pop(turn)
                turn += 1
                for warning in result.warnings if isinstance(result, Extracted) else ():
                    _log.warning("%s: %s", result.path, warning)
                yield result
                continue
            answered = wait([worker.link for worker in busy], timeout=_WATCH_S)
            for worker in list(busy):
                answer = worker.answer() if worker.link in answered else worker.overdue()
                if answer is not None:
                    if not (worker.started or turn or done):
                        raise RuntimeError(_NO_START)
                    done[worker.position] = answer
                    busy.remove(worker)
                    if worker.process.is_alive() and worker.link in answered:
                        idle.append(worker)
                    else:
                        worker.stop()
    finally:
        for worker in busy + idle:
            worker.stop()


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Let the processes started inside compute on one thread; their libraries read it when they are loaded."""
    before = {name: os.environ.get(name) for name in _THREAD_SETTINGS}
    os.environ.update(dict.fromkeys(_THREAD_SETTINGS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
