"""Import of libraries that only an optional part needs, and of none that nothing needs."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

from avparse.foundation.errors import UserError


def library(module: str, extra: str, what: str) -> Any:
    """Import an optional library.

    Args:
        module: name of the library's module.
        extra: extra of this package that installs the library.
        what: name of the feature that needs the library, for the message.

    Raises:
        UserError: the library is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.replace("_", "-")
        raise UserError(f"{what} need '{package}': pip install 'avparse[{extra}]'") from None


@contextlib.contextmanager
def only_version(module: str) -> Iterator[None]:
    """Let imports within know the version of a library without its code, which they would load and never call.

    Args:
        module: name of the library, which is also that of its package; one that is loaded already, or not installed, is
            left as it is.
    """
    try:
        stand_in = ModuleType(module)
        stand_in.__dict__["__version__"] = version(module)
    except PackageNotFoundError:
        yield
        return
    if module in sys.modules:
        yield
        return
    sys.modules[module] = stand_in
    try:
        yield
    finally:
        del sys.modules[module]
