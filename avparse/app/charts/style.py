"""Style of all charts, and writing of a chart as PNG and as SVG."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from avparse.data.made_up import made_up
from avparse.foundation.errors import UserError
from avparse.foundation.files import atomic_file

try:
    import matplotlib
    from matplotlib.figure import Figure
except ImportError:
    raise UserError("plots need matplotlib; install it with: pip install 'avparse[plot]'") from None

__all__ = ["COLOURS", "Figure", "about_data", "chart_style", "save"]

# Distinguishable by the colour-blind too (Okabe and Ito, "Color Universal Design", 2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_STYLE: Any = {
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "svg.hashsalt": "avparse",  # equal charts give equal files
}


def chart_style() -> AbstractContextManager[None]:
    """Return a context in which charts are drawn and written."""
    return matplotlib.rc_context(_STYLE)


def save(sheet: Figure, stem: Path) -> list[Path]:
    """Write ``stem.png`` and ``stem.svg``, each atomically, and return their paths.

    Raises:
        UserError: the files cannot be written.
    """
    paths = []
    for form, options in (("png", {"dpi": 150}), ("svg", {"metadata": {"Date": None}})):
        path = stem.parent / f"{stem.name}.{form}"
        with chart_style(), atomic_file(path) as file:
            sheet.savefig(file, format=form, **options)
        paths.append(path)
    return paths


def about_data(title: str, descriptions: Iterable[str]) -> str:
    """Return a title that says whether the data, or some of them, are simulated."""
    kinds = [made_up(description) for description in descriptions]
    found = " and ".join(sorted(set(filter(None, kinds))))
    if not found:
        return title
    return f"{title}, {found} data" if all(kinds) else f"{title}, some of {found} data"
