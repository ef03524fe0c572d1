"""What the features of a video cost: seconds of video a second on one core, where the time goes, and peak memory.

    OMP_NUM_THREADS=1 python -m benchmarks.bench_extractors [--extractors light compact] [--minutes 10]

The video is made here (320 x 240, 30 pictures a second, H.264 and AAC). Processor time is measured on its first ten
seconds, the best of three: decoding for pictures of 2 x 2 points and the sound, then for the views of the extractor
(the difference is resizing and resampling), then with features. Peak memory is that of a process of its own for ten
seconds and for the whole. An extractor whose weights are not on this machine is left out with the reason.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np

from avparse.foundation.errors import UserError
from avparse.media.decoding.chunks import read_chunks
from avparse.media.decoding.views import PictureView, SoundView, View
from avparse.media.extractors import EXTRACTORS, make_streams
from avparse.media.pipeline import extract_video

_PLAIN: tuple[View, ...] = (PictureView((2, 2), per_second=1), SoundView(48_000))
_SHORT_S, _ROUNDS = 10, 3
_RATE, _PICTURES = 48_000, 30


def write_video(path: Path, seconds: int) -> None:
    """Write drifting noise as pictures and sound; a codec finds neither still nor impossible."""
    random = np.random.default_rng(0)
    field = random.integers(0, 256, (30, 40, 3), dtype=np.uint8).repeat(16, axis=0).repeat(16, axis=1)
    with av.open(str(path), "w") as file:
        picture = file.add_stream("libx264", rate=_PICTURES, options={"preset": "ultrafast"})
        picture.width, picture.height, picture.pix_fmt = 320, 240, "yuv420p"
        sound = file.add_stream("aac", rate=_RATE)
        for number in range(seconds * _PICTURES):
            shown = np.roll(field, (number, 3 * number), axis=(0, 1))[:240, :320]
            file.mux(picture.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(shown), format="rgb24")))
        for second in range(seconds):
            heard = (0.1 * random.standard_normal((1, _RATE))).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(heard, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = _RATE, second * _RATE
            file.mux(sound.encode(frame))
        for stream in (picture, sound):
            file.mux(stream.encode())


def best(job: Callable[[], object]) -> float:
    """Return the least processor time of a job, in seconds."""
    found = []
    for _ in range(_ROUNDS):
        begun = time.process_time()
        job()
        found.append(time.process_time() - begun)
    return min(found)


def peak_mb(extractor: str, path: Path) -> float:
    """Return the peak memory in MB of a process that extracts one video."""
    job = f"from benchmarks import bench_extractors as b; print(b.extract_and_measure({extractor!r}, {str(path)!r}))"
    done = subprocess.run([sys.executable, "-c", job], capture_output=True, text=True, check=True, env=os.environ)
    return float(done.stdout)


def extract_and_measure(extractor: str, path: str) -> float:
    """Extract a video in this process and return its peak resident memory in MB."""
    extract_video(path, make_streams(extractor))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def row(extractor: str, short: Path, long: Path) -> str:
    """Return the row of an extractor in the table."""
    streams = make_streams(extractor)
    views = [stream.view for stream in streams.values()]
    decode = best(lambda: list(read_chunks(short, _PLAIN)))
    resize = best(lambda: list(read_chunks(short, views))) - decode
    whole = best(lambda: extract_video(short, streams))
    shares = [f"{100 * part / whole:.0f} %" for part in (decode, resize, whole - decode - resize)]
    memory = [f"{peak_mb(extractor, path):.0f}" for path in (short, long)]
    return f"| {extractor} | {_SHORT_S / whole:.1f} | {' | '.join(shares + memory)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extractors", nargs="+", default=list(EXTRACTORS), choices=list(EXTRACTORS))
    parser.add_argument("--minutes", type=int, default=10)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        short, long = Path(name) / "short.mp4", Path(name) / "long.mp4"
        write_video(short, _SHORT_S)
        write_video(long, 60 * given.minutes)
        memory = f"peak at 10 s, MB | at {given.minutes} min, MB"
        print(f"| extractor | s of video/s | decode | resize, resample | features | {memory} |\n|---|{'--:|' * 6}")
        for extractor in given.extractors:
            try:
                print(row(extractor, short, long), flush=True)
            except UserError as error:
                print(f"{extractor} is left out: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
