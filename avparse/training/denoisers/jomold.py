"""JoMoLD: estimate how many labels of each class are wrong, then leave out that share in every batch (ECCV 2022)."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field
from torch import Tensor

from avparse.data.vocabulary import MODALITIES
from avparse.foundation.files import write_json
from avparse.foundation.settings import PartConfig, build, lookup
from avparse.labels.jomold import JoMoLD, noise_ratios, noisy_labels
from avparse.labels.table import RefinedLabels
from avparse.labels.targets import cross_entropy
from avparse.losses import LOSSES
from avparse.training.denoisers.denoiser import Leaves, Truth

if TYPE_CHECKING:
    from avparse.training.recipe import Recipe
    from avparse.training.workshop import Prepared, Workshop


class JointModalityDenoising:
    """Trains an estimator whose modalities never see each other, takes noise ratios from it, and sets up the refiner.

    The ratios are kept in ``ratios.json``.
    """

    truth: Truth = None

    class Config(PartConfig):
        """Settings.

        Attributes:
            epochs: of the estimator; None: as many as the run has.
            audio_threshold, visual_threshold: a label counts as wrong where its probability, relative to the class's
                mean over all videos with both modalities, is below this (the released values).
            keep_audio, keep_visual: smoothing of the estimator's targets, and of the label in that comparison.
            warmup, queue: see :class:`avparse.labels.jomold.JoMoLD`.
            terms: names of the losses that the estimator learns from, without guides; None: all of the recipe's. One
                that the recipe switches off (weight 0) is off here as well.
            static: judge all labels once, by the estimator, instead of anew in every batch: not the published method,
                but one that leaves a table of labels.
        """

        name: Literal["jomold"] = "jomold"
        epochs: int | None = Field(None, ge=1)
        audio_threshold: float = Field(0.6, gt=0)
        visual_threshold: float = Field(1.8, gt=0)
        keep_audio: float = Field(1.0, gt=0, le=1)
        keep_visual: float = Field(0.9, gt=0, le=1)
        warmup: Literal["step", "linear"] = "step"
        queue: int = Field(0, ge=0)
        terms: tuple[str, ...] | None = None
        static: bool = False

    def __init__(self, config: Config) -> None:
        self.config = config

    @property
    def leaves(self) -> Leaves:
        """Work on every batch, or with ``static`` a table."""
        return "labels" if self.config.static else "refiners"

    def prepare(self, workshop: Workshop) -> Prepared:
        """Return the refiner, its ratios estimated on the training split; with ``static`` the labels themselves."""
        from avparse.training.workshop import Prepared  # noqa: PLC0415 (imports recipes, which name denoisers)

        if self.config.static:
            return Prepared(labels=self._judge_once(workshop))
        path = workshop.folder / "ratios.json"
        if not path.is_file():
            ratios = self._ratios(self._estimate(workshop), torch.from_numpy(workshop.given))
            named = [dict(zip(workshop.store.vocabulary, side.tolist(), strict=True)) for side in ratios]
            write_json(path, dict(zip(MODALITIES, named, strict=True)))
        kept = json.loads(path.read_text(encoding="utf-8"))
        refiner = JoMoLD(JoMoLD.Config(warmup=self.config.warmup, queue=self.config.queue))
        refiner.set_ratios(*(torch.tensor([kept[m][c] for c in workshop.store.vocabulary]) for m in MODALITIES))
        return Prepared(refiners=(refiner,))

    def _estimate(self, workshop: Workshop) -> Tensor:
        """Return the estimator's probabilities ``[2, N, C]`` of the training videos."""
        config, recipe = self.config, workshop.recipe
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
            # In the released code the estimator weighs all terms alike, whatever the final training does.
            "losses": tuple(
                loss.model_copy(update={"weight": 1.0}) for loss in losses if build(LOSSES, loss).config.weight > 0
            ),
        }
        parser = workshop.fit("estimator", plain.model_copy(update=changes))
        return workshop.video_probabilities(parser, workshop.train)

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

    def _judge_once(self, workshop: Workshop) -> RefinedLabels:
        """Rank all labels of a class at once; those of videos that lack a modality stay."""
        given, probabilities = torch.from_numpy(workshop.given), self._estimate(workshop)
        both = _have_both(probabilities)
        keep = torch.tensor([self.config.keep_audio, self.config.keep_visual]).view(2, 1, 1)
        losses = cross_entropy(probabilities, (1 + keep) / 2).masked_fill(~(given & both.unsqueeze(-1)), math.nan)
        noisy = noisy_labels(losses, self._ratios(probabilities, given))
        return workshop.refined(
            given & ~noisy, probabilities, "fits worst of its class, but best in the other modality"
        )


def _have_both(probabilities: Tensor) -> Tensor:
    """Return ``[N]``, which videos have sound and picture; an absent modality has probability zero throughout."""
    return (probabilities > 0).any(dim=-1).all(dim=0)


def _without_guides(recipe: Recipe) -> Recipe:
    """Return a recipe whose optimiser names no parameters of guides."""
    optimizer = recipe.training.optimizer
    multiples = {name: x for name, x in optimizer.multiples.items() if not name.startswith("guides")}
    training = recipe.training.model_copy(update={"optimizer": optimizer.model_copy(update={"multiples": multiples})})
    return recipe.model_copy(update={"training": training})
