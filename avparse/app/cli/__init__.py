"""The command line: each command reads its arguments, calls one function and prints the result.

Exit codes: 0 for success, 2 for bad input (one line says what is wrong and how to fix it), 3 for success except for
some files that could not be read or runs of a table that failed, 130 and 143 for an interruption by Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from avparse import __version__
from avparse.app.cli import data, examples, exchange, labels, parse, review, training, weights
from avparse.foundation.errors import UserError, printable
from avparse.foundation.interrupt import Interrupted, signals_end_the_program
from avparse.foundation.progress import showing

_INTERRUPTED = (128 + signal.SIGINT, 128 + signal.SIGTERM)
_GOES_ON = {"extract", "import", "parse", "train", "denoise", "bench", "demo", "synth", "teach"}

app = typer.Typer(
    help="Which events are heard, which are seen and which are both, second by second.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (parse, exchange, training, labels, examples, review, data, weights):
    app.add_typer(group.app)


def main() -> None:
    """Run the command line; a user error is printed as one line, with exit code 2."""
    # Read when torch loads: idle threads sleep instead of spinning, many times faster when another process shares the
    # cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(level=logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_Printable("avparse: %(message)s"))
    try:
        with signals_end_the_program(), showing("bar"):
            app()
    except UserError as error:
        traceback.clear_frames(error.__traceback__)  # releases a progress bar, which then ends its line
        print(f"avparse: error: {printable(str(error))}", file=sys.stderr)
        sys.exit(2)
    except (Interrupted, KeyboardInterrupt) as stop:
        traceback.clear_frames(stop.__traceback__)
        _tell_interrupted()
        sys.exit(128 + (stop.signal if isinstance(stop, Interrupted) else signal.SIGINT))
    except SystemExit as end:
        if end.code in _INTERRUPTED:
            _tell_interrupted()
        raise


class _Printable(logging.Formatter):
    """Shows what is logged without characters that a terminal obeys; names of files are others' to choose."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def _tell_interrupted() -> None:
    """Say in one line that the program was stopped, and how to go on."""
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    again = [Path(sys.argv[0]).name, *sys.argv[1:]]
    if command == "train" and "--resume" not in again:
        again.append("--resume")
    rest = f"; go on with: {printable(shlex.join(again))}" if command in _GOES_ON else ""
    print(f"avparse: interrupted{rest}", file=sys.stderr)


def _version(show: bool) -> None:
    if show:
        print(f"avparse {__version__}")
        raise typer.Exit


def _offline(given: bool) -> None:
    if given:
        from avparse.media.weights.offline import go_offline

        go_offline()


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
    offline: Annotated[bool, typer.Option("--offline", callback=_offline, help="Never use the network.")] = False,
) -> None:
    pass
