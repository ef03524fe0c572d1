"""Networks that know a fixed list of names as teachers: ``imagenet``, ``audioset`` and ``speech``."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import Field

from avparse.data.class_names import ListedClasses, find_classes
from avparse.data.scores import ScoreTable, TeacherInfo
from avparse.data.store import FeatureStore
from avparse.data.taggers import TAGGERS, Tagger
from avparse.data.taggers.audioset import AudiosetTagger
from avparse.data.teachers.segment_cache import SegmentCache, kept
from avparse.data.teachers.video_frames import watched
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.arrays import BoolArray, Float32Array
from avparse.foundation.errors import UserError
from avparse.foundation.settings import PartConfig
from avparse.media.decoding.chunks import Chunk, read_chunks
from avparse.media.pipeline import Failed

_log = logging.getLogger(__name__)
_ROWS = 4096  # segments that are judged at a time


class TaggerTeacher:
    """Judges the classes of a store that are names of a list, from the videos or from the store's own stream.

    If the store has the stream that the network reads, made by the same extractor, no video is read.
    """

    class Config(PartConfig):
        """Settings that these teachers share.

        Attributes:
            teacher: name of the scores in recipes; None for that of the teacher.
            class_map: path of a class map of one's own, a YAML file that says which names a class stands for.
            videos: path of the folder of the videos, each named as in the store, or by its id.
        """

        teacher: str | None = Field(None, pattern=r"^[A-Za-z0-9_+-]{1,64}$")
        class_map: str | None = None
        videos: str | None = None

    def __init__(self, config: Config) -> None:
        self.config = config

    def tagger(self) -> Tagger:
        """Return the network.

        Raises:
            UserError: the weights of the network cannot be read.
        """
        return TAGGERS[self.config.name]()

    def __call__(self, store: FeatureStore) -> Iterator[Failed | ScoreTable]:
        """Yield the videos that could not be read, then the logits of the others.

        Raises:
            UserError: the network, the class map or the folder of videos cannot be read; the network can judge no class
                of the store; or no video could be read.
        """
        config, tagger = self.config, self.tagger()
        if not len(store):
            raise UserError(f"{store.path}: holds no video that '{config.name}' could be asked about")
        listed = find_classes(store.vocabulary.names, tagger.names, config.class_map)
        _tell(config.name, listed)
        name, identity = config.teacher or config.name, f"{tagger.identity}, names {listed.digest}"
        info = TeacherInfo(
            teacher=name,
            modality=tagger.modality,
            checkpoint=identity,
            segment_seconds=store.segment_seconds,
            classes=store.vocabulary.names,
            unjudged=tuple(c for c, able in zip(listed.classes, listed.judges, strict=True) if not able),
        )
        stored = store.streams.get(tagger.stream)
        if stored is not None and stored.extractor == tagger.extractor:
            yield _from_store(store, tagger, listed, info)
            return
        judge = _Judge(tagger, listed)
        with SegmentCache(store, name, tagger.modality, identity) as cache:
            todo = [video for video in store.videos if video not in cache]
            results = watched(store, todo, config.videos, judge, unknown=np.nan)
            yield from kept(results, store, cache, f"{config.name}, {tagger.modality}")
            yield ScoreTable(info, *cache.collected(store))
            cache.remove()


class ImagenetTeacher(TaggerTeacher):
    """Looks for the classes among ImageNet's 1000 names."""

    class Config(TaggerTeacher.Config):
        """Settings of the teacher ``imagenet``, which are those of all of its kind."""

        name: Literal["imagenet"] = "imagenet"


class SpeechTeacher(TaggerTeacher):
    """Listens for speech, and for nothing else."""

    class Config(TaggerTeacher.Config):
        """Settings of the teacher ``speech``, which are those of all of its kind."""

        name: Literal["speech"] = "speech"


class AudiosetTeacher(TaggerTeacher):
    """Listens for the classes among AudioSet's 527 names."""

    class Config(TaggerTeacher.Config):
        """Settings of the teacher ``audioset``.

        Attributes:
            checkpoint: local folder, or name of a published model; None for that of the extractor ``audioset``.
        """

        name: Literal["audioset"] = "audioset"
        checkpoint: str | None = None

    config: Config

    def tagger(self) -> Tagger:
        """Return the audio tagger.

        Raises:
            UserError: ``transformers`` is not installed, or there is no such model.
        """
        return AudiosetTagger(self.config.checkpoint)


class _Judge:
    """Decodes files for one stream and judges their segments; segments without the modality are NaN."""

    def __init__(self, tagger: Tagger, listed: ListedClasses) -> None:
        self._tagger, self._listed, self._stream = tagger, listed, tagger.made()

    def pieces(self, path: str | Path, segment_seconds: float, total: int) -> Iterator[Chunk]:
        return read_chunks(path, [self._stream.view], segment_seconds=segment_seconds)

    def embed(self, piece: Chunk) -> Float32Array:
        present = piece.audio_present if self._tagger.modality == MODALITIES[0] else piece.visual_present
        return _judged(self._tagger, self._listed, self._stream.features(piece), present)


def _from_store(store: FeatureStore, tagger: Tagger, listed: ListedClasses, info: TeacherInfo) -> ScoreTable:
    features, side = store.stream(tagger.stream), MODALITIES.index(tagger.modality)
    parts = []
    for first, length in zip(store.first_row, store.lengths, strict=True):
        rows = slice(int(first), int(first + length))
        values = np.array(features[rows], dtype=np.float32).reshape(int(length), -1)
        parts.append(_judged(tagger, listed, values, np.array(store.present[rows, side])))
    return ScoreTable(info, tuple(store.videos), store.lengths, np.concatenate(parts))


def _judged(tagger: Tagger, listed: ListedClasses, features: Float32Array, present: BoolArray) -> Float32Array:
    """Return the logits ``[T, C]`` of the classes, NaN where the modality is absent."""
    logits = np.full((len(features), len(listed.classes)), np.nan, dtype=np.float32)
    for first in range(0, len(features), _ROWS):
        some = slice(first, first + _ROWS)
        with torch.inference_mode():
            logits[some] = listed.logits(tagger.outputs(torch.from_numpy(features[some]))).numpy()
    logits[~present] = np.nan
    return logits


def _tell(teacher: str, listed: ListedClasses) -> None:
    """Warn of classes that the list cannot judge.

    Raises:
        UserError: the list can judge none of the classes.
    """
    silent = [name for name, able in zip(listed.classes, listed.judges, strict=True) if not able]
    told = listed.explain()
    if len(silent) == len(listed.classes):
        reason = told or f"its list has nothing for {', '.join(silent[:5])}"
        raise UserError(f"teacher '{teacher}': can judge none of the classes; {reason}")
    if silent:
        _log.warning(
            "teacher '%s': cannot judge %s; pseudo labels keep the weak label's word of them%s",
            teacher,
            ", ".join(silent),
            told and f" ({told})",
        )
