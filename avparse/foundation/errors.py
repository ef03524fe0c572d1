"""Errors a user can mend. The command line prints each as one line and exits with code 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Bad input. The message is one line that names the file or field, what is wrong, and the mend."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest known name, or the list of known names when none is close."""
    options = [str(k) for k in known]
    folded = {option.casefold(): option for option in options}
    close = difflib.get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{folded[close[0]]}'?"
    return f"; known: {', '.join(sorted(options))}"
