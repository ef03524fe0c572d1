"""Blocks of a small store whose content is a function of their number; run as a program, it appends them for ever.

As a program it obeys lines on standard input: each names a store; a fork appends to it until it is killed, its process
id is written back, and ``gone`` once it is.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from avparse.data.store.writer import Block, StoreWriter, StreamInfo
from avparse.data.vocabulary import Vocabulary

VOCABULARY = Vocabulary(("Speech", "Dog", "Blender"))
STREAMS = {"audio": StreamInfo(dimension=5, extractor="light"), "frames": StreamInfo(dimension=7, dtype="float16")}


def create(path: Path) -> StoreWriter:
    return StoreWriter.create(path, vocabulary=VOCABULARY, streams=STREAMS, segment_seconds=1.0, truth=True)


def block(number: int) -> Block:
    """Return one to four videos of one to six segments."""
    random = np.random.default_rng(number)
    lengths = random.integers(1, 7, random.integers(1, 5)).tolist()
    count, rows = len(lengths), sum(lengths)
    return Block(
        videos=[f"video_{number}_{n}" for n in range(count)],
        splits=[("train", "val", "test", "")[n] for n in range(count)],
        lengths=lengths,
        durations=[length - 0.25 for length in lengths],
        origins=[f"clips/{number}.mp4"] * count,
        weak=random.random((count, len(VOCABULARY))) < 0.5,
        streams={
            name: random.standard_normal((rows, info.dimension)).astype(info.dtype) for name, info in STREAMS.items()
        },
        present=random.random((rows, 2)) < 0.9,
        truth={modality: random.random((rows, len(VOCABULARY))) < 0.3 for modality in ("audio", "visual")},
        annotated=random.random(count) < 0.5,
    )


def _append_for_ever(path: Path) -> None:
    with StoreWriter.reopen(path) as writer:
        while True:
            writer.append(block(len(writer.manifest.blocks)))


def _serve() -> None:
    with tempfile.TemporaryDirectory() as folder, create(Path(folder) / "warm") as writer:
        writer.append(block(0))  # what is imported late is imported now, so that forks begin to append at once
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _append_for_ever(Path(line.strip()))
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        os.waitpid(child, 0)
        sys.stdout.write("gone\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
