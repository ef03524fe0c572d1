"""What ``parse --with`` names: networks that come together and judge one modality or both."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from avparse.models.training_free.parser import Judge


class Network(Protocol):
    """Networks that were made together; one file each. Looking whether they are at hand loads none of them."""

    def missing(self, modality: str) -> str:
        """Return what keeps it from judging a modality on this machine, with the mend; empty where it can."""
        ...

    def judge(self, modality: str, classes: tuple[str, ...], class_map: Path | None = None) -> Judge:
        """Return the judge of a modality for some classes.

        Args:
            modality: "audio" or "visual".
            classes: names of the wanted classes.
            class_map: path of a class map of one's own, for networks with a fixed list of names.

        Raises:
            UserError: a file of the network is damaged, or a class is unknown to it and to the lists of names.
        """
        ...
