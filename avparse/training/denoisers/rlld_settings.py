"""Settings of the denoiser ``rlld``. Numbers in brackets refer to ``docs/methods/rlld.md``."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from avparse.foundation.settings import PartConfig, part_of
from avparse.labels.reinforced.exploration import ClassShift
from avparse.labels.reinforced.policies import POLICIES, Policy
from avparse.labels.reinforced.rewards import Baseline, InterReward
from avparse.training.denoisers.environment import EnvironmentConfig


class RLLDSettings(EnvironmentConfig):
    """Settings of the denoiser ``rlld``, with those of its environment.

    Attributes:
        policy: settings of the policy network.
        explores: kind of exploration: every ``label`` is drawn by itself, as published, or a shift of the keep
            logit is drawn for each ``class`` and modality, in pairs of opposite shifts; the policy network then
            stays as it begins, and learns nothing itself [25].
        shift: settings of the exploration by class.
        credit: reward of a class in the exploration by class: its own part of the difference of a pair, or the
            ``whole`` difference, the same for all classes.
        rate: learning rate of the policy's Adam.
        episodes: largest number of episodes; one of the exploration by class is a pair [24].
        patience: number of episodes over which the mean reward must gain at least ``least_gain`` over the same
            number before; otherwise the training stops. 0 never stops early.
        least_gain: gain of the mean reward that ``patience`` asks for.
        terminal_scale: factor of the validation F in percent in the terminal reward [12].
        audio_metric, visual_metric: validation metric that rewards each branch.
        inter_weight: weight of the soft inter-reward; 0 is the ablation of Table 2 [13].
        joint_reward: whether to reward both branches with the sum of their rewards [14].
        all_classes: whether to count the draws of labels that a video does not have as well [5].
        inter: settings of the soft inter-reward [16].
        baseline: settings of the baseline that is subtracted from the reward [15].
        paired: whether every episode has the same videos in the same order, with the same dropout, so that rewards
            differ only by the draws of the policy.
        check_seeds: number of pairs of short trainings that measure, before the first episode, whether the reward
            tells the labels of the class prior from the weak labels; 0 leaves the check out.
        val_split: validation videos that reward: ``full`` for all of them, as published, or ``half``; epochs of the
            final training are then selected on the other half [22].
        threshold: smallest probability at which the trained policy keeps a label [23].
    """

    renamed: ClassVar[dict[str, str]] = {"audio_figure": "audio_metric", "visual_figure": "visual_metric"}
    name: Literal["rlld"] = "rlld"
    policy: Annotated[PartConfig, *part_of(POLICIES, "policy")] = Policy.Config()
    explores: Literal["label", "class"] = "label"
    shift: ClassShift.Config = ClassShift.Config()
    credit: Literal["class", "whole"] = "class"
    rate: float = Field(1e-4, gt=0)
    episodes: int = Field(300, ge=1)
    patience: int = Field(100, ge=0)
    least_gain: float = 0.02
    terminal_scale: float = Field(0.1, gt=0)
    audio_metric: str = "segment_audio"
    visual_metric: str = "event_visual"
    inter_weight: float = Field(1.0, ge=0)
    joint_reward: bool = False
    all_classes: bool = False
    inter: InterReward = InterReward()
    baseline: Baseline.Config = Baseline.Config()
    paired: bool = False
    check_seeds: int = Field(2, ge=0)
    val_split: Literal["full", "half"] = "full"
    threshold: float = Field(0.5, gt=0, lt=1)
