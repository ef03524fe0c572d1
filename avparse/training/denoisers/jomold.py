"""JoMoLD: estimate how many labels of each class are wrong, then leave out that share in every batch (ECCV 2022)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field

from avparse.foundation.files import write_json
from avparse.foundation.settings import PartConfig
from avparse.labels.jomold import JoMoLD, noise_ratios

if TYPE_CHECKING:
    from avparse.training.workshop import Prepared, Workshop


class JointModalityDenoising:
    """Trains an estimator in which neither modality sees the other, and sets up the refiner with its noise ratios.

    The ratios are kept in ``ratios.json``.
    """

    class Config(PartConfig):
        """Settings.

        Attributes:
            epochs: of the estimator; None: as many as the run has.
            audio_threshold, visual_threshold: a label counts as wrong where its probability, relative to the class's
                mean over all videos, is below this (the released values).
            keep_audio, keep_visual: smoothing of the estimator's targets, and of the label in that comparison.
            warmup, queue: see :class:`avparse.labels.jomold.JoMoLD`.
        """

        name: Literal["jomold"] = "jomold"
        epochs: int | None = Field(None, ge=1)
        audio_threshold: float = Field(0.6, gt=0)
        visual_threshold: float = Field(1.8, gt=0)
        keep_audio: float = Field(1.0, gt=0, le=1)
        keep_visual: float = Field(0.9, gt=0, le=1)
        warmup: Literal["step", "linear"] = "step"
        queue: int = Field(0, ge=0)

    def __init__(self, config: Config) -> None:
        self.config = config

    def prepare(self, workshop: Workshop) -> Prepared:
        """Return the refiner, its ratios estimated on the training split."""
        from avparse.training.workshop import Prepared  # noqa: PLC0415 (imports recipes, which name denoisers)

        path = workshop.folder / "ratios.json"
        if not path.is_file():
            write_json(path, self._estimate(workshop))
        ratios = json.loads(path.read_text(encoding="utf-8"))
        refiner = JoMoLD(JoMoLD.Config(warmup=self.config.warmup, queue=self.config.queue))
        refiner.set_ratios(*(torch.tensor([ratios[m][c] for c in workshop.store.vocabulary]) for m in ratios))
        return Prepared(refiners=(refiner,))

    def _estimate(self, workshop: Workshop) -> dict[str, dict[str, float]]:
        config = self.config
        smoothing = workshop.recipe.labels.model_copy(
            update={"keep_audio": config.keep_audio, "keep_visual": config.keep_visual}
        )
        recipe = workshop.recipe.plain(epochs=config.epochs, cross=False, labels=smoothing)
        parser = workshop.fit("estimator", recipe)
        probabilities = workshop.video_probabilities(lambda features: parser(features, cross=False), workshop.train)
        labels = torch.from_numpy(workshop.given).float()
        sides = zip(
            ("audio", "visual"),
            probabilities,
            (config.keep_audio, config.keep_visual),
            (config.audio_threshold, config.visual_threshold),
            strict=True,
        )
        return {
            modality: dict(
                zip(workshop.store.vocabulary, noise_ratios(p, labels, keep, threshold).tolist(), strict=True)
            )
            for modality, p, keep, threshold in sides
        }
