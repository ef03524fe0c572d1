"""CLIP as a visual teacher."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, model_validator

from avparse.data.scores import TeacherScores
from avparse.data.store import FeatureStore
from avparse.data.teachers.ask import ask
from avparse.data.teachers.config import TeacherConfig, styled
from avparse.media.pipeline import Failed
from avparse.media.towers.clip import ClipTower, Frames, Resize

# VPLAN's variant, frames and way of resizing, and LSLD's way of resizing, are our choice: unpublished or unverified.
_STYLES: dict[str, dict[str, Any]] = {
    "valor": {"checkpoint": "openai/clip-vit-large-patch14", "frames": "spread", "resize": "squash"},
    "vplan": {"checkpoint": "openai/clip-vit-base-patch32", "frames": "mean", "resize": "crop"},
    "lsld": {"checkpoint": "openai/clip-vit-base-patch16", "frames": "raw_mean", "resize": "crop", "subsets": True},
}


class ClipTeacher:
    """Embeds the pictures of a store's videos with :class:`~avparse.media.towers.clip.ClipTower`."""

    class Config(TeacherConfig):
        """Settings of the teacher ``clip``; ``frames``, ``per_segment`` and ``resize`` are those of the tower."""

        name: Literal["clip"] = "clip"
        frames: Frames = "spread"
        per_segment: int = Field(8, ge=1)
        resize: Resize = "squash"

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
        tower = ClipTower(
            config.checkpoint,
            frames=config.frames,
            per_segment=config.per_segment,
            resize=config.resize,
            device=config.device,
            batch_size=config.batch_size,
        )
        yield from ask(store, config, tower)
