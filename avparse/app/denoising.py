"""Refined labels as a file of their own: made by a denoiser, judged, and read again for training."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from avparse.data.store import FeatureStore
from avparse.data.vocabulary import MODALITIES
from avparse.evaluation.denoising import score_denoising
from avparse.evaluation.noise_rates import NoiseRates, estimate_noise_rates
from avparse.foundation.errors import UserError
from avparse.foundation.settings import build, lookup
from avparse.labels.statistics.calibration import LabelCalibration
from avparse.labels.table import Bools, RefinedLabels
from avparse.training.denoisers import DENOISERS
from avparse.training.preparation import begin, prepare
from avparse.training.recipe import Recipe, load_recipe
from avparse.training.run import Run
from avparse.training.workspace import Workspace

_WITHOUT_TABLE = {
    "refiners": "refines the labels anew in every batch and leaves no table; train a recipe with it",
    "segments": "repairs pseudo labels of segments and leaves no table of refined labels; train a recipe with it, then "
    "'avparse pseudo-labels RUN --data STORE' tells how good they are",
}


@dataclass(frozen=True)
class Denoised:
    """What a denoiser made.

    Attributes:
        labels: the refined labels of the training split.
        report: what became of the labels and how many are wrong, as Markdown.
    """

    labels: RefinedLabels
    report: str


def denoise(
    store: FeatureStore,
    method: str,
    out: Path,
    *,
    recipe: str = "han",
    changes: Sequence[str] = (),
    seed: int = 1,
    accelerator: str = "auto",
    per_class: bool = False,
) -> Denoised:
    """Run a denoiser and write its labels to ``out``; an interrupted call goes on where it was stopped.

    Everything on the way lies in ``out`` + ``.work``, which is removed at the end.

    Args:
        store: the data.
        method: a name in :data:`DENOISERS`.
        out: the table to write.
        recipe: of the parsers that the denoiser trains on the way.
        changes: settings of the recipe to replace, such as ``training.epochs=10`` or ``denoiser.partners=3``.
        seed: of everything random.
        accelerator: ``cpu``, ``cuda``, ``mps`` or ``auto``.
        per_class: report every class.

    Raises:
        UserError: ``out`` exists or has an ending other than ``.parquet``, an unknown method or setting, a working
            folder that was begun with others, a method that leaves no table, or one whose truth is missing.
    """
    if out.suffix not in ("", ".parquet"):
        raise UserError(f"{out}: refined labels are a Parquet table; give it the ending .parquet")
    settings = method_recipe(method, recipe, changes)
    assert settings.denoiser is not None
    reason = _WITHOUT_TABLE.get(build(DENOISERS, settings.denoiser).leaves)
    if reason is not None:
        raise UserError(f"method '{method}' {reason}")
    if out.exists():
        raise UserError(f"{out}: exists already; choose another name or remove it")
    work = out.with_name(f"{out.name}.work")
    run = _workplace(work, settings, seed, store)
    labels = prepare(run, store, accelerator).labels
    assert labels is not None, f"denoiser '{method}' says that it leaves labels"
    workspace = Workspace(run.recipe, store, run.path / "denoised", seed, accelerator)
    result = Denoised(labels, f"{_counts(labels)}\n\n{_judgement(labels, workspace, per_class)}")
    labels.save(out)
    shutil.rmtree(work)
    return result


def load_labels(path: Path, store: FeatureStore) -> RefinedLabels:
    """Read a table of refined labels that fits a store.

    Raises:
        UserError: not such a table, or it was made for other classes, videos or weak labels.
    """
    labels = RefinedLabels.load(path, store.vocabulary)
    try:
        labels.rows(store.videos, store.weak)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return labels


def method_recipe(method: str, recipe: str, changes: Sequence[str] = ()) -> Recipe:
    """Return a recipe with the denoiser ``method``; its own settings stay where the recipe has that denoiser already.

    A denoiser that can work in every batch or once (``static``) works once here, as only that leaves a table.

    Raises:
        UserError: an unknown method, recipe or setting.
    """
    lookup(DENOISERS, method, "method")
    given = load_recipe(recipe).denoiser
    first = [] if given is not None and given.name == method else [f"denoiser={{name: {method}}}"]
    if hasattr(load_recipe(recipe, first).denoiser, "static"):
        first.append("denoiser.static=true")
    return load_recipe(recipe, [*first, *changes])


def _workplace(work: Path, recipe: Recipe, seed: int, store: FeatureStore) -> Run:
    """Return the working folder, begun or taken up."""
    if not work.exists():
        return begin(recipe, store, work, seed)
    run = Run.open(work)
    run.check_data(store)
    if (run.recipe, run.info.seed) != (recipe, seed):
        raise UserError(f"{work}: was begun with another method, recipe, setting or seed; give the same or remove it")
    return run


def _counts(labels: RefinedLabels) -> str:
    """Return how many labels were removed, one line a modality."""
    given = labels.given.sum()
    lines = []
    for modality in MODALITIES:
        suggested = labels.of(modality)[0] >= 0.5
        removed, added = (labels.given & ~suggested).sum(), (suggested & ~labels.given).sum()
        line = f"{modality}: {removed} of {given} labels removed ({100 * removed / max(given, 1):.1f} %)"
        lines.append(line + (f", {added} added" if added else ""))
    return "\n".join(lines)


def _judgement(labels: RefinedLabels, workspace: Workspace, per_class: bool) -> str:
    """Return how good the labels are where the truth is known, and otherwise how many of the given ones are wrong."""
    judged = labels.rows(workspace.store.videos, workspace.store.weak)
    if workspace.store.annotated[judged].all():
        truth = workspace.modality_truth(judged)
        kept = torch.from_numpy(np.stack((labels.audio, labels.visual))) >= 0.5
        quality = score_denoising(labels.given, kept[0], kept[1], truth[0], truth[1], labels.classes)
        return f"Against the truth of the training split, percent:\n\n{quality.as_markdown(per_class)}"
    if not workspace.store.annotated[workspace.val].all():
        return "How many of them are wrong cannot be told: neither training nor validation videos have dense truth."
    return _noise_rates(labels.given, workspace).as_markdown(per_class)


def _noise_rates(given: Bools, workspace: Workspace) -> NoiseRates:
    """Estimate the noise of given labels ``[N, C]`` from that of the validation labels of the same classes.

    No parser's opinion is heard: one that was trained on these very labels has come to believe the wrong ones (on
    simulated LLP, 2,500 videos, it found 31.3 % [28.9, 33.7] of the visual labels wrong where 35.2 % are; this finds
    35.8 % [33.4, 38.3]).
    """
    known, truth = torch.from_numpy(workspace.store.weak[workspace.val]), workspace.val_truth()
    calibration = LabelCalibration.fit(_no_evidence(known), known, truth)
    labels = torch.from_numpy(given)
    return estimate_noise_rates(_no_evidence(labels), labels, calibration, workspace.store.vocabulary.names)


def _no_evidence(labels: Tensor) -> Tensor:
    """Return probabilities ``[2, N, C]`` that say nothing."""
    return torch.full((2, *labels.shape), 0.5)
