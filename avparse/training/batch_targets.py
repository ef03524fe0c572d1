"""Targets of every batch of a run: labels from their source, refined by the denoiser's refiners."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from avparse.data.batching import FeatureTable
from avparse.data.features import Batch, Step
from avparse.foundation.settings import build
from avparse.labels.segments import SegmentTable
from avparse.labels.target_sources import TARGET_SOURCES, RefinedSource, SegmentSource, SmoothingConfig, TargetSource
from avparse.labels.targets import Targets
from avparse.models.output import ParserOutput
from avparse.models.parsers import AnyParser
from avparse.training.prepared import Prepared
from avparse.training.recipe import Recipe


class BatchTargets:
    """Makes the targets of a batch.

    Args:
        recipe: recipe of the run, which says where labels come from and how they are smoothed.
        prepared: refined labels, segment labels and refiners that a denoiser prepared.
        parser: parser that is trained; shown to every refiner once.
        table: features and weak labels of the data; shown to every refiner once.
    """

    def __init__(self, recipe: Recipe, prepared: Prepared, parser: AnyParser, table: FeatureTable) -> None:
        labels = recipe.labels
        plain = labels.model_copy(update={"keep_audio": 1.0, "keep_visual": 1.0})
        self._smooth_epochs = labels.smooth_epochs
        self._smoothed = _source(labels, recipe, prepared, table)
        self._plain = self._smoothed if labels.smooth_epochs is None else _source(plain, recipe, prepared, table)
        self._refiners = prepared.refiners
        for refiner in self._refiners:
            refiner.attach(parser, table)

    def __call__(self, batch: Batch, step: Step, output: ParserOutput, model: nn.Module) -> Targets:
        """Return the targets of a batch, refined by each refiner in turn.

        Args:
            batch: batch of the data.
            step: position in the training.
            output: output of the parser that the losses read.
            model: parser, for refiners that read a pass without cross-modal attention.
        """
        smoothed = self._smooth_epochs is None or step.epoch < self._smooth_epochs
        targets = self._smoothed(batch) if smoothed else self._plain(batch)
        for refiner in self._refiners:
            shown = output if refiner.reads == "training" else None
            if refiner.reads == "unimodal":
                with torch.no_grad():
                    shown = model(batch.features, cross=False)
            targets = refiner.refine(targets, shown, batch, step)
        return targets

    def state_dict(self) -> dict[str, Tensor]:
        """Return the memory of all refiners by name, the number of the refiner first."""
        states = enumerate(refiner.state_dict() for refiner in self._refiners)
        return {f"{number}.{name}": tensor.contiguous() for number, state in states for name, tensor in state.items()}

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Restore what :meth:`state_dict` returned."""
        for number, refiner in enumerate(self._refiners):
            prefix = f"{number}."
            refiner.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})


def _source(config: SmoothingConfig, recipe: Recipe, prepared: Prepared, table: FeatureTable) -> TargetSource:
    """Return the source of the targets, smoothed as ``config`` says."""
    store, labels, segments = table.store, prepared.labels, prepared.segments
    source: TargetSource = build(TARGET_SOURCES, config)
    if labels is not None:
        bound = labels if segments is None else segments.bound(labels)
        source = RefinedSource(bound, store.videos, store.weak, config, recipe.refined_video, table.device)
    if segments is None:
        return source
    return SegmentSource(source, SegmentTable(segments, store, table.device), video_level=labels is None)
