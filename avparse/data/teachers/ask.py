"""Embedding of every segment of a store by a frozen two-tower network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from avparse.data.scores import Subsets, TeacherInfo, TeacherScores
from avparse.data.store import FeatureStore
from avparse.data.teachers.config import TeacherConfig, worded_classes, worded_subsets
from avparse.data.teachers.embedding_cache import EmbeddingCache
from avparse.data.teachers.video_frames import published, watched
from avparse.foundation.errors import UserError
from avparse.foundation.progress import track
from avparse.media.pipeline import Failed
from avparse.media.towers.tower import Tower


def ask(store: FeatureStore, config: TeacherConfig, tower: Tower) -> Iterator[Failed | TeacherScores]:
    """Yield the videos that could not be read, then the scores of the others.

    Finished embeddings are stored in a cache, so that a call after a killed one continues. Videos whose embeddings were
    saved earlier, by the same network with the same settings, are not processed again, so other prompts are cheap.

    Raises:
        UserError: the folder of videos or the prompts cannot be read, or no video could be.
    """
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
        segment_seconds=store.segment_seconds,
        classes=store.vocabulary.names,
        prompts=prompts,
        subset_prompts=subset_prompts,
    )
    with EmbeddingCache(store, config.teacher, tower.modality, identity) as cache:
        todo = [video for video in store.videos if video not in cache]
        if config.embeddings is None:
            results = watched(store, todo, config.videos, tower)
        else:
            results = published(store, todo, config.embeddings, tower)
        failures = 0
        title = f"{config.name}, {tower.modality}"
        for video, found in track(results, title, total=len(store), first=len(store) - len(todo)):
            if isinstance(found, Failed):
                failures += 1
                if failures == len(store):
                    raise UserError(f"{found.reason} (and so with all {failures} videos)")
                yield found
            else:
                cache.add(video, found)
        yield replace(cache.scores(store, info, texts), subsets=subsets)
        cache.remove()
