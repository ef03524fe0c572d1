"""A check of RLLD's reward before hours are spent: does it tell good labels from bad ones?

Label sets of known worth train the task network for one episode each, with the same order of the videos and the same
dropout. If the rewards of the class prior's labels do not stand out from those of the weak labels against the scatter
over such pairs, no policy can learn from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from avparse.data.batching import Indices
from avparse.evaluation.parsing import METRICS, ParsingScores
from avparse.foundation.arrays import Float64Array
from avparse.foundation.interrupt import StopRequest
from avparse.foundation.progress import track
from avparse.labels.reinforced.actions import act
from avparse.labels.statistics.prior import ClassPrior
from avparse.training.denoisers.environment import Environment, Labels
from avparse.training.workspace import Workspace

ENOUGH = 2.0
"""Signal-to-noise ratio of the reward below which a warning is given."""
SILENCE = "nothing predicted"


@dataclass(frozen=True)
class RewardCheck:
    """Metrics of short trainings on label sets of known worth.

    Attributes:
        scores: metrics ``[seeds, 10]`` in percent of each label set, in the order of ``METRICS``; the last one is that
            of predicting nothing.
        metrics: names of the metrics that reward audio and visual.
    """

    scores: Mapping[str, Float64Array]
    metrics: tuple[str, ...]

    def ratio(self, metric: str) -> float:
        """Return the gain of the second label set over the first, divided by the deviation of one gain; signed.

        With two pairs the deviation is a rough number, which the least deviation of a tenth of a point keeps from
        vanishing.
        """
        first, second = list(self.scores.values())[:2]
        gains = (second - first)[:, METRICS.index(metric)]
        deviation = float(gains.std(ddof=1)) if len(gains) > 1 else 0.0
        return float(gains.mean()) / max(deviation, 0.1)

    def best_ratio(self) -> float:
        """Return the larger ratio of the two rewards, whatever its sign: a policy needs one that tells something."""
        return max(abs(self.ratio(metric)) for metric in self.metrics)

    def warnings(self) -> list[str]:
        """Return what keeps a policy from learning, one line each; empty where the reward is fit."""
        found = []
        names = list(self.scores)
        if self.best_ratio() < ENOUGH:
            ratios = ", ".join(f"{metric} {self.ratio(metric):.1f}" for metric in self.metrics)
            found.append(
                f"the reward hardly tells '{names[1]}' from '{names[0]}' (signal-to-noise ratio {ratios}; {ENOUGH:g} "
                "is little): set denoiser.start=weak and denoiser.trains=decoder, or more denoiser.updates_per_state"
            )
        for metric in self.metrics:
            column = METRICS.index(metric)
            silence, given = (float(self.scores[name][:, column].mean()) for name in (SILENCE, names[0]))
            if silence >= given:
                found.append(
                    f"silence pays: {metric} is {silence:.1f} for predicting nothing and {given:.1f} after an episode "
                    "of all weak labels; set denoiser.start=weak, or more denoiser.updates_per_state"
                )
        return found

    def __str__(self) -> str:
        shown = list(dict.fromkeys((*self.metrics, "segment_type")))
        lines = [f"| labels of an episode | {' | '.join(shown)} |", "|---|" + "---:|" * len(shown)]
        for name, scores in self.scores.items():
            cells = [_mean(scores[:, METRICS.index(metric)]) for metric in shown]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        ratios = ", ".join(f"{metric} {self.ratio(metric):.1f}" for metric in self.metrics)
        return "\n".join([*lines, "", f"Signal-to-noise ratio of the class prior's gain: {ratios}."])


def known_labels(workspace: Workspace, videos: Indices) -> dict[str, Labels]:
    """Return the two label sets that a check compares: every weak label, and those that the class prior keeps.

    Args:
        workspace: data that the labels are of.
        videos: positions of the annotated videos that the class prior is counted on.
    """
    keep = kept_by_prior(workspace, videos)
    return {
        "all weak labels": lambda batch: batch.weak.expand(2, -1, -1),
        "class prior": lambda batch: act(keep.expand(-1, len(batch.weak), -1), batch.weak).labels,
    }


def kept_by_prior(workspace: Workspace, videos: Indices) -> Tensor:
    """Return the decisions ``[2, 1, C]`` of the class prior that is counted on annotated videos: True keeps a class."""
    given = torch.from_numpy(workspace.store.weak[videos])
    prior = ClassPrior.count(given, workspace.modality_truth(videos), shrinkage=2.0)
    return prior.keep().unsqueeze(1).to(workspace.device)


def check_reward(
    environment: Environment,
    sets: Mapping[str, Labels],
    metrics: tuple[str, ...],
    seeds: int,
    random: np.random.Generator,
    request: StopRequest,
) -> RewardCheck:
    """Train the task network on each label set, in ``seeds`` orders of the videos that are the same for all sets.

    Args:
        environment: environment whose reward is checked; its start is not changed.
        sets: labels ``[2, B, C]`` of the videos of a state, by name; the first two are compared.
        metrics: names of the metrics that reward audio and visual.
        seeds: number of orders.
        random: source of the orders.
        request: request to stop, asked for after every step.
    """
    drawn = [(random.permutation(environment.workspace.train), int(random.integers(2**62))) for _ in range(seeds)]
    tasks = [(name, order, seed) for name in sets for order, seed in drawn]
    found: dict[str, list[Float64Array]] = {name: [] for name in sets}
    for name, order, seed in track(tasks, "RLLD: reward check", unit="episode"):
        counts = environment.run(sets[name], order, seed, request.stop_if_asked)
        found[name].append(_percent(ParsingScores(counts.scores())))
    scores = {name: np.stack(values) for name, values in found.items()}
    return RewardCheck(scores | {SILENCE: _percent(ParsingScores(environment.silence().scores()))[None]}, metrics)


def _percent(scores: ParsingScores) -> Float64Array:
    return np.array(list(scores.as_dict().values()))


def _mean(values: Float64Array) -> str:
    spread = f" ± {values.std(ddof=1):.1f}" if len(values) > 1 else ""
    return f"{values.mean():.1f}{spread}"
