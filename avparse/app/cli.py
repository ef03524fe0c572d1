"""The command line: each command reads its arguments, calls one function, and prints what came of it.

Exit codes: 0 done, 2 bad input (one line says what and how to mend it), 3 done but for some files that could not be
read or runs of a table that failed, 130 and 143 interrupted by Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from avparse import __version__
from avparse.foundation.errors import UserError

app = typer.Typer(
    help="Which events are heard, which are seen and which are both, second by second.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Feature stores.", no_args_is_help=True)
import_app = typer.Typer(help="Bring published features into a feature store.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(import_app, name="import")

Out = Annotated[Path, typer.Option("--out", "-o", help="Where to write.")]
Workers = Annotated[
    int | None, typer.Option(help="Processes; all cores by default, 0 for none beside this one.", min=0)
]
RunFolder = Annotated[Path, typer.Option("--run", help="A run folder made by 'train' or 'demo'.")]
Store = Annotated[Path, typer.Option("--data", help="A feature store.")]
Seed = Annotated[int, typer.Option(help="Random seed.", min=0)]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where to compute.")]


def main() -> None:
    """Run the command line; a user's error is one line and exit code 2."""
    # Read when torch loads: idle threads sleep instead of spinning, many times faster where another process has a core.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(format="avparse: %(message)s", level=logging.WARNING)
    try:
        app()
    except UserError as error:
        traceback.clear_frames(error.__traceback__)  # lets go of a progress bar, which then ends its line
        print(f"avparse: error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("avparse: interrupted", file=sys.stderr)
        sys.exit(130)


def _version(show: bool) -> None:
    if show:
        print(f"avparse {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


@app.command()
def demo(
    out: Out = Path("runs/demo"),
    clips: Annotated[list[Path] | None, typer.Argument(help="Your own videos, parsed into the report too.")] = None,
    videos: Annotated[int, typer.Option(help="Size of the synthesised corpus.", min=40)] = 300,
    seed: Seed = 0,
    workers: Workers = None,
) -> None:
    """Do the whole job on a small corpus that is made here: synthesise, extract, train, score, parse, show."""
    from avparse.app.demo import demo as run_demo

    run = run_demo(out, videos=videos, seed=seed, clips=clips or [], workers=workers)
    print((run.path / "comparison.md").read_text(encoding="utf-8"))
    print((run.path / "results.md").read_text(encoding="utf-8"))
    print(f"Look at {run.path / 'report.html'}; parse your own: avparse parse VIDEO --run {run.path} -o OUT")


@app.command()
def parse(
    videos: Annotated[list[Path], typer.Argument(help="Video or audio files, of any length.")],
    run: RunFolder,
    out: Out,
    labels: Annotated[
        str | None,
        typer.Option(help="Only these classes may appear: names with commas between, or a table 'video,labels'."),
    ] = None,
    classes: Annotated[
        Path | None,
        typer.Option(help="Other classes than the run's, one a line, for a parser that reads names (LEAP)."),
    ] = None,
    label_vectors: Annotated[
        Path | None, typer.Option(help="Vectors of these classes, where the run's own source of them cannot be asked.")
    ] = None,
    workers: Workers = None,
) -> None:
    """Parse videos: a JSON timeline each, events.csv and report.html."""
    from avparse.app.parsing import parse_files
    from avparse.training.run import Run

    failures = parse_files(
        videos, Run.open(run), out, classes=classes, vectors=label_vectors, labels=labels, workers=workers
    )
    print(f"{out}: a timeline each, events.csv, report.html")
    _tell_failures([(str(f.path), f.reason) for f in failures])


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe ('avparse recipes' lists them) or a YAML file.")],
    data: Store,
    out: Out,
    seed: Seed = 1,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting of the recipe: training.epochs=10. Repeatable.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Refined labels made by 'denoise', in place of the recipe's own denoiser.")
    ] = None,
    init: Annotated[Path | None, typer.Option(help="A run to start from, trained or imported; same parser.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in OUT.")] = False,
    device: Device = "auto",
) -> None:
    """Train a recipe on a feature store and score it on the test split."""
    from avparse.app.denoising import load_labels
    from avparse.data.store import FeatureStore
    from avparse.training.loop import train as run_training
    from avparse.training.recipe import load_recipe
    from avparse.training.run import Run

    settings = load_recipe(recipe, changes or [])
    store = FeatureStore.open(data)
    store.verify()
    refined = None if labels is None else load_labels(labels, store)
    start = None if init is None else Run.open(init)
    run = run_training(settings, store, out, seed=seed, resume=resume, accelerator=device, labels=refined, init=start)
    results = run.path / "results.md"
    print(results.read_text(encoding="utf-8") if results.exists() else f"{run.path}: trained; no annotated test split")


