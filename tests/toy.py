"""A small feature store whose streams tell the truth, for tests of the loop."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from avparse.data.store import FeatureStore
from avparse.data.store.block import Block
from avparse.data.store.format import StreamInfo
from avparse.data.store.writer import StoreWriter
from avparse.data.vocabulary import Vocabulary
from avparse.media.card import Card

DIMENSIONS = {"audio": 16, "frames": 24, "clips": 8}
NO_CARDS: Mapping[str, Card] = {}


def toy_store(
    path: Path,
    videos: int = 120,
    segments: int = 6,
    seed: int = 0,
    ragged: bool = False,
    noise: float = 0.3,
    offset: float = 0.0,
    train_truth: bool = True,
    val_truth: bool = True,
    silent: tuple[str, ...] = (),
    blind: tuple[str, ...] = (),
    classes: tuple[str, ...] = ("Bark", "Bell", "Engine", "Voice"),
    segment_seconds: float = 1.0,
    dimensions: Mapping[str, int] = DIMENSIONS,
    extractor: str = "toy",
    cards: Mapping[str, Card] = NO_CARDS,
) -> FeatureStore:
    """Write and open a store of ``videos`` (60 % train, 20 % val, 20 % test) with four classes.

    Videos named in ``silent`` have no sound, those named in ``blind`` no picture.
    """
    rng = np.random.default_rng(seed)
    vocabulary = Vocabulary(classes)
    lengths = rng.integers(2, segments + 1, videos) if ragged else np.full(videos, segments)
    rows = int(lengths.sum())
    truth = {m: rng.random((rows, len(vocabulary))) < 0.06 for m in ("audio", "visual")}
    ends = np.cumsum(lengths)
    weak = np.stack([(truth["audio"] | truth["visual"])[e - n : e].any(0) for e, n in zip(ends, lengths, strict=True)])
    streams = {}
    for name, dimension in dimensions.items():
        active = truth["audio" if name == "audio" else "visual"]
        signal = active @ rng.standard_normal((len(vocabulary), dimension))
        streams[name] = (signal + noise * rng.standard_normal((rows, dimension)) + offset).astype(np.float32)
    train, val = videos * 6 // 10, videos * 2 // 10
    names = [f"toy{i:04d}" for i in range(videos)]
    present = np.ones((rows, 2), dtype=bool)
    for column, lacking in enumerate((silent, blind)):
        for name in lacking:
            end = ends[names.index(name)]
            present[end - lengths[names.index(name)] : end, column] = False
    block = Block(
        videos=names,
        splits=["train"] * train + ["val"] * val + ["test"] * (videos - train - val),
        lengths=lengths.tolist(),
        durations=(lengths * segment_seconds).tolist(),
        origins=["toy"] * videos,
        weak=weak,
        streams=streams,
        truth=truth,
        present=present,
        annotated=np.array([train_truth] * train + [val_truth] * val + [True] * (videos - train - val)),
    )
    info = {
        name: StreamInfo(dimension=d, dtype="float32", extractor=extractor, card=cards.get(name))
        for name, d in dimensions.items()
    }
    with StoreWriter.create(
        path, vocabulary=vocabulary, streams=info, segment_seconds=segment_seconds, truth=True, description="toy data"
    ) as writer:
        writer.append(block)
    return FeatureStore.open(path)
