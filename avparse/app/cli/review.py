"""Commands by which people decide about labels and events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from avparse.app.cli.default_command import DefaultCommand
from avparse.app.cli.given_paths import check_inputs
from avparse.foundation.errors import UserError

app = typer.Typer()
review_app = typer.Typer(
    cls=DefaultCommand,
    no_args_is_help=True,
    help="Decide about doubtful labels or events in the browser ('avparse review STORE --labels TABLE', "
    "'avparse review TIMELINES'), and export the decisions.",
)
app.add_typer(review_app, name="review", rich_help_panel="Labels")


@review_app.callback()
def _group() -> None:
    pass


@review_app.command("open")
def open_page(
    paths: Annotated[
        list[Path], typer.Argument(help="A feature store, or timelines and folders of them.", metavar="STORE|TIMELINES")
    ],
    labels: Annotated[Path | None, typer.Option(help="Labels of the store, a table that 'denoise' wrote.")] = None,
    run: Annotated[
        Path | None, typer.Option("--run", help="A run whose parser tells which seconds argue against a label.")
    ] = None,
    media: Annotated[
        list[Path] | None, typer.Option(help="Folder of the files of the videos, each named by its id. Repeatable.")
    ] = None,
    database: Annotated[
        Path | None, typer.Option(help="File of the review; by default LABELS.review.sqlite beside the labels.")
    ] = None,
    author: Annotated[str, typer.Option(help="Your name; by default the page asks.")] = "",
    overlap: Annotated[
        float, typer.Option(help="Share of the items that two reviewers get, to measure agreement.", min=0, max=1)
    ] = 0.0,
    port: Annotated[int, typer.Option(help="Port of the page; 0 for one that is free.", min=0, max=65535)] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address and open no browser.")] = False,
) -> None:
    """Open the page, which shows what is most likely wrong and takes decisions by keyboard; meant by default."""
    check_inputs(paths)
    from avparse.foundation.extras import library

    for module in ("fastapi", "uvicorn"):
        library(module, "review", "reviews")
    from avparse.app.review.opening import Given, open_review
    from avparse.app.review.server.messages import reviewer
    from avparse.app.review.server.routes import PageFacts, make_app
    from avparse.app.review.server.serving import Server, show

    try:
        name = reviewer(author) if author else ""
    except ValueError as error:
        raise UserError(f"--author: {error}; give another") from None
    opened = open_review(Given(paths, labels, run, media or (), database), overlap)
    with opened.database:
        server = Server(make_app(opened.review, PageFacts(name, opened.warning, opened.media_note)), port)
        print(f"review: {server.address}\nstop with Ctrl-C", flush=True)
        if not no_browser:
            show(server.address, print)
        server.run()
        decided, items = opened.review.counts()
    table = "-o labels.parquet" if opened.review.source.kind == "labels" else "--events events.csv"
    print(f"{decided} of {items} decided; write them with: avparse review export {opened.database.path} {table}")


@review_app.command("export")
def export(
    reviews: Annotated[
        list[Path], typer.Argument(help="Files of one review, or folders that hold them.", metavar="DATABASE|STORE")
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Labels to write, for 'train --labels'.")] = None,
    events: Annotated[
        Path | None, typer.Option(help="Events to write, for 'evaluate --events' and 'data relabel --events'.")
    ] = None,
    only_decided: Annotated[
        bool,
        typer.Option(
            "--only-decided",
            help="Labels that nobody decided about stay as given, and videos with such events are left out.",
        ),
    ] = False,
    propagate: Annotated[
        bool,
        typer.Option("--propagate", help="Labels that nobody decided about follow decisions about their like."),
    ] = False,
    disagreements: Annotated[
        Literal["latest", "majority"], typer.Option(help="Which decision counts where reviewers differ.")
    ] = "latest",
) -> None:
    """Write what was decided; what nobody decided about keeps its suggestion."""
    check_inputs(reviews)
    from avparse.app.review.exporting import Choices
    from avparse.app.review.exporting import export as run_export

    for line in run_export(reviews, out, events, Choices(disagreements, only_decided, propagate)):
        print(line)
