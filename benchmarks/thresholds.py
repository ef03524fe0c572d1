"""Which threshold without labels finds most? On simulated scores with hidden truth.

    python -m benchmarks.thresholds [--seeds 3] [--videos 400]

A simulated LLP gives the truth, and a simulated teacher cosines that err about as often as those of CLIP and CLAP. To
these logits come what makes one threshold for all classes fail with real networks: an offset for each class, as large
as VALOR's published thresholds of the class are off their mean, and as many other things as a network is asked about,
with offsets of their own, of which one at random fits each segment as a class does. All classes are allowed in all
videos. Half of the videos of each seed choose the setting of a rule (the best mean of heard and seen), the other half
are scored: F of heard and of seen segments, mean and range over seeds. ``one cut`` is the best single threshold on the
logits and sees the truth of the half that it is scored on: no rule without labels can know it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from avparse.data.other_things import other_things
from avparse.data.prompt_styles import published_thresholds
from avparse.data.simulation.simulate import simulate
from avparse.data.store import FeatureStore
from avparse.data.teachers.simulated import SimulatedTeacher
from avparse.data.vocabulary import MODALITIES
from avparse.evaluation.parsing import METRICS, score_parsing
from avparse.foundation.arrays import BoolArray, Float32Array
from avparse.models.training_free.thresholds import THRESHOLDS, LabelFreeThreshold

SETTINGS: dict[str, tuple[str, Sequence[float]]] = {
    "z-score": ("cut", (0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 3.0)),
    "competing": ("margin", (-6.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0)),
    "quantile": ("rate", (0.01, 0.02, 0.03, 0.05, 0.08)),
    "log-odds": ("cut", (0.5,)),
}
_SPREAD = 3.0  # logits between a score and the threshold, as of the simulated teacher
_SEGMENTS = 10


@dataclass(frozen=True)
class Scored:
    """Logits of some videos with their truth.

    Attributes:
        logits: logits ``[N, T, C + R]`` of each modality.
        truth: whether a class is there ``[N, T, C]``, of each modality.
    """

    logits: Mapping[str, torch.Tensor]
    truth: Mapping[str, BoolArray]

    def half(self, first: bool) -> Scored:
        """Return the videos at even or at odd positions."""
        which = slice(0 if first else 1, None, 2)
        return Scored({m: x[which] for m, x in self.logits.items()}, {m: x[which] for m, x in self.truth.items()})


def simulated(folder: Path, seed: int, videos: int, centred: bool = False) -> Scored:
    """Return the scores of a simulated teacher with offsets by class, for videos of a simulated LLP.

    Args:
        folder: where the simulated store is written.
        seed: seed of the store, the teacher and the offsets.
        videos: number of videos.
        centred: whether each column loses its mean over unrelated videos, as SCoPE does.
    """
    path = folder / f"store{seed}"
    if not path.exists():
        simulate(path, seed=seed, train=1, val=videos, test=1, segments=_SEGMENTS)
    store = FeatureStore.open(path)
    random = np.random.default_rng([seed, 77])
    split = np.flatnonzero(store.annotated)[:videos]
    logits: dict[str, torch.Tensor] = {}
    truth: dict[str, BoolArray] = {}
    for scores in SimulatedTeacher(SimulatedTeacher.Config(seed=seed))(store):
        modality, classes = scores.info.modality, store.vocabulary.names
        rows = scores.rows(tuple(store.videos[i] for i in split))
        offsets = np.array([published_thresholds("valor")[modality][name] for name in classes], dtype=np.float32)
        offsets -= offsets.mean()
        others = len(other_things(modality, classes))
        of_others = random.choice(offsets, others) - _SPREAD * np.abs(random.standard_normal((len(rows), others)))
        fits = random.integers(others, size=len(rows))
        of_others[np.arange(len(rows)), fits] += 2 * _SPREAD
        every = np.concatenate([scores.logits(rows) + offsets, 20 + of_others], axis=1).astype(np.float32)
        if centred:
            every -= _unrelated_mean(every, len(classes))
        logits[modality] = torch.from_numpy(every.reshape(len(split), _SEGMENTS, -1))
        of_modality = store.truth(modality)
        assert of_modality is not None
        index = np.concatenate([np.arange(s, s + _SEGMENTS) for s in store.first_row[split]])
        truth[modality] = np.asarray(of_modality[index]).reshape(len(split), _SEGMENTS, -1).astype(bool)
    return Scored(logits, truth)


def _unrelated_mean(logits: Float32Array, classes: int) -> Float32Array:
    """Return the mean ``[C + R]`` of each column where it does not stand out, as in material without the class."""
    median = np.median(logits, axis=0, keepdims=True)
    mean: Float32Array = median.astype(np.float32)
    return mean


def decided(scored: Scored, rule: Callable[[torch.Tensor, int], torch.Tensor]) -> dict[str, BoolArray]:
    """Return the decisions ``[N, T, C]`` of a rule that sees one video at a time."""
    made = {}
    for modality, logits in scored.logits.items():
        classes = scored.truth[modality].shape[-1]
        made[modality] = np.stack([(rule(video, classes) >= 0.5).numpy() for video in logits])
    return made


def segment_f(scored: Scored, decisions: Mapping[str, BoolArray]) -> tuple[float, float]:
    """Return the F of heard and of seen segments in percent."""
    audio, visual = MODALITIES
    metrics = score_parsing(decisions[audio], decisions[visual], scored.truth[audio], scored.truth[visual]).as_dict()
    return metrics[METRICS[0]], metrics[METRICS[1]]


def best(scored: Scored, name: str) -> tuple[float, LabelFreeThreshold]:
    """Return the setting of a rule that is best on some videos, and the rule."""
    field, values = SETTINGS[name]
    rules = {value: THRESHOLDS[name](**{field: value}) for value in values}
    value = max(values, key=lambda value: sum(segment_f(scored, decided(scored, rules[value]))))
    return value, rules[value]


def one_cut(scored: Scored) -> tuple[float, float]:
    """Return the F of heard and of seen segments at the best single threshold of each modality."""
    best_of = np.zeros(2)
    for cut in np.arange(14, 28, 0.5):
        on = {m: (x[..., : scored.truth[m].shape[-1]] >= cut).numpy() for m, x in scored.logits.items()}
        best_of = np.maximum(best_of, segment_f(scored, on))
    return float(best_of[0]), float(best_of[1])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--videos", type=int, default=400)
    arguments = parser.parse_args()
    rows: dict[str, list[tuple[float, float]]] = {}
    chosen: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        for seed in range(arguments.seeds):
            for suffix, centred in (("", False), (", centred", True)):
                scored = simulated(Path(name), seed, arguments.videos, centred)
                for rule in ("z-score", "competing", "quantile"):
                    value, made = best(scored.half(True), rule)
                    half = scored.half(False)
                    rows.setdefault(rule + suffix, []).append(segment_f(half, decided(half, made)))
                    chosen.setdefault(rule + suffix, []).append(value)
            rows.setdefault("one cut (sees the truth)", []).append(
                one_cut(simulated(Path(name), seed, arguments.videos).half(False))
            )
    print("| rule | chosen | heard, segment F | seen, segment F |\n|---|---|---|---|")
    for rule, values in rows.items():
        each = np.array(values)
        cells = [f"{x.mean():.1f} ({x.min():.1f} to {x.max():.1f})" for x in each.T]
        print(f"| {rule} | {', '.join(f'{v:g}' for v in chosen.get(rule, [])) or '–'} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
