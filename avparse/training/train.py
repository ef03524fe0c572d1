"""Training of a recipe on a feature store: the run folder, its labels, the epochs, the scores."""

from __future__ import annotations

import logging
from pathlib import Path

from avparse.data.store import FeatureStore
from avparse.labels.table import RefinedLabels
from avparse.training.preparation import begin, prepare
from avparse.training.recipe import Recipe, load_recipe
from avparse.training.run import Run
from avparse.training.trainer import Trainer

_log = logging.getLogger(__name__)


def train(
    recipe: str | Path | Recipe,
    store: str | Path | FeatureStore,
    out: str | Path,
    *,
    seed: int = 1,
    resume: bool = False,
    accelerator: str = "cpu",
    resident: bool | None = None,
    checkpoint_seconds: float = 30.0,
    labels: RefinedLabels | None = None,
    init: Run | None = None,
) -> Run:
    """Train a recipe on a store and return the finished run.

    Args:
        recipe: what to train: the name of a shipped recipe, the path of a YAML file, or a recipe. A run that is resumed
            keeps its own recipe (and labels).
        store: a feature store, or the path of one.
        out: run folder, new unless ``resume``.
        seed: of initialisation, order and dropout.
        resume: go on with the run in ``out``; a run not begun is begun.
        accelerator: see :class:`Trainer`.
        resident: see :class:`Trainer`.
        checkpoint_seconds: see :class:`Trainer`.
        labels: refined labels of the training split, in place of the recipe's denoiser.
        init: a run whose parser this one starts from; parsers that a denoiser trains on the way do not.

    Raises:
        UserError: the folder exists (without ``resume``), the data changed, a split is missing, the labels were made
            for other data, the source of the parser's label vectors cannot be read, or ``init`` has another parser.
    """
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    store = store if isinstance(store, FeatureStore) else FeatureStore.open(store)
    if resume and Path(out).exists():
        run = Run.open(out)
        run.check_data(store)
        _tell_difference(run, recipe if labels is None else recipe.model_copy(update={"denoiser": None}), seed)
    else:
        run = begin(recipe, store, out, seed, labels, init)
    prepared = prepare(run, store, accelerator, resident)
    trainer = Trainer(run, store, accelerator, resident, checkpoint_seconds, prepared)
    trainer.fit()
    trainer.finish()
    return Run.open(run.path)


def _tell_difference(run: Run, recipe: Recipe, seed: int) -> None:
    """Say so where a run goes on with another recipe or seed than were given."""
    kept = load_recipe(run.path / "recipe.yaml")
    differ = [what for what, same in (("recipe", kept == recipe), ("seed", run.info.seed == seed)) if not same]
    if differ:
        _log.warning("%s: goes on with its own %s, not the given", run.path, " and ".join(differ))
