"""Settings of a benchmark table, and the list of runs that it needs."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from avparse.app.run_teacher import run_teacher
from avparse.data.simulation.simulate import simulate
from avparse.data.store import FeatureStore
from avparse.data.teachers import TEACHERS
from avparse.evaluation.decoding_tuning import DecodingTuning
from avparse.evaluation.parsing import METRICS
from avparse.foundation.errors import UserError
from avparse.foundation.files import atomic_folder
from avparse.foundation.reading import read_yaml
from avparse.foundation.settings import Settings, lookup
from avparse.training.recipe import Recipe, load_recipe
from avparse.training.results import RESULTS
from avparse.training.run import Run


class Simulation(Settings):
    """Settings of the data to simulate; the fields are arguments of :func:`avparse.data.simulation.simulate.simulate`.

    Attributes:
        teachers: settings of each teacher to run on the simulated videos, as ``avparse teach`` does, by name.
    """

    seed: int = Field(0, ge=0)
    train: int = Field(10_000, ge=1)
    val: int = Field(649, ge=1)
    test: int = Field(1_200, ge=1)
    segments: int = Field(10, ge=1)
    annotations: Path | None = None
    dtype: Literal["float32", "float16"] = "float32"
    teachers: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @field_validator("teachers")
    @classmethod
    def _known(cls, teachers: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, settings in teachers.items():
            config: type[Settings] = lookup(TEACHERS, name, "teacher").Config  # type: ignore[attr-defined]
            config.read({"name": name, **settings}, f"teacher '{name}'")
        return teachers

    @property
    def folder(self) -> str:
        """The name of a folder for exactly these data."""
        unasked = set() if self.teachers else {"teachers"}
        return _digest(self.model_dump(mode="json", exclude=unasked))

    def make(self, path: Path, base: Path) -> None:
        """Write the store with the scores of its teachers, or nothing if that fails."""
        tables = self.annotations
        with atomic_folder(path, make=False) as folder:
            settings = self.model_dump(exclude={"annotations", "teachers"})
            simulate(folder, annotations=tables and base / tables, **settings)
            for name, asked in self.teachers.items():
                run_teacher(FeatureStore.open(folder), name, settings=asked)


def _read_simulation(value: Any) -> Any:
    return value if value is None else Simulation.read(value, "simulation")


class BenchData(Settings):
    """Source of the data: a feature ``store`` that exists, or a simulated one."""

    store: Path | None = None
    simulate: Annotated[Simulation | None, BeforeValidator(_read_simulation)] = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.store is None) == (self.simulate is None):
            raise UserError("give the path of a feature store, or 'simulate: {train: ...}'")
        return self

    def version(self, fingerprint: str, path: str | Path) -> str:
        """Return the version of the data at ``path``; a store's fingerprint does not include its teachers' scores."""
        has_teachers = self.simulate is not None and self.simulate.teachers
        return f"{fingerprint}-{Path(path).name}" if has_teachers else fingerprint

    def open(self, base: Path, out: Path) -> FeatureStore:
        """Open the store, simulated under ``out`` if necessary; a relative path starts at ``base``.

        Raises:
            UserError: the store cannot be opened or made, or validation or test videos lack dense truth.
        """
        if self.simulate is None:
            path = base / (self.store or "")
        else:
            path = out / "data" / self.simulate.folder
            if not path.exists():
                self.simulate.make(path, base)
        store = FeatureStore.open(path)
        for split in ("val", "test"):
            store.require_truth(store.select(split), "needed to score them", "take another store")
        return store


class Row(Settings):
    """One system of the table.

    Attributes:
        recipe: name of a shipped recipe, or path of a YAML file (a relative path starts at the table's folder).
        set: changes of the recipe, as with ``avparse train --set``; they are applied after those of the table.
        seeds: seeds of this system, in place of the table's.
        published: the ten metrics of the paper on real LLP, in percent, in the order of ``METRICS``.
        note: remark that is printed below the table.
    """

    name: str = Field(pattern=r"^[^|\n]*\w[^|\n]*$")
    recipe: str
    set: tuple[str, ...] = ()
    seeds: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(None, min_length=1)
    published: tuple[float, ...] | None = Field(None, min_length=len(METRICS), max_length=len(METRICS))
    note: str = ""

    @property
    def slug(self) -> str:
        """The name in a form that can be part of a file name."""
        return re.sub(r"[^\w.+-]+", "-", self.name)


def _read_row(value: Any) -> Any:
    name = value.get("name", "without a name") if isinstance(value, dict) else value
    return Row.read(value, f"row '{name}'")


def _as_data(value: Any) -> Any:
    return {"store": value} if isinstance(value, str) else value


class Table(Settings):
    """Content of ``TABLE.yaml``.

    Attributes:
        set: changes of all recipes, applied before those of a row.
        tuning: settings with which every run is scored a second time, with thresholds tuned on validation; it needs no
            training.
    """

    title: str
    data: Annotated[BenchData, BeforeValidator(_as_data)]
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)
    set: tuple[str, ...] = ()
    tuning: DecodingTuning | None = None
    rows: tuple[Annotated[Row, BeforeValidator(_read_row)], ...] = Field(min_length=1)

    @field_validator("rows")
    @classmethod
    def _distinct(cls, rows: tuple[Row, ...]) -> tuple[Row, ...]:
        names: dict[str, str] = {}
        for row in rows:
            other = names.setdefault(row.slug.casefold(), row.name)
            if other is not row.name:
                raise UserError(f"the names '{other}' and '{row.name}' are too alike; rename one of the rows")
        return rows

    @classmethod
    def load(cls, path: Path) -> Table:
        """Read and validate a table.

        Raises:
            UserError: there is no such file, it is not YAML, or it has an unknown or bad key.
        """
        return cls.read(read_yaml(path, "give a YAML table of runs"), str(path))

    def recipes(self, path: Path) -> dict[str, Recipe]:
        """Return the recipe of each row with its changes; paths of recipe files start at the table's folder.

        Raises:
            UserError: a recipe is unknown or bad; the message names file and row.
        """
        found = {}
        for row in self.rows:
            named = path.parent / row.recipe if Path(row.recipe).suffix in {".yaml", ".yml"} else row.recipe
            try:
                found[row.name] = load_recipe(named, [*self.set, *row.set])
            except UserError as error:
                raise UserError(f"{path}: row '{row.name}': {error}") from None
        return found

    def seeds_of(self, row: Row) -> tuple[int, ...]:
        """Return the seeds of a row, each once."""
        return tuple(dict.fromkeys(row.seeds or self.seeds))


@dataclass(frozen=True)
class PlannedRun:
    """A run of the table: its row, seed and recipe, and its folder, which may not exist yet."""

    row: Row
    seed: int
    recipe: Recipe
    path: Path

    @property
    def finished(self) -> bool:
        """Whether the run has been trained and scored."""
        return (self.path / RESULTS).is_file()

    def beside(self, ending: str) -> Path:
        """Return the path of a file of its attempts."""
        return self.path.parents[1] / "attempts" / f"{self.path.name}{ending}"

    def __str__(self) -> str:
        return f"{self.row.name}, seed {self.seed}"


def plan(table: Table, recipes: dict[str, Recipe], out: Path, version: str) -> list[PlannedRun]:
    """Return the runs of a table, seed by seed, so that every row has a result early.

    Args:
        table: table whose runs are planned.
        recipes: recipe of each row by name, from :meth:`Table.recipes`.
        out: folder of the benchmark.
        version: version of the data, from :meth:`BenchData.version`.
    """
    runs = []
    for seed in dict.fromkeys(seed for row in table.rows for seed in table.seeds_of(row)):
        for row in table.rows:
            if seed in table.seeds_of(row):
                recipe = recipes[row.name]
                folder = _folder(out / "runs", row.slug, seed, recipe, version, table.data)
                runs.append(PlannedRun(row, seed, recipe, folder))
    return runs


def _folder(runs: Path, slug: str, seed: int, recipe: Recipe, version: str, data: BenchData) -> Path:
    """Return the folder that holds exactly this run, or the one to create.

    Existing recipes are compared as they are read now, so that a setting with a default that was added to recipes later
    does not invalidate a run.
    """

    def identity(recipe: Recipe, version: str, seed: int) -> list[Any]:
        return [recipe.model_dump(mode="json", exclude={"title", "source"}), version, seed]

    wanted = identity(recipe, version, seed)
    for path in sorted(runs.glob(f"{slug}-seed{seed}-{'[0-9a-f]' * 8}")):
        with contextlib.suppress(UserError):
            run = Run.open(path)
            if identity(run.recipe, data.version(run.info.fingerprint, run.info.data), run.info.seed) == wanted:
                return path
    return runs / f"{slug}-seed{seed}-{_digest(wanted)}"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]
