"""Commands that create and inspect feature stores."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from avparse.app.cli.exchange import FormatName, FrameRate, ModalityName, VideoName, given_facts, tell_import
from avparse.app.cli.options import Limit, Out, RetryFailed, Seed, Workers, print_store, read_limits, tell_left_out
from avparse.foundation.errors import UserError

app = typer.Typer()
data_app = typer.Typer(help="Feature stores.", no_args_is_help=True)
app.add_typer(data_app, name="data", rich_help_panel="Data")
Labels = Annotated[Path, typer.Option(help="Table 'video,labels[,split]', or the folder of a data set's annotations.")]
Classes = Annotated[Path | None, typer.Option(help="Class names, one per line (with a table of labels).")]
Events = Annotated[
    Path | None, typer.Option(help="Dense truth, where known: table 'video,class,modality,onset,offset'.")
]
DatasetName = Annotated[
    str | None, typer.Option(help="Name of the data set of the folder of labels; by default one in the LLP format.")
]
command = partial(app.command, rich_help_panel="Data")


@command()
def extract(
    folder: Annotated[Path, typer.Argument(help="Folder of videos, each named by its id.")],
    out: Out,
    labels: Labels,
    classes: Classes = None,
    events: Events = None,
    dataset: DatasetName = None,
    extractor: Annotated[str, typer.Option(help="Which features to compute; settings after a colon.")] = "light",
    segment_seconds: Annotated[
        float | None, typer.Option(help="Length of a segment in seconds; by default that of the data set.", min=0.01)
    ] = None,
    workers: Workers = None,
    limit: Limit = None,
    retry_failed: RetryFailed = False,
) -> None:
    """Extract features of labelled videos into a feature store; a killed extraction continues."""
    from avparse.app.extracting import extract_store, read_labels

    left = extract_store(
        folder,
        read_labels(labels, classes, events, dataset),
        out,
        extractor=extractor,
        segment_seconds=segment_seconds,
        workers=workers,
        limits=read_limits(limit),
        retry_failed=retry_failed,
    )
    print_store(out)
    tell_left_out(left, out)


@command()
def synth(
    out: Annotated[Path, typer.Argument(help="Folder of the corpus.")],
    videos: Annotated[int, typer.Option(help="Number of videos.", min=1)] = 300,
    seed: Seed = 0,
    workers: Workers = None,
) -> None:
    """Synthesise a corpus of real encoded videos with known truth, in the LLP table format."""
    from avparse.data.simulation.corpus import synthesise

    made = synthesise(out, videos, seed, workers=workers)
    splits = ", ".join(f"{count} {split}" for split, count in made.videos.items())
    print(f"{made.folder}: {splits} videos of {len(made.classes)} classes, {made.rendered} rendered, {made.kept} kept")
    print(f"of the weak labels {100 * made.audible:.0f} % are heard, {100 * made.visible:.0f} % seen")


@command()
def simulate(
    out: Annotated[Path, typer.Argument(help="Folder of the feature store.")],
    seed: Seed = 0,
    train: Annotated[int, typer.Option(help="Training videos.", min=0)] = 10_000,
    val: Annotated[int, typer.Option(help="Validation videos.", min=0)] = 649,
    test: Annotated[int, typer.Option(help="Test videos.", min=0)] = 1_200,
    segments: Annotated[int, typer.Option(help="Segments per video.", min=1)] = 10,
    annotations: Annotated[Path | None, typer.Option(help="Folder of the official LLP tables to start from.")] = None,
    dtype: Annotated[Literal["float32", "float16"], typer.Option(help="Type of the stored features.")] = "float32",
    label_vectors: Annotated[
        Path | None, typer.Option(help="Also write vectors of the classes' prototypes, for LEAP (.npz).")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Number of threads; all cores by default, 0 for no additional one.", min=0)
    ] = None,
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
    print_store(out)


@data_app.command("info")
def data_info(store: Annotated[Path, typer.Argument(help="A feature store.")]) -> None:
    """Print the content of a feature store, and check every checksum."""
    print_store(store)


@data_app.command("relabel")
def data_relabel(
    store: Annotated[Path, typer.Argument(help="A feature store.")],
    labels: Labels,
    classes: Classes = None,
    events: Events = None,
    dataset: DatasetName = None,
) -> None:
    """Give a feature store other labels, splits, events or classes, without extracting anything."""
    from avparse.app.extracting import read_labels
    from avparse.data.datasets.relabelling import relabel
    from avparse.data.store import FeatureStore

    annotations = read_labels(labels, classes, events, dataset, FeatureStore.open(store).vocabulary)
    for note in annotations.notes:
        print(note)
    print(relabel(store, annotations))


@command("verify-features")
def verify_features_command(
    store: Annotated[Path, typer.Argument(help="A feature store of videos that were extracted here.")],
    against: Annotated[
        Path, typer.Option(help="Folder of published features, such as vggish/, res152/ and r2plus1d_18/.")
    ],
    videos: Annotated[
        Path | None, typer.Option(help="Folder of files of some of the videos, to try the open settings on.")
    ] = None,
    alike: Annotated[
        float, typer.Option(help="Mean cosine from which on features count as the same.", min=0, max=1)
    ] = 0.99,
    most: Annotated[int, typer.Option(help="Number of videos on which settings are tried.", min=1)] = 3,
) -> None:
    """Compare a feature store with published features, and name the setting that explains a mismatch."""
    from avparse.app.verify_features import verify_features
    from avparse.data.store import FeatureStore

    matches = verify_features(FeatureStore.open(store), against, videos, alike, most)
    for match in matches:
        print(match)
    if any(match.mean < alike for match in matches):
        raise typer.Exit(3)


@command("import")
def import_features(
    name: Annotated[
        str,
        typer.Argument(
            help="Which data set: llp, ave, or tables of your own; or 'events', for files of events of other programs.",
            metavar="NAME",
        ),
    ],
    out: Out,
    files: Annotated[
        list[Path] | None, typer.Argument(help="With 'events': the files, such as an .eaf or an .rttm.")
    ] = None,
    features: Annotated[
        Path | None, typer.Option(help="Folder of the published features, such as vggish/, res152/ and r2plus1d_18/.")
    ] = None,
    annotations: Annotated[Path | None, typer.Option(help="Folder of the published annotations.")] = None,
    dtype: Annotated[Literal["float32", "float16"], typer.Option(help="Type of the stored features.")] = "float32",
    keep_frames: Annotated[
        bool,
        typer.Option(
            "--keep-frames",
            help="Keep the frames of a segment for parser.stem.rates (8 GB for LLP) and not their mean (1.3 GB).",
        ),
    ] = False,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting of the data set: segment_seconds=0.5.")
    ] = None,
    format_name: FormatName = None,
    video: VideoName = "",
    modality: ModalityName = "",
    frame_rate: FrameRate = None,
) -> None:
    """Import published features into a feature store (a killed import continues), or events of other programs."""
    if name == "events":
        tell_import(files or [], out, format_name, given_facts(video, modality, frame_rate))
        return
    if features is None or annotations is None or files:
        told = f"'import {name}' takes {files[0]} for nothing" if files else f"'import {name}' reads a data set"
        raise UserError(f"{told}; give --features and --annotations, or import events FILE")
    from avparse.data.datasets import DATASETS
    from avparse.data.datasets.importing import import_dataset
    from avparse.foundation.settings import build, read_part

    settings: dict[str, Any] = {"name": name}
    if changes:
        from avparse.training.recipe import apply_change  # slow to load: it knows every part of a recipe

        for change in changes:
            apply_change(settings, change)
    dataset = build(DATASETS, read_part(DATASETS, "data set", settings))
    report = import_dataset(dataset, features, annotations, out, dtype, keep_frames)
    print(report)
    if report.problems:
        raise typer.Exit(3)
