"""What a finished run scored on the test split: ``results.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from avparse.evaluation.parsing import METRICS, as_text
from avparse.foundation.files import write_json
from avparse.foundation.reading import read_json
from avparse.foundation.settings import Settings

RESULTS = "results.json"


def _all_metrics(scores: dict[str, float]) -> dict[str, float]:
    missing = [name for name in METRICS if name not in scores]
    if missing:
        raise ValueError(f"lacks {', '.join(missing)}")
    return {name: scores[name] for name in METRICS}


class Results(Settings):
    """Scores of a run on the test split.

    Attributes:
        split: the split that was scored.
        videos: number of its videos.
        epoch: the epoch whose parser was kept, counted from 0.
        scores: system -> its ten metrics in percent. The systems are the parser alone (``"parser"``), the parser given
            the weak labels, and the weak labels copied into every segment.
    """

    split: str
    videos: int
    epoch: int
    scores: dict[str, Annotated[dict[str, float], AfterValidator(_all_metrics)]]

    @classmethod
    def load(cls, run: Path) -> Results:
        """Read the results in a run folder.

        Raises:
            UserError: there are no results yet, or the file is damaged.
        """
        path = run / RESULTS
        return cls.read(
            read_json(path, mend="train the run to its end, with a test split that has dense truth"), f"{path}"
        )

    def save(self, run: Path) -> None:
        """Write the results into a run folder."""
        write_json(run / RESULTS, self.model_dump(mode="json"))

    def __str__(self) -> str:
        return f"{self.videos} {self.split} videos, epoch {self.epoch + 1}\n{as_text(self.scores)}"

    def __repr__(self) -> str:
        return f"Results: {self}"