@app.command("import-checkpoint")
def import_checkpoint(
    file: Annotated[Path, typer.Argument(help="A state dict: .pt, .pth or .safetensors.")],
    system: Annotated[str, typer.Option(help="Which released network it is of; an unknown name lists them.")],
    out: Out,
    recipe: Annotated[
        str | None, typer.Option(help="Whose decoding the run gets; by default the recipe named like the system.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="A store of such data as it was trained on; LLP's classes and streams if none.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="What weights do not hold: decoding.segment_threshold=0.3.")
    ] = None,
) -> None:
    """Make a run of published weights, to evaluate, to parse with, or for 'train --init'; no code in them is run."""
    from avparse.app.importing_checkpoint import import_checkpoint as run_import
    from avparse.data.store import FeatureStore

    store = None if data is None else FeatureStore.open(data)
    print(run_import(file, system, out, recipe=recipe, store=store, changes=changes or []))


@app.command()
def denoise(
    data: Annotated[Path, typer.Argument(help="A feature store.", metavar="STORE")],
    method: Annotated[str, typer.Option(help="Which denoiser; an unknown name lists them.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The table to write (Parquet).")],
    recipe: Annotated[str, typer.Option(help="Recipe of the parsers that the denoiser trains on the way.")] = "han",
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
    from avparse.data.store import FeatureStore

    store = FeatureStore.open(data)
    store.verify()
    result = run_denoiser(
        store, method, out, recipe=recipe, changes=changes or [], seed=seed, accelerator=device, per_class=per_class
    )
    print(result.report)


@app.command()
def evaluate(
    runs: Annotated[
        list[Path], typer.Option("--run", help="A run folder; of several, each has one row: its parser alone.")
    ],
    data: Store,
    split: Annotated[str, typer.Option(help="Which split to score.")] = "test",
    videos: Annotated[
        Literal["all", "overlapping", "single"],
        typer.Option(help="Only those in which two classes are heard at once or two seen, or only the others."),
    ] = "all",
) -> None:
    """Score a run on an annotated split: the parser alone, given the weak labels, and the labels copied everywhere."""
    from avparse.app.scoring import evaluate_runs
    from avparse.data.store import FeatureStore
    from avparse.training.run import Run

    opened = [Run.open(path) for path in dict.fromkeys(runs)]
    print(evaluate_runs(opened, FeatureStore.open(data), split, videos))


@app.command()
def bench(
    table: Annotated[Path, typer.Argument(help="A YAML file: data, seeds, and a recipe a row.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where to write; runs/NAME of the table.")] = None,
    jobs: Annotated[int, typer.Option(help="Runs at once; they share the cores.", min=1)] = 1,
    device: Device = "auto",
) -> None:
    """Do every run of a table: mean and deviation over seeds; finished runs stay, interrupted ones go on."""
    from avparse.app.bench import bench as run_bench

    report, failures = run_bench(table, out, jobs, device)
    print(report)
    for run, reason in failures:
        print(f"failed: {run}: {reason}", file=sys.stderr)
    if failures:
        raise typer.Exit(3)


@app.command()
def profile(
    recipes: Annotated[list[str], typer.Argument(help="Shipped recipes, or YAML files.")],
    batch_size: Annotated[int, typer.Option(help="Videos.", min=1)] = 128,
    segments: Annotated[int, typer.Option(help="Segments a video.", min=1)] = 10,
    steps: Annotated[int, typer.Option(help="How often each is timed; the median counts.", min=1)] = 5,
    data: Annotated[Path | None, typer.Option(help="Take classes and streams from this store.")] = None,
    denoiser: Annotated[
        bool, typer.Option("--denoiser", help="Run the denoiser first, for what it does in every batch.")
    ] = False,
    changes: Annotated[list[str] | None, typer.Option("--set", help="Change a setting of every recipe.")] = None,
    device: Device = "auto",
) -> None:
    """Measure what recipes cost, on random features: parameters, matrix products, memory, time."""
    from avparse.app.profiling import Conditions
    from avparse.app.profiling import profile as run_profile

    conditions = Conditions(batch_size, segments, steps, device, tuple(changes or ()), denoiser, data)
    report, failures = run_profile(recipes, conditions)
    print(report)
    _tell_failures(failures)


@app.command()
def plot(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; those of one recipe become a mean and a band.")],
    out: Out,
    figures: Annotated[
        str | None, typer.Option(help="Only these, names with commas between: val/segment_type,reward_audio.")
    ] = None,
) -> None:
    """Draw learning curves: validation and losses over epochs, rewards and label noise over episodes (PNG and SVG)."""
    from avparse.app.plot import plot as run_plot

    for path in run_plot(runs, out, [name.strip() for name in figures.split(",")] if figures else []):
        print(path)


@app.command()
def recipes() -> None:
    """List the shipped recipes."""
    from avparse.training.recipe import load_recipe, shipped_recipes

    for name in shipped_recipes():
        recipe = load_recipe(name)
        print(f"{name:12} {recipe.title}. {recipe.source}")


@app.command()
def synth(
    out: Annotated[Path, typer.Argument(help="Folder of the corpus.")],
    videos: Annotated[int, typer.Option(help="How many.", min=1)] = 300,
    seed: Seed = 0,
    workers: Workers = None,
) -> None:
    """Synthesise a corpus of real encoded videos with known truth, in the LLP table format."""
    from avparse.data.corpus import synthesise

    print(synthesise(out, videos, seed, workers=workers))


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="Folder of the feature store.")],
    seed: Seed = 0,
    train: Annotated[int, typer.Option(help="Training videos.", min=0)] = 10_000,
    val: Annotated[int, typer.Option(help="Validation videos.", min=0)] = 649,
    test: Annotated[int, typer.Option(help="Test videos.", min=0)] = 1_200,
    segments: Annotated[int, typer.Option(help="Segments a video.", min=1)] = 10,
    annotations: Annotated[Path | None, typer.Option(help="Folder of the official LLP tables to start from.")] = None,
    dtype: Annotated[Literal["float32", "float16"], typer.Option(help="Type of the stored features.")] = "float32",
    label_vectors: Annotated[
        Path | None, typer.Option(help="Also write vectors of what the classes are like, for LEAP (.npz).")
    ] = None,
    workers: Workers = None,
) -> None:
    """Simulate a feature store of LLP's shapes and label statistics, with hidden truth for every video."""
    from avparse.data.simulation.simulate import simulate as run_simulation

    run_simulation(
        out,
        seed=seed,
        train=train,
        val=val,
        test=test,
        segments=segments,
        annotations=annotations,
        dtype=dtype,
        workers=workers,
        label_vectors=label_vectors,
    )
    _print_store(out)


