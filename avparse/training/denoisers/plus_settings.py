"""Settings of the denoiser ``rlld-plus``."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from avparse.foundation.settings import PartConfig
from avparse.labels.reinforced.rewards import InterReward


class PlusSettings(PartConfig):
    """Settings of the denoiser ``rlld-plus``.

    Attributes:
        epochs: number of epochs of the parsers on weak labels; None: as many as the run has.
        parts: number of parts of the training split; the evidence on each part comes from parsers trained on the
            others.
        folds: number of folds of the rewarding videos; the evidence on each comes from parsers that were not
            finetuned on its truth, and the penalty is chosen by cross-validation over them.
        finetune_epochs, finetune_rate, finetune_batch: epochs, learning rate and batch size of the finetuning on
            validation truth; 0 epochs leaves it out.
        updates, rate: number of updates and learning rate of the policy's Adam.
        penalties: penalties to choose from, per rewarding video; the unchanged prior is always one more choice.
        inter_weight: weight of the expected soft inter-reward, which rewards keeping.
        inter: settings of the soft inter-reward.
        val_split: validation videos that reward: ``full`` for all of them, as for the class prior, or ``half``;
            epochs of the final training are then selected on the other half.
    """

    renamed: ClassVar[dict[str, str]] = {
        "taught_epochs": "finetune_epochs",
        "taught_rate": "finetune_rate",
        "taught_batch": "finetune_batch",
    }
    name: Literal["rlld-plus"] = "rlld-plus"
    epochs: int | None = Field(None, ge=1)
    parts: int = Field(2, ge=2)
    folds: int = Field(4, ge=2)
    finetune_epochs: int = Field(25, ge=0)
    finetune_rate: float = Field(3e-4, gt=0)
    finetune_batch: int = Field(32, ge=1)
    updates: int = Field(200, ge=1)
    rate: float = Field(0.05, gt=0)
    penalties: tuple[Annotated[float, Field(gt=0)], ...] = Field((0.1, 0.3, 1.0, 3.0, 10.0), min_length=1)
    inter_weight: float = Field(0.0, ge=0)
    inter: InterReward = InterReward()
    val_split: Literal["full", "half"] = "full"
