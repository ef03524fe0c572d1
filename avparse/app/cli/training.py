"""Commands that train, compare and profile."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from avparse.app.cli.options import Device, Out, Seed, Store, tell_failures, this_program

app = typer.Typer()
command = partial(app.command, rich_help_panel="Train and compare")


@command()
def train(
    data: Store,
    out: Out,
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="A shipped recipe ('avparse recipes' lists them) or a YAML file; by default one that suits the data."
        ),
    ] = None,
    seed: Seed = 1,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting of the recipe: training.epochs=10. Repeatable.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Refined labels made by 'denoise', in place of the recipe's own denoiser.")
    ] = None,
    init: Annotated[
        Path | None, typer.Option(help="A trained or imported run of the same parser to start from.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in OUT.")] = False,
    device: Device = "auto",
) -> None:
    """Train a recipe on a feature store and score it on the test split."""
    from avparse.app.labels_of_store import load_labels
    from avparse.app.recommended import recipe_for
    from avparse.data.store import FeatureStore
    from avparse.training.run import Run
    from avparse.training.train import train as run_training

    store = FeatureStore.open(data)
    settings = recipe_for(store, recipe, changes or [])
    store.verify()
    refined = None if labels is None else load_labels(labels, store)
    start = None if init is None else Run.open(init)
    run = run_training(settings, store, out, seed=seed, resume=resume, device=device, labels=refined, init=start)
    results = run.path / "results.md"
    print(results.read_text(encoding="utf-8") if results.exists() else f"{run.path}: trained; no annotated test split")


@command()
def recipes() -> None:
    """List the shipped recipes."""
    from avparse.training.recipe import list_recipes, load_recipe

    for name in list_recipes():
        recipe = load_recipe(name)
        print(f"{name:12} {recipe.title}. {recipe.source}")


@command()
def bench(
    table: Annotated[Path, typer.Argument(help="A YAML file: data, seeds, and one recipe per row.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where to write; runs/NAME of the table by default.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Number of runs at once; they share the cores.", min=1)] = 1,
    device: Device = "auto",
) -> None:
    """Train every run of a table: mean and deviation over seeds; finished runs are kept, interrupted ones continue."""
    from avparse.app.bench.launcher import bench as run_bench

    report, failures = run_bench(table, out, jobs, device, this_program())
    print(report)
    for run, reason in failures:
        print(f"failed: {run}: {reason}", file=sys.stderr)
    if failures:
        raise typer.Exit(3)


@command()
def plot(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; those of one recipe become a mean and a band.")],
    out: Out,
    metrics: Annotated[
        str | None,
        typer.Option(help="Names of the metrics to draw, separated by commas: val/segment_type,reward_audio."),
    ] = None,
    figures: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Draw learning curves: validation and losses over epochs, rewards and label noise over episodes (PNG and SVG)."""
    from avparse.app.charts.curves import plot as run_plot

    names = metrics or figures or ""  # --figures is the former name
    for path in run_plot(runs, out, [name.strip() for name in names.split(",") if name.strip()]):
        print(path)


@command()
def profile(
    recipes: Annotated[
        list[str] | None,
        typer.Argument(
            help="Shipped recipes, or YAML files; by default all shipped ones, with equal costs in one row."
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Videos per batch.", min=1)] = 128,
    segments: Annotated[int, typer.Option(help="Segments per video.", min=1)] = 10,
    steps: Annotated[int, typer.Option(help="Number of timed steps; the median counts.", min=1)] = 5,
    data: Annotated[Path | None, typer.Option(help="A store whose classes and streams are used.")] = None,
    denoiser: Annotated[
        bool,
        typer.Option(
            "--denoiser", help="Run the denoiser first, instead of only setting up its refiners of every batch."
        ),
    ] = False,
    changes: Annotated[list[str] | None, typer.Option("--set", help="Change a setting of every recipe.")] = None,
    device: Device = "auto",
) -> None:
    """Measure what recipes cost, on random features: parameters, matrix products, memory, time."""
    from avparse.app.profile.recipes import Conditions, Unmeasured, as_row, heading
    from avparse.app.profile.recipes import profile as run_profile
    from avparse.foundation.progress import say

    conditions = Conditions(batch_size, segments, steps, device, tuple(changes or ()), denoiser, data)
    rows = run_profile(recipes or [], conditions)
    say(heading(conditions))
    notes, failures = [], []
    for row in rows:
        if isinstance(row, Unmeasured):
            failures.append((row.name, row.reason))
            continue
        say(as_row(row))
        if row.unmoved:
            notes.append(f"\n{row.name}: no training step changes {', '.join(row.unmoved)}")
    print(*notes, sep="\n")
    tell_failures(failures)


@command("import-checkpoint")
def import_checkpoint(
    file: Annotated[Path, typer.Argument(help="A state dict: .pt, .pth or .safetensors.")],
    system: Annotated[str, typer.Option(help="Name of the released network; an unknown name lists them.")],
    out: Out,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe whose decoding the run gets; by default the one that trains the system.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="A store of data like those that it was trained on; by default LLP's classes and streams."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting that weights do not hold: decoding.segment_threshold=0.3."),
    ] = None,
    visual: Annotated[
        Path | None, typer.Option(help="The state dict that is best for visual, where FILE is best for audio (dhhn).")
    ] = None,
) -> None:
    """Make a run of published weights, to evaluate or for 'train --init'; no code in the file is run."""
    from avparse.app.import_checkpoint import import_checkpoint as run_import
    from avparse.data.store import FeatureStore

    store = None if data is None else FeatureStore.open(data)
    print(run_import(file, system, out, recipe=recipe, store=store, changes=changes or [], visual=visual))