@app.command()
def teach(
    data: Annotated[Path, typer.Argument(help="A feature store.", metavar="STORE")],
    teacher: Annotated[str, typer.Option(help="Which teacher; an unknown name lists them.")],
    videos: Annotated[Path | None, typer.Option(help="Folder of the videos, for teachers that look at them.")] = None,
    published: Annotated[
        Path | None, typer.Option("--from-npy", help="Folder of published embeddings, ID.npy each, to take instead.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting of the teacher: style=lsld. Repeatable.")
    ] = None,
) -> None:
    """Let a teacher judge every segment of a store; recipes make pseudo labels from what it says, in seconds."""
    from avparse.app.teaching import teach as ask
    from avparse.data.store import FeatureStore

    given = {"videos": videos, "embeddings": published}
    settings = {name: str(path) for name, path in given.items() if path is not None}
    files, failures = ask(FeatureStore.open(data), teacher, changes or [], settings)
    for path in files:
        print(path)
    _tell_failures([(f.path, f.reason) for f in failures])


@app.command("pseudo-labels")
def pseudo_labels(
    recipe: Annotated[str, typer.Argument(help="A recipe, or a run folder: with PLD, its labels after that too.")],
    data: Store,
    split: Annotated[str, typer.Option(help="Which split to judge; its truth is known.")] = "val",
    changes: Annotated[list[str] | None, typer.Option("--set", help="Change a setting of the recipe.")] = None,
    per_class: Annotated[bool, typer.Option("--per-class", help="Report every class.")] = False,
    chart: Annotated[
        Path | None, typer.Option("--plot", help="Draw every class too: FILE.png and FILE.svg.", metavar="FILE")
    ] = None,
) -> None:
    """Make the pseudo labels of a recipe and tell how good they are."""
    from avparse.app.pseudo_labels import judge_labels
    from avparse.data.store import FeatureStore

    judgement = judge_labels(recipe, FeatureStore.open(data), split, changes or [])
    print(judgement.as_markdown(per_class))
    if chart is not None:
        from avparse.app.class_plot import plot_judgement

        for path in plot_judgement(judgement, chart):
            print(path)


