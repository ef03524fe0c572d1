"""Workspace of a denoiser: the data, the recipe, and parsers trained for its evidence."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from avparse.data.batching import FeatureTable, Indices
from avparse.data.store import FeatureStore
from avparse.evaluation.prediction import predict
from avparse.foundation.arrays import BoolArray
from avparse.labels.segments import SegmentLabels
from avparse.labels.table import RefinedLabels
from avparse.models.output import Parse
from avparse.models.parsers import AnyParser
from avparse.training.devices import AUTO, Compute
from avparse.training.prepared import Prepared
from avparse.training.recipe import Recipe
from avparse.training.run import Run
from avparse.training.trainer import Trainer


@dataclass(frozen=True)
class Workspace:
    """Data, settings and tools that a denoiser uses.

    Attributes:
        recipe: recipe of the run that the labels are for.
        store: feature store with the data.
        folder: the denoiser's folder inside the run; results that it holds already are reused.
        seed: seed of everything random.
        compute: device of the parsers that the denoiser trains.
        segments: pseudo labels of the training split, None where the recipe makes none.
    """

    recipe: Recipe
    store: FeatureStore
    folder: Path
    seed: int
    compute: Compute = AUTO
    segments: SegmentLabels | None = None

    @property
    def train(self) -> Indices:
        """Positions of the training videos."""
        return self.store.select("train")

    @property
    def val(self) -> Indices:
        """Positions of the validation videos."""
        return self.store.select("val")

    @property
    def given(self) -> BoolArray:
        """Weak labels ``[N, C]`` of the training videos."""
        weak: BoolArray = self.store.weak[self.train]
        return weak

    def val_truth(self) -> Tensor:
        """Return the true modality labels ``[2, N, C]`` (audio, visual; boolean) of the validation videos."""
        return self.modality_truth(self.val)

    def modality_truth(self, indices: Indices) -> Tensor:
        """Return the true modality labels ``[2, N, C]`` of annotated videos.

        Raises:
            UserError: a video is not annotated.
        """
        audio, visual, _ = self.store.dense_truth(indices)
        return torch.from_numpy(np.stack((audio.any(axis=1), visual.any(axis=1))))

    def table(self) -> FeatureTable:
        """Return random access to the features."""
        return FeatureTable(self.store, device=self.device, resident=self.compute.resident)

    @property
    def device(self) -> torch.device:
        """Device of the parsers of this workspace."""
        return self.compute.fabric().device

    def random(self, purpose: str) -> np.random.Generator:
        """Return a generator that depends only on seed and purpose, independent of those that order the epochs."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(zlib.crc32(purpose.encode()),)))

    def fit(self, name: str, recipe: Recipe, prepared: Prepared | None = None, keep: bool = False) -> AnyParser:
        """Train a parser in a run of its own below :attr:`folder`, or continue it, and return its best epoch.

        Args:
            name: the name of that run.
            recipe: recipe that is trained.
            prepared: labels, refiners and videos to learn from; the weak labels of all training videos by default.
            keep: whether the weights stay when all is done; otherwise only the log of that run does.

        Raises:
            UserError: the run was begun on other data.
        """
        path = self.folder / name
        if path.exists():
            run = Run.open(path)
            run.check_data(self.store)
        else:
            run = Run.create(path, recipe, self.store, self.seed)
        prepared = (prepared or Prepared()).with_segments(self.segments)
        if not run.finished:
            Trainer(run, self.store, prepared, self.compute).fit()
            run.finish(keep_weights=keep)
        return run.parser(self.device)

    def rename_folders(self, renamed: Mapping[str, str]) -> None:
        """Rename runs below :attr:`folder` that an earlier version began, so that :meth:`fit` continues them.

        Args:
            renamed: word of today by the word before the number in an earlier name (``apart`` in ``apart0``).
        """
        for earlier, today in renamed.items():
            for path in sorted(self.folder.glob(f"{earlier}[0-9]*")):
                path.rename(path.with_name(today + path.name.removeprefix(earlier)))

    def video_probabilities(self, parser: Parse, indices: Indices) -> Tensor:
        """Return the video-level probabilities ``[2, N, C]`` of audio and visual."""
        output = predict(parser, self.table(), indices)
        return torch.stack((output.audio, output.visual))

    def refined(
        self, keep: Tensor, quality: Tensor, reason: str, indices: Indices | None = None, adds: bool = False
    ) -> RefinedLabels:
        """Return a table for the training videos, or for those at ``indices``.

        Labels are removed and never added, unless ``adds`` is set: an entry of ``keep`` where no label is given is
        ignored. A modality that a video lacks altogether has no label.

        Args:
            keep: targets ``[2, N, C]`` in [0, 1]; zero where a label is removed.
            quality: confidence ``[2, N, C]`` in [0, 1] that each label is right.
            reason: text that explains the removals.
            indices: positions of the videos; None for all of the training split.
            adds: whether ``keep`` also adds labels that are not given.
        """
        rows = self.train if indices is None else indices
        given = self.store.weak[rows]
        targets = keep.float().cpu().numpy()
        present = np.moveaxis(self.store.modalities(rows), -1, 0)[..., None]  # [2, N, 1]
        if not adds:
            targets = targets * (given & present)
        scores = np.where(given, quality.float().cpu().numpy(), np.float32(1))
        removed = given & (targets < 0.5)
        reasons = np.where(removed, np.where(present, reason, "the video lacks this modality"), "")
        return RefinedLabels(
            videos=tuple(self.store.videos[i] for i in rows),
            classes=self.store.vocabulary.names,
            given=given,
            audio=targets[0],
            visual=targets[1],
            quality_audio=scores[0],
            quality_visual=scores[1],
            reason_audio=reasons[0],
            reason_visual=reasons[1],
        )
