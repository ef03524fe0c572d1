"""Damaged media files: how many are read, left out with a reason, or shorter than they state, and what each costs.

    python -m benchmarks.damaged_media --mutations 3000

Ten small clips are damaged in ten ways, the same for the same seed, and given to the extractor in child processes, as
`avparse extract` does. The table has a row for each way: the files read without a word, read with a warning, and left
out with a typed reason; the files that went wrong, which are to be none: the decoder crashed, the reason is unknown, or
the number of seconds differs from that of the whole clip without a warning; and the longest time of a file in seconds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from avparse.media.decoding.guard import Limits
from avparse.media.pipeline import Extracted, Failed, extract_videos
from tests.clips import click, colours, flash, tone, write_clip

_TOLERANCE_S = 0.35  # what a warning about the length leaves unsaid, and half a picture
_LIMITS = Limits(busy_seconds=10.0, busy_per_second=10.0, stuck_seconds=10.0)
Damage = Callable[[bytes, np.random.Generator], bytes]


def clips(folder: Path) -> list[Path]:
    """Write the ten clips: containers, codecs, layouts of streams and clocks that people's files have."""
    both = partial(write_clip, sound=click(1.5), picture=flash(1.5), seconds=3.0)
    moving = partial(write_clip, sound=tone(), picture=colours, seconds=3.0)
    uneven = [0.0, 0.1, 0.5, 0.9, 1.0, 1.5, 1.6, 2.2, 2.9]
    return [
        both(folder / "h264.mp4"),
        moving(folder / "vp9.webm"),
        moving(folder / "mjpeg.avi"),
        both(folder / "flac.mkv"),
        moving(folder / "stream.ts"),
        write_clip(folder / "sound.mp4", sound=tone(), seconds=3.0),
        write_clip(folder / "picture.mp4", picture=colours, seconds=3.0),
        moving(folder / "uneven.mov", times=uneven),
        write_clip(folder / "six.mkv", sound=[tone()] * 6, picture=colours, seconds=3.0),
        moving(folder / "turned.mp4", rotation=(90, False, False)),
    ]


def _truncated(content: bytes, random: np.random.Generator) -> bytes:
    return content[: int(len(content) * random.choice([0.01, 0.1, 0.5, 0.9, 0.99, random.random()]))]


def _flipped(first: int | None, most: float) -> Damage:
    """Flip bits at a rate up to ``most``, in the first bytes only or anywhere."""

    def damage(content: bytes, random: np.random.Generator) -> bytes:
        values = np.frombuffer(content, np.uint8).copy()
        size = min(first or len(values), len(values))
        count = max(1, int(8 * size * most * random.random()))
        np.bitwise_xor.at(values, random.integers(0, size, count), 1 << random.integers(0, 8, count).astype(np.uint8))
        return values.tobytes()

    return damage


def _written(value: bytes, length: int, near_ends: bool = False) -> Damage:
    """Write a byte many times at a random place."""

    def damage(content: bytes, random: np.random.Generator) -> bytes:
        span = max(1, len(content) - length)
        at = int(random.integers(0, min(span, 4096) if near_ends else span))
        at = span - at if near_ends and random.random() < 0.5 else at
        return content[:at] + value * length + content[at + length :]

    return damage


def _swapped(content: bytes, random: np.random.Generator) -> bytes:
    size = min(2048, len(content) // 4)
    low, high = sorted(int(at) for at in random.integers(0, len(content) - size, 2))
    high = max(high, low + size)
    return (
        b"".join([content[:low], content[high : high + size], content[low + size : high], content[low : low + size]])
        + content[high + size :]
    )


def _removed(content: bytes, random: np.random.Generator) -> bytes:
    size = int(random.integers(1, 4096))
    at = int(random.integers(0, max(1, len(content) - size)))
    return content[:at] + content[at + size :]


def _joined(content: bytes, random: np.random.Generator) -> bytes:
    return content + content[: int(len(content) * random.random())]


DAMAGES: dict[str, Damage] = {
    "cut off": _truncated,
    "1 KiB of zeros": _written(b"\0", 1024),
    "4 bytes of ones near the ends": _written(b"\xff", 4, near_ends=True),
    "bits flipped, up to 1 in a million": _flipped(None, 1e-6),
    "bits flipped, up to 1 in 10,000": _flipped(None, 1e-4),
    "bits flipped, up to 1 in 1,000": _flipped(None, 1e-3),
    "bits of the first 2 KiB flipped": _flipped(2048, 1e-3),
    "two pieces swapped": _swapped,
    "a piece removed": _removed,
    "a piece of itself behind it": _joined,
}


def _damaged(sources: list[Path], folder: Path, count: int, seed: int) -> Iterator[tuple[str, Path, Path]]:
    """Write the damaged files one after the other: name of the damage, whole clip, damaged file."""
    for number in range(count):
        source = sources[number % len(sources)]
        name = list(DAMAGES)[number // len(sources) % len(DAMAGES)]
        random = np.random.default_rng([seed, number])
        path = folder / f"{number}{source.suffix}"
        path.write_bytes(DAMAGES[name](source.read_bytes(), random))
        yield name, source, path


def _judged(result: Extracted | Failed, whole_s: float, joined: bool) -> str:
    """Return the column of a result."""
    if isinstance(result, Failed):
        return "wrong" if result.kind in ("crash", "error") else "left out"
    if result.warnings:
        return "warned"
    # What stands behind a whole file is another file, which players do not read; where it is read, it is longer.
    right = abs(result.duration_s - whole_s) <= _TOLERANCE_S or (joined and result.duration_s > whole_s)
    return "read" if right else "wrong"


def main() -> None:
    """Print the table, and every file that went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=None)
    given = parser.parse_args()
    columns = ("read", "warned", "left out", "wrong")
    table: dict[str, Counter[str]] = defaultdict(Counter)
    longest: dict[str, float] = defaultdict(float)
    reasons: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        whole, damaged = Path(place, "whole"), Path(place, "damaged")
        whole.mkdir()
        damaged.mkdir()
        sources = clips(whole)
        clean = [r for r in extract_videos(sources, "light", workers=0) if isinstance(r, Extracted)]
        seconds = {Path(result.path): result.duration_s for result in clean}
        made: list[tuple[str, Path, Path]] = []

        def paths() -> Iterator[Path]:
            for item in _damaged(sources, damaged, given.mutations, given.seed):
                made.append(item)
                yield item[2]

        before = time.perf_counter()
        for number, result in enumerate(extract_videos(paths(), "light", workers=given.workers, limits=_LIMITS)):
            name, source, path = made[number]
            column = _judged(result, seconds[source], DAMAGES[name] is _joined)
            table[name][column] += 1
            now = time.perf_counter()
            longest[name], before = max(longest[name], now - before), now
            if isinstance(result, Failed):
                reasons[result.kind] += 1
            if column == "wrong":
                what = result.reason if isinstance(result, Failed) else f"{result.duration_s:.2f} s in silence"
                print(f"WRONG {path.name} ({name} of {source.name}, {seconds[source]:.2f} s): {what}", flush=True)
            path.unlink()
    print(f"| damage | files | {' | '.join(columns)} | longest (s) |")
    print("|---|---|" + "---|" * (len(columns) + 1))
    for name in DAMAGES:
        cells = " | ".join(str(table[name][column]) for column in columns)
        print(f"| {name} | {table[name].total()} | {cells} | {longest[name]:.1f} |")
    print("reasons of those left out: " + ", ".join(f"{kind} {count}" for kind, count in reasons.most_common()))


if __name__ == "__main__":
    main()
