"""PE-AV as a teacher of both modalities, each asked with texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from avparse.data.scores import TeacherScores
from avparse.data.store import FeatureStore
from avparse.data.teachers.config import TeacherConfig
from avparse.data.teachers.tower_teacher import TowerTeacher
from avparse.media.extractors.pe_av import chosen_pe_av
from avparse.media.pipeline import Failed
from avparse.media.towers.pe_av import PeAvHearing, PeAvSeeing
from avparse.media.towers.tower import Tower


class PeAvTeacher:
    """Listens with one network and looks with another; their logits have scales and biases of their own."""

    class Config(TeacherConfig):
        """Settings of a teacher of both modalities.

        Attributes:
            modality: modality that is asked about; None for both, one after the other.
            checkpoint: local folder or name of a published model for the modality, or for both; None for the two
                published ones.
            per_segment: number of frames a segment that are looked at.
        """

        name: Literal["pe-av"] = "pe-av"
        teacher: str = Field("pe-av", pattern=r"^[A-Za-z0-9_+-]{1,64}$")
        checkpoint: str = ""
        modality: Literal["audio", "visual"] | None = None
        per_segment: int = Field(4, ge=1)

    def __init__(self, config: Config) -> None:
        self.config = config

    def __call__(self, store: FeatureStore) -> Iterator[Failed | TeacherScores]:
        """Yield what each modality says, and the videos that could not be read.

        Raises:
            UserError: a network, the folder of videos or the prompts cannot be read, or no video could be.
        """
        for teacher in (_Listening, _Looking):
            if self.config.modality in (None, teacher.modality):
                yield from teacher(self.config)(store)


class _Listening(TowerTeacher):
    modality = "audio"
    config: PeAvTeacher.Config

    def tower(self) -> Tower:
        config = self.config
        return PeAvHearing(config.checkpoint or chosen_pe_av()[0], device=config.device, batch_size=config.batch_size)


class _Looking(TowerTeacher):
    modality = "visual"
    config: PeAvTeacher.Config

    def tower(self) -> Tower:
        config = self.config
        return PeAvSeeing(
            config.checkpoint or chosen_pe_av()[1],
            per_segment=config.per_segment,
            device=config.device,
            batch_size=config.batch_size,
        )
