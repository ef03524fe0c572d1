"""Losses between a parser and its guides, networks of one modality each (Jiang et al.: DHHN, ACM MM 2022)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from avparse.data.features import Batch, Step
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.errors import UserError
from avparse.labels.targets import Targets, cross_entropy
from avparse.losses.loss import LossConfig
from avparse.losses.segment import has_modality, real_mean
from avparse.models.output import ParserOutput


class GuideCrossEntropy:
    """Binary cross-entropy of a guide's prediction, mean over classes and the videos that have its modality."""

    class Config(LossConfig):
        """Settings of the loss ``guide_bce``.

        Attributes:
            of: modality of the guide.
            target: label that the guide learns: that of the ``video``, or that of the ``modality`` (for refined
                labels).
        """

        name: Literal["guide_bce"] = "guide_bce"
        of: Literal["audio", "visual"]
        target: Literal["video", "modality"] = "video"

    def __init__(self, config: Config) -> None:
        self.config = config
        self.label = f"guide_bce_{config.of}"

    def __call__(self, output: ParserOutput, targets: Targets, batch: Batch, step: Step) -> Tensor:
        """Return the scalar loss.

        Raises:
            UserError: the parser has no guides.
        """
        target: Tensor = getattr(targets, "video" if self.config.target == "video" else self.config.of)
        return real_mean(
            cross_entropy(_guides(output)[self.config.of], target).mean(dim=-1), has_modality(batch, self.config.of)
        )


class FollowGuide:
    """Squared error between the parser's and its guide's prediction of a modality; only the parser learns from it."""

    class Config(LossConfig):
        """Settings of the loss ``follow_guide``: ``of`` names the modality that is compared."""

        name: Literal["follow_guide"] = "follow_guide"
        of: Literal["audio", "visual"]

    def __init__(self, config: Config) -> None:
        self.config = config
        self.label = f"follow_guide_{config.of}"

    def __call__(self, output: ParserOutput, targets: Targets, batch: Batch, step: Step) -> Tensor:
        """Return the scalar loss.

        Raises:
            UserError: the parser has no guides.
        """
        predicted: Tensor = getattr(output, self.config.of)
        return real_mean(
            (predicted - _guides(output)[self.config.of].detach()).square().mean(dim=-1),
            has_modality(batch, self.config.of),
        )


class KeepApart:
    """Minus the squared difference of the audio and the visual predictions: it rewards modalities that differ.

    Videos that lack a modality do not count.
    """

    class Config(LossConfig):
        """Settings of the loss ``keep_apart``: ``of`` selects the predictions of ``parser`` or ``guides``."""

        name: Literal["keep_apart"] = "keep_apart"
        of: Literal["parser", "guides"]

    def __init__(self, config: Config) -> None:
        self.config = config
        self.label = f"keep_apart_{config.of}"

    def __call__(self, output: ParserOutput, targets: Targets, batch: Batch, step: Step) -> Tensor:
        """Return the scalar loss, not above zero.

        Raises:
            UserError: the predictions of guides are to be compared, and the parser has none.
        """
        predicted = _guides(output) if self.config.of == "guides" else {m: getattr(output, m) for m in MODALITIES}
        masks = [present for m in MODALITIES if (present := has_modality(batch, m)) is not None]
        both = torch.stack(masks).all(dim=0) if masks else None
        return -real_mean((predicted["audio"] - predicted["visual"]).square().mean(dim=-1), both)


def _guides(output: ParserOutput) -> dict[str, Tensor]:
    if output.guides is None:
        raise UserError("this loss needs guides, but the parser has none; set parser.guides, or leave the loss out")
    return dict(zip(MODALITIES, output.guides.probabilities, strict=True))
