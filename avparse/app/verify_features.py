"""Comparison of a feature store with published features, and which open setting of its extractor explains a mismatch.

Features are compared by cosine, second by second. Where the files of some videos are at hand, the settings that the
publication leaves open are tried on them: first each alone, then two together, and so on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from avparse.data.datasets.annotations import YOUTUBE_ID
from avparse.data.datasets.feature_folders import FeatureFolder, find_folders
from avparse.data.datasets.llp import LLP_FOLDERS
from avparse.data.store import FeatureStore
from avparse.foundation.arrays import Float32Array, Float64Array
from avparse.foundation.errors import UserError
from avparse.media.extractors import make_extractor
from avparse.media.files import find_media
from avparse.media.pipeline import extract_video
from avparse.media.video_ids import file_id

ALIKE = 0.99
_WORST = 3  # videos that are listed
_EXPLAINED = 0.5  # of what is missing to a cosine of 1, a setting must explain this share


@dataclass(frozen=True)
class Trial:
    """One choice of the open settings.

    Attributes:
        changes: settings that differ from those of the store.
        cosine: mean cosine to the published features, over the segments of the videos at hand.
    """

    changes: Mapping[str, Any]
    cosine: float


@dataclass(frozen=True)
class StreamMatch:
    """How far a stream agrees with published features.

    Attributes:
        stream: name of the stream.
        folder: folder of the published features.
        cosines: cosine ``[segments]`` of each video, by its id.
        trials: the open settings that were tried, those of the store first; empty where none were.
    """

    stream: str
    folder: Path
    cosines: Mapping[str, Float64Array]
    trials: list[Trial] = field(default_factory=list)

    @property
    def mean(self) -> float:
        """Mean cosine over all segments."""
        return float(np.concatenate(list(self.cosines.values())).mean())

    @property
    def explanation(self) -> Trial | None:
        """The choice of settings that explains the mismatch; None if none does, or none was tried."""
        if len(self.trials) < 2:
            return None
        first, best = self.trials[0], max(self.trials, key=lambda trial: trial.cosine)  # of equal ones the first
        return best if 1 - best.cosine <= _EXPLAINED * (1 - first.cosine) and best is not first else None

    def __str__(self) -> str:
        seconds = sum(map(len, self.cosines.values()))
        lines = [
            f"{self.stream} against {self.folder}: mean cosine {self.mean:.4f} over {seconds} segments of "
            f"{len(self.cosines)} videos"
        ]
        for video in sorted(self.cosines, key=lambda video: float(self.cosines[video].mean()))[:_WORST]:
            each = self.cosines[video]
            lines.append(f"  {video}: {each.mean():.4f} ({' '.join(f'{value:.3f}' for value in each)})")
        found = self.explanation
        if found is not None:
            named = " and ".join(f"{key}={value}" for key, value in found.changes.items())
            lines.append(f"  explained by {named}: mean cosine {found.cosine:.4f} in place of {self._first:.4f}")
        elif self.trials:
            lines.append(f"  none of {len(self.trials) - 1} choices of the open settings explains it")
        return "\n".join(lines)

    @property
    def _first(self) -> float:
        return self.trials[0].cosine


def verify_features(
    store: FeatureStore, against: Path, videos: Path | None = None, alike: float = ALIKE, most: int = 3
) -> list[StreamMatch]:
    """Compare the streams of a store with published features of the same videos.

    Args:
        store: feature store of an extractor.
        against: folder of the published features: a folder a stream, called as the stream or as in LLP, with ``ID.npy``
            a video.
        videos: folder of the files of some videos, on which the open settings are tried; None tries none.
        alike: mean cosine from which on features count as the same, and no setting is tried.
        most: number of videos on which settings are tried.

    Raises:
        UserError: the folder holds no features of a stream and a video of the store, or a file is bad.
    """
    matches = []
    for stream, folder in _folders(store, against):
        theirs = {video: rows for video in store.videos if (rows := _published(folder, against, video)) is not None}
        cosines = {video: _cosines(_stored(store, stream, video), rows) for video, rows in theirs.items()}
        cosines = {video: values for video, values in cosines.items() if len(values)}
        if not cosines:
            continue
        match = StreamMatch(stream, against / folder.name, cosines)
        if match.mean < alike and videos is not None:
            files = {file_id(path): path for path in find_media([videos]).files}
            at_hand = {video: files[video] for video in cosines if video in files}
            match.trials.extend(_trials(store, stream, dict(list(at_hand.items())[:most]), theirs, alike))
        matches.append(match)
    if not matches:
        names = ", ".join(store.streams)
        raise UserError(f"{against}: no folder of a stream ({names}, or as in LLP) has a file of a video of the store")
    return matches


def _folders(store: FeatureStore, against: Path) -> Iterator[tuple[str, FeatureFolder]]:
    """Yield each stream of the store that has a folder, and that folder."""
    published = {folder.name: folder for folder in LLP_FOLDERS}
    for found in find_folders(against):
        folder = published.get(found.name, found)
        if folder.stream in store.streams:
            yield folder.stream, FeatureFolder(folder.stream, folder.name, found.dimension, folder.per_segment)


def _published(folder: FeatureFolder, against: Path, video: str) -> Float32Array | None:
    """Return the published features ``[seconds, vectors of a second * D]`` of a video, None where there are none."""
    for name in dict.fromkeys((video, video[:YOUTUBE_ID])):
        if folder.holder(against, name).is_file():
            rows = folder.read(against, name)
            each = folder.per_segment if len(rows) % folder.per_segment == 0 else 1
            return rows.reshape(len(rows) // each, -1).astype(np.float32)
    return None


def _stored(store: FeatureStore, stream: str, video: str) -> Float32Array:
    row = store.videos.index(video)
    first = store.first_row[row]
    return np.asarray(store.stream(stream)[first : first + store.lengths[row]], dtype=np.float32)


def _cosines(ours: Float32Array, theirs: Float32Array) -> Float64Array:
    """Return the cosines of the segments that both have; vectors of a second are averaged where only one keeps them."""
    shared = min(len(ours), len(theirs))
    widths = ours.shape[1], theirs.shape[1]
    if max(widths) % min(widths):
        raise UserError(f"features of {widths[0]} numbers a segment cannot be compared with {widths[1]}")
    a, b = (x[:shared].reshape(shared, -1, min(widths)).mean(axis=1) for x in (ours, theirs))
    norms = np.linalg.norm(a.astype(np.float64), axis=1) * np.linalg.norm(b.astype(np.float64), axis=1)
    there = norms > 0
    cosines: Float64Array = (a.astype(np.float64) * b).sum(axis=1)[there] / norms[there]
    return cosines


def _trials(
    store: FeatureStore, stream: str, files: Mapping[str, Path], theirs: Mapping[str, Float32Array], alike: float
) -> Iterator[Trial]:
    """Yield what the choices of the open settings give on some videos, until one with the fewest changes explains."""
    extractor: Any = make_extractor(store.streams[stream].extractor)
    choices = getattr(extractor, "choices", {}).get(stream)
    if not files or not choices:
        return
    own = extractor.settings.model_dump()
    ways = [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]
    changes = [{key: value for key, value in way.items() if value != own[key]} for way in ways]
    best, reached = 0.0, 0
    for changed in sorted(changes, key=len):
        if len(changed) > reached and best >= alike:
            return
        reached = len(changed)
        made = type(extractor)(extractor.Config.read({**own, **changed}, "settings")).streams[stream]
        each = [
            _cosines(extract_video(path, {stream: made}, store.segment_seconds).streams[stream], theirs[video])
            for video, path in files.items()
        ]
        trial = Trial(changed, float(np.concatenate(each).mean()))
        best = max(best, trial.cosine)
        yield trial
