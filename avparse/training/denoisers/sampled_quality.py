"""Quality of the labels that a policy samples, for the curves of RLLD."""

from __future__ import annotations

import torch

from avparse.data.batching import Indices
from avparse.data.vocabulary import MODALITIES
from avparse.labels.reinforced.actions import Actions
from avparse.training.workspace import Workspace


class SampledQuality:
    """Quality of the sampled labels of an episode, where the truth of the training split is known."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.kept, self.wrong, self.right, self.violated, self.videos = (
            torch.zeros(2, dtype=torch.long) for _ in range(5)
        )
        self.known = bool(workspace.store.annotated[workspace.train].all())

    def add(self, index: Indices, actions: Actions) -> None:
        """Count the labels that were sampled for the videos at ``index``."""
        labels = actions.labels.bool().cpu()
        self.kept += labels.sum(dim=(1, 2))
        self.violated += actions.violated.sum(dim=1).cpu()
        self.videos += len(index)
        if self.known:
            truth = self.workspace.modality_truth(index)
            self.wrong += (labels & ~truth).sum(dim=(1, 2))
            self.right += (truth & torch.from_numpy(self.workspace.store.weak[index])).sum(dim=(1, 2))

    def metrics(self) -> dict[str, float]:
        """Return the quality of the sampled labels of each modality by name.

        That is the share of void draws and, where the truth is known, of wrong labels among those kept, and of kept
        labels among the right ones.
        """
        values = {f"violations_{m}": float(self.violated[i] / self.videos[i]) for i, m in enumerate(MODALITIES)}
        if self.known:
            values |= {f"noise_{m}": float(self.wrong[i] / self.kept[i]) for i, m in enumerate(MODALITIES)}
            kept_right = (self.kept - self.wrong) / self.right
            values |= {f"right_{m}": float(kept_right[i]) for i, m in enumerate(MODALITIES)}
        return values
