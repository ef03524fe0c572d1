"""Parsing by a few examples of each class, on drawn videos with hidden truth (synthetic).

    python -m benchmarks.examples FOLDER [--extractor NAME] [--seeds N] [--videos N] [--files 3 5 10]

For every seed, FOLDER/sSEED gets examples (three seconds each, in which one class is heard and seen throughout, and as
many of no class) and a corpus of the demo's kind. Heads are fitted on the first 3, 5 and 10 files of each of the 19
classes, and every video of the corpus is parsed. Segment F of heard and of seen in percent, and the computing time of
the fit. What is there already is kept, features included, so a repeated call only fits and scores.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avparse.data.datasets.annotations import Annotations
from avparse.data.datasets.llp import read_llp
from avparse.data.examples import (
    NONE,
    ExampleHead,
    ExampleRows,
    extract_examples,
    first_streams,
    fit_head,
    read_examples,
)
from avparse.data.simulation.corpus import synthesise
from avparse.data.vocabulary import MODALITIES
from avparse.evaluation.parsing import score_parsing
from avparse.foundation.arrays import BoolArray
from avparse.media.feature_cache import FeatureCache
from avparse.media.pipeline import Extracted, Failed, extract_videos
from avparse.media.synthesis.render import Scene, render_video
from avparse.media.synthesis.sounds import SOUNDS

_MOST, _SECONDS, _SEGMENTS = 10, 3, 10  # example files a class, their length, and segments of a video
_CORPUS = 100  # added to the seed for the corpus


def make_material(folder: Path, seed: int, videos: int) -> None:
    """Draw the examples and the corpus of a seed, where they are missing."""
    classes, names = tuple(SOUNDS), (*SOUNDS, NONE)
    seeds = np.random.SeedSequence([seed, 77]).generate_state(_MOST * len(names))
    for number, own in enumerate(seeds.tolist()):
        name, path = names[number % len(names)], folder / "examples" / names[number % len(names)]
        path.mkdir(parents=True, exist_ok=True)
        active = np.array([[name == c for c in classes]] * _SECONDS)
        if not (file := path / f"{number // len(names)}.mp4").exists():
            render_video(file, Scene(classes, active, active), own)
    synthesise(folder / "corpus", videos, _CORPUS + seed)


def first_files(rows: ExampleRows, paths: Sequence[Path], count: int) -> ExampleRows:
    """Return the examples of the first ``count`` files of each class."""
    kept = np.array([int(path.stem) < count for path in paths])
    number = np.cumsum(kept) - 1
    inside = kept[rows.file]
    return ExampleRows(rows.modality, rows.stream, rows.features[inside], number[rows.file[inside]], rows.labels[kept])


def extract_corpus(folder: Path, streams: dict[str, str], extractor: str) -> list[Extracted]:
    """Return the features of the videos of a corpus, which are kept."""
    wanted = dict.fromkeys(streams.values(), extractor)
    cache, paths = (
        FeatureCache(folder / f"features-{extractor}", wanted, 1.0),
        sorted((folder / "corpus/videos").iterdir()),
    )
    for made in extract_videos([path for path in paths if path not in cache], wanted):
        if isinstance(made, Failed):
            raise SystemExit(made.reason)
        cache.keep(made)
    return [found for path in paths if (found := cache.find(path)) is not None]


def decide(heads: Sequence[ExampleHead], video: Extracted) -> list[BoolArray]:
    """Return the decisions ``[T, C]`` of both modalities."""
    return [video.streams[head.stream][:_SEGMENTS] @ head.weights + head.bias > 0 for head in heads]


def truth(labels: Annotations, video: str, classes: Sequence[str]) -> list[BoolArray]:
    """Return the truth ``[T, C]`` of both modalities."""
    found = [np.zeros((_SEGMENTS, len(classes)), dtype=bool) for _ in MODALITIES]
    for event in labels.videos[video].events or ():
        column = classes.index(event.class_name)
        found[MODALITIES.index(event.modality)][round(event.onset) : round(event.offset), column] = True
    return found


def measure(folder: Path, extractor: str, files: Sequence[int]) -> list[tuple[float, float, float]]:
    """Return segment F of heard and of seen, and the seconds of the fit, for each number of files."""
    examples, streams = read_examples(folder / "examples"), first_streams(extractor)
    rows = extract_examples(examples, streams, extractor, cache=folder / f"features-{extractor}")
    videos, labels = extract_corpus(folder, streams, extractor), read_llp(folder / "corpus")
    true = [truth(labels, video.video, examples.classes) for video in videos]
    results = []
    for count in files:
        begun_s = time.process_time()
        heads = [fit_head(first_files(one, examples.files, count)) for one in rows]
        cost_s = time.process_time() - begun_s
        found = [decide(heads, video) for video in videos]
        heard, seen, truly_heard, truly_seen = (
            np.stack([video[side] for video in some]) for some in (found, true) for side in (0, 1)
        )
        scores = score_parsing(heard, seen, truly_heard, truly_seen).as_dict()
        results.append((scores["segment_audio"], scores["segment_visual"], cost_s))
    return results


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--extractor", default="light")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--videos", type=int, default=60)
    parser.add_argument("--files", type=int, nargs="+", default=[3, 5, 10])
    given = parser.parse_args()
    table = []
    for seed in range(given.seeds):
        make_material(given.folder / f"s{seed}", seed, given.videos)
        table.append(measure(given.folder / f"s{seed}", given.extractor, given.files))
    print(f"synthetic, {given.extractor}, {given.seeds} seeds, {given.videos} videos each\n")
    print("| files a class | heard | seen | fit, s |\n|---|---|---|---|")
    for number, count in enumerate(given.files):
        heard, seen, cost_s = np.array([rows[number] for rows in table]).T
        spread = [f"{x.mean():.1f} ± {x.std(ddof=1) if len(x) > 1 else 0:.1f}" for x in (heard, seen)]
        print(f"| {count} | {spread[0]} | {spread[1]} | {cost_s.mean():.1f} |")


if __name__ == "__main__":
    main()
