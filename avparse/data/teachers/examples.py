"""Some examples of each class as a teacher: heads on the features that a store has, so no video is read again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from pydantic import Field

from avparse.data.examples import ExampleFolder, ExampleHead, extract_examples, first_streams, fit_head, read_examples
from avparse.data.scores import ScoreTable, TeacherInfo
from avparse.data.store import FeatureStore
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.arrays import Float32Array, segment_rows
from avparse.foundation.errors import UserError
from avparse.foundation.settings import PartConfig
from avparse.media.extractors import EXTRACTORS

_ROWS = 1 << 14  # segments that are judged at a time


class ExamplesTeacher:
    """Judges every segment of a store by the heads of :mod:`avparse.data.examples.head`; zero is their threshold."""

    class Config(PartConfig):
        """Settings.

        Attributes:
            folder: path of the folder of examples.
            workers: number of decoding processes; None for all cores.
        """

        name: Literal["examples"] = "examples"
        folder: str = Field(min_length=1)
        workers: int | None = Field(None, ge=0)

    def __init__(self, config: Config) -> None:
        self.config = config

    def __call__(self, store: FeatureStore) -> Iterator[ScoreTable]:
        """Yield the logits of each modality in which a class has two examples or more.

        Raises:
            UserError: the folder holds no examples, too few, one that cannot be read, or a class that the store lacks;
                or the features of the store cannot be made of a file.
        """
        folder = read_examples(self.config.folder)
        folder.require_enough()
        for name in folder.classes:
            store.vocabulary.index(name, f"{folder.path} (a class outside the labels belongs into '_none')")
        sources = _sources(store)
        if not sources:
            made_by = ", ".join(sorted({f"'{info.extractor}'" for info in store.manifest.streams.values()}))
            raise UserError(f"{store.path}: its features ({made_by}) cannot be made of examples; extract anew")
        judged = 0
        for modality, (stream, extractor) in sources.items():
            (rows,) = extract_examples(
                folder, {modality: stream}, extractor, store.segment_seconds, self.config.workers
            )
            head = fit_head(rows)
            if head.judges.any():
                judged += 1
                yield _scores(store, folder, head, extractor)
        if not judged:
            raise UserError(f"{folder.path}: no class has two sounds or two pictures, with two of others; add some")


def _sources(store: FeatureStore) -> dict[str, tuple[str, str]]:
    """Return the stream of each modality that examples can be compared in, with its extractor."""
    found: dict[str, tuple[str, str]] = {}
    infos = store.manifest.streams
    for extractor in dict.fromkeys(info.extractor for info in infos.values()):
        if extractor in EXTRACTORS:
            own = {name: info for name, info in infos.items() if info.extractor == extractor}
            for modality, stream in first_streams(extractor, own).items():
                found.setdefault(modality, (stream, extractor))
    return {modality: found[modality] for modality in MODALITIES if modality in found}


def _scores(store: FeatureStore, folder: ExampleFolder, head: ExampleHead, extractor: str) -> ScoreTable:
    classes = store.vocabulary.names
    able = [name for name, judges in zip(folder.classes, head.judges, strict=True) if judges]
    info = TeacherInfo(
        teacher="examples",
        modality="audio" if head.modality == "audio" else "visual",
        checkpoint=f"heads on '{extractor}', {len(folder.files)} files of {folder.path}",
        segment_seconds=store.segment_seconds,
        classes=classes,
        unjudged=tuple(name for name in classes if name not in able),
    )
    return ScoreTable(info, tuple(store.videos), store.lengths, _logits(store, folder, head))


def _logits(store: FeatureStore, folder: ExampleFolder, head: ExampleHead) -> Float32Array:
    """Return the logits ``[sum T, C]`` in the order of the store's classes, NaN where nothing can be told."""
    rows = segment_rows(store.first_row, store.lengths)
    present = store.present[rows, MODALITIES.index(head.modality)]
    logits = np.full((len(rows), len(store.vocabulary)), np.nan, dtype=np.float32)
    columns = [store.vocabulary.index(name) for name in folder.classes]
    features = store.stream(head.stream)
    for first in range(0, len(rows), _ROWS):
        piece = slice(first, first + _ROWS)
        logits[piece, columns] = features[rows[piece]].astype(np.float32) @ head.weights + head.bias
    logits[~present] = np.nan
    return logits