@app.command("tune-thresholds")
def tune_thresholds(
    recipe: Annotated[str, typer.Argument(help="A recipe whose pseudo labels are decided by thresholds.")],
    data: Store,
    out: Annotated[Path, typer.Option("--out", "-o", help="The recipe to write, with tuned thresholds (YAML).")],
    shared: Annotated[bool, typer.Option("--shared", help="One threshold a modality, not one a class.")] = False,
    prior: Annotated[
        float, typer.Option(help="Videos that a class needs to count as much as all together.", min=0)
    ] = 10,
    folds: Annotated[int, typer.Option(help="Of the cross-validated figures.", min=2)] = 5,
    changes: Annotated[list[str] | None, typer.Option("--set", help="Change a setting of the recipe.")] = None,
) -> None:
    """Tune the thresholds of pseudo labels on the validation split, never on test, and write the recipe with them."""
    from avparse.app.pseudo_labels import tune_thresholds as run_tuning
    from avparse.data.store import FeatureStore
    from avparse.evaluation.thresholds import Tuning

    tuning = Tuning(shared=shared, prior=prior, folds=folds)
    print(run_tuning(recipe, FeatureStore.open(data), out, tuning, changes or []))


@app.command()
def extract(
    folder: Annotated[Path, typer.Argument(help="Folder of videos, each named by its id.")],
    out: Out,
    labels: Annotated[
        Path, typer.Option(help="Table 'video,labels[,split]', or a folder of tables in the LLP format.")
    ],
    classes: Annotated[Path | None, typer.Option(help="Class names, one a line (with a table of labels).")] = None,
    events: Annotated[
        Path | None, typer.Option(help="Dense truth, where known: table 'video,class,modality,onset,offset'.")
    ] = None,
    extractor: Annotated[str, typer.Option(help="Which features to compute.")] = "light",
    segment_seconds: Annotated[float, typer.Option(help="Length of a segment.", min=0.01)] = 1.0,
    workers: Workers = None,
) -> None:
    """Extract features of labelled videos into a feature store; a killed extraction continues."""
    from avparse.app.extracting import extract_store, read_labels

    failures = extract_store(
        folder,
        read_labels(labels, classes, events),
        out,
        extractor=extractor,
        segment_seconds=segment_seconds,
        workers=workers,
    )
    _print_store(out)
    _tell_failures([(str(f.path), f.reason) for f in failures])


@data_app.command("info")
def data_info(store: Annotated[Path, typer.Argument(help="A feature store.")]) -> None:
    """Tell what a feature store holds, and check every checksum."""
    _print_store(store)


@import_app.command("llp")
def import_llp(
    features: Annotated[Path, typer.Option(help="Folder with vggish/, res152/ and r2plus1d_18/.")],
    annotations: Annotated[Path, typer.Option(help="Folder of the official tables.")],
    out: Out,
    dtype: Annotated[Literal["float32", "float16"], typer.Option(help="Type of the stored features.")] = "float32",
) -> None:
    """Import the official LLP features and annotations."""
    from avparse.data.importing import import_llp as run_import

    report = run_import(features, annotations, out, dtype)
    print(report)
    if report.problems:
        raise typer.Exit(3)


def _print_store(path: Path) -> None:
    from avparse.data.info import describe
    from avparse.data.store import FeatureStore

    print(describe(FeatureStore.open(path)))


def _tell_failures(failures: Sequence[tuple[str, str]]) -> None:
    """Name what could not be read and exit with 3, so that a script can tell partial from full success."""
    for path, reason in failures:
        print(f"skipped {path}: {reason}", file=sys.stderr)
    if failures:
        raise typer.Exit(3)


if __name__ == "__main__":
    main()
