"""RLLD: a policy learns by reinforcement which labels to drop (arXiv 2412.19563, algorithm 1).

The reinforcement learning is in :mod:`avparse.training.denoisers.rlld_learner`.
"""

from __future__ import annotations

import torch

from avparse.labels.reinforced.actions import greedy
from avparse.training.denoisers.denoiser import Leaves, Truth, split_validation
from avparse.training.denoisers.rlld_learner import Learner
from avparse.training.denoisers.rlld_settings import RLLDSettings
from avparse.training.prepared import Prepared
from avparse.training.workspace import Workspace


class RLLDDenoiser:
    """Trains a label policy on the training split and returns the labels that it keeps.

    The workspace contains ``reward_check.md``, ``checkpoints`` of the policy after each episode, the last of which
    holds the trained policy, and ``episodes.jsonl`` with one line per episode.
    """

    leaves: Leaves = "labels"
    truth: Truth = "val"

    Config = RLLDSettings

    def __init__(self, config: RLLDSettings) -> None:
        self.config = config

    def prepare(self, workspace: Workspace) -> Prepared:
        """Return the labels that the trained policy keeps without randomness."""
        learner = Learner(self.config, workspace)
        learner.check()
        learner.learn()
        logits = learner.keep_logits()
        actions = greedy(logits, torch.from_numpy(workspace.given).float(), self.config.threshold)
        labels = workspace.refined(actions.labels, logits.sigmoid(), "dropped by the policy")
        _, select = split_validation(workspace, self.config.val_split)
        return Prepared(labels=labels, val=select)
