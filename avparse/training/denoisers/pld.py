"""PLD: pseudo labels on which a trained parser has an abnormally high loss are flipped (VAPLAN, arXiv 2406.00919)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from avparse.data.store import FeatureStore
from avparse.data.vocabulary import MODALITIES
from avparse.evaluation.prediction import predict
from avparse.foundation.arrays import IntArray, segment_rows
from avparse.foundation.errors import UserError
from avparse.foundation.settings import PartConfig, Settings
from avparse.labels.segments import SegmentLabels, SegmentTable, from_padded
from avparse.labels.targets import cross_entropy
from avparse.models.output import ParserOutput
from avparse.training.denoisers.denoiser import Leaves, Truth
from avparse.training.prepared import Prepared
from avparse.training.workspace import Workspace


class FlipRule(Settings):
    """Rule of the entries to flip.

    The default values are unverified: they were not checked against the paper.

    Attributes:
        alpha: factor; an entry is abnormal where its loss exceeds ``alpha`` times the reference of its video and class.
        count: number of losses along the timeline whose mean is the reference.
        rule: losses that form the reference: the ``smallest``, the ``largest``, or ``all`` of them. No loss exceeds the
            sum of those averaged if it is one of them, so the last two flip nothing at an ``alpha`` of ``count``, or of
            all segments, or more.
        floor: least bound on the loss, so that a reference near zero flips nothing that the parser agrees with.
        direction: direction of a flip: ``up`` (0 to 1), ``down``, or ``both``.
    """

    alpha: float = Field(10.0, gt=0)
    count: int = Field(5, ge=1)
    rule: Literal["smallest", "largest", "all"] = "smallest"
    floor: float = Field(math.log(2), ge=0)
    direction: Literal["up", "down", "both"] = "both"


def flip_outliers(labels: Tensor, probabilities: Tensor, weak: Tensor, rule: FlipRule, mask: Tensor | None) -> Tensor:
    """Return the labels with abnormal entries flipped.

    Only classes of the weak label are changed, and each video and class is compared with its own timeline.

    Args:
        labels: pseudo labels ``[N, T, C]`` in [0, 1]; unknown ones (NaN) stay unknown.
        probabilities: probabilities ``[N, T, C]`` of a parser that was trained on these labels, in evaluation mode.
        weak: weak labels ``[N, C]``.
        rule: rule of the entries to flip.
        mask: boolean ``[N, T]``, True where the segment exists and has the modality; None if all do.
    """
    losses = cross_entropy(probabilities, labels)
    real = ~labels.isnan()
    if mask is not None:
        real = real & mask.unsqueeze(-1)
    largest = rule.rule == "largest"
    chosen = losses.masked_fill(~real, -torch.inf if largest else torch.inf)
    count = losses.shape[1] if rule.rule == "all" else min(rule.count, losses.shape[1])
    chosen = chosen.topk(count, dim=1, largest=largest).values  # [N, count, C]
    number = real.sum(dim=1).clamp(1, count)  # [N, C]
    reference = torch.where(chosen.isfinite(), chosen, 0).sum(dim=1) / number
    bound = (rule.alpha * reference).clamp_min(rule.floor)
    abnormal = (losses > bound.unsqueeze(1)) & real & weak.bool().unsqueeze(1)
    if rule.direction != "both":
        abnormal &= (labels < 0.5) == (rule.direction == "up")
    return torch.where(abnormal, 1 - labels, labels)


def repair(
    labels: SegmentLabels,
    output: ParserOutput,
    store: FeatureStore,
    indices: IntArray,
    rule: FlipRule,
    modalities: Sequence[str] = ("visual",),
) -> SegmentLabels:
    """Return the pseudo labels of the videos at ``indices`` with abnormal ones of ``modalities`` flipped.

    Args:
        labels: pseudo labels of these videos; videos without any are read as unlabelled.
        output: output for these videos of a parser that was trained on such labels, padded to the longest.
        store: feature store with the videos.
        indices: positions ``[N]`` of the videos in the store.
        rule: rule of the entries to flip.
        modalities: modalities to repair; a modality without labels has nothing to repair.
    """
    lengths, weak = store.lengths[indices], torch.from_numpy(store.weak[indices])
    real = np.arange(int(lengths.max())) < lengths[:, None]
    present = np.zeros((*real.shape, len(MODALITIES)), dtype=bool)
    present[real] = store.present[segment_rows(store.first_row[indices], lengths)]
    sides = []
    given = SegmentTable(labels, store)(torch.from_numpy(indices))
    for number, (modality, targets) in enumerate(zip(MODALITIES, given, strict=True)):
        if targets is not None and modality in modalities:
            mask = torch.from_numpy(present[..., number])
            targets = flip_outliers(targets, getattr(output, f"{modality}_segments"), weak, rule, mask)
        sides.append(targets)
    return from_padded(store, indices, *sides)


class PseudoLabelDenoising:
    """Repairs the recipe's pseudo labels; the parsers trained for it are stored as ``pass0``, ``pass1``, ..."""

    leaves: Leaves = "segments"
    truth: Truth = None

    class Config(PartConfig):
        """Settings of the denoiser ``pld``.

        Attributes:
            flip: rule of the entries to flip.
            modalities: modalities whose labels are repaired (published: visual only).
            passes: number of times that a parser is trained and the labels are repaired.
            epochs: number of epochs of these parsers; None: as many as the run has.
            restart: whether to train the parser on the repaired labels from scratch, rather than continuing with the
                last one (the paper does not say which).
        """

        name: Literal["pld"] = "pld"
        flip: FlipRule = FlipRule()
        modalities: tuple[Literal["audio", "visual"], ...] = Field(("visual",), min_length=1)
        passes: int = Field(1, ge=1)
        epochs: int | None = Field(None, ge=1)
        restart: bool = True

    def __init__(self, config: Config) -> None:
        self.config = config

    def prepare(self, workspace: Workspace) -> Prepared:
        """Return the repaired labels.

        Raises:
            UserError: the recipe makes no pseudo labels.
        """
        prepared = Prepared(segments=workspace.segments)
        for number in range(self.config.passes):
            if prepared.segments is None:
                raise UserError("denoiser 'pld': there are no labels to repair; give the recipe 'pseudo_labels'")
            parser = workspace.fit(f"pass{number}", workspace.recipe.plain(self.config.epochs), prepared, keep=True)
            output = predict(parser, workspace.table(), workspace.train)
            config, start = self.config, None if self.config.restart else parser.state_dict()
            labels = repair(prepared.segments, output, workspace.store, workspace.train, config.flip, config.modalities)
            prepared = Prepared(segments=labels, start=start)
        return prepared
