"""Label sources: where the targets of a batch come from before any refinement."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor

from avparse.data.features import Batch
from avparse.foundation.settings import PartConfig
from avparse.labels.targets import Targets


class WeakLabels:
    """The weak label stands for both modalities, smoothed towards one half (Tian, Li, Xu, ECCV 2020, section 4.3).

    ``s(y) = v y + (1 - v) / 2``: HAN smooths the visual target only, with v = 0.9, as fewer labels are visible than
    audible.
    """

    class Config(PartConfig):
        """Settings: the share ``v`` of the label that is kept in each modality."""

        name: Literal["weak"] = "weak"
        keep_audio: float = Field(1.0, gt=0, le=1)
        keep_visual: float = Field(0.9, gt=0, le=1)

    def __init__(self, config: Config) -> None:
        self.config = config

    def __call__(self, batch: Batch) -> Targets:
        """Return the targets of ``batch``."""
        return Targets(
            video=batch.weak,
            audio=smooth(batch.weak, self.config.keep_audio),
            visual=smooth(batch.weak, self.config.keep_visual),
        )


def smooth(labels: Tensor, keep: float) -> Tensor:
    """Return ``keep * labels + (1 - keep) / 2``."""
    return labels if keep == 1.0 else keep * labels + (1.0 - keep) / 2


SOURCES: dict[str, type[WeakLabels]] = {"weak": WeakLabels}
