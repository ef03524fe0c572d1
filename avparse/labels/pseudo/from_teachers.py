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

Every teacher serves every method. A teacher of class logits gives probabilities where another gives cosines, and its
nearest subset is the most probable one. Of a class that a teacher cannot judge, the weak label's word holds.
"""

from __future__ import annotations

import itertools
import logging
from functools import cached_property
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BeforeValidator, model_validator

from avparse.data.scores import TeacherScores, load_scores
from avparse.data.store import FeatureStore
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.arrays import BoolArray, Float32Array, IntArray, segment_rows
from avparse.foundation.errors import UserError
from avparse.foundation.settings import PartConfig
from avparse.labels.pseudo.rules import best_subset, likeliest_subset, most_probable, overlap, sigmoid_margin, softmax
from avparse.labels.pseudo.side_config import SideConfig
from avparse.labels.segments import SegmentLabels

_log = logging.getLogger(__name__)


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
        Segments without the modality have no label. In segments that the teacher cannot tell of, a label that it might
        have given is unknown (NaN); a warning reports videos that the teacher has no scores of. A class that the
        teacher cannot judge has the weak label in every segment.

        Raises:
            UserError: a teacher has no scores in the store, or none of the given videos.
        """
        sides = [None if (side := self._side(store, indices, m)) is None else side.targets() for m in MODALITIES]
        videos = tuple(store.videos[i] for i in indices)
        halves = [None if side is None else side.astype(np.float16) for side in sides]
        return SegmentLabels(videos, store.vocabulary.names, store.lengths[indices], *halves)

    def scores(self, store: FeatureStore, indices: IntArray, modality: str) -> Float32Array | None:
        """Return the normalised scores ``[sum T, C]`` that thresholds apply to; None for a modality without teacher.

        They are minus infinity in segments that the teacher cannot tell of. Of a class that it cannot judge they are
        infinite where the weak label's word holds, and minus infinity elsewhere.

        Raises:
            UserError: a teacher has no scores in the store, or none of the given videos.
        """
        side = self._side(store, indices, modality)
        if side is None:
            return None
        told = np.where(side.judged, side.known[:, None], side.weak_word)
        return np.where(told, np.where(side.judged, side.scores, np.float32(np.inf)), np.float32(-np.inf))

    def judged(self, store: FeatureStore) -> list[BoolArray]:
        """Return the classes ``[C]`` that the teacher can judge, for each modality that has a teacher.

        Raises:
            UserError: a teacher has no scores in the store.
        """
        sides = {m: side for m in MODALITIES if (side := self.config.side(m)) is not None}
        return [load_scores(store, side.teacher, m).info.judged for m, side in sides.items()]

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
        self.judged = self.teacher.info.judged
        self.known: BoolArray = self.teacher.known(self.rows) & of_seen
        self.weak_word: BoolArray = np.repeat(self.weak, self.lengths, axis=0) & present[:, None]  # [sum T, C]
        possible = self.weak_word if config.filter == "and" else np.repeat(present[:, None], len(self.judged), axis=1)
        possible = possible & self.judged
        self.allowed: BoolArray = possible & self.known[:, None]
        self.unknown: BoolArray = possible & ~self.known[:, None]

    @cached_property
    def scores(self) -> Float32Array:
        logit = self.config.score == "logit"
        scores = self.teacher.logits(self.rows) if logit else self.teacher.similarities(self.rows)
        scores[:, ~self.judged] = -np.inf
        shared = self.config.norm == "softmax" or self.config.decide == "top_mass"
        return softmax(scores, self.config.temperature) if shared else scores

    def targets(self) -> Float32Array:
        """Return the targets ``[sum T, C]``, NaN where the label is unknown."""
        decided = np.where(self.judged, self._decided(), self.weak_word.astype(np.float32))
        return np.where(self.unknown, np.float32(np.nan), decided)

    def _decided(self) -> Float32Array:
        chosen = self._chosen() & self.allowed
        if self.config.decide == "threshold":
            self._warn(chosen)
        if self.config.target == "sigmoid_margin":
            margins = sigmoid_margin(self.scores, self._thresholds())
            return margins * self.allowed
        if self.config.target == "overlap":
            softened, known = chosen.astype(np.float32), self.known
            softened[known] = overlap(chosen[known], self.teacher.similarities(self.rows[known]), *self.config.overlap)
            return softened
        return chosen.astype(np.float32)

    def _chosen(self) -> BoolArray:
        if self.config.decide == "subset_argmax":
            if isinstance(self.teacher, TeacherScores):
                return best_subset(self.teacher, self.rows, self.weak, self.lengths)
            return likeliest_subset(self.teacher.logits(self.rows), self.weak_word)
        if self.config.decide == "top_mass":
            return most_probable(self.scores, self.config.mass)
        above: BoolArray = self.scores > self._thresholds()
        return above

    def _thresholds(self) -> Float32Array:
        """Return the threshold of each class, ``[C]``.

        Raises:
            UserError: a class has no threshold, or published thresholds are not of this kind of teacher.
        """
        if isinstance(self.config.threshold, str) and not isinstance(self.teacher, TeacherScores):
            raise UserError(
                f"pseudo_labels.{self.modality}.threshold: the table '{self.config.threshold}' is of scaled cosines, "
                f"and '{self.config.teacher}' gives log-odds; set it to 0, or to what 'avparse tune-thresholds' finds"
            )
        return self.config.thresholds(self.modality, self.vocabulary)

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
