"""A simulated teacher: scores drawn from the dense truth of a store, with about as many errors as published teachers.

It replaces CLIP and CLAP for simulated data, so that methods on pseudo labels can be trained and compared. Unlike those
of real teachers, its errors are independent of everything that a parser reads. Results with it must be marked
"simulated".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

import numpy as np
from pydantic import Field

from avparse.data.prompt_styles import OTHER, subsets_of
from avparse.data.scores import Subsets, TeacherInfo, TeacherScores
from avparse.data.store import FeatureStore
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.arrays import BoolArray, Float32Array, IntArray, segment_rows
from avparse.foundation.errors import UserError
from avparse.foundation.settings import PartConfig

_LOGIT_SCALE: Final = 100.0
_TEACHER: Final = 3_000_017  # separates its random numbers from those of the world
_CHECKPOINT: Final = "simulated, "  # what its checkpoint begins with


class SimulatedTeacher:
    """Sees the annotated videos of a store through their truth, with errors; the rates of these hold at its threshold.

    By default its labels are about as good as VALOR's are published to be. Segment A, V, AV, Type, Event at its
    threshold, on the store of ``tables/pseudo.yaml`` (simulated LLP, 2,500 + 649 + 1,200 videos, seed 0):

    ==============================================  ========================
    VALOR, published, test split of the real LLP    80.5 61.7 55.7 66.0 74.6
    default (``hallucinate_visual`` 0.65), test     81.4 65.0 58.1 68.2 76.2
    default, validation                             81.4 62.1 56.7 66.7 75.5
    ``hallucinate_visual`` 0.15, test               81.4 82.0 71.5 78.3 83.0
    ``hallucinate_visual`` 0.15, validation         81.4 82.1 71.5 78.3 82.8
    ==============================================  ========================
    """

    class Config(PartConfig):
        """Settings.

        Attributes:
            seed: seed of the errors.
            miss_event: share of events (runs of a class) that are missed as a whole.
            miss_audio, miss_visual: share of the remaining active segments that are missed.
            hallucinate_audio, hallucinate_visual: share of weak labels that are taken for active where they are not.
            hallucinated: share of the inactive segments of such a label in which they are.
            threshold: the cosine above which it takes a class for active; the logit is a hundred times that.
            spread: mean distance of a right score from the threshold, in cosine (half-normal); wrong scores are
                ``doubt`` times as far, so the threshold is about the best one.
            common: share of a prompt's energy that all prompts have in common.
        """

        name: Literal["simulated"] = "simulated"
        seed: int = Field(0, ge=0)
        miss_event: float = Field(0.10, ge=0, le=1)
        miss_audio: float = Field(0.08, ge=0, le=1)
        miss_visual: float = Field(0.05, ge=0, le=1)
        hallucinate_audio: float = Field(0.15, ge=0, le=1)
        hallucinate_visual: float = Field(0.65, ge=0, le=1)
        hallucinated: float = Field(0.70, ge=0, le=1)
        threshold: float = Field(0.20, gt=0, lt=0.5)
        spread: float = Field(0.024, gt=0, lt=0.05)
        doubt: float = Field(0.6, gt=0, le=1)
        common: float = Field(0.8, gt=0, lt=1)

    def __init__(self, config: Config) -> None:
        self.config = config

    def __call__(self, store: FeatureStore) -> Iterator[TeacherScores]:
        """Yield what it sees in audio and in visual: a function of truth, weak labels and settings only.

        Raises:
            UserError: no video of the store has dense truth.
        """
        annotated = np.flatnonzero(store.annotated)
        truths = [truth for modality in MODALITIES if (truth := store.truth(modality)) is not None]
        if not len(annotated) or not truths:
            raise UserError(f"{store.path}: no video has dense truth, so no teacher can be simulated; ask a real one")
        lengths = store.lengths[annotated]
        rows = segment_rows(store.first_row[annotated], lengths)
        for number, (modality, truth) in enumerate(zip(MODALITIES, truths, strict=True)):
            generator = np.random.default_rng([self.config.seed, _TEACHER, number])
            active = np.asarray(truth[rows])
            taken = _spoilt(active, store.weak[annotated], lengths, self.config, modality, generator)
            distance = np.abs(generator.standard_normal(active.shape, dtype=np.float32))
            distance *= np.where(taken == active, 1.0, self.config.doubt) * self.config.spread * (np.pi / 2) ** 0.5
            yield _embed(store, annotated, modality, np.where(taken, distance, -distance), self.config)


def is_simulated(info: TeacherInfo) -> bool:
    """Whether the scores are those of a simulated teacher."""
    return info.checkpoint.startswith(_CHECKPOINT)


def _spoilt(
    active: BoolArray,
    weak: BoolArray,
    lengths: IntArray,
    config: SimulatedTeacher.Config,
    modality: str,
    generator: np.random.Generator,
) -> BoolArray:
    """Return the decisions of the teacher at its threshold, ``[sum T, C]``."""
    starts = active.copy()
    starts[1:] &= ~active[:-1]
    first = np.zeros(len(active), dtype=bool)
    first[np.cumsum(lengths) - lengths] = True
    starts |= active & first[:, None]
    # Events are numbered class by class, in the order of time.
    event = np.cumsum(starts.T.reshape(-1)).reshape(active.T.shape).T - 1
    lost = generator.random(int(starts.sum()) + 1) < config.miss_event
    missed = lost[event] | (generator.random(active.shape) < getattr(config, f"miss_{modality}"))
    imagined = np.repeat(
        weak & (generator.random(weak.shape) < getattr(config, f"hallucinate_{modality}")), lengths, axis=0
    )
    imagined &= generator.random(active.shape) < config.hallucinated
    taken: BoolArray = np.where(active, ~missed, imagined)
    return taken


def _embed(
    store: FeatureStore, annotated: IntArray, modality: str, margins: Float32Array, config: SimulatedTeacher.Config
) -> TeacherScores:
    """Return vectors whose cosines with the class prompts are the threshold plus the margins ``[sum T, C]``.

    Dimensions: one a class, one that all prompts share, one of the prompt "other", whose cosine is the threshold
    everywhere, and one that brings the length to one.
    """
    classes = store.vocabulary.names
    count = len(classes)
    subsets = subsets_of(np.flatnonzero(labels).tolist() for labels in np.unique(store.weak[annotated], axis=0))
    members = np.zeros((len(subsets), count), dtype=bool)
    for row, subset in zip(members, subsets, strict=True):
        row[list(subset)] = True
    own, shared = np.float32((1 - config.common) ** 0.5), np.float32(config.common**0.5)
    segments = np.zeros((len(margins), count + 3), dtype=np.float32)
    segments[:, :count] = margins / own
    segments[:, count] = config.threshold / shared
    segments[:, count + 1] = config.threshold
    rest = 1 - np.einsum("ne,ne->n", segments, segments)
    segments[:, count + 2] = np.sqrt(np.maximum(rest, 0))
    segments /= np.linalg.norm(segments, axis=1, keepdims=True)  # of effect only where margins are huge
    info = TeacherInfo(
        teacher=config.name,
        modality=modality,
        checkpoint=f"{_CHECKPOINT}{config.model_dump_json()}",
        logit_scale=_LOGIT_SCALE,
        segment_seconds=store.segment_seconds,
        classes=classes,
        prompts=classes,
        subset_prompts=tuple(" and ".join(classes[c] for c in subset) or OTHER for subset in subsets),
    )
    videos = tuple(store.videos[i] for i in annotated)
    texts = Subsets(members, _texts(members, own, shared))
    return TeacherScores(
        info, videos, store.lengths[annotated], segments, _texts(np.eye(count, dtype=bool), own, shared), texts
    )


def _texts(members: BoolArray, own: np.float32, shared: np.float32) -> Float32Array:
    """Return the prompt of each subset ``[P, C]``: the sum of its classes' prompts, brought to length one."""
    count = members.shape[1]
    texts = np.zeros((len(members), count + 3), dtype=np.float32)
    texts[:, :count] = members * own
    texts[:, count] = members.sum(axis=1) * shared
    texts[~members.any(axis=1), count + 1] = 1  # "other"
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    return texts
