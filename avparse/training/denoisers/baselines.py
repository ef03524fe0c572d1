"""Baselines of denoising: a class prior and a classifier from the validation truth, and two upper bounds.

RLLD reads dense labels of the validation split, so statistics of these labels are equally allowed: the class prior and
the classifier are the least that it has to exceed. The oracle and the informed ceiling read the truth of the *training*
split, which only a simulator knows; they are upper bounds of denoising and not methods.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from avparse.foundation.settings import PartConfig
from avparse.labels.statistics.prior import ClassPrior, ValidationClassifier
from avparse.training.denoisers.denoiser import Leaves, Truth
from avparse.training.prepared import Prepared
from avparse.training.workspace import Workspace


class ClassPriorDenoiser:
    """One decision per class and modality, counted on validation: keep all of its labels, or drop them all."""

    leaves: Leaves = "labels"
    truth: Truth = "val"

    class Config(PartConfig):
        """Settings of the denoiser ``class-prior``.

        Attributes:
            threshold: smallest share of right labels at which the labels of a class are kept.
            shrinkage: number of imaginary videos per class, as in :meth:`ClassPrior.count`.
        """

        name: Literal["class-prior"] = "class-prior"
        threshold: float = Field(0.5, ge=0, le=1)
        shrinkage: float = Field(2.0, ge=0)

    def __init__(self, config: Config) -> None:
        self.config = config

    def prepare(self, workspace: Workspace) -> Prepared:
        """Return the labels that the class prior keeps."""
        val = torch.from_numpy(workspace.store.weak[workspace.val])
        prior = ClassPrior.count(val, workspace.val_truth(), self.config.shrinkage)
        given = torch.from_numpy(workspace.given)
        kept = prior.keep(self.config.threshold).unsqueeze(1) & given
        return _prepared(workspace, kept, prior.keep_probability(given.float()), "seldom right in its class")


class ValidationClassifierDenoiser:
    """Logistic regressions on a parser's video-level logits, fitted on validation, separate right from wrong labels."""

    leaves: Leaves = "labels"
    truth: Truth = "val"

    class Config(PartConfig):
        """Settings of the denoiser ``val-classifier``.

        Attributes:
            epochs: number of epochs of the parser whose logits are read; it is trained on the class prior's labels.
        """

        name: Literal["validation-classifier"] = "validation-classifier"
        epochs: int | None = Field(None, ge=1)

    def __init__(self, config: Config) -> None:
        self.config = config

    def prepare(self, workspace: Workspace) -> Prepared:
        """Return the labels whose probability of being right is at least one half by the classifier."""
        first = ClassPriorDenoiser(ClassPriorDenoiser.Config()).prepare(workspace)
        parser = workspace.fit("base", workspace.recipe.plain(self.config.epochs), first)

        val = torch.from_numpy(workspace.store.weak[workspace.val])
        known = _evidence(workspace.video_probabilities(parser, workspace.val))
        classifier = ValidationClassifier.fit(known, val, workspace.val_truth())
        given = torch.from_numpy(workspace.given)
        unknown = _evidence(workspace.video_probabilities(parser, workspace.train))
        right = classifier.keep_probability(unknown, given.float())
        return _prepared(workspace, (right >= 0.5) & given, right, "improbable by the validation classifier")


class OracleDenoiser:
    """The true modality labels of the training split: the ceiling of label denoising, on simulated data only."""

    leaves: Leaves = "labels"
    truth: Truth = "train"

    class Config(PartConfig):
        """The oracle has no settings."""

        name: Literal["oracle"] = "oracle"

    def __init__(self, config: Config) -> None:
        self.config = config

    def prepare(self, workspace: Workspace) -> Prepared:
        """Return the weak labels without those that are wrong."""
        kept = workspace.modality_truth(workspace.train) & torch.from_numpy(workspace.given)
        return _prepared(workspace, kept, kept.float(), "not there (truth)")


class InformedCeiling:
    """How well features can reveal a wrong label: parsers trained on the truth of half of train predict the other half.

    The truth of the predicted half also calibrates the predictions, per class. It is an upper bound, not a method.
    """

    leaves: Leaves = "labels"
    truth: Truth = "train"

    class Config(PartConfig):
        """Settings of the denoiser ``informed-ceiling``.

        Attributes:
            epochs: number of epochs of each of the two parsers.
        """

        name: Literal["informed-ceiling"] = "informed-ceiling"
        epochs: int | None = Field(None, ge=1)

    def __init__(self, config: Config) -> None:
        self.config = config

    def prepare(self, workspace: Workspace) -> Prepared:
        """Return the labels whose probability of being right is at least one half by the other half's parser."""
        oracle = OracleDenoiser(OracleDenoiser.Config()).prepare(workspace)
        given, truth = torch.from_numpy(workspace.given), workspace.modality_truth(workspace.train)
        half = torch.from_numpy(workspace.random("halves").permutation(len(given)) % 2)
        right = torch.zeros(truth.shape, dtype=torch.float64)
        for side in (0, 1):
            other_half = replace(oracle, only=workspace.train[(half != side).numpy()])
            parser = workspace.fit(f"half{side}", workspace.recipe.plain(self.config.epochs), other_half)
            held_out = half == side
            features = _evidence(workspace.video_probabilities(parser, workspace.train[held_out.numpy()]))
            classifier = ValidationClassifier.fit(features, given[held_out], truth[:, held_out])
            right[:, held_out] = classifier.keep_probability(features, given[held_out].float())
        return _prepared(workspace, (right >= 0.5) & given, right, "improbable by the informed parser")


def _evidence(probabilities: Tensor) -> Tensor:
    """Return the logits of both modalities ``[N, C, 2]`` as features of each label."""
    return probabilities.clamp(1e-4, 1 - 1e-4).logit().permute(1, 2, 0)


def _prepared(workspace: Workspace, kept: Tensor, quality: Tensor, reason: str) -> Prepared:
    return Prepared(labels=workspace.refined(kept, quality, reason))
