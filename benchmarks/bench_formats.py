"""Processor time to write and to read 10,000 events in each format, and the size of the files.

    python -m benchmarks.bench_formats

The events are of 100 videos of ten minutes and 25 classes. The least of three rounds counts.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from avparse.data.event_formats import EVENT_FORMATS, EventFormat
from avparse.data.event_formats.event_format import Given, OutputFile
from avparse.data.event_formats.event_table import EventTable, VideoEvent, VideoFacts
from avparse.data.vocabulary import LLP_CLASSES, MODALITIES

_EVENTS, _VIDEOS, _SECONDS, _ROUNDS = 10_000, 100, 600.0, 3
_NOT_EVENTS = ("durations.tsv", "labelling_config.xml")


def main() -> None:
    """Print a row for each format."""
    table = events()
    print("| format | files | MB | write (ms) | read (ms) |\n|---|--:|--:|--:|--:|")
    for name, known in EVENT_FORMATS.items():
        files = known.write(table).files
        size = sum(len(file.content) for file in files)
        with tempfile.TemporaryDirectory() as folder:
            paths = [saved(file, Path(folder)) for file in files]
            paths = [path for path in paths if path.name not in _NOT_EVENTS]
            writing = least(partial(known.write, table))
            reading = least(partial(read_all, known, paths))
        print(f"| `{name}` | {len(files)} | {size / 1e6:.2f} | {1000 * writing:.0f} | {1000 * reading:.0f} |")


def events() -> EventTable:
    """Return a table of events whose times do not overlap within a class and modality of a video."""
    rng, found = random.Random(0), []
    names = [f"video{number:03d}.mp4" for number in range(_VIDEOS)]
    videos = {name: VideoFacts(_SECONDS, f"/videos/{name}", 44_100, 25) for name in names}
    for number in range(_EVENTS):
        video, modality = names[number % _VIDEOS], MODALITIES[number // _VIDEOS % 2]
        onset = 12 * (number // (2 * _VIDEOS) % 50) + rng.randrange(3000) / 1000
        name = rng.choice(LLP_CLASSES)
        found.append(VideoEvent(video, name, modality, onset, onset + rng.randrange(500, 9000) / 1000, rng.random()))
    return EventTable(tuple(found), videos)


def read_all(known: EventFormat, paths: list[Path]) -> None:
    """Read files one after the other."""
    for path in paths:
        known.read(path, Given())


def saved(file: OutputFile, folder: Path) -> Path:
    """Write a file and return its path."""
    path = folder / (f"{Path(file.video).stem}{file.name}" if file.video else file.name)
    path.write_bytes(file.content)
    return path


def least(work: Callable[[], object]) -> float:
    """Return the least processor time of some rounds in seconds; other work on the machine counts less so."""
    seconds = []
    for _ in range(_ROUNDS):
        begun = time.process_time()
        work()
        seconds.append(time.process_time() - begun)
    return min(seconds)


if __name__ == "__main__":
    main()
