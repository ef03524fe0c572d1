"""Commands about a user's own classes: a project, and examples of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avparse.app.cli.options import Workers

app = typer.Typer()
examples_app = typer.Typer(help="Look at examples of your own classes.", no_args_is_help=True)
app.add_typer(examples_app, name="examples", rich_help_panel="Labels")


@app.command(rich_help_panel="Data")
def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the project; what it has already is kept.")],
    classes: Annotated[
        str, typer.Option(help="Your classes: names with commas between, or a file with one a line.")
    ] = "Dog,Speech",
) -> None:
    """Write a project of your own: tables to fill, folders for examples and videos, the commands in order."""
    from avparse.app.project import make_project

    print(make_project(folder, classes))


@examples_app.callback()
def _group() -> None:
    pass


@examples_app.command("check")
def check(
    folder: Annotated[Path, typer.Argument(help="A folder that holds a folder of files for each class.")],
    extractor: Annotated[
        str | None, typer.Option("--with", help="Extractor of the features; by default the best at hand.")
    ] = None,
    workers: Workers = None,
) -> None:
    """Tell which classes are confused, which files look mislabelled, and which classes have few; changes nothing."""
    from avparse.app.examples import check as run_check

    print(run_check(folder, extractor, workers=workers))
