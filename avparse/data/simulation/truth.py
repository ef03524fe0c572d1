"""Simulated truth: events of a video, their modality and timeline, and the weak labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from avparse.data.simulation.label_sets import draw_label_sets, lift
from avparse.data.simulation.statistics import AUDIBLE, BOTH, NEITHER, SPLITS, VISIBLE, LabelStatistics, Split
from avparse.data.simulation.timelines import fit_timelines
from avparse.foundation.arrays import BoolArray, Float64Array

# Events are shorter in company: among those of its class, ordered by length, one that shares its video with k-1 others
# ranks lower by this number times log k standard deviations. Fitted to the counted shares of segments with no event.
_CROWDING: Final = 0.8


@dataclass(frozen=True)
class Truth:
    """Labels and events of N videos; classes in the order of the statistics that they were drawn from.

    Attributes:
        weak: ``[N, C]`` weak labels; some are for one modality only or for none, and some events lack theirs.
        audio, visual: true events ``[N, T, C]`` of the modality.
    """

    weak: BoolArray
    audio: BoolArray
    visual: BoolArray

    def __len__(self) -> int:
        return len(self.weak)


def draw_truth(statistics: LabelStatistics, split: Split, videos: int, segments: int, seed: int) -> Truth:
    """Draw ``videos`` of ``split``: their weak labels and what they hold; a function of its arguments only."""
    weak = draw_label_sets(statistics, split, videos, _generator(seed, split, 0))
    return truth_for_labels(statistics, weak, segments, seed, split)


def truth_for_labels(
    statistics: LabelStatistics, weak: BoolArray, segments: int, seed: int, split: Split = "train"
) -> Truth:
    """Draw what videos of ``split`` with given weak labels ``[N, C]`` hold; a function of its arguments only.

    Each labelled class is heard, seen, both or neither; a video with labels holds at least one event. Events without a
    label come in addition, as often as ``statistics.missing(split)`` says, and rather beside labels they go with; in
    train they are background, heard only.
    """
    weak = np.asarray(weak, dtype=bool)
    generator = _generator(seed, split, 1)
    unlabelled = generator.random(weak.shape) < _missing_rate(statistics, weak, split)
    # A uniform number below `some` leads to an event, one above it to none.
    uniform, some = generator.random(weak.shape), 1 - statistics.states[:, NEITHER]
    sure = unlabelled | ~(weak & (uniform < some)).any(1, keepdims=True)
    below = np.cumsum(statistics.states, axis=1)[:, :NEITHER]
    state = (np.where(sure, uniform * some, uniform)[..., None] >= below).sum(-1)
    if split == "train":
        # Seen as well, they would cost HAN 3 and the class prior 4 visual points against the calibrated figures.
        state[unlabelled] = AUDIBLE
    heard, seen = ((weak | unlabelled) & ((state == own) | (state == BOTH)) for own in (AUDIBLE, VISIBLE))
    audio, visual = _place(statistics, heard, seen, segments, generator)
    return Truth(weak, audio, visual)


def _missing_rate(statistics: LabelStatistics, weak: BoolArray, split: Split) -> Float64Array:
    """Return ``[N, C]`` probabilities of an unlabelled event, zero where labelled."""
    affinity = np.exp(weak @ np.log(lift(statistics)) / np.maximum(weak.sum(1, keepdims=True), 1)) * ~weak
    mean = affinity.sum(0) / max(len(weak), 1)
    return np.asarray(statistics.missing(split) * affinity / np.where(mean > 0, mean, 1.0))


def _place(
    statistics: LabelStatistics, heard: BoolArray, seen: BoolArray, segments: int, generator: np.random.Generator
) -> tuple[BoolArray, BoolArray]:
    """Give the events ``[N, C]`` of each modality timelines ``[N, T, C]``."""
    model = fit_timelines(statistics)
    timelines = _resampled(model.timelines, segments)
    events = (heard | seen).sum(1, keepdims=True)
    room = generator.standard_normal((2, *heard.shape)) - _CROWDING * np.log(np.maximum(events, 1))
    uniform = generator.random((2, *heard.shape))
    audio, visual = (np.zeros((len(heard), segments, heard.shape[1]), dtype=bool) for _ in range(2))
    for c in range(heard.shape[1]):
        (hears,), (unheard,) = np.nonzero(heard[:, c]), np.nonzero(seen[:, c] & ~heard[:, c])
        both = seen[hears, c]
        sound = model.draw("audio", c, _ranked(room[0, hears, c], uniform[0, hears, c]))
        audio[hears, :, c] = timelines[sound]
        sight = model.draw("visual", c, _ranked(room[1, unheard, c], uniform[1, unheard, c]))
        visual[unheard, :, c] = timelines[sight]
        sight = model.draw_visual(c, sound[both], uniform[1, hears[both], c])
        visual[hears[both], :, c] = timelines[sight]
    return audio, visual


def _ranked(room: Float64Array, uniform: Float64Array) -> Float64Array:
    """Return uniform numbers ``[n]`` in the order of ``room``."""
    return np.asarray((np.argsort(np.argsort(room)) + uniform) / max(len(room), 1))


def _resampled(timelines: BoolArray, segments: int) -> BoolArray:
    """Stretch timelines ``[K, G]`` to ``[K, segments]``: active where half covered, and at least where covered most."""
    grid = timelines.shape[1]
    edges = np.arange(segments + 1) * (grid / segments)
    starts = np.maximum(edges[:-1, None], np.arange(grid))
    ends = np.minimum(edges[1:, None], np.arange(1, grid + 1))
    covered = timelines @ np.maximum(ends - starts, 0.0).T * (segments / grid)
    return np.asarray((covered > 0.5 - 1e-9) | (covered == covered.max(1, keepdims=True)))


def _generator(seed: int, split: Split, purpose: int) -> np.random.Generator:
    return np.random.default_rng([seed, SPLITS.index(split), purpose])
