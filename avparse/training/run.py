"""Run folders, which hold the recipe, the labels, the checkpoints, the trained parser and the results of a run.

Layout::

    RUN/
        recipe.yaml           the recipe, every default written out
        run.json              seed, data version, what the parser knows of the data; commit, libraries, machine, command
        metrics.jsonl         a line an epoch
        tensorboard/          the same as curves, where TensorBoard is installed
        labels.parquet        refined labels of the training split, where there are any
        pseudo.safetensors    pseudo labels of its segments, where the recipe makes any
        segments.safetensors  the segment labels that the denoiser left, where there are any
        denoised/             what the denoiser left on its way to them
        checkpoints/          see training/checkpoint.py; removed when the run is finished
        finished.json         written when all is done: such a run is never trained again
        start.safetensors     weights that the parser started from, where it did not start from random ones
        parser.safetensors    weights of the best epoch
        visual.safetensors    the same for what is said of the visual modality, where the recipe selects it apart
        decoding.json         the decoding rule with gates tuned on validation, where the recipe tunes them
        results.json, .md     scores of the best epoch on the test split
"""

from __future__ import annotations

import math
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from avparse import __version__
from avparse.data.batching import task_spec
from avparse.data.store import FeatureStore
from avparse.evaluation.comparison import PARSER_ONLY
from avparse.foundation.errors import UserError
from avparse.foundation.files import atomic_folder, write_bytes, write_json, write_text
from avparse.foundation.provenance import Provenance
from avparse.foundation.reading import read_json
from avparse.labels.segments import SegmentLabels
from avparse.labels.table import RefinedLabels
from avparse.models.decoding import DecodingRule
from avparse.models.parsers import AnyParser
from avparse.models.trained import RunInfo, TrainedParser
from avparse.models.weights import read_sealed, sealed_bytes
from avparse.training.logs import LOG, read_log
from avparse.training.recipe import LAST, Recipe, load_recipe
from avparse.training.results import RESULTS, Results

_FINISHED = "finished.json"


@dataclass(frozen=True)
class Start:
    """Labels and weights that a new run starts from; they are stored in its folder.

    Attributes:
        labels: refined labels of the training split, in place of the recipe's denoiser.
        pseudo: pseudo labels that the recipe makes.
        weights: weights of the parser, None for random ones.
    """

    labels: RefinedLabels | None = None
    pseudo: SegmentLabels | None = None
    weights: Mapping[str, Tensor] | None = None


