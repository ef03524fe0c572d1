"""A frozen two-tower network as a teacher: it embeds every segment of a store, and the texts of the classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from avparse.data.scores import Subsets, TeacherInfo, TeacherScores
from avparse.data.store import FeatureStore
from avparse.data.teachers.config import TeacherConfig, worded_classes, worded_subsets
from avparse.data.teachers.segment_cache import SegmentCache, kept
from avparse.data.teachers.video_frames import published, watched
from avparse.foundation.errors import UserError
from avparse.media.pipeline import Failed
from avparse.media.towers.tower import Tower


class TowerTeacher(ABC):
    """A teacher whose network a subclass makes from its settings."""

    def __init__(self, config: TeacherConfig) -> None:
        self.config = config

    @abstractmethod
    def tower(self) -> Tower:
        """Return the network.

        Raises:
            UserError: the checkpoint cannot be read.
        """

    def __call__(self, store: FeatureStore) -> Iterator[Failed | TeacherScores]:
        """Yield the videos that could not be read, then the scores of the others.

        What is embedded is kept on the way; a call after a killed one goes on. Videos whose embeddings were saved
        before, by the same network with the same settings, are not looked at again, so other prompts cost little.

        Raises:
            UserError: the network, the folder of videos or the prompts cannot be read, or no video could be.
        """
        config, tower = self.config, self.tower()
        if not len(store):
            raise UserError(f"{store.path}: holds no video that '{config.name}' could be asked about")
        prompts = worded_classes(config, tower.modality, store.vocabulary)
        subset_prompts, members = worded_subsets(config, tower.modality, store)
        texts = tower.texts(prompts)
        subsets = Subsets(members, tower.texts(subset_prompts)) if subset_prompts else None
        identity = tower.identity if config.embeddings is None else f"{tower.identity}, files of {config.embeddings}"
        info = TeacherInfo(
            teacher=config.teacher,
            modality=tower.modality,
            checkpoint=identity,
            logit_scale=tower.logit_scale,
            logit_bias=tower.logit_bias,
            unit_length=tower.unit_length,
            segment_seconds=store.segment_seconds,
            classes=store.vocabulary.names,
            prompts=prompts,
            subset_prompts=subset_prompts,
        )
        with SegmentCache(store, config.teacher, tower.modality, identity) as cache:
            yield from _embed(store, config, tower, cache)
            yield TeacherScores(info, *cache.collected(store), texts, subsets)
            cache.remove()


def _embed(store: FeatureStore, config: TeacherConfig, tower: Tower, cache: SegmentCache) -> Iterator[Failed]:
    """Add the embeddings of the videos that ``cache`` lacks; yield those that could not be read."""
    todo = [video for video in store.videos if video not in cache]
    if config.embeddings is None:
        results = watched(store, todo, config.videos, tower)
    else:
        results = published(store, todo, config.embeddings, tower)
    yield from kept(results, store, cache, f"{config.name}, {tower.modality}")
