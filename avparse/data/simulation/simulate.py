"""Simulation of LLP as a feature store."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch

from avparse.data.datasets.annotations import Annotations
from avparse.data.datasets.llp import read_llp
from avparse.data.simulation.features import draw_features
from avparse.data.simulation.label_vectors import write_label_vectors
from avparse.data.simulation.statistics import SPLITS, LabelStatistics, Split
from avparse.data.simulation.truth import Truth, draw_truth, truth_for_labels
from avparse.data.simulation.world import DEFAULT_KNOBS, Knobs, World
from avparse.data.store.writer import Block, StoreWriter, StreamInfo
from avparse.data.vocabulary import MODALITIES, Vocabulary
from avparse.foundation.errors import UserError
from avparse.foundation.files import atomic_folder
from avparse.foundation.progress import Tracker, track

_BLOCK_SEGMENTS: Final = 4096  # drawn at once; the result of a seed depends on it
_FEATURES: Final = 2_000_003  # separates the random numbers of features from those of labels and world


@dataclass(frozen=True)
class _Part:
    """Some videos of one split."""

    split: Split
    videos: Sequence[str]
    truth: Truth

    def blocks(self) -> Iterator[_Part]:
        """Cut into blocks of about ``_BLOCK_SEGMENTS``."""
        size = max(1, _BLOCK_SEGMENTS // self.truth.audio.shape[1])
        for first in range(0, len(self.videos), size):
            cut, truth = slice(first, first + size), self.truth
            part = Truth(truth.weak[cut], truth.audio[cut], truth.visual[cut])
            yield _Part(self.split, self.videos[cut], part)


def simulate(
    out: Path,
    *,
    seed: int = 0,
    train: int = 10000,
    val: int = 649,
    test: int = 1200,
    segments: int = 10,
    annotations: Path | None = None,
    dtype: str = "float32",
    workers: int | None = None,
    knobs: Knobs = DEFAULT_KNOBS,
    label_vectors: Path | None = None,
) -> None:
    """Write a feature store of simulated videos with dense truth in every split, atomically.

    The content is a function of every argument but ``workers``, and that of a split also of no other split's size.

    Args:
        out: path of the store, which must not exist yet.
        seed: seed of the world and of its videos.
        train: number of training videos, or of first videos of the official list.
        val: number of validation videos, or of first videos of the official list.
        test: number of test videos, or of first videos of the official list.
        segments: number of segments of 1 s in a video.
        annotations: folder of the official LLP tables. Weak labels, and dense truth where there is any, are then as
            they are, and only the rest is drawn; without it, everything is drawn from the packaged statistics.
        dtype: "float32" or "float16".
        workers: threads that draw features, 0 to draw in this one; as many as PyTorch uses (one per core) if not given.
        knobs: difficulty of the features.
        label_vectors: path of a file (``.npz``) for the class vectors of
            :func:`avparse.data.simulation.label_vectors.label_vectors`; None to write none.

    Raises:
        UserError: an argument is out of range, ``out`` exists or cannot be written, or the tables are bad.
    """
    sizes: dict[Split, int] = {"train": train, "val": val, "test": test}
    _check(seed, sizes, segments, workers)
    statistics, parts = _parts(sizes, segments, seed, annotations)
    world = World.draw(statistics.classes, seed, knobs)
    if label_vectors is not None:
        write_label_vectors(label_vectors, world, statistics.classes)
    streams = {
        name: {"dimension": space.projection.shape[1], "dtype": dtype, "extractor": "simulated"}
        for name, space in world.spaces.items()
    }
    origin = "packaged statistics" if annotations is None else "official annotations"
    with (
        atomic_folder(out, make=False) as folder,
        StoreWriter.create(
            folder,
            vocabulary=Vocabulary(statistics.classes),
            streams={name: StreamInfo.read(info, "simulate") for name, info in streams.items()},
            segment_seconds=1.0,
            truth=True,
            description=f"simulated LLP, seed {seed}, {origin}, knobs {knobs.model_dump_json()}",
        ) as writer,
    ):
        _write(writer, world, parts, seed, dtype, torch.get_num_threads() if workers is None else workers)


def _check(seed: int, sizes: dict[Split, int], segments: int, workers: int | None) -> None:
    least = {"seed": (seed, 0), "segments": (segments, 1), "workers": (workers or 0, 0)}
    for name, (value, minimum) in (least | {split: (size, 0) for split, size in sizes.items()}).items():
        if value < minimum:
            raise UserError(f"simulate: '{name}' is {value}; give at least {minimum}")
    if not any(sizes.values()):
        raise UserError("simulate: 'train', 'val' and 'test' are all 0; give one of them some videos")


def _parts(
    sizes: dict[Split, int], segments: int, seed: int, annotations: Path | None
) -> tuple[LabelStatistics, list[_Part]]:
    """Return the statistics, in the order of the classes of the store, and labels and truth of every split."""
    statistics = LabelStatistics.load()
    if annotations is None:
        return statistics, [
            _Part(
                split,
                [f"simulated-{seed}-{split}-{n:05d}" for n in range(size)],
                draw_truth(statistics, split, size, segments, seed),
            )
            for split, size in sizes.items()
        ]
    grid = statistics.audio.active.shape[1]
    if segments != grid:
        raise UserError(f"simulate: 'segments' is {segments}, but videos of official tables have {grid}; leave it out")
    tables = read_llp(annotations)
    statistics = statistics.restricted_to(tables.vocabulary.names)
    return statistics, [_annotated(statistics, tables, split, sizes[split], segments, seed) for split in sizes]


def _annotated(
    statistics: LabelStatistics, tables: Annotations, split: Split, size: int, segments: int, seed: int
) -> _Part:
    videos = tables.of_split(split)[:size]
    known = [tables.videos[video] for video in videos]
    weak = np.array([video.weak for video in known], dtype=bool).reshape(-1, len(tables.vocabulary))
    if any(video.events is None for video in known):
        return _Part(split, videos, truth_for_labels(statistics, weak, segments, seed, split))
    audio, visual = (
        np.array([tables.dense(video, modality, segments) for video in videos], dtype=bool) for modality in MODALITIES
    )
    shape = (len(videos), segments, len(tables.vocabulary))
    return _Part(split, videos, Truth(weak, audio.reshape(shape), visual.reshape(shape)))


def _write(writer: StoreWriter, world: World, parts: Sequence[_Part], seed: int, dtype: str, workers: int) -> None:
    """Draw the features of all blocks and append them in order, with few of them in memory."""
    bar: Tracker[None] = track(None, "simulate", total=sum(len(part.videos) for part in parts))
    with bar, _drawing(workers) as begin:
        waiting: deque[Callable[[], Block]] = deque()

        def append_next() -> None:
            block = waiting.popleft()()
            writer.append(block)
            bar.update(len(block.videos))

        for part in parts:
            for number, piece in enumerate(part.blocks()):
                waiting.append(begin(partial(_block, world, number, piece, seed, dtype)))
                if len(waiting) > workers:
                    append_next()
        while waiting:
            append_next()


@contextlib.contextmanager
def _drawing(workers: int) -> Iterator[Callable[[Callable[[], Block]], Callable[[], Block]]]:
    """Yield what begins a job and returns how to ask for its block; without workers, to ask is to do it.

    A matrix product of a job takes one core: its rounding would depend on how many cores share it.
    """
    before = torch.get_num_threads()
    try:
        if workers:
            with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                yield lambda job: pool.submit(job).result
        else:
            torch.set_num_threads(1)
            yield lambda job: job
    finally:
        torch.set_num_threads(before)


def _block(world: World, number: int, part: _Part, seed: int, dtype: str) -> Block:
    """Draw the features of one block; its numbers depend on seed, split and position only."""
    truth, videos = part.truth, len(part.videos)
    segments, classes = truth.audio.shape[1:]
    split = SPLITS.index(part.split)
    generator = np.random.default_rng([seed, _FEATURES, split, number])
    streams = draw_features(world, truth.audio, truth.visual, generator)
    return Block(
        videos=part.videos,
        splits=[part.split] * videos,
        lengths=[segments] * videos,
        durations=[float(segments)] * videos,
        origins=["simulated"] * videos,
        weak=truth.weak,
        streams={name: stream.astype(dtype, copy=False) for name, stream in streams.items()},
        truth={"audio": truth.audio.reshape(-1, classes), "visual": truth.visual.reshape(-1, classes)},
    )