@dataclass(frozen=True, repr=False)
class Run:
    """A run folder with its recipe and its ``run.json``; an opened run decides by the decoding rule that it tuned."""

    path: Path
    recipe: Recipe
    info: RunInfo

    def __fspath__(self) -> str:
        """Return the folder, so that a run can be given where the path of one is asked for."""
        return str(self.path)

    @classmethod
    def create(cls, path: str | Path, recipe: Recipe, store: FeatureStore, seed: int, start: Start = Start()) -> Run:
        """Create a new run folder.

        Args:
            path: path of the new folder.
            recipe: recipe that is trained.
            store: feature store with the data.
            seed: seed of everything random in the run.
            start: labels and weights that the run starts from.

        Raises:
            UserError: the folder exists or cannot be written, or the labels were made for other data.
        """
        folder = Path(path)
        if folder.exists():
            raise UserError(f"{folder}: the run folder exists; resume it with --resume or choose another name")
        if start.labels is not None:
            start.labels.rows(store.videos, store.weak)
            recipe = recipe.model_copy(update={"denoiser": None})
        info = RunInfo(
            version=__version__,
            seed=seed,
            spec=task_spec(store),
            data=str(store.path),
            fingerprint=store.fingerprint,
            features_version=store.features_version,
            annotations_version=store.annotations_version,
            description=store.manifest.description,
            provenance=Provenance.here(),
            threads=torch.get_num_threads(),
            sealed=True,
        )
        with atomic_folder(folder) as temporary:
            write_text(temporary / "recipe.yaml", recipe.as_yaml())
            write_json(temporary / "run.json", info.model_dump(mode="json"))
            if start.labels is not None:
                start.labels.save(temporary / "labels.parquet")
            if start.weights is not None:
                write_bytes(temporary / "start.safetensors", sealed_bytes(start.weights))
            if start.pseudo is not None:
                start.pseudo.save(temporary / "pseudo.safetensors")
        return cls(folder, recipe, info)

    @classmethod
    def from_parsers(cls, path: str | Path, recipe: Recipe, info: RunInfo, parsers: Sequence[AnyParser]) -> Run:
        """Create a run folder around a parser that was trained elsewhere, or around two: for audio, and for visual.

        Raises:
            UserError: the folder exists or cannot be written.
        """
        folder, info = Path(path), info.model_copy(update={"sealed": True})
        with atomic_folder(folder) as temporary:
            write_text(temporary / "recipe.yaml", recipe.as_yaml())
            write_json(temporary / "run.json", info.model_dump(mode="json"))
            for part, parser in zip(("parser", "visual"), parsers, strict=False):
                write_bytes(temporary / f"{part}.safetensors", sealed_bytes(parser.state_dict()))
        return cls(folder, recipe, info)

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Open an existing run folder.

        Raises:
            UserError: the folder is not a run folder, or one of its files is damaged.
        """
        trained = TrainedParser.open(path)
        recipe = load_recipe(trained.path / "recipe.yaml").model_copy(update={"decoding": trained.rule})
        return cls(trained.path, recipe, trained.info)

    def check_data(self, store: FeatureStore) -> None:
        """Refuse to resume on other data.

        Raises:
            UserError: the features or the annotations of the store are not of the version that the run was started
                with; the message says which.
        """
        info = self.info
        versions = {"data": (info.fingerprint, store.fingerprint)}
        if info.features_version:
            versions = {
                "features": (info.features_version, store.features_version),
                "annotations": (info.annotations_version, store.annotations_version),
            }
        changed = [f"{what} version {then}, now {now}" for what, (then, now) in versions.items() if then != now]
        if changed:
            raise UserError(
                f"{self.path}: was trained on other data than {store.path} holds ({' and '.join(changed)}); "
                "give the original store or start a new run"
            )

    def save_parser(self, parser: AnyParser, part: str = "parser") -> None:
        """Write the weights of the run's parser, or of its ``visual`` part, atomically."""
        write_bytes(self.path / f"{part}.safetensors", sealed_bytes(parser.state_dict()))

    def trained(self) -> TrainedParser:
        """Return what parsing files needs of the run: its parser, the decoding rule and where both come from."""
        recipe, training = self.recipe, self.recipe.training
        halves = ("parser",) if training.select_visual is None else ("parser", "visual")
        return TrainedParser(self.path, recipe.title, recipe.parser, recipe.decoding, self.info, training.cross, halves)

    def parser(self, device: torch.device | str = "cpu") -> AnyParser:
        """Return the trained parser in evaluation mode; if the recipe selects by modality, both parsers as one.

        Raises:
            UserError: the run has no weights yet, or they are damaged or of another parser.
        """
        return self.trained().load(device)

    def weights(self, half: str = "parser") -> dict[str, Tensor]:
        """Return the trained weights by name, or those of the ``visual`` part.

        Raises:
            UserError: there are no weights yet, or the file is damaged.
        """
        return self.trained().weights(half)

    def start(self) -> dict[str, Tensor] | None:
        """Return the weights that the parser starts from, None for random ones."""
        path = self.path / "start.safetensors"
        return read_sealed(path, self.info.sealed) if path.is_file() else None

    @property
    def finished(self) -> bool:
        """Whether the run is trained and scored; a run of an earlier version, which has no such mark, is not."""
        return (self.path / _FINISHED).is_file()

    def finish(self, keep_weights: bool = True) -> None:
        """Mark the run as finished, then tidy it.

        Args:
            keep_weights: whether the weights stay once the run that this one belongs to is finished.
        """
        write_json(self.path / _FINISHED, {"keep_weights": keep_weights})
        self.tidy()

    def tidy(self) -> None:
        """Remove what only an unfinished run needs: optimisers and earlier weights.

        The runs that a denoiser trained on the way are marked already; their weights go unless they asked to keep
        them. With ``training.keep_checkpoints`` everything stays.
        """
        if self.recipe.training.keep_checkpoints:
            return
        shutil.rmtree(self.path / "checkpoints", ignore_errors=True)
        for mark in self.path.glob(f"denoised/*/{_FINISHED}"):
            if not read_json(mark)["keep_weights"]:
                for half in ("parser", "visual"):
                    (mark.parent / f"{half}.safetensors").unlink(missing_ok=True)

    def save_decoding(self, rule: DecodingRule) -> None:
        """Write a rule that was tuned on validation; it replaces the recipe's."""
        write_json(self.path / "decoding.json", rule.model_dump(mode="json"))

    def save_results(self, results: Results, table: str) -> None:
        """Write the score table as JSON and Markdown."""
        results.save(self.path)
        write_text(self.path / "results.md", table)

    def results(self) -> Results:
        """Return the scores of the best epoch on the test split.

        Raises:
            UserError: the run is not finished, its data have no annotated test split, or the file is damaged.
        """
        return Results.load(self.path)

    @property
    def scores(self) -> dict[str, float]:
        """The ten metrics of the parser alone on the test split, in percent, by name; see :meth:`results`."""
        return self.results().scores[PARSER_ONLY]

    def history(self) -> dict[str, list[float]]:
        """Return what the training logged, as a table: a column a metric, a row an epoch.

        ``epoch`` counts from 0; the other columns are losses, validation metrics (``val/segment_type``), learning rate
        and times, NaN where an epoch lacks one. ``pandas.DataFrame(run.history())`` makes a data frame of it.

        Raises:
            UserError: a line of the log is damaged.
        """
        rows = read_log(self.path / LOG)
        columns = dict.fromkeys(name for row in rows for name in row)
        return {name: [row.get(name, math.nan) for row in rows] for name in columns}

    @property
    def best_epoch(self) -> int | None:
        """The epoch whose parser is kept, counted from 0; None before the end of the first one."""
        history, select = self.history(), self.recipe.training.select
        if not history:
            return None
        figures = history["epoch"] if select == LAST else history[f"val/{select}"]
        return int(max(zip(figures, history["epoch"], strict=True))[1])  # of equal ones the later

    def __repr__(self) -> str:
        about = textwrap.shorten(self.info.description, 90, placeholder=" ...")
        data = f"{self.info.data} (version {self.info.fingerprint[:16]})" + (f", {about}" if about else "")
        lines = [f"Run {self.path}", f"recipe   {self.recipe.title}, seed {self.info.seed}", f"data     {data}"]
        try:
            lines.append(f"trained  {self._progress()}")
            if (self.path / RESULTS).is_file():
                segment, event = self.scores["segment_type"], self.scores["event_type"]
                lines.append(f"test     segment Type {segment:.1f}, event Type {event:.1f}")
        except UserError as error:
            lines.append(f"damaged  {error}")
        return "\n".join(lines)

    def _progress(self) -> str:
        epochs, best = len(self.history().get("epoch", [])), self.best_epoch
        if not epochs and (self.path / "parser.safetensors").is_file():
            return "elsewhere"  # imported weights
        of_all = f"{epochs} of {self.recipe.training.epochs} epochs"
        return of_all if best is None else f"{of_all}, best epoch {best + 1}"
