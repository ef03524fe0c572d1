"""Can the reward of RLLD tell good labels from bad? One table for each environment, on simulated LLP.

    python -m benchmarks.rlld_reward [--store STORE] [--seeds N] [--recipe rlld] [--only NAME]

The labels of an episode are fixed: every weak label, those that the class prior keeps, the true ones, and those that
the class prior keeps plus the true labels that it drops. A row has the validation metrics of the task network after one
episode, mean and deviation over seeds; a seed draws the order of the videos and the dropout, the same for all rows. The
last row is the reward of predicting nothing. Without ``--store``, LLP is simulated at its full size.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from avparse.data.simulation.simulate import simulate
from avparse.data.store import FeatureStore
from avparse.foundation.interrupt import StopRequest
from avparse.foundation.progress import showing
from avparse.labels.reinforced.actions import act
from avparse.training.denoisers.environment import Environment, Labels
from avparse.training.denoisers.reward_check import check_reward, kept_by_prior, known_labels
from avparse.training.denoisers.rlld import RLLDDenoiser
from avparse.training.recipe import load_recipe
from avparse.training.workspace import Workspace

ENVIRONMENTS = {
    "from scratch, 32 updates of 128 videos": "start: scratch, trains: all",
    "from scratch, 32 states of 4 updates of 32 videos": "start: scratch, trains: all, updates_per_state: 4",
    "from weak labels, 32 updates of 128 videos": "start: weak, trains: all",
    "from weak labels, the decoder alone, 32 updates of 128 videos": "start: weak, trains: decoder, task_rate: 0.002",
}
METRICS = ("segment_audio", "event_visual")


def label_sets(workspace: Workspace) -> dict[str, Labels]:
    """Return labels ``[2, B, C]`` of known worth as functions of a batch, by name."""
    truth = torch.zeros(2, *workspace.store.weak.shape, dtype=torch.bool)
    truth[:, torch.from_numpy(workspace.train)] = workspace.modality_truth(workspace.train)
    keep = kept_by_prior(workspace, workspace.val)
    return {
        **known_labels(workspace, workspace.val),
        "oracle": lambda batch: act(truth[:, batch.index], batch.weak).labels,
        "class prior and true labels": lambda b: act(keep | truth[:, b.index], b.weak).labels,
    }


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipe", default="rlld")
    parser.add_argument("--only", default="", help="environments whose name holds this text")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, showing("bar"):
        path = arguments.store or Path(name) / "store"
        if arguments.store is None:
            simulate(path, seed=0)
        store = FeatureStore.open(path)
        for number, (title, settings) in enumerate(ENVIRONMENTS.items()):
            if arguments.only not in title:
                continue
            recipe = load_recipe(arguments.recipe, [f"denoiser={{name: rlld, {settings}}}"])
            folder = Path(name) / str(number)
            folder.mkdir()
            workspace = Workspace(recipe, store, folder, seed=0)
            assert isinstance(recipe.denoiser, RLLDDenoiser.Config)
            torch.manual_seed(0)
            environment = Environment(recipe.denoiser, workspace, workspace.val)
            random = workspace.random("benchmark")
            result = check_reward(environment, label_sets(workspace), METRICS, arguments.seeds, random, StopRequest())
            print(f"\n{title}\n\n{result}", flush=True)


if __name__ == "__main__":
    main()
