"""Commands that make and evaluate labels."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from avparse.app.cli.options import Device, Seed, Store, StoreArgument, tell_failures

app = typer.Typer()
command = partial(app.command, rich_help_panel="Labels")


@command()
def denoise(
    data: StoreArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The table to write (Parquet, or CSV by its ending).")],
    method: Annotated[
        str | None,
        typer.Option(help="Name of the denoiser; an unknown name lists them. By default one that suits the data."),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="Recipe of the parsers that the denoiser trains; by default one that suits the data."),
    ] = None,
    seed: Seed = 1,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a setting: training.epochs=10, denoiser.partners=3. Repeatable."),
    ] = None,
    per_class: Annotated[bool, typer.Option("--per-class", help="Report every class.")] = False,
    device: Device = "auto",
) -> None:
    """Find wrong labels of the training split and write the rest, with scores and reasons, for 'train --labels'."""
    from avparse.app.denoising import denoise as run_denoiser
    from avparse.app.denoising import describe_labels
    from avparse.data.store import FeatureStore

    store = FeatureStore.open(data)
    store.verify()
    refined = run_denoiser(store, method, out, recipe=recipe, changes=changes or [], seed=seed, device=device)
    print(describe_labels(refined, store, per_class))


@command()
def teach(
    data: StoreArgument,
    teacher: Annotated[str, typer.Option(help="Name of the teacher; an unknown name lists them.")],
    videos: Annotated[Path | None, typer.Option(help="Folder of the videos, for teachers that read them.")] = None,
    published: Annotated[
        Path | None,
        typer.Option("--from-npy", help="Folder of published embeddings, one ID.npy per video, to use instead."),
    ] = None,
    class_map: Annotated[
        Path | None,
        typer.Option(help="A YAML file that says what classes are called in the fixed lists of networks."),
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting of the teacher: style=lsld. Repeatable.")
    ] = None,
) -> None:
    """Run a teacher on every segment of a store; recipes make pseudo labels from its scores, in seconds."""
    from avparse.app.run_teacher import run_teacher
    from avparse.data.store import FeatureStore

    given = {"videos": videos, "embeddings": published, "class_map": class_map}
    settings = {name: str(path) for name, path in given.items() if path is not None}
    files, failures = run_teacher(FeatureStore.open(data), teacher, changes or [], settings)
    for path in files:
        print(path)
    tell_failures([(f.path, f.reason) for f in failures])


@command("pseudo-labels")
def pseudo_labels(
    recipe: Annotated[
        str, typer.Argument(help="A recipe, or a run folder; for PLD its repaired labels are scored too.")
    ],
    data: Store,
    split: Annotated[str, typer.Option(help="Name of the split to score; its truth is known.")] = "val",
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting of the recipe (not of a run).")
    ] = None,
    per_class: Annotated[bool, typer.Option("--per-class", help="Report every class.")] = False,
    chart: Annotated[
        Path | None,
        typer.Option("--plot", help="Also draw a chart of every class: FILE.png and FILE.svg.", metavar="FILE"),
    ] = None,
) -> None:
    """Make the pseudo labels of a recipe and print their quality."""
    from avparse.app.pseudo_labels import score_pseudo_labels
    from avparse.data.store import FeatureStore

    quality = score_pseudo_labels(recipe, FeatureStore.open(data), split, changes or [])
    print(quality.as_markdown(per_class))
    if chart is not None:
        from avparse.app.charts.classes import plot_label_quality

        for path in plot_label_quality(quality, chart):
            print(path)


@command("tune-thresholds")
def tune_thresholds(
    recipe: Annotated[str, typer.Argument(help="A recipe whose pseudo labels are decided by thresholds.")],
    data: Store,
    out: Annotated[Path, typer.Option("--out", "-o", help="The recipe to write, with tuned thresholds (YAML).")],
    shared: Annotated[
        bool, typer.Option("--shared", help="One threshold per modality instead of one per class.")
    ] = False,
    prior: Annotated[
        float, typer.Option(help="Videos at which a class's own threshold counts as much as the common one.", min=0)
    ] = 10,
    folds: Annotated[int, typer.Option(help="Folds of the cross-validation.", min=2)] = 5,
    changes: Annotated[list[str] | None, typer.Option("--set", help="Change a setting of the recipe.")] = None,
) -> None:
    """Tune the thresholds of pseudo labels on the validation split, never on test, and write the recipe with them."""
    from avparse.app.pseudo_labels import tune_thresholds as run_tuning
    from avparse.data.store import FeatureStore
    from avparse.evaluation.teacher_thresholds import Tuning

    tuning = Tuning(shared=shared, prior=prior, folds=folds)
    print(run_tuning(recipe, FeatureStore.open(data), out, tuning, changes or []))
