"""Commands about examples of a user's own classes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avparse.app.cli.options import Workers

app = typer.Typer()
examples_app = typer.Typer(help="Look at examples of your own classes.", no_args_is_help=True)
app.add_typer(examples_app, name="examples", rich_help_panel="Labels")


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
