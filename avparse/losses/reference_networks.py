"""Losses between a parser and its reference networks (Sardari et al.: CoLeaF, ECCV 2024).

The released code updates both in turn, with one optimiser each and the same settings. As no gradient of the parser's
losses reaches the reference networks, nor the reverse, one step of one Adam over both is the same but for the order:
here the parser learns from the networks' predictions before their step.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from avparse.data.features import Batch, Step
from avparse.foundation.errors import UserError
from avparse.labels.targets import Targets
from avparse.losses.contrastive import contrast
from avparse.losses.loss import LossConfig
from avparse.losses.segment import has_modality, real_mean
from avparse.models.output import Guidance, ParserOutput

Modality = Literal["audio", "visual"]


class ReferenceLabels:
    """A reference network learns the labels of its modality, and later also which of them the parser confirms.

    Asymmetric cross-entropy, summed over classes, mean over videos that have the modality. For the first ``warmup``
    epochs the target of the network's probabilities is the label. Afterwards half of the loss has that target, and the
    other half the labels that the parser itself predicts with probability ``confirmed`` or above. The probabilities of
    the class tokens learn the labels too.
    """

    class Config(LossConfig):
        """Settings of the loss ``reference_labels``.

        Attributes:
            of: modality of the reference network.
            confirmed: smallest probability at which the parser confirms a label.
            warmup: number of first epochs in which the network learns the labels only.
            tokens: weight of the class-token loss, during the warm-up and after it.
            focus: exponents of the focusing weight of present and of absent classes.
            margin: probability below which an absent class costs nothing.
        """

        name: Literal["reference_labels"] = "reference_labels"
        of: Modality
        confirmed: float = Field(0.5, ge=0, le=1)
        warmup: int = Field(3, ge=0)
        tokens: tuple[float, float] = (1.0, 0.0)
        focus: tuple[float, float] = (1.0, 1.0)
        margin: float = Field(0.05, ge=0, lt=1)

    def __init__(self, config: Config) -> None:
        self.config = config
        self.label = f"reference_labels_{config.of}"

    def __call__(self, output: ParserOutput, targets: Targets, batch: Batch, step: Step) -> Tensor:
        """Return the scalar loss.

        Raises:
            UserError: the parser has no reference networks.
        """
        config, guides = self.config, _references(output)
        number = ("audio", "visual").index(config.of)
        predicted, target = guides.probabilities[number], getattr(targets, config.of)
        tokens = guides.tokens[number] if guides.tokens is not None else predicted
        each = asymmetric(predicted, target, config.focus, config.margin)
        early = step.epoch < config.warmup
        if not early:
            confirmed = target * (getattr(output, config.of).detach() >= config.confirmed)
            each = (each + asymmetric(predicted, confirmed, config.focus, config.margin)) / 2
        each = each + config.tokens[0 if early else 1] * asymmetric(tokens, target, config.focus, config.margin)
        return real_mean(each.sum(dim=-1), has_modality(batch, config.of))


class ClassConsistency:
    """Classes that co-occur for a reference network should co-occur for the parser.

    The outer product of the parser's probabilities with themselves is compared with that of the targets: squared error,
    summed over pairs of classes, divided by the number of classes, mean over videos that have the modality. A target is
    the network's rounded prediction where it is confident, restricted to the label, and the parser's own prediction
    elsewhere.

    The released code multiplies the sum over videos by their number instead of dividing by it. With its batches of 128,
    its weight of 0.0001 equals a weight of 0.0001 * 128^2 = 1.6384 here.
    """

    class Config(LossConfig):
        """Settings of the loss ``class_consistency``.

        Attributes:
            of: modality of the reference network.
            present, absent: probabilities at or above which, and at or below which, the network counts as confident.
        """

        name: Literal["class_consistency"] = "class_consistency"
        of: Modality
        present: float = Field(0.8, ge=0, le=1)
        absent: float = Field(0.1, ge=0, le=1)

    def __init__(self, config: Config) -> None:
        self.config = config
        self.label = f"consistency_{config.of}"

    def __call__(self, output: ParserOutput, targets: Targets, batch: Batch, step: Step) -> Tensor:
        """Return the scalar loss.

        Raises:
            UserError: the parser has no reference networks.
        """
        own: Tensor = getattr(output, self.config.of)
        target = self.targets(output, targets)
        difference = own.unsqueeze(2) * own.unsqueeze(1) - target.unsqueeze(2) * target.unsqueeze(1)  # [B, C, C]
        return real_mean(difference.square().sum(dim=(1, 2)) / own.shape[1], has_modality(batch, self.config.of))

    def targets(self, output: ParserOutput, targets: Targets) -> Tensor:
        """Return the targets ``[B, C]`` of the parser's probabilities, without gradient."""
        number = ("audio", "visual").index(self.config.of)
        predicted = _references(output).probabilities[number].detach()
        own: Tensor = getattr(output, self.config.of).detach()
        sure = (predicted >= self.config.present) | (predicted <= self.config.absent)
        return own.lerp(predicted, getattr(targets, self.config.of) * sure)


class ReferenceContrast:
    """The parser's segments should resemble those of the reference network, most where the modalities disagree.

    Contrastive loss in the form of JoMoLD, between the network's and the parser's segments of the same modality. A
    video is weighted by the share of classes that only this modality's network predicts (threshold one half) among all
    classes that it predicts: where events are in one modality only, the other modality has nothing to add.
    """

    class Config(LossConfig):
        """Settings of the loss ``reference_contrast``; ``of`` names the modality whose segments are compared.

        The other fields are those of :class:`avparse.losses.contrastive.SegmentContrast.Config`.
        """

        name: Literal["reference_contrast"] = "reference_contrast"
        of: Modality
        temperature: float = Field(0.2, gt=0)
        keep: float = Field(0.9, gt=0, le=1)

    def __init__(self, config: Config) -> None:
        self.config = config
        self.label = f"reference_contrast_{config.of}"

    def __call__(self, output: ParserOutput, targets: Targets, batch: Batch, step: Step) -> Tensor:
        """Return the scalar loss.

        Raises:
            UserError: the parser has no reference networks, or the parser or the networks return no hidden segments.
        """
        guides = _references(output)
        if output.hidden is None or guides.hidden is None:
            raise UserError("loss 'reference_contrast': the parser returns no hidden segments; leave it out")
        reference: Tensor = getattr(guides.hidden, self.config.of).detach()
        own: Tensor = getattr(output.hidden, self.config.of)
        rows, columns = (functional.normalize(x.float(), dim=-1) for x in (reference, own))
        mask: Tensor | None = getattr(batch.features, f"{self.config.of}_mask")
        similarities = rows @ columns.transpose(1, 2) / self.config.temperature
        return contrast(similarities, self.config.keep, "jomold", mask, mask, self.shares(guides))

    def shares(self, guides: Guidance) -> Tensor:
        """Return the share ``[B]`` of the classes predicted in this modality that are predicted in no other."""
        found = guides.probabilities.detach() >= 0.5
        own, other = found if self.config.of == "audio" else found.flip(0)
        shares: Tensor = (own & ~other).sum(dim=-1) / own.sum(dim=-1).clamp_min(1)
        return shares


def asymmetric(p: Tensor, target: Tensor, focus: tuple[float, float], margin: float) -> Tensor:
    """Return the asymmetric cross-entropy of each entry (Ridnik et al., ICCV 2021).

    Args:
        p: probabilities of any shape.
        target: labels in [0, 1], of the shape of ``p``.
        focus: exponents of the weight (1 minus the probability of being right) for present and for absent classes.
        margin: amount added to the probability of being absent, which stays at most one.
    """
    absent = 1 - p + margin
    absent = torch.where(absent > 1, 1.0, absent)  # clamp() has no gradient at one itself
    likelihood = target * p.clamp_min(1e-8).log() + (1 - target) * absent.clamp_min(1e-8).log()
    right = (p * target + absent * (1 - target)).detach()
    return -likelihood * (1 - right).clamp_min(0) ** (focus[0] * target + focus[1] * (1 - target))


def _references(output: ParserOutput) -> Guidance:
    if output.guides is None:
        raise UserError("this loss reads the parser's reference networks; set parser.guides to {name: references}")
    return output.guides
