"""The weights on this machine: found, fetched, taken from a local file, and verified."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from avparse.foundation import platform
from avparse.foundation.errors import UserError
from avparse.foundation.settings import lookup
from avparse.media.weights.offline import is_offline
from avparse.media.weights.source import WrongWeightsError
from avparse.media.weights.table import WEIGHTS


def weights_folder() -> Path:
    """Return the folder of cached files: in ``AVPARSE_CACHE``, or else in the user's cache."""
    given = os.environ.get("AVPARSE_CACHE")
    return (Path(given).expanduser() if given else platform.user_cache() / "avparse") / "weights"


def find_weights(name: str, fetch: bool = True) -> Path:
    """Return a checked copy of the weights of a network.

    Args:
        name: key of ``WEIGHTS``.
        fetch: whether they are fetched where there is no copy and avparse is not offline.

    Returns:
        The file; for a model of the hub its folder.

    Raises:
        UserError: the name is unknown; the copy is not the published one; or there is none and it cannot be fetched.
    """
    source, folder = lookup(WEIGHTS, name, "network").source, weights_folder()
    path = source.held(folder)
    if path is not None:
        try:
            source.check(path)
        except WrongWeightsError as error:
            raise UserError(f"{error}; replace it: avparse weights fetch {name}") from None
        return path
    reason = "avparse is offline" if is_offline() else "not fetched"
    if fetch and not is_offline():
        try:
            return fetch_weights(name)
        except UserError as error:
            reason = str(error)
    raise UserError(
        f"no weights of '{name}' in {folder} ({reason}); with a network: avparse weights fetch {name}, "
        f"without: avparse weights fetch {name} --from FILE"
    )


def fetch_weights(name: str, given: Path | None = None) -> Path:
    """Bring the weights of a network into the cache, unless a good copy is there.

    Args:
        name: key of ``WEIGHTS``.
        given: local file to take instead of the published source.

    Raises:
        UserError: the name is unknown; the source cannot be reached; or what it gives is not what was published, and
            then a copy that was there is still there.
    """
    entry, folder = lookup(WEIGHTS, name, "network"), weights_folder()
    if given is not None:
        return entry.source.take(given, folder)
    path = entry.source.held(folder)
    if path is not None:
        try:
            entry.source.check(path)
        except WrongWeightsError:
            path = None
    if path is None and is_offline():
        raise UserError(f"weights of '{name}' cannot be fetched: avparse is offline; give a local file with --from")
    return path or entry.source.fetch(folder, entry.size)


@dataclass(frozen=True)
class Verified:
    """What was found of one network.

    Attributes:
        name: key of ``WEIGHTS``.
        path: path of the copy.
        problem: description of what is wrong; empty where the copy is the published one.
    """

    name: str
    path: Path
    problem: str = ""


def verify_weights() -> Iterator[Verified]:
    """Check every copy on this machine anew, one after the other."""
    for name, entry in WEIGHTS.items():
        path = entry.source.held(weights_folder())
        if path is not None:
            try:
                entry.source.check(path)
            except WrongWeightsError as error:
                yield Verified(name, path, str(error))
            else:
                yield Verified(name, path)
