"""A small synthetic corpus of real video files with known truth, drawn with the label statistics of LLP.

Layout::

    corpus.json         settings; written first, so that an interrupted run can be continued
        videos/ID.mp4       one file per video, each complete or absent
        *.csv, classes.txt  tables in LLP's format, and the dense truth of train in separate tables; written last
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import avparse
from avparse.data.datasets.llp import write_llp
from avparse.data.made_up import CORPUS
from avparse.data.simulation.statistics import LabelStatistics, Split
from avparse.data.simulation.truth import Truth, draw_truth
from avparse.data.vocabulary import Vocabulary
from avparse.foundation.arrays import BoolArray
from avparse.foundation.errors import UserError
from avparse.foundation.files import sweep, write_json, writing
from avparse.foundation.platform import cores, interrupts_held, leave_signals_to_parent
from avparse.foundation.progress import track
from avparse.foundation.reading import read_json
from avparse.foundation.settings import lookup
from avparse.media.synthesis.pictures import PICTURES
from avparse.media.synthesis.render import Scene, render_video
from avparse.media.synthesis.sounds import SOUNDS

_SHARES: dict[Split, float] = {"train": 0.60, "val": 0.15, "test": 0.25}

Job = tuple[Path, Scene, int]


@dataclass(frozen=True)
class CorpusSummary:
    """Result of a synthesis.

    Attributes:
        folder: path of the corpus.
        classes: class names, in the order of the tables.
        videos: number of videos in each split.
        rendered: number of files made by this call.
        kept: number of files that existed already.
        audible, visible: share of the weak labels that are really heard, and really seen.
    """

    folder: Path
    classes: tuple[str, ...]
    videos: dict[str, int]
    rendered: int
    kept: int
    audible: float
    visible: float


def synthesise(
    out: str | os.PathLike[str],
    videos: int,
    seed: int,
    workers: int | None = None,
    classes: Sequence[str] | None = None,
) -> CorpusSummary:
    """Make a corpus in the folder ``out``, or finish one that was interrupted.

    The files are a function of ``videos``, ``seed`` and ``classes``, whatever the number of processes.

    Args:
        out: a new or empty folder, or one of an interrupted call with the same settings.
        videos: number of videos in all; about 60 % train, 15 % val and 25 % test.
        seed: seed of the corpus, not negative.
        workers: processes; by default one for each core that this process may use, 0 or 1 for none beside this one.
            More are spawned, so a script that calls this needs the usual ``if __name__ == "__main__"``.
        classes: some of ``SOUNDS``; by default all.

    Raises:
        UserError: a number out of range, an unknown class, a folder that holds something else, or a full disk.
    """
    folder = Path(out)
    for what, value, least in (("videos", videos, 1), ("seed", seed, 0), ("workers", workers or 0, 0)):
        if value < least:
            raise UserError(f"{folder}: {what} is {value}; give {least} or more")
    for name in classes or ():
        lookup(SOUNDS, name, "class with a synthetic sound")
        lookup(PICTURES, name, "class with a drawn picture")
    statistics = LabelStatistics.load().restricted_to(tuple(SOUNDS) if classes is None else classes)
    settings = {"version": avparse.__version__, "videos": videos, "seed": seed, "classes": list(statistics.classes)}
    _claim(folder, settings)
    splits, truth = _draw(statistics, videos, seed)
    segments = truth.audio.shape[1]
    # Eleven characters and the span in seconds, as LLP names its clips.
    ids = [f"synth{n:06d}_0_{segments}" for n in range(videos)]
    seeds = np.random.SeedSequence(seed).generate_state(videos, np.uint64).tolist()
    jobs: list[Job] = [
        (folder / "videos" / f"{video}.mp4", Scene(statistics.classes, audio, visual), own)
        for video, audio, visual, own in zip(ids, truth.audio, truth.visual, seeds, strict=True)
    ]
    missing = [job for job in jobs if not job[0].exists()]
    kept = len(jobs) - len(missing)
    processes = min(cores() if workers is None else max(workers, 1), max(len(missing), 1))
    for _ in track(_rendered(missing, processes), "synthesise", total=len(jobs), first=kept):
        pass
    vocabulary = Vocabulary(statistics.classes)
    write_llp(
        folder, vocabulary, ids, splits, weak=truth.weak, audio=truth.audio, visual=truth.visual, train_truth=True
    )
    return CorpusSummary(
        folder=folder,
        classes=statistics.classes,
        videos={split: splits.count(split) for split in _SHARES},
        rendered=len(missing),
        kept=kept,
        audible=_share(truth.audio, truth.weak),
        visible=_share(truth.visual, truth.weak),
    )


def _claim(folder: Path, settings: dict[str, Any]) -> None:
    """Write the settings of a new corpus, or check that they are those of the one that is there."""
    path = folder / CORPUS
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
    if not any(folder.iterdir()):
        write_json(path, settings)
        return
    if not path.exists():
        raise UserError(f"{folder}: the folder is not empty and holds no corpus; choose another folder")
    found = read_json(path, mend="choose another folder")
    changed = [key for key in settings if not isinstance(found, dict) or found.get(key) != settings[key]]
    if changed:
        raise UserError(f"{path}: a corpus with another {', '.join(changed)} is there; choose another folder")


def _draw(statistics: LabelStatistics, videos: int, seed: int) -> tuple[list[str], Truth]:
    """Draw the truth of all splits, one after the other; also return the split of each video."""
    edges = np.rint(np.cumsum([0.0, *_SHARES.values()]) * videos).astype(int)
    counts = dict(zip(_SHARES, np.diff(edges).tolist(), strict=True))
    segments = statistics.audio.active.shape[1]
    parts = [draw_truth(statistics, split, count, segments, seed) for split, count in counts.items() if count]
    weak, audio, visual = (
        np.concatenate([getattr(part, field) for part in parts]) for field in ("weak", "audio", "visual")
    )
    return [split for split, count in counts.items() for _ in range(count)], Truth(weak, audio, visual)


def _share(timelines: BoolArray, weak: BoolArray) -> float:
    """Return the share of the weak labels ``[N, C]`` whose class is ever active in ``timelines`` ``[N, T, C]``."""
    return float((timelines.any(axis=1) & weak).sum() / max(weak.sum(), 1))


def _rendered(jobs: Sequence[Job], processes: int) -> Iterator[None]:
    """Render all jobs, in any order; yield after each."""
    if processes == 1:
        for job in jobs:
            render_video(*job)
            yield
        return
    # Spawned processes inherit no locks of the threads that numpy or torch may have started here.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _obey_parent) as pool:
        try:
            with interrupts_held():
                waiting = [pool.submit(render_video, *job) for job in jobs]
            for done in as_completed(waiting):
                done.result()
                yield
        finally:
            pool.shutdown(cancel_futures=True)


def _obey_parent() -> None:
    """Leave interrupts to the parent process, and end with it even if it is killed."""
    leave_signals_to_parent()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
