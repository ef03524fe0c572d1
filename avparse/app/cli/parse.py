"""Commands that parse videos and score parsers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from avparse.app.cli.exchange import format_names, tell_exports
from avparse.app.cli.given_paths import check_inputs, checked_run
from avparse.app.cli.options import Device, Limit, Out, RetryFailed, Seed, Store, Workers, read_limits, tell_left_out

app = typer.Typer()
command = partial(app.command, rich_help_panel="Parse and score")


@command()
def demo(
    out: Out = Path("runs/demo"),
    clips: Annotated[list[Path] | None, typer.Argument(help="Your own videos, parsed into the report too.")] = None,
    videos: Annotated[int, typer.Option(help="Size of the synthesised corpus.", min=40)] = 300,
    seed: Seed = 0,
    workers: Workers = None,
) -> None:
    """Run all steps on a small corpus that is made here: synthesise, extract, train, score, parse, report."""
    from avparse.app.demo import demo as run_demo

    run = run_demo(out, videos=videos, seed=seed, clips=clips or [], workers=workers)
    print((run.path / "comparison.md").read_text(encoding="utf-8"))
    print((run.path / "results.md").read_text(encoding="utf-8"))
    print(f"Open {run.path / 'report.html'}; parse your own: avparse parse VIDEO --run {run.path} -o OUT")


@command()
def parse(
    videos: Annotated[list[Path], typer.Argument(help="Video or audio files of any length, or folders of them.")],
    out: Out,
    run: Annotated[Path | None, typer.Option("--run", help="A run folder made by 'train' or 'demo'.")] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="Only these classes may appear: names with commas between, or a table 'video,labels'."),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            help="The classes: names with commas between, or a file with one a line. Without --run they are judged by "
            "networks at hand; with it they replace the run's, if its parser reads names (LEAP).",
            metavar="LIST_OR_FILE",
        ),
    ] = None,
    class_map: Annotated[
        Path | None,
        typer.Option(help="A YAML file that says what classes are called in the fixed lists of networks."),
    ] = None,
    label_vectors: Annotated[
        Path | None, typer.Option(help="Vectors of these classes, if the run's own source of them is not available.")
    ] = None,
    examples: Annotated[
        Path | None,
        typer.Option(help="In place of a run: a folder that holds, for each class, a folder of files of it."),
    ] = None,
    networks: Annotated[
        str | None,
        typer.Option(
            "--with",
            help="Networks to judge by without a run: pe-av, clip-clap, audioset or compact; with --examples the "
            "extractor of their features, such as light. The best at hand by default.",
        ),
    ] = None,
    workers: Workers = None,
    limit: Limit = None,
    retry_failed: RetryFailed = False,
    to: Annotated[
        str | None,
        typer.Option(
            help="Also export to these formats, into OUT/export: elan,audacity (see 'export').", metavar="NAMES"
        ),
    ] = None,
) -> None:
    """Parse videos: one JSON timeline for each, listed in index.csv, events.csv and report.html."""
    check_inputs(videos)
    formats = format_names(to)
    if examples is None and (run is not None or classes is None):
        run = checked_run(run)
    from avparse.app.parse_files import parse_files
    from avparse.app.parser_source import parser_source, source_of_examples
    from avparse.data.judged import told_judges
    from avparse.data.made_up import warning
    from avparse.data.vocabulary import MODALITIES

    if examples is None:
        source = parser_source(run, classes, networks, class_map, label_vectors)
    else:
        others = (run, classes, class_map, label_vectors)
        source = source_of_examples(examples, networks, others, out=out, workers=workers)
    judges = told_judges(source.judged_by, {m: source.unjudged(m) for m in MODALITIES})
    if judges:
        print(judges)
    left = parse_files(
        videos,
        source,
        out,
        labels=labels,
        workers=workers,
        limits=read_limits(limit),
        retry_failed=retry_failed,
    )
    print(f"{out}: one timeline per video (index.csv), events.csv, report.html")
    doubt = warning(source.trained_on)
    if doubt:
        print(f"{source.origin}: {doubt}")
    if formats:
        tell_exports([out], formats, out / "export")
    tell_left_out(left, out)


@command()
def report(
    timelines: Annotated[
        Path, typer.Argument(help="A folder that 'parse' wrote, a folder of JSON timelines, or one of them.")
    ],
    out: Out = Path("report"),
    against: Annotated[
        Path | None, typer.Option(help="Other timelines of the same videos, shown beside, with the differences.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="A table 'video,class,modality,onset,offset' of true events, shown beside.")
    ] = None,
    media: Annotated[
        Path | None, typer.Option(help="Folder of the videos, where they are not where 'parse' found them.")
    ] = None,
    run: Annotated[
        Path | None, typer.Option("--run", help="The run that parsed the videos, for its thresholds.")
    ] = None,
) -> None:
    """Write report pages of timelines, alone or beside another run or the truth, with what differs."""
    from avparse.app.report.from_stored import report_stored
    from avparse.data.made_up import warning

    rule = None
    if run is not None:
        from avparse.models.trained import TrainedParser

        rule = TrainedParser.open(checked_run(run)).rule
    done = report_stored(timelines, out, against=against, truth=truth, media=media, rule=rule)
    print(done)
    for kind in done.made_up:
        print(f"{timelines}: {warning(kind)}")


@command()
def evaluate(
    runs: Annotated[
        list[Path], typer.Option("--run", help="A run folder; of several runs, each has one row: its parser.")
    ],
    data: Store,
    split: Annotated[str, typer.Option(help="Name of the split to score.")] = "test",
    videos: Annotated[
        Literal["all", "overlapping", "single"],
        typer.Option(help="Only those in which two classes are heard at once or two seen, or only the others."),
    ] = "all",
    events: Annotated[
        Path | None,
        typer.Option(help="Table 'video,class,modality,onset,offset' to score against, in place of the store's truth."),
    ] = None,
    tune: Annotated[
        bool,
        typer.Option("--tune", help="First tune each parser's thresholds on the split 'val'; the run is not changed."),
    ] = False,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Also show the differences of further runs to the first, with intervals."),
    ] = False,
    device: Device = "auto",
) -> None:
    """Score a run on an annotated split: the parser, the parser given the weak labels, the labels copied everywhere."""
    from avparse.app.scoring import evaluate as run_evaluation

    paths = list(dict.fromkeys(runs))
    evaluation = run_evaluation(paths, data, split, videos=videos, events=events, tune=tune, device=device)
    print(evaluation)
    if compare:
        print(f"\n{evaluation.comparison()}")
