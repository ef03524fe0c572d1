"""What ``parse --with`` names: networks that come together and judge one modality or both."""

from __future__ import annotations

from typing import Protocol

from avparse.models.training_free.parser import Judge


class Network(Protocol):
    """Networks that were made together; one file each. Looking whether they are at hand loads none of them."""

    def missing(self, modality: str) -> str:
        """Return what keeps it from judging a modality on this machine, with the mend; empty where it can."""
        ...

    def judge(self, modality: str, classes: tuple[str, ...]) -> Judge:
        """Return the judge of a modality for some classes.

        Raises:
            UserError: a file of the network is damaged, or a class is unknown to it and to the lists of names.
        """
        ...
