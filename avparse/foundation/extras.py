"""Import of libraries that only an optional part needs and that a plain installation lacks."""

from __future__ import annotations

import importlib
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
