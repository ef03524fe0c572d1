"""Commands that fetch and check the weights of published networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avparse.foundation.errors import UserError

app = typer.Typer()
weights_app = typer.Typer(help="Weights of published networks.", no_args_is_help=True)
app.add_typer(weights_app, name="weights", rich_help_panel="Data")


@weights_app.command("list")
def list_weights(
    cite: Annotated[bool, typer.Option("--cite", help="Also say where they come from and whom to cite.")] = False,
) -> None:
    """List the networks that avparse can use, and which of them are on this machine."""
    from avparse.media.weights import WEIGHTS
    from avparse.media.weights.cache import weights_folder

    folder = weights_folder()
    for name, entry in WEIGHTS.items():
        here = "here" if entry.source.held(folder) is not None else "-"
        print(f"{name:<20} {entry.size / 1e6:>7,.1f} MB  {here:<5} {entry.licence:<13} {entry.purpose}")
        if cite:
            print(f"{'':<20} {entry.source.origin}\n{'':<20} {entry.citation}")
    print(f"files are kept in {folder}, models of the hub in the hub's own cache")


@weights_app.command("fetch")
def fetch(
    names: Annotated[list[str], typer.Argument(help="Names of networks, as 'avparse weights list' prints them.")],
    given: Annotated[
        Path | None, typer.Option("--from", help="Take this local file, where there is no network.", metavar="FILE")
    ] = None,
) -> None:
    """Fetch weights into the cache, each checked by its SHA-256; a good copy is never replaced by a bad one."""
    from avparse.foundation.settings import lookup
    from avparse.media.weights import WEIGHTS
    from avparse.media.weights.cache import fetch_weights

    for name in names:
        lookup(WEIGHTS, name, "network")
    if given is not None and len(names) > 1:
        raise UserError(f"--from {given}: one file for {len(names)} networks; fetch them one by one")
    for name in names:
        print(f"{name}: {fetch_weights(name, given)}")


@weights_app.command("verify")
def verify() -> None:
    """Check all weights on this machine anew; exit code 2 if one is not the published one."""
    from avparse.media.weights.cache import verify_weights, weights_folder

    found = list(verify_weights())
    for one in found:
        print(f"{one.name}: {one.problem or f'good ({one.path})'}")
    bad = [one.name for one in found if one.problem]
    if bad:
        raise UserError(f"{len(bad)} of {len(found)} are wrong; replace them: avparse weights fetch {' '.join(bad)}")
    if not found:
        print(f"{weights_folder()}: no weights yet; avparse weights list")
