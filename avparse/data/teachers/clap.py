"""CLAP as an audio teacher."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import model_validator

from avparse.data.scores import TeacherScores
from avparse.data.store import FeatureStore
from avparse.data.teachers.ask import ask
from avparse.data.teachers.config import TeacherConfig, styled
from avparse.media.pipeline import Failed
from avparse.media.towers.clap import ClapTower

# VALOR's own weights (630k-fusion-best) are not published for transformers: these were trained on AudioSet as well.
# It is unknown which weights VAPLAN uses.
_STYLES: dict[str, dict[str, Any]] = {
    "valor": {"checkpoint": "laion/clap-htsat-fused"},
    "vplan": {"checkpoint": "laion/clap-htsat-fused"},
    "lsld": {"checkpoint": "laion/clap-htsat-unfused", "subsets": True},
}


class ClapTeacher:
    """Embeds the audio of a store's videos with :class:`~avparse.media.towers.clap.ClapTower`."""

    class Config(TeacherConfig):
        """Settings of the teacher ``clap``: those of every teacher, and ``quantise`` of the tower."""

        name: Literal["clap"] = "clap"
        quantise: bool = True

        @model_validator(mode="before")
        @classmethod
        def _styled(cls, values: Any) -> Any:
            return styled(values, _STYLES)

    def __init__(self, config: Config) -> None:
        self.config = config

    def __call__(self, store: FeatureStore) -> Iterator[Failed | TeacherScores]:
        """Yield the videos that could not be read, then the scores of the others.

        Raises:
            UserError: the network, the videos or the prompts cannot be read.
        """
        config = self.config
        tower = ClapTower(
            config.checkpoint, quantise=config.quantise, device=config.device, batch_size=config.batch_size
        )
        yield from ask(store, config, tower)
