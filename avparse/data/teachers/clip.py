"""CLIP as a visual teacher."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from avparse.data.teachers.config import TeacherConfig
from avparse.data.teachers.tower_teacher import TowerTeacher
from avparse.media.towers.clip import ClipTower, Frames, Resize


class ClipTeacher(TowerTeacher):
    """Embeds the pictures of a store's videos with :class:`~avparse.media.towers.clip.ClipTower`."""

    class Config(TeacherConfig):
        """Settings of a teacher that looks.

        Attributes:
            frames: choice of the frames of a segment, and way of joining their embeddings.
            per_segment: number of frames a segment.
            resize: way of bringing a frame to the size that the network reads.
        """

        name: Literal["clip"] = "clip"
        frames: Frames = "spread"
        per_segment: int = Field(8, ge=1)
        resize: Resize = "squash"

    config: Config

    def tower(self) -> ClipTower:
        """Return the network.

        Raises:
            UserError: the checkpoint cannot be read.
        """
        config = self.config
        return ClipTower(
            config.checkpoint,
            frames=config.frames,
            per_segment=config.per_segment,
            resize=config.resize,
            device=config.device,
            batch_size=config.batch_size,
        )
