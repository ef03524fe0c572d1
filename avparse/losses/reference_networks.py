"""What a parser and its reference networks learn (Sardari et al.: CoLeaF, ECCV 2024).

The released code updates both in turn, with an optimiser each, of the same settings. As nothing of the parser's losses
reaches the networks and nothing of theirs the parser, one step of one Adam over both is the same but for the order:
here the parser learns from what the networks said before their step.
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

    Asymmetric cross-entropy, sum over classes, mean over videos that have the modality: for ``warmup`` epochs of the
    network's probabilities with the labels; then half of that and half with those labels that the parser itself puts at
    ``confirmed`` or above. The probabilities of the class tokens learn the labels too.
    """

    class Config(LossConfig):
        """Settings.

        Attributes:
            of: the modality.
            confirmed: threshold of the parser's probability.
            warmup: epochs.
            tokens: weight of the class tokens, in the warm-up and after it.
            focus: exponents of the focusing weight of present and absent classes.
            margin: an absent class of probability below this costs nothing.
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
        said, target = guides.probabilities[number], getattr(targets, config.of)
        tokens = guides.tokens[number] if guides.tokens is not None else said
        each = asymmetric(said, target, config.focus, config.margin)
        early = step.epoch < config.warmup
        if not early:
            confirmed = target * (getattr(output, config.of).detach() >= config.confirmed)
            each = (each + asymmetric(said, confirmed, config.focus, config.margin)) / 2
        each = each + config.tokens[0 if early else 1] * asymmetric(tokens, target, config.focus, config.margin)
        return real_mean(each.sum(dim=-1), has_modality(batch, config.of))


class ClassConsistency:
    """Classes that go together for a reference network should go together for the parser.

    The outer product of the parser's probabilities with themselves is compared with that of targets: squared error, sum
    over pairs of classes, divided by the number of classes, mean over videos that have the modality. A target is what
    the network says where it is sure, as far as the label has the class, and what the parser says otherwise.

    In the released code the sum over videos is multiplied by their number instead of divided. At its batches of 128 its
    weight of 0.0001 is one of 0.0001 * 128^2 = 1.6384 here.
    """

    class Config(LossConfig):
        """Settings.

        Attributes:
            of: the modality.
            present, absent: the network is sure at or above, and at or below.
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
        """Return what the parser's probabilities are compared with, ``[B, C]``, without gradient."""
        number = ("audio", "visual").index(self.config.of)
        said = _references(output).probabilities[number].detach()
        own: Tensor = getattr(output, self.config.of).detach()
        sure = (said >= self.config.present) | (said <= self.config.absent)
        return own.lerp(said, getattr(targets, self.config.of) * sure)


class ReferenceContrast:
    """Segments of the parser should resemble those of the reference network, most where modalities do not agree.

    The contrastive loss in the form of JoMoLD, of the network's segments against the parser's of the same modality. A
    video counts by its share of classes that only this modality's network finds (at one half), among those that it
    finds: where events are in one modality alone, the other one has nothing to add.
    """

    class Config(LossConfig):
        """Settings: see :class:`avparse.losses.contrastive.SegmentContrast.Config`; ``of`` names the modality."""

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
            UserError: the parser has no reference networks, or it or they do not show their segments.
        """
        guides = _references(output)
        if output.hidden is None or guides.hidden is None:
            raise UserError("loss 'reference_contrast': the parser shows no hidden segments; leave it out")
        reference: Tensor = getattr(guides.hidden, self.config.of).detach()
        own: Tensor = getattr(output.hidden, self.config.of)
        rows, columns = (functional.normalize(x.float(), dim=-1) for x in (reference, own))
        mask: Tensor | None = getattr(batch.features, f"{self.config.of}_mask")
        similarities = rows @ columns.transpose(1, 2) / self.config.temperature
        return contrast(similarities, self.config.keep, "jomold", mask, mask, self.shares(guides))

    def shares(self, guides: Guidance) -> Tensor:
        """Return what share of the classes found in this modality is found in no other, ``[B]``."""
        found = guides.probabilities.detach() >= 0.5
        own, other = found if self.config.of == "audio" else found.flip(0)
        shares: Tensor = (own & ~other).sum(dim=-1) / own.sum(dim=-1).clamp_min(1)
        return shares


def asymmetric(p: Tensor, target: Tensor, focus: tuple[float, float], margin: float) -> Tensor:
    """Return the asymmetric cross-entropy of each entry (Ridnik et al., ICCV 2021).

    Args:
        p: probabilities.
        target: in [0, 1].
        focus: exponents of the weight, 1 - the probability of being right, of present and absent classes.
        margin: added to the probability of being absent, up to one.
    """
    absent = 1 - p + margin
    absent = torch.where(absent > 1, 1.0, absent)  # clamp() has no gradient at one itself
    likelihood = target * p.clamp_min(1e-8).log() + (1 - target) * absent.clamp_min(1e-8).log()
    right = (p * target + absent * (1 - target)).detach()
    return -likelihood * (1 - right).clamp_min(0) ** (focus[0] * target + focus[1] * (1 - target))


def _references(output: ParserOutput) -> Guidance:
    if output.guides is None:
        raise UserError("a loss reads the parser's reference networks; set parser.guides to {name: references}")
    return output.guides
