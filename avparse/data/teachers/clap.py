"""CLAP as an audio teacher."""

from __future__ import annotations

from typing import Literal

from avparse.data.teachers.config import TeacherConfig
from avparse.data.teachers.tower_teacher import TowerTeacher
from avparse.media.towers.clap import ClapTower


class ClapTeacher(TowerTeacher):
    """Embeds the audio of a store's videos with :class:`~avparse.media.towers.clap.ClapTower`."""

    class Config(TeacherConfig):
        """Settings of a teacher that listens.

        Attributes:
            quantise: whether sound is rounded to 16 bits first, as LAION's library does.
        """

        name: Literal["clap"] = "clap"
        quantise: bool = True

    config: Config

    def tower(self) -> ClapTower:
        """Return the network.

        Raises:
            UserError: the checkpoint cannot be read.
        """
        config = self.config
        return ClapTower(
            config.checkpoint, quantise=config.quantise, device=config.device, batch_size=config.batch_size
        )
