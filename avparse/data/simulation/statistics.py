"""Label statistics of LLP: frequencies, co-occurrence, modality, onset and length of events."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from avparse.data.vocabulary import MODALITIES, Vocabulary
from avparse.foundation.arrays import Float64Array

Split = Literal["train", "val", "test"]

SPLITS: Final[tuple[Split, ...]] = ("train", "val", "test")
AUDIBLE, VISIBLE, BOTH, NEITHER = range(4)  # states of an event: in one modality only, in both, in none


@dataclass(frozen=True)
class TimelineStatistics:
    """Histograms of one modality of every class, over the val and test videos in which the class is active.

    Attributes:
        videos: ``[C]`` number of videos counted.
        active: ``[C, G]`` videos with 1 .. G active segments; G is the length of the LLP grid.
        runs: ``[C, R]`` videos with 1 .. R maximal runs of active segments.
        onsets: ``[C, G]`` runs that begin at segment 0 .. G-1.
        offsets: ``[C, G]`` runs that end with segment 0 .. G-1.
    """

    videos: Float64Array
    active: Float64Array
    runs: Float64Array
    onsets: Float64Array
    offsets: Float64Array

    @property
    def run_length(self) -> Float64Array:
        """Mean length of a run, ``[C]`` segments of the grid."""
        segments = self.active @ np.arange(1, self.active.shape[1] + 1)
        return np.asarray(segments / (self.runs @ np.arange(1, self.runs.shape[1] + 1)))

    def _take(self, classes: npt.NDArray[np.int_]) -> TimelineStatistics:
        return TimelineStatistics(
            self.videos[classes], self.active[classes], self.runs[classes], self.onsets[classes], self.offsets[classes]
        )


@dataclass(frozen=True, eq=False)
class LabelStatistics:
    """Label statistics of LLP; arrays are in the order of ``classes``. Val and test are counted together.

    Attributes:
        classes: names of the classes.
        frequency: split -> ``[C]`` share of the videos whose weak label names the class.
        label_counts: split -> ``[K+1]`` share of the videos with 0 .. K weak labels.
        cooccurrence: ``[C, C]`` training videos that carry both labels; on the diagonal, that carry the label.
        states: ``[C, 4]`` probability of being audible only, visible only, both and neither, given the label.
        supposed: ``[C]`` share of the val and test videos with the class among their labels, or there without a label.
        audio, visual: histograms of the timelines.
        iou: ``[C]`` mean intersection over union of the two timelines of a class that is both heard and seen.
        identical: ``[C]`` share of those whose two timelines are equal.
        overlapping: ``[C]`` share of those whose two timelines meet at all.
    """

    classes: tuple[str, ...]
    frequency: Mapping[str, Float64Array]
    label_counts: Mapping[str, Float64Array]
    cooccurrence: Float64Array
    states: Float64Array
    supposed: Float64Array
    audio: TimelineStatistics
    visual: TimelineStatistics
    iou: Float64Array
    identical: Float64Array
    overlapping: Float64Array

    @staticmethod
    @functools.cache
    def load() -> LabelStatistics:
        """Read the statistics that come with the package (counted from the official LLP tables)."""
        text = resources.files("avparse.data").joinpath("llp_stats.json").read_text(encoding="utf-8")
        return _from_json(json.loads(text))

    def missing(self, split: Split) -> Float64Array:
        """Return ``[C]``: how many events a video of ``split`` holds on average that its weak label does not name.

        Events are taken to be as frequent in every split as they are in val and test, so what the rarer labels of
        train leave over is there without a label.
        """
        return np.maximum(self.supposed - self.frequency[split], 0.0)

    def restricted_to(self, names: Sequence[str]) -> LabelStatistics:
        """Return the statistics of ``names`` only, in that order, with as many labels a video as before where possible.

        Raises:
            UserError: a name is unknown or named twice.
        """
        known = Vocabulary(self.classes)
        classes = np.array([known.index(name, "statistics") for name in Vocabulary(tuple(names))])
        counts = {split: _capped(shares, len(classes)) for split, shares in self.label_counts.items()}
        scale = {
            split: counts[split] @ np.arange(len(counts[split])) / frequency[classes].sum()
            for split, frequency in self.frequency.items()
        }
        return LabelStatistics(
            classes=tuple(names),
            frequency={split: np.minimum(f[classes] * scale[split], 1.0) for split, f in self.frequency.items()},
            label_counts=counts,
            cooccurrence=self.cooccurrence[np.ix_(classes, classes)],
            states=self.states[classes],
            supposed=np.minimum(self.supposed[classes] * scale["test"], 1.0),
            audio=self.audio._take(classes),
            visual=self.visual._take(classes),
            iou=self.iou[classes],
            identical=self.identical[classes],
            overlapping=self.overlapping[classes],
        )


def _capped(shares: Float64Array, most: int) -> Float64Array:
    """Give the share of more than ``most`` labels to ``most``."""
    return np.append(shares[:most], shares[most:].sum()) if len(shares) > most + 1 else shares


def _from_json(raw: Mapping[str, Any]) -> LabelStatistics:
    classes = tuple(raw["per_class"])
    rows = list(raw["per_class"].values())

    def column(name: str) -> Float64Array:
        return np.array([row[name] for row in rows], dtype=np.float64)

    videos = {split: float(raw["dataset"][split]) for split in SPLITS}
    evaluated = videos["val"] + videos["test"]
    labelled = column("val") + column("test")
    audible, visible, both, neither = (
        column(f"p_{state}_given_label") for state in ("audible", "visible", "both", "neither")
    )
    audio, visual = (_timelines([row[modality] for row in rows]) for modality in MODALITIES)
    # Dense events of a class without its weak label: where both modalities have some, they mostly are the same videos.
    unlabelled = np.maximum(audio.videos - np.rint(audible * labelled), visual.videos - np.rint(visible * labelled))
    per_video = raw["labels_per_video"]
    together = {n: per_video["val"].get(n, 0) + per_video["test"].get(n, 0) for n in per_video["test"]}
    counts = {"train": _shares(per_video["train"]), "val": _shares(together), "test": _shares(together)}
    order = [raw["cooccurrence_train"]["classes"].index(name) for name in classes]
    return LabelStatistics(
        classes=classes,
        frequency={
            "train": column("train") / videos["train"],
            "val": labelled / evaluated,
            "test": labelled / evaluated,
        },
        label_counts=counts,
        cooccurrence=np.array(raw["cooccurrence_train"]["counts"], dtype=np.float64)[np.ix_(order, order)],
        states=_normalised(np.stack([audible - both, visible - both, both, neither], axis=1)),
        supposed=(labelled + unlabelled) / evaluated,
        audio=audio,
        visual=visual,
        iou=column("mean_segment_iou_given_both"),
        identical=column("p_identical_timelines_given_both"),
        overlapping=column("p_av_overlap_given_both"),
    )


def _timelines(rows: Sequence[Mapping[str, Any]]) -> TimelineStatistics:
    fields = ("videos", "active_segments_hist", "runs_hist", "onset_hist", "offset_hist")
    return TimelineStatistics(*(np.array([row[field] for row in rows], dtype=np.float64) for field in fields))


def _normalised(states: Float64Array) -> Float64Array:
    states = np.maximum(states, 0.0)  # differences of rounded figures
    return np.asarray(states / states.sum(1, keepdims=True))


def _shares(counts: Mapping[str, int]) -> Float64Array:
    shares = np.zeros(max(map(int, counts)) + 1)
    for labels, videos in counts.items():
        shares[int(labels)] = videos
    return np.asarray(shares / shares.sum())
