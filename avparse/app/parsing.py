"""Parsing of videos to timelines."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from avparse.app.parser_source import parser_source, source_of_examples
from avparse.data.features import TaskSpec
from avparse.data.timeline import Timeline, events_of
from avparse.data.vocabulary import MODALITIES, Vocabulary
from avparse.foundation.arrays import Float32Array
from avparse.foundation.errors import UserError
from avparse.foundation.progress import Progress, showing, track
from avparse.media.decoding.guard import DEFAULT_LIMITS, Limits
from avparse.media.extractors import EXTRACTORS, make_cards
from avparse.media.feature_cache import FeatureCache
from avparse.media.files import find_media
from avparse.media.pipeline import Extracted, Failed, extract_videos
from avparse.media.video_ids import file_id
from avparse.models.source import ParserSource, SegmentParser
from avparse.models.trained import TrainedParser
from avparse.models.windows import predict_windows

Only = Callable[[str], Sequence[str] | None]


@dataclass(frozen=True)
class Parsed:
    """A parsed video.

    Attributes:
        path: path of the file.
        timeline: probabilities and events of the video.
        gates: gate probabilities ``[T, C]`` of each modality.
        only: classes that the parse was restricted to, None for all.
    """

    path: Path
    timeline: Timeline
    gates: dict[str, Float32Array]
    only: Sequence[str] | None


@overload
def parse(  # type: ignore[overload-overlap]  # a string is a path here, never an iterable of letters
    source: str | Path,
    run: str | os.PathLike[str] | TrainedParser | None = None,
    *,
    classes: str | Path | Sequence[str] | None = None,
    networks: str | None = None,
    class_map: str | Path | None = None,
    examples: str | Path | None = None,
    labels: Sequence[str] | None = None,
    workers: int | None = None,
    progress: Progress = "auto",
) -> Timeline | Any: ...


@overload
def parse(
    source: Iterable[str | Path],
    run: str | os.PathLike[str] | TrainedParser | None = None,
    *,
    classes: str | Path | Sequence[str] | None = None,
    networks: str | None = None,
    class_map: str | Path | None = None,
    examples: str | Path | None = None,
    labels: Sequence[str] | None = None,
    workers: int | None = None,
    progress: Progress = "auto",
) -> Iterator[Timeline | Failed]: ...


def parse(
    source: str | Path | Iterable[str | Path],
    run: str | os.PathLike[str] | TrainedParser | None = None,
    *,
    classes: str | Path | Sequence[str] | None = None,
    networks: str | None = None,
    class_map: str | Path | None = None,
    examples: str | Path | None = None,
    labels: Sequence[str] | None = None,
    workers: int | None = None,
    progress: Progress = "auto",
) -> Any:
    """Parse one or many videos: which events are heard and which are seen, second by second.

    Args:
        source: path of a video or audio file of any length; a folder, whose files are parsed, those of nested folders
            too, but not what lies beside videos, such as thumbnails; or several paths.
        run: trained run whose features avparse can extract, or its folder; None to parse ``classes`` without training,
            by networks that are at hand.
        classes: names of the classes, in a list, with commas between, or in a file with one a line. With a run they
            replace its own, if its parser reads names (LEAP); None for the run's.
        networks: name of the networks that judge without a run, such as ``"clip-clap"``; None for the best at hand.
        class_map: path of a class map of one's own, for networks that know a fixed list of names.
        examples: path of a folder that holds, for each class, a folder of files of it, in place of a run and of
            classes; ``networks`` is then the extractor of their features.
        labels: only classes that may appear, if a video's labels are known; None for any.
        workers: number of processes that decode several files; None for one per core; 0 for no other process.
        progress: display of the progress: None, ``"bar"``, a function ``(done, total, what)``, or ``"auto"``, as in
            :func:`avparse.foundation.progress.showing`.

    Returns:
        For one file its timeline. For a folder or several paths an iterator over the results in the order of the files,
        each computed on request: a timeline, or :class:`Failed` with the path of a file that could not be read and the
        reason. A bad file therefore does not affect the others. A probability that no network can judge is NaN.

    Raises:
        UserError: the single file cannot be read, the run has no trained parser or reads features that cannot be
            extracted, a class is unknown, or no network is at hand.

    Example:
        >>> timeline = avparse.parse("clip.mp4", classes=["Dog", "Speech"])  # doctest: +SKIP
        >>> for event in timeline.events:  # doctest: +SKIP
        ...     print(event.class_name, event.modality, event.onset, event.offset)
    """
    if examples is None:
        parser = parser_source(run, classes, networks, class_map)
    else:
        parser = source_of_examples(examples, networks, (run, classes, class_map), workers=workers)
    if labels is not None:
        Vocabulary(parser.spec.classes).encode(labels, "labels")
    one = isinstance(source, str | Path) and not Path(source).is_dir()
    paths = find_media([source] if isinstance(source, str | Path) else source).files
    with showing(progress):
        parsed = parse_videos(paths, parser, only=lambda video: labels, workers=workers)
    results = (result if isinstance(result, Failed) else result.timeline for result in parsed)
    if not one:
        return results
    (result,) = results
    if isinstance(result, Failed):
        raise UserError(result.reason)
    return result


def parse_videos(
    paths: Sequence[Path],
    source: ParserSource,
    *,
    only: Only = lambda video: None,
    workers: int | None = None,
    cache: FeatureCache | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[Parsed | Failed]:
    """Parse videos of any length, in the order given.

    Args:
        paths: paths of video or audio files.
        source: origin of the parser, such as a run whose features avparse can extract.
        only: function from the id of a video to the classes that may appear in it, None for all classes.
        workers: number of decoding processes; None for all cores.
        cache: cache of extracted features, which lets an interrupted call continue.
        limits: limits of the size and cost of a file.

    Raises:
        UserError: the run's features cannot be extracted from a video, or it has no trained parser.
    """
    spec = source.spec
    if not spec.extractable(EXTRACTORS):
        unknown = dict.fromkeys(spec.extractors.get(name, "") for name in spec.streams)
        made_by = ", ".join(f"'{name}'" if name else "features of unknown origin" for name in unknown)
        raise UserError(
            f"{source.origin}: its parser reads {made_by}, which avparse cannot extract from a video "
            f"(known: {', '.join(sorted(EXTRACTORS))}); use a run trained on extracted features"
        )
    _check_cards(spec, source.origin)
    parser = source.load()
    extracted = track(_extracted(paths, spec, workers, cache, limits), "parse", total=len(paths))
    return (
        result if isinstance(result, Failed) else parse_extracted(result, path, parser, source, only(file_id(path)))
        for path, result in zip(paths, extracted, strict=True)
    )


def _check_cards(spec: TaskSpec, origin: object) -> None:
    """Refuse to parse with features that differ from those that the parser learned from, where that is known.

    Raises:
        UserError: a field of a card differs, which is named; or the weights of a network are not there.
    """
    made = make_cards({name: spec.extractors[name] for name in spec.cards}, spec.segment_seconds)
    differences = [
        f"stream '{name}' with {line}" for name, card in spec.cards.items() for line in card.differences(made[name])
    ]
    if differences:
        raise UserError(
            f"{origin}: its parser learned from other features than are extracted here ({'; '.join(differences)}); "
            "give it the same network, or train on features of this one"
        )


def _extracted(
    paths: Sequence[Path], spec: TaskSpec, workers: int | None, cache: FeatureCache | None, limits: Limits
) -> Iterator[Extracted | Failed]:
    """Yield the features of each file, from the cache or by decoding, or the reason why it has none."""
    done = set() if cache is None else {path for path in paths if path in cache}
    waiting = [path for path in paths if path not in done]
    # A single video needs no second process.
    workers = 0 if len(waiting) == 1 else workers
    made = extract_videos(
        waiting, spec.extractors, segment_seconds=spec.segment_seconds, workers=workers, limits=limits
    )
    for path in paths:
        if cache is not None and path in done:
            yield cache.find(path) or Failed(str(path), f"{path}: changed while others were parsed; try again")
            continue
        result = next(made)
        if cache is not None and isinstance(result, Extracted):
            cache.keep(result)
        yield result


def parse_extracted(
    extracted: Extracted, path: Path, parser: SegmentParser, source: ParserSource, only: Sequence[str] | None = None
) -> Parsed:
    """Parse the extracted features of one video; a probability that the parser cannot know is NaN."""
    spec, rule = parser.spec, source.rule
    present = {"audio": extracted.audio_present, "visual": extracted.visual_present}
    output = predict_windows(
        rule.reading(parser),
        {name: torch.from_numpy(stream) for name, stream in extracted.streams.items()},
        torch.from_numpy(present["audio"]),
        torch.from_numpy(present["visual"]),
        window=spec.segments,
    )
    allowed = None if only is None else torch.from_numpy(np.isin(spec.classes, list(only))).unsqueeze(0)
    decisions = dict(zip(MODALITIES, rule.decide(output, allowed), strict=True))
    gates = dict(zip(MODALITIES, rule.gates(output), strict=True))

    def sides(values: Sequence[Tensor]) -> dict[str, Float32Array | None]:
        return {
            m: known(m, x[0].numpy()) if present[m].any() else None for m, x in zip(MODALITIES, values, strict=True)
        }

    def known(modality: str, values: Float32Array) -> Float32Array:
        """Return ``[T, C]`` with NaN for classes that nothing judges in the modality."""
        unjudged = np.isin(spec.classes, source.unjudged(modality))
        return np.where(unjudged, np.float32(np.nan), values) if unjudged.any() else values

    segments = sides((output.audio_segments, output.visual_segments))
    events = [
        event
        for m in MODALITIES
        if (values := segments[m]) is not None
        for event in events_of(
            decisions[m][0].numpy(), values, m, spec.classes, spec.segment_seconds, extracted.duration_s
        )
    ]
    timeline = Timeline(
        video=path.name,
        duration=extracted.duration_s,
        segment_seconds=spec.segment_seconds,
        classes=spec.classes,
        segments=segments,
        events=sorted(events, key=lambda e: (e.onset, e.offset, e.class_name, e.modality)),
        attention=None if output.attention is None else sides(tuple(output.attention)),
        media_start=extracted.origin_s,
        warnings=extracted.warnings,
        trained_on=source.trained_on,
        judged_by=source.judged_by,
    )
    return Parsed(path, timeline, {m: gates[m][0].numpy() for m in MODALITIES}, only)
