"""Pseudo labels of segments, made from the stored scores of frozen teachers.

There is one pipeline: scores, normaliser, decision, weak filter, softener. A published method is a row of settings:

=============  ==================  =====================================  ======  ==================================
method         score, norm         decide                                 filter  target
=============  ==================  =====================================  ======  ==================================
VPLAN, VAPLAN  cosine, softmax     one threshold a modality               and     hard
VALOR, LEAP    logit, none         a threshold a class and modality       and     hard
RLLD + VALOR   logit, softmax      top_mass                               and     hard
LSLD           cosine, none        subset_argmax                          and     visual: overlap(4, 0.4); audio: hard
UWAV           logit, none         a threshold a class and modality       and     sigmoid_margin
=============  ==================  =====================================  ======  ==================================
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, field_validator, model_validator

from avparse.data.prompt_styles import published_thresholds
from avparse.data.scores import TeacherScores, load_scores
from avparse.data.store import FeatureStore
from avparse.data.vocabulary import MODALITIES, Vocabulary
from avparse.foundation.arrays import BoolArray, Float32Array, IntArray, segment_rows
from avparse.foundation.errors import UserError
from avparse.foundation.settings import PartConfig, Settings
from avparse.labels.pseudo.rules import best_subset, most_probable, overlap, sigmoid_margin, softmax
from avparse.labels.segments import SegmentLabels

_log = logging.getLogger(__name__)
_READ = {  # settings that each decision reads
    "threshold": ("score", "norm", "temperature", "threshold", "filter"),
    "top_mass": ("score", "norm", "temperature", "mass", "filter"),
    "subset_argmax": (),
}


class SideConfig(Settings):
    """Settings of the pseudo labels of one modality.

    Attributes:
        teacher: name of the teacher whose scores are read; ``avparse teach`` lists those of a store.
        score: score that is used: the cosine of segment and prompt, or the logit that the network was trained with.
        norm: normalisation of scores: ``softmax`` is each class's share in the segment, over all classes, at
            ``temperature``. ``top_mass`` always uses these shares.
        decide: decision of the labels of a segment: ``threshold``: scores strictly above it; ``top_mass``: the most
            probable classes that together have at most ``mass``, and at least one; ``subset_argmax``: the most similar
            subset of the weak label.
        threshold: one number for all classes, one number per class by name, or the name of a published table
            (``valor``, for logits).
        temperature: divisor of the scores before the softmax.
        mass: largest sum of the shares of the classes that ``top_mass`` chooses.
        filter: restriction of the labels: ``and`` allows only classes of the weak label.
        target: form of the targets: ``hard``: 0 or 1; ``sigmoid_margin``: the sigmoid of score minus threshold;
            ``overlap``: softened where positives and negatives of a class overlap, by the two factors in ``overlap``.
        overlap: factors of the positives and of the negatives in the target ``overlap``.
    """

    teacher: str = Field(pattern=r"^[A-Za-z0-9_+-]{1,64}$")
    score: Literal["cosine", "logit"] = "cosine"
    norm: Literal["none", "softmax"] = "none"
    temperature: float = Field(1.0, gt=0)
    decide: Literal["threshold", "top_mass", "subset_argmax"] = "threshold"
    threshold: float | dict[str, float] | str | None = None
    mass: float = Field(0.5, gt=0, lt=1)
    filter: Literal["and", "none"] = "and"
    target: Literal["hard", "sigmoid_margin", "overlap"] = "hard"
    overlap: tuple[float, float] = (4.0, 0.4)

    @field_validator("threshold", mode="before")
    @classmethod
    def _numbers(cls, threshold: Any) -> Any:
        if isinstance(threshold, str):
            published_thresholds(threshold)
        elif isinstance(threshold, Mapping):
            for name, value in threshold.items():
                if not _is_number(value):
                    raise UserError(f"class '{name}' has {value!r}; give a number")
        elif threshold is not None and not _is_number(threshold):
            raise UserError(f"found {threshold!r}; give a number, one for each class by name, or the name of a table")
        return threshold

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.decide == "threshold" and self.threshold is None:
            raise UserError("give a 'threshold': a number, one for each class by name, or the name of a table")
        if self.decide != "threshold" and self.target == "sigmoid_margin":
            raise UserError(f"target 'sigmoid_margin' needs thresholds, but 'decide' is '{self.decide}'")
        for key, reason in self._of_no_effect().items():
            default = type(self).model_fields[key].default
            if getattr(self, key) != default:  # a run folder contains every default
                shown = "null" if default is None else default
                raise UserError(f"'{key}' has no effect {reason}; leave it out (or give its default, {shown})")
        if isinstance(self.threshold, str) and (self.score, self.norm) != ("logit", "none"):
            wrong = "score: logit" if self.score != "logit" else "norm: none"
            raise UserError(f"the table '{self.threshold}' is for logits; set '{wrong}', or give numbers")
        return self

    def _of_no_effect(self) -> dict[str, str]:
        """Return the settings that have no effect, each with the reason."""
        keys = dict.fromkeys(key for read in _READ.values() for key in read)
        unread = {key: f"with 'decide: {self.decide}'" for key in keys if key not in _READ[self.decide]}
        if self.decide == "threshold" and self.norm == "none":
            unread["temperature"] = "without 'norm: softmax'"
        if self.target != "overlap":
            unread["overlap"] = f"with 'target: {self.target}'"
        return unread

    def names_all(self, modality: str, vocabulary: Vocabulary) -> bool:
        """Whether the thresholds, if they are a published table, have a value for every class."""
        return (
            not isinstance(self.threshold, str)
            or set(vocabulary) <= published_thresholds(self.threshold)[modality].keys()
        )

    def thresholds(self, modality: str, vocabulary: Vocabulary) -> Float32Array:
        """Return the threshold of each class, ``[C]``.

        Raises:
            UserError: a class has no threshold, or a threshold is given for a class that the data lack.
        """
        where, given = f"pseudo_labels.{modality}.threshold", self.threshold
        if isinstance(given, str):
            table = published_thresholds(given)[modality]
            for name in vocabulary:
                if name not in table:
                    raise UserError(
                        f"{where}: the table '{given}' has no threshold for class '{name}'; give a number, or let "
                        "'avparse tune-thresholds' find one for each class"
                    )
            given = {name: table[name] for name in vocabulary}
        if not isinstance(given, dict):
            return np.full(len(vocabulary), given, dtype=np.float32)
        for name in given:
            vocabulary.index(name, where)
        missing = next((name for name in vocabulary if name not in given), None)
        if missing is not None:
            raise UserError(f"{where}: no threshold for class '{missing}'; give one for each class, or a number")
        return np.array([given[name] for name in vocabulary], dtype=np.float32)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _read_side(value: object) -> object:
    return value if value is None or isinstance(value, SideConfig) else SideConfig.read(value, "pseudo labels")


Side = Annotated[SideConfig | None, BeforeValidator(_read_side)]


class PseudoLabels:
    """Makes segment labels of any videos whose scores are stored, by the pipeline of this module."""

    class Config(PartConfig):
        """Settings of the pseudo labels of each modality; a modality without settings gets no segment labels."""

        name: Literal["teachers"] = "teachers"
        audio: Side = None
        visual: Side = None

        @model_validator(mode="after")
        def _any(self) -> Self:
            if self.audio is None and self.visual is None:
                raise UserError("pseudo labels: give settings of 'audio', of 'visual', or both")
            return self

        def side(self, modality: str) -> SideConfig | None:
            """Return the settings of a modality."""
            found: SideConfig | None = getattr(self, modality)
            return found

    def __init__(self, config: Config) -> None:
        self.config = config

    def __call__(self, store: FeatureStore, indices: IntArray) -> SegmentLabels:
        """Return the labels of the videos at ``indices``.

        A target that depends on all segments (``overlap``) is computed over the given videos: give the training split.
        Segments without the modality have no label. In segments that the teacher has no embedding of, a label that it
        might have given is unknown (NaN); a warning reports videos that the teacher has no scores of.

        Raises:
            UserError: a teacher has no scores in the store, or none of the given videos.
        """
        sides = [None if (side := self._side(store, indices, m)) is None else side.targets() for m in MODALITIES]
        videos = tuple(store.videos[i] for i in indices)
        halves = [None if side is None else side.astype(np.float16) for side in sides]
        return SegmentLabels(videos, store.vocabulary.names, store.lengths[indices], *halves)

    def scores(self, store: FeatureStore, indices: IntArray, modality: str) -> Float32Array | None:
        """Return the normalised scores ``[sum T, C]`` that thresholds apply to; None for a modality without teacher.

        They are minus infinity in segments that the teacher has no embedding of.

        Raises:
            UserError: a teacher has no scores in the store, or none of the given videos.
        """
        side = self._side(store, indices, modality)
        return None if side is None else np.where(side.embedded[:, None], side.scores, np.float32(-np.inf))

    def _side(self, store: FeatureStore, indices: IntArray, modality: str) -> _Side | None:
        config = self.config.side(modality)
        return None if config is None else _Side(config, modality, store, indices)


class _Side:
    """Computation of the labels of one modality."""

    def __init__(self, config: SideConfig, modality: str, store: FeatureStore, indices: IntArray) -> None:
        self.config, self.modality, self.vocabulary = config, modality, store.vocabulary
        self.teacher = load_scores(store, config.teacher, modality)
        self.lengths, self.weak = store.lengths[indices], store.weak[indices]
        videos = tuple(store.videos[i] for i in indices)
        seen = self.teacher.seen(videos)
        self._tell_unseen(videos, seen)
        of_seen = np.repeat(seen, self.lengths)
        self.rows = np.zeros(len(of_seen), dtype=np.int64)  # any row will do for a video without scores
        self.rows[of_seen] = self.teacher.rows(tuple(itertools.compress(videos, seen)))
        present = store.present[segment_rows(store.first_row[indices], self.lengths), MODALITIES.index(modality)]
        self.embedded: BoolArray = self.teacher.known(self.rows) & of_seen
        possible = np.repeat(self.weak, self.lengths, axis=0) if config.filter == "and" else np.True_
        possible = possible & present[:, None]  # [sum T, C]
        self.allowed: BoolArray = possible & self.embedded[:, None]
        self.unknown: BoolArray = possible & ~self.embedded[:, None]

    @cached_property
    def scores(self) -> Float32Array:
        logit = self.config.score == "logit"
        scores = self.teacher.logits(self.rows) if logit else self._embeddings("score").cosines(self.rows)
        shared = self.config.norm == "softmax" or self.config.decide == "top_mass"
        return softmax(scores, self.config.temperature) if shared else scores

    def targets(self) -> Float32Array:
        """Return the targets ``[sum T, C]``, NaN where the label is unknown."""
        return np.where(self.unknown, np.float32(np.nan), self._decided())

    def _decided(self) -> Float32Array:
        chosen = self._chosen() & self.allowed
        if self.config.decide == "threshold":
            self._warn(chosen)
        if self.config.target == "sigmoid_margin":
            margins = sigmoid_margin(self.scores, self.config.thresholds(self.modality, self.vocabulary))
            return margins * self.allowed
        if self.config.target == "overlap":
            softened, seen = chosen.astype(np.float32), self.embedded
            cosines = self._embeddings("target").cosines(self.rows[seen])
            softened[seen] = overlap(chosen[seen], cosines, *self.config.overlap)
            return softened
        return chosen.astype(np.float32)

    def _chosen(self) -> BoolArray:
        if self.config.decide == "subset_argmax":
            return best_subset(self._embeddings("decide"), self.rows, self.weak, self.lengths)
        if self.config.decide == "top_mass":
            return most_probable(self.scores, self.config.mass)
        above: BoolArray = self.scores > self.config.thresholds(self.modality, self.vocabulary)
        return above

    def _embeddings(self, setting: str) -> TeacherScores:
        """Return the embeddings that a setting needs.

        Raises:
            UserError: the teacher gives class logits.
        """
        if not isinstance(self.teacher, TeacherScores):
            value = getattr(self.config, setting)
            other = {"score": "logit", "decide": "threshold", "target": "hard"}[setting]
            raise UserError(
                f"pseudo_labels.{self.modality}.{setting}: '{value}' needs embeddings, and teacher "
                f"'{self.config.teacher}' gives class logits; set '{setting}: {other}'"
            )
        return self.teacher

    def _tell_unseen(self, videos: tuple[str, ...], seen: BoolArray) -> None:
        if not seen.all():
            _log.warning(
                "pseudo labels of %s: teacher '%s' has no scores of %d of %d videos (such as '%s'), whose segments are "
                "not trained on; run it again with 'avparse teach'",
                self.modality,
                self.config.teacher,
                int((~seen).sum()),
                len(videos),
                videos[int(seen.argmin())],
            )

    def _warn(self, chosen: BoolArray) -> None:
        """Warn where thresholds decide nothing, as those of a softmax over another number of classes do."""
        on, possible = int(chosen.sum()), int(np.broadcast_to(self.allowed, chosen.shape).sum())
        if not possible or (on and (on < possible or self.config.norm == "none")):  # without softmax, low on purpose
            return
        which = "weak label" if self.config.filter == "and" else "class"
        found = f"every {which} is on in every segment" if on else "no label is on in any segment"
        share = f", where shares are about 1/{len(self.vocabulary)}" if self.config.norm == "softmax" else ""
        _log.warning(
            "pseudo labels of %s: %s; its threshold does not fit the scores%s: run 'avparse tune-thresholds'",
            self.modality,
            found,
            share,
        )
