"""Measurement of time, matrix products and memory of a function."""

from __future__ import annotations

import contextlib
import threading
import time
import warnings
from collections.abc import Callable, Iterator

import psutil
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def flops(job: Callable[[], object]) -> int:
    """Count the FLOPs of a call with all fused operations disabled, because the counter does not see into them."""
    fastpath = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with (
            warnings.catch_warnings(action="ignore"),  # about a missing Intel GPU
            torch.backends.mkldnn.flags(enabled=False),
            torch.backends.cudnn.flags(enabled=False),
            sdpa_kernel(SDPBackend.MATH),
            FlopCounterMode(display=False) as counter,
        ):
            job()
    finally:
        torch.backends.mha.set_fastpath_enabled(fastpath)
    return int(counter.get_total_flops())


def timed(job: Callable[[], object], device: torch.device, repeats: int) -> list[float]:
    """Return the seconds of each of ``repeats`` calls, after one that is not counted."""
    seconds = []
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        job()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - begun)
    return seconds[1:]


class Memory:
    """Peak memory of this process, or of the device, beyond its value at the start."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._first = self._process.memory_info().rss
        self.peak = 0

    @contextlib.contextmanager
    def watched(self, device: torch.device) -> Iterator[None]:
        """Watch the memory while the block runs."""
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            yield
            self.peak = torch.cuda.max_memory_allocated(device)
            return
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(done,))
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()

    def _watch(self, done: threading.Event) -> None:
        while True:
            self.peak = max(self.peak, self._process.memory_info().rss - self._first)
            if done.wait(0.001):
                return


def matrix_peak(dtype: torch.dtype, device: torch.device | str = "cpu", repeats: int = 5) -> float:
    """Return the best FLOP/s of a product of two matrices of width 2048."""
    a, b = (torch.randn(2048, 2048, device=device).to(dtype) for _ in range(2))
    return 2 * 2048**3 / min(timed(lambda: a @ b, torch.device(device), repeats))
