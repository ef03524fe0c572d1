"""Data that were made by a program, which every figure and every result of a parser trained on them names."""

from __future__ import annotations

from typing import Literal

MadeUp = Literal["", "simulated", "synthetic"]
SYNTHETIC = "synthetic corpus of real encoded videos"
CORPUS = "corpus.json"  # file that marks the folder of a synthetic corpus


def made_up(description: str) -> MadeUp:
    """Return whether the description of a store calls its data simulated or synthetic; empty for real data."""
    text = description.casefold()
    if "simulated" in text:
        return "simulated"
    return "synthetic" if "synthetic" in text else ""


def warning(kind: MadeUp) -> str:
    """Return what a parser that was trained on such data says of its results; empty for real data."""
    return f"the parser was trained on {kind} data: its results say nothing about real recordings" if kind else ""
