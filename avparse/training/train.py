"""Training of a recipe on a feature store: run folder, labels, epochs and scores."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from pathlib import Path

import torch

from avparse.data.store import FeatureStore
from avparse.data.vocabulary import Vocabulary
from avparse.evaluation.comparison import compare_with_labels
from avparse.evaluation.sufficiency import doubts
from avparse.foundation.locks import LOCK, Lock
from avparse.foundation.progress import Progress, Stages, showing
from avparse.labels.table import RefinedLabels
from avparse.training.devices import Compute
from avparse.training.preparation import begin, prepare
from avparse.training.recipe import Recipe, load_recipe
from avparse.training.run import Run
from avparse.training.streams import recipe_on
from avparse.training.trainer import Trainer
from avparse.training.warm_start import starting_weights

_log = logging.getLogger(__name__)


def train(
    recipe: str | Path | Recipe,
    store: str | Path | FeatureStore,
    out: str | Path,
    *,
    seed: int = 1,
    resume: bool = False,
    device: str = "auto",
    resident: bool | None = None,
    checkpoint_seconds: float = 30.0,
    labels: RefinedLabels | None = None,
    init: Run | None = None,
    progress: Progress = "auto",
) -> Run:
    """Train a recipe on a store and return the finished run.

    Args:
        recipe: name of a shipped recipe, path of a YAML file, or a recipe. A resumed run keeps its own recipe (and
            labels).
        store: feature store, or its path.
        out: path of the run folder, new unless ``resume``.
        seed: seed of initialisation, order of batches and dropout.
        resume: whether to continue the run in ``out``; a run that does not exist is started.
        device: ``cpu``, ``cuda``, ``mps``, or ``auto`` for the fastest one that the machine has.
        resident: whether to hold all features on the device (True), read every batch from the disk (False), or decide
            by their size (None).
        checkpoint_seconds: least time in seconds between two checkpoints at the end of an epoch.
        labels: refined labels of the training split, in place of the recipe's denoiser.
        init: run whose parser this one starts from; parsers that a denoiser trains do not start from it.
        progress: display of the progress: None, ``"bar"``, a function ``(done, total, what)``, or ``"auto"``, as in
            :func:`avparse.foundation.progress.showing`.

    Raises:
        UserError: the folder exists (without ``resume``), the data changed, a split is missing, the labels were made
            for other data, the source of the parser's class vectors cannot be read, or ``init`` has another parser.

    Example:
        >>> run = train("han", "features/llp", "runs/han-1", seed=1)  # doctest: +SKIP
        >>> run.path  # doctest: +SKIP
        PosixPath('runs/han-1')
    """
    store = store if isinstance(store, FeatureStore) else FeatureStore.open(store)
    recipe = recipe if isinstance(recipe, Recipe) else recipe_on(store, recipe)
    going_on = resume and Path(out).exists()
    run = Run.open(out) if going_on else begin(recipe, store, out, seed, labels, init)
    compute = Compute(device, resident)
    with Lock(run.path / LOCK, run.path), showing(progress):
        if going_on:
            run.check_data(store)
            _tell_difference(run, recipe, seed, labels, init)
            if run.finished:
                run.tidy()
                return run
        # A denoiser takes about as long as training; how far both are corrects this while they run.
        stages = Stages({**({"denoise": 1.0} if run.recipe.denoiser else {}), "train": 1.0})
        with stages.at("denoise") if run.recipe.denoiser else nullcontext():
            prepared = prepare(run, store, compute)
        trainer = Trainer(run, store, prepared, compute, checkpoint_seconds)
        with stages.at("train"):
            trainer.fit()
        trainer.finish()
        finished = Run.open(run.path)
        _tell_doubts(finished, trainer)
        finished.finish()
        return finished


def _tell_doubts(run: Run, trainer: Trainer) -> None:
    """Warn of what the scores on validation cannot show, where its truth is known."""
    table, videos = trainer.table, trainer.val_indices
    if not table.store.annotated[videos].all():
        return
    scores = compare_with_labels(run.parser(trainer.fabric.device), table, videos, run.recipe.decoding)
    for doubt in doubts(scores, "validation"):
        _log.warning("%s: %s", run.path, doubt)


def _tell_difference(run: Run, recipe: Recipe, seed: int, labels: RefinedLabels | None, init: Run | None) -> None:
    """Warn where a resumed run has another recipe, seed, table of labels or start than those given."""
    if labels is not None:
        recipe = recipe.model_copy(update={"denoiser": None})
    same = {"recipe": load_recipe(run.path / "recipe.yaml") == recipe, "seed": run.info.seed == seed}
    if labels is not None:
        table = run.path / "labels.parquet"
        same["labels"] = table.is_file() and RefinedLabels.load(table, Vocabulary(labels.classes)).equals(labels)
    if init is not None:
        start, given = run.start(), starting_weights(init, run.recipe, run.info.spec)
        same["start (--init)"] = start is not None and all(
            name in start and torch.equal(start[name], value) for name, value in given.items()
        )
    differ = [what for what, equal in same.items() if not equal]
    if differ:
        _log.warning("%s: goes on with its own %s, not the given", run.path, " and ".join(differ))
    threads = torch.get_num_threads()
    if run.info.threads not in (None, threads):
        _log.warning(
            "%s: was begun with %d threads and goes on with %d, whose sums round otherwise; for the weights of an "
            "unbroken run to the last bit, set OMP_NUM_THREADS to the number that it was begun with",
            run.path,
            run.info.threads,
            threads,
        )
