"""JoMoLD: joint-modal label denoising (Cheng et al., Joint-Modal Label Denoising, ECCV 2022, and its released code).

First an estimator, a parser without attention between the modalities, estimates the share of wrong labels of each class
in each modality (:func:`noise_ratios`). Then, in every training batch, that share of the positives is removed where one
modality fits its label worst while the other fits it best.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from avparse.data.batching import FeatureTable
from avparse.data.features import Batch, Step
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.files import write_json
from avparse.foundation.reading import read_json
from avparse.foundation.settings import PartConfig, build, lookup
from avparse.labels.refiner import Reads, Refiner
from avparse.labels.table import RefinedLabels
from avparse.labels.target_sources import smooth
from avparse.labels.targets import Targets, cross_entropy
from avparse.losses import LOSSES
from avparse.models.output import ParserOutput
from avparse.training.denoisers.denoiser import Leaves, Truth
from avparse.training.prepared import Prepared
from avparse.training.recipe import Recipe
from avparse.training.workspace import Workspace

Warmup = Literal["step", "linear"]

# A ratio is a quotient of counts; its product with a count must not fall below a whole number by rounding.
_ROUNDING = 1e-4


def noise_ratios(
    probabilities: Tensor, labels: Tensor, keep: float, threshold: float, batch_sizes: Sequence[int] | None = None
) -> Tensor:
    """Estimate the share of wrong labels of each class in one modality.

    A label counts as wrong where the estimator's probability, times the smoothed label and relative to the class's mean
    probability over all videos, is below the threshold.

    Args:
        probabilities: probabilities ``[N, C]`` of the modality, from the estimator in evaluation mode, over the
            training split.
        labels: weak labels ``[N, C]``.
        keep: share of the label that smoothing keeps (published: 1 for audio, 0.9 for visual).
        threshold: relative probability below which a label counts as wrong (published: 0.6 for audio, 1.8 for visual).
        batch_sizes: sizes of batches over whose means the class mean is formed, for parity with the released code; None
            for the mean over all videos.

    Returns:
        Shares ``[C]``; zero for a class without positives.
    """
    positives = labels > 0
    pieces = torch.split(probabilities, len(probabilities) if batch_sizes is None else list(batch_sizes))
    mean = torch.stack([piece.mean(dim=0) for piece in pieces]).mean(dim=0)
    flagged = positives & (probabilities * smooth(positives.to(mean.dtype), keep) < threshold * mean)
    return flagged.sum(dim=0) / positives.sum(dim=0).clamp_min(1)


def noisy_labels(losses: Tensor, ratios: Tensor) -> Tensor:
    """Mark the labels of each class that are among the worst of their modality and among the best of the other one.

    Args:
        losses: losses ``[2, N, C]`` of the positive labels in audio and visual, NaN elsewhere.
        ratios: share ``[2, C]`` of a class's positives, rounded down, that counts as worst; equally many count as best.

    Returns:
        Boolean ``[2, N, C]``: wrong in audio, wrong in visual.
    """
    positives = ~losses.isnan()
    count = (ratios * positives.sum(dim=1) + _ROUNDING).floor()[:, None]  # [2, 1, C]
    worst = _ranks(losses.masked_fill(~positives, -math.inf), descending=True) < count
    other_best = _ranks(losses.masked_fill(~positives, math.inf), descending=False).flip(0) < count
    return positives & worst & other_best


def _ranks(values: Tensor, descending: bool) -> Tensor:
    """Return the rank of each entry of ``[2, N, C]`` among the N of its class; of equal entries the earlier first."""
    return values.argsort(dim=1, descending=descending, stable=True).argsort(dim=1)


class JoMoLD:
    """Removes labels anew in every batch by the losses of a unimodal pass, without attention between the modalities.

    A video that lacks a modality cannot be compared: its labels are kept, and it does not count.

    Args:
        warmup: growth of the ratios. ``step`` is what the released code does, whose factor compounds from batch to
            batch, so that nothing is removed in the first epoch; ``linear`` is its evident intent.
        warmup_epochs: number of epochs of the growth, zero for none.
        queue: number of previous videos that a batch is ranked together with. In a single batch most classes have so
            few positives that their share rounds down to none.
    """

    reads: Reads = "unimodal"

    def __init__(self, warmup: Warmup = "step", warmup_epochs: float = 0.9, queue: int = 0) -> None:
        self.warmup, self.warmup_epochs, self.queue = warmup, warmup_epochs, queue
        self._state: dict[str, Tensor] = {}

    def set_ratios(self, audio: Tensor, visual: Tensor) -> None:
        """Set the shares ``[C]`` of wrong labels, in [0, 1], of each modality before training."""
        ratios = torch.stack((audio, visual)).float()
        self._state = {"ratios": ratios, "recent": ratios.new_empty(2, 0, ratios.shape[1])}

    def attach(self, parser: nn.Module, table: FeatureTable) -> None:
        """Do nothing: all that the refiner needs comes with the batch."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return the ratios ``[2, C]`` and the queue of losses ``[2, n, C]``, which the next step depends on."""
        return dict(self._state)

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore the state that :meth:`state_dict` returned."""
        self._state = dict(state)

    def refine(self, targets: Targets, output: ParserOutput | None, batch: Batch, step: Step) -> Targets:
        """Return the targets with noisy entries at exactly zero; both modalities are ranked before either changes."""
        if output is None or not self._state:
            raise RuntimeError("JoMoLD needs set_ratios() and the output of the unimodal pass")
        ratios, recent = (self._state[name].to(batch.weak.device) for name in ("ratios", "recent"))
        losses = torch.stack(
            (cross_entropy(output.audio, targets.audio), cross_entropy(output.visual, targets.visual))
        )  # [2, B, C]
        losses = losses.masked_fill(~_comparable(targets, batch), math.nan)
        pool = torch.cat((recent, losses), dim=1)
        noisy = noisy_labels(pool, ratios * self._growth(step))[:, recent.shape[1] :]
        self._state = {"ratios": ratios, "recent": pool[:, max(pool.shape[1] - self.queue, 0) :]}
        return replace(
            targets,
            audio=targets.audio.masked_fill(noisy[0], 0),
            visual=targets.visual.masked_fill(noisy[1], 0),
        )

    def _growth(self, step: Step) -> float:
        epochs = self.warmup_epochs
        if epochs == 0:
            return 1.0
        if self.warmup == "linear":
            return min(1.0, step.progress / epochs)
        # The released code multiplies the ratio of the previous batch, and restores it only between epochs.
        return math.prod(min(1.0, replace(step, step=s).progress / epochs) for s in range(step.step + 1))


def _comparable(targets: Targets, batch: Batch) -> Tensor:
    """Return ``[B, C]`` boolean: labels of videos that have both modalities."""
    positives = targets.video > 0.5
    for mask in (batch.features.audio_mask, batch.features.visual_mask):
        if mask is not None:
            positives = positives & mask.any(dim=-1, keepdim=True)
    return positives


class JointModalityDenoising:
    """Trains an estimator without attention between the modalities, takes noise ratios from it, and makes the refiner.

    The ratios are stored in ``ratios.json``.
    """

    truth: Truth = None

    class Config(PartConfig):
        """Settings of the denoiser ``jomold``.

        Attributes:
            epochs: number of epochs of the estimator; None: as many as the run has.
            audio_threshold, visual_threshold: probability, relative to the class's mean over all videos with both
                modalities, below which a label counts as wrong (the released values).
            keep_audio, keep_visual: share of the label that smoothing keeps, in the estimator's targets and in that
                comparison.
            warmup, warmup_epochs, queue: growth of the ratios and size of the queue, as in :class:`JoMoLD`.
            terms: names of the losses that the estimator is trained with, without guides; None: all of the recipe's. A
                loss that the recipe switches off (weight 0) is off here as well.
            static: whether to decide on all labels once, by the estimator, instead of anew in every batch. It is not
                the published method, but it results in a table of labels.
        """

        name: Literal["jomold"] = "jomold"
        epochs: int | None = Field(None, ge=1)
        audio_threshold: float = Field(0.6, gt=0)
        visual_threshold: float = Field(1.8, gt=0)
        keep_audio: float = Field(1.0, gt=0, le=1)
        keep_visual: float = Field(0.9, gt=0, le=1)
        warmup: Warmup = "step"
        warmup_epochs: float = Field(0.9, ge=0)
        queue: int = Field(0, ge=0)
        terms: tuple[str, ...] | None = None
        static: bool = False

    def __init__(self, config: Config) -> None:
        self.config = config

    @property
    def leaves(self) -> Leaves:
        """Kind of result: a refiner of every batch, or with ``static`` a table."""
        return "labels" if self.config.static else "refiners"

    def prepare(self, workspace: Workspace) -> Prepared:
        """Return the refiner with ratios estimated on the training split; with ``static`` the labels themselves."""
        if self.config.static:
            return Prepared(labels=self._remove_once(workspace))
        path = workspace.folder / "ratios.json"
        if not path.is_file():
            ratios = self._ratios(self._estimate(workspace), torch.from_numpy(workspace.given))
            named = [dict(zip(workspace.store.vocabulary, side.tolist(), strict=True)) for side in ratios]
            write_json(path, dict(zip(MODALITIES, named, strict=True)))
        kept = read_json(path)
        audio, visual = (torch.tensor([kept[m][c] for c in workspace.store.vocabulary]) for m in MODALITIES)
        return Prepared(refiners=(self._refiner(audio, visual),))

    def untrained_refiners(self, workspace: Workspace) -> Sequence[Refiner]:
        """Return the refiner as if no label were wrong."""
        nothing = torch.zeros(len(workspace.store.vocabulary))
        return (self._refiner(nothing, nothing),)

    def _refiner(self, audio: Tensor, visual: Tensor) -> JoMoLD:
        refiner = JoMoLD(self.config.warmup, self.config.warmup_epochs, self.config.queue)
        refiner.set_ratios(audio, visual)
        return refiner

    def _estimate(self, workspace: Workspace) -> Tensor:
        """Return the estimator's probabilities ``[2, N, C]`` of the training videos."""
        config, recipe = self.config, workspace.recipe
        plain, losses, network = recipe.plain(config.epochs, cross=False), recipe.losses, recipe.parser
        if config.terms is not None:
            for term in config.terms:
                lookup({loss.name: loss for loss in losses}, term, "loss of the recipe in denoiser.terms")
            losses = tuple(loss for loss in losses if loss.name in config.terms)
            if getattr(network, "guides", None) is not None:
                network, plain = network.model_copy(update={"guides": None}), _without_guides(plain)
        changes = {
            "parser": network,
            "labels": recipe.labels.model_copy(
                update={"keep_audio": config.keep_audio, "keep_visual": config.keep_visual}
            ),
            # In the released code the estimator weighs all terms equally, whatever the final training does.
            "losses": tuple(
                loss.model_copy(update={"weight": 1.0}) for loss in losses if build(LOSSES, loss).config.weight > 0
            ),
        }
        parser = workspace.fit("estimator", plain.model_copy(update=changes))
        return workspace.video_probabilities(parser, workspace.train)

    def _ratios(self, probabilities: Tensor, given: Tensor) -> Tensor:
        """Return the shares ``[2, C]`` of wrong labels, counted on the videos that have both modalities."""
        config, both = self.config, _have_both(probabilities)
        (audio, visual), labels = probabilities[:, both], given[both].float()
        return torch.stack(
            (
                noise_ratios(audio, labels, config.keep_audio, config.audio_threshold),
                noise_ratios(visual, labels, config.keep_visual, config.visual_threshold),
            )
        )

    def _remove_once(self, workspace: Workspace) -> RefinedLabels:
        """Rank all labels of a class at once; the labels of videos that lack a modality are kept."""
        given, probabilities = torch.from_numpy(workspace.given), self._estimate(workspace)
        both = _have_both(probabilities)
        keep = torch.tensor([self.config.keep_audio, self.config.keep_visual]).view(2, 1, 1)
        losses = cross_entropy(probabilities, (1 + keep) / 2).masked_fill(~(given & both.unsqueeze(-1)), math.nan)
        noisy = noisy_labels(losses, self._ratios(probabilities, given))
        return workspace.refined(
            given & ~noisy, probabilities, "fits worst of its class, but best in the other modality"
        )


def _have_both(probabilities: Tensor) -> Tensor:
    """Return ``[N]``, which videos have audio and visual; an absent modality has probability zero throughout."""
    return (probabilities > 0).any(dim=-1).all(dim=0)


def _without_guides(recipe: Recipe) -> Recipe:
    """Return a recipe whose optimiser names no parameters of guides."""
    optimizer = recipe.training.optimizer
    multiples = {name: x for name, x in optimizer.multiples.items() if not name.startswith("guides")}
    training = recipe.training.model_copy(update={"optimizer": optimizer.model_copy(update={"multiples": multiples})})
    return recipe.model_copy(update={"training": training})
