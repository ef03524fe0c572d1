"""The command line: each command reads its arguments, calls one function and prints the result.

Exit codes: 0 for success, 2 for bad input (one line says what is wrong and how to fix it), 3 for success except for
some files that could not be read or runs of a table that failed, 130 and 143 for an interruption by Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from typing import Annotated

import typer

from avparse import __version__
from avparse.app.cli import data, labels, parse, training
from avparse.foundation.errors import UserError
from avparse.foundation.progress import showing

_INTERRUPTED = (128 + signal.SIGINT, 128 + signal.SIGTERM)

app = typer.Typer(
    help="Which events are heard, which are seen and which are both, second by second.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (parse, training, labels, data):
    app.add_typer(group.app)


def main() -> None:
    """Run the command line; a user error is printed as one line, with exit code 2."""
    # Read when torch loads: idle threads sleep instead of spinning, many times faster when another process shares the
    # cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(format="avparse: %(message)s", level=logging.WARNING)
    try:
        with showing("bar"):
            app()
    except UserError as error:
        traceback.clear_frames(error.__traceback__)  # releases a progress bar, which then ends its line
        print(f"avparse: error: {error}", file=sys.stderr)
        sys.exit(2)
    except SystemExit as end:
        if end.code in _INTERRUPTED:
            print("avparse: interrupted", file=sys.stderr)
        raise


def _version(show: bool) -> None:
    if show:
        print(f"avparse {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass
