"""Features of examples: the segments of every file in which a modality is present."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avparse.data.examples.folder import ExampleFolder
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.arrays import BoolArray, Float32Array, IntArray
from avparse.foundation.errors import UserError
from avparse.foundation.progress import track
from avparse.media.extractors import make_streams
from avparse.media.feature_cache import FeatureCache
from avparse.media.pipeline import Extracted, Failed, extract_videos


@dataclass(frozen=True, eq=False)
class ExampleRows:
    """The segments of one modality of all examples.

    Attributes:
        modality: "audio" or "visual".
        stream: name of the stream of features.
        features: features ``[n, D]`` of the segments.
        file: ``[n]`` number of the file of each segment, in the order of the folder's files.
        labels: ``[F, C]`` classes of every file, also of those without this modality.
    """

    modality: str
    stream: str
    features: Float32Array
    file: IntArray
    labels: BoolArray

    @property
    def counts(self) -> IntArray:
        """Number of segments ``[F]`` of each file; zero where the file lacks the modality."""
        counts: IntArray = np.bincount(self.file, minlength=len(self.labels))
        return counts

    def files_of(self) -> IntArray:
        """Return the number of files ``[C]`` with this modality of each class."""
        files: IntArray = self.labels[self.counts > 0].sum(axis=0)
        return files


def first_streams(extractor: str, among: Mapping[str, object] | None = None) -> dict[str, str]:
    """Return the stream of each modality that examples are read with: the first one of the extractor.

    Args:
        extractor: key of the extractor in ``EXTRACTORS``.
        among: names of streams to choose from; None for all.

    Raises:
        UserError: the extractor is unknown.
    """
    found: dict[str, str] = {}
    for name, stream in make_streams(extractor).items():
        if among is None or name in among:
            found.setdefault(stream.modality, name)
    return {modality: found[modality] for modality in MODALITIES if modality in found}


def extract_examples(
    folder: ExampleFolder,
    streams: Mapping[str, str],
    extractor: str,
    segment_seconds: float = 1.0,
    workers: int | None = None,
    cache: Path | None = None,
) -> tuple[ExampleRows, ...]:
    """Return the segments of each modality of all examples.

    Args:
        folder: files and their classes.
        streams: stream of each modality.
        extractor: key of the extractor of the streams.
        segment_seconds: length of a segment; a picture is one segment.
        workers: number of decoding processes; None for all cores.
        cache: folder in which the features of the files are kept, so that unchanged ones are not read again; None for
            none.

    Raises:
        UserError: a file cannot be read; a decision about a class must not depend on files that are silently missing.
    """
    wanted = dict.fromkeys(streams.values(), extractor)
    kept = None if cache is None else FeatureCache(cache, wanted, segment_seconds)
    found: dict[Path, Extracted] = {}
    if kept is not None:
        found = {file: known for file in folder.files if (known := kept.find(file)) is not None}
    todo = [file for file in folder.files if file not in found]
    made = extract_videos(todo, wanted, segment_seconds=segment_seconds, workers=0 if len(todo) == 1 else workers)
    for file, result in zip(todo, track(made, "examples", total=len(todo)), strict=True):
        if isinstance(result, Failed):
            raise UserError(f"{result.reason} (an example; mend or remove it)")
        found[file] = result
        if kept is not None:
            kept.keep(result)
    return tuple(_rows(folder, [found[file] for file in folder.files], m, name) for m, name in streams.items())


def _rows(folder: ExampleFolder, extracted: list[Extracted], modality: str, stream: str) -> ExampleRows:
    present = [one.audio_present if modality == "audio" else one.visual_present for one in extracted]
    features = [one.streams[stream][there] for one, there in zip(extracted, present, strict=True)]
    file = np.repeat(np.arange(len(extracted)), [len(rows) for rows in features])
    return ExampleRows(modality, stream, np.concatenate(features), file, folder.labels)
