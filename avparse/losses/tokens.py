"""Identity loss of learned class tokens (MGN)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from avparse.data.features import Batch, Step
from avparse.foundation.errors import UserError
from avparse.labels.targets import Targets
from avparse.losses.loss import LossConfig
from avparse.models.output import ParserOutput


class TokenIdentity:
    """Each learned class token should be classified as its own class (MGN, NeurIPS 2022, section 3.2).

    Cross-entropy over classes, mean over the tokens of a modality, summed over both modalities. It reads no video.
    """

    class Config(LossConfig):
        """Settings."""

        name: Literal["token_identity"] = "token_identity"

    def __init__(self, config: Config) -> None:
        self.config = config
        self.label = "token_identity"

    def __call__(self, output: ParserOutput, targets: Targets, batch: Batch, step: Step) -> Tensor:
        """Return the scalar loss.

        Raises:
            UserError: the parser has no class tokens.
        """
        logits = output.token_logits
        if logits is None:
            raise UserError("loss 'token_identity': the parser has no class tokens (MGN has); leave the loss out")
        classes = torch.arange(logits.shape[-1], device=logits.device)
        return functional.cross_entropy(logits[0], classes) + functional.cross_entropy(logits[1], classes)
