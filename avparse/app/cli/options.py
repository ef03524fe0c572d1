"""Options and outputs that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from avparse.foundation.errors import UserError, printable
from avparse.media.files import LeftOut

if TYPE_CHECKING:
    from avparse.media.decoding.guard import Limits

Out = Annotated[Path, typer.Option("--out", "-o", help="Where to write.")]
Workers = Annotated[
    int | None, typer.Option(help="Number of processes; all cores by default, 0 for no additional one.", min=0)
]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Try files again that could not be read before, also unchanged ones.")
]
Limit = Annotated[
    list[str] | None,
    typer.Option("--limit", help="Change what a file may cost, such as stuck_seconds=300.", metavar="N=V"),
]


def _store(path: Path) -> Path:
    """Refuse a folder without a feature store, before the libraries of the work are loaded."""
    if not (path / "manifest.json").is_file():
        from avparse.data.store import FeatureStore

        FeatureStore.open(path)  # says what is wrong
    return path


Store = Annotated[Path, typer.Option("--data", help="A feature store.", callback=_store)]
StoreArgument = Annotated[Path, typer.Argument(help="A feature store.", metavar="STORE", callback=_store)]
Seed = Annotated[int, typer.Option(help="Random seed.", min=0)]


def _present(device: str) -> str:
    """Refuse a device that this machine lacks."""
    if device in {"cuda", "mps"}:
        import torch

        backend = torch.cuda if device == "cuda" else torch.backends.mps
        if not backend.is_available():
            raise UserError(f"--device {device}: torch finds none on this machine; give 'auto' or 'cpu'")
    return device


Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Device to compute on.", callback=_present)]


def this_program() -> tuple[str, ...]:
    """Return the command that started this program, without its arguments, to start it again with others."""
    script, spec = Path(sys.argv[0]), getattr(sys.modules["__main__"], "__spec__", None)
    if script.suffix != ".py" or not script.is_file():
        return (sys.executable, "-m", "avparse")
    if spec is not None:  # python -m MODULE
        return (sys.executable, "-m", spec.name.removesuffix(".__main__"))
    return (sys.executable, str(script))


def read_limits(changes: Sequence[str] | None) -> Limits:
    """Return the limits of the size and cost of a file with the changes of ``--limit``.

    Raises:
        UserError: a change is not NAME=VALUE, names no limit, or gives it a bad value.
    """
    from avparse.foundation.settings import lookup
    from avparse.media.decoding.guard import Limits

    values = {}
    for change in changes or ():
        name, equals, value = change.partition("=")
        if not equals:
            raise UserError(f"--limit {change}: write NAME=VALUE, such as stuck_seconds=300")
        lookup(Limits.model_fields, name, "limit")
        values[name] = value
    return Limits.read(values, "--limit")


def print_store(path: Path) -> None:
    """Check a feature store and print its content."""
    from avparse.data.store import FeatureStore
    from avparse.data.store.info import describe

    print(describe(FeatureStore.open(path)))


def tell_failures(failures: Sequence[tuple[str, str]]) -> None:
    """Name the files that could not be read and exit with 3, so that a script can tell partial from full success."""
    for path, reason in failures:
        print(printable(f"skipped {path}: {reason.removeprefix(f'{path}: ')}"), file=sys.stderr)
    if failures:
        raise typer.Exit(3)


def tell_left_out(left: Sequence[LeftOut], folder: Path) -> None:
    """Name files that have no result, by kind of reason, and exit with 3 if any of them may have been a video."""
    from avparse.app.skipped import SKIPPED, summary

    lines = summary(left, folder / SKIPPED)
    for line in lines:
        print(printable(line), file=sys.stderr)
    if lines:
        raise typer.Exit(3)
