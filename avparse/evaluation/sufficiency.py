"""Whether there are enough videos: for a class to be learned, and for a split to tell methods apart."""

from __future__ import annotations

from collections.abc import Mapping

from avparse.data.batching import Indices
from avparse.data.store import FeatureStore
from avparse.evaluation.bootstrap import bootstrap, bootstrap_difference
from avparse.evaluation.comparison import COPIED, PARSER_ONLY
from avparse.evaluation.parsing import ParsingScores

HANDFUL = 5
"""A class with fewer videos than this in a split is told."""
WIDE = 10.0
"""A 95 % interval of segment Type that is wider than this, in points, is told: published methods differ by less."""
_METRIC, _NAME, _SHOWN = "segment_type", "segment Type", 8


def rare_classes(store: FeatureStore, indices: Indices, split: str) -> str | None:
    """Return a warning that names the classes with under a handful of videos, None where there are enough of all.

    Args:
        store: feature store with the videos.
        indices: ``[n]`` positions of the videos of the split.
        split: name of the split in the warnings.
    """
    counts = store.weak[indices].sum(axis=0)
    rare = sorted((int(n), name) for n, name in zip(counts, store.vocabulary, strict=True) if n < HANDFUL)
    if not rare:
        return None
    listed = ", ".join(f"{name} {n}" for n, name in rare[:_SHOWN]) + (", ..." if len(rare) > _SHOWN else "")
    return (
        f"{store.path}: few {split} videos of {len(rare)} of {len(counts)} classes ({listed}; usual are 100 and more a "
        "class): what is learned or measured of them is chance"
    )


def doubts(scores: Mapping[str, ParsingScores], split: str) -> list[str]:
    """Return what the scores of a parser on a split cannot show, one warning each; empty where they can be trusted.

    The parser is compared with the weak labels copied into every segment, video by video, since a parser that is not
    better than those has learned nothing of time and modality.

    Args:
        scores: scores from :func:`avparse.evaluation.comparison.compare_with_labels`.
        split: name of the split in the warnings.
    """
    parser, copied = scores[PARSER_ONLY], scores[COPIED]
    found, count = [], len(parser.per_video)
    interval, theirs = bootstrap(parser)[_METRIC], bootstrap(copied)[_METRIC]
    gain = bootstrap_difference(parser, copied)[_METRIC]
    if gain.value <= 0:
        found.append(
            f"the parser is not better than the weak labels copied into every segment: {_NAME} {interval.value:.1f} "
            f"against {theirs.value:.1f} on {count} {split} videos; more training videos or epochs are needed"
        )
    elif gain.low <= 0:
        found.append(
            f"{count} {split} videos cannot tell whether the parser is better than copied weak labels: {_NAME} "
            f"{interval.value:.1f} against {theirs.value:.1f}, 95 % interval of the difference {gain.low:.1f} to "
            f"{gain.high:.1f}"
        )
    if interval.high - interval.low > WIDE:
        found.append(
            f"{count} {split} videos are too few to tell methods apart: the 95 % interval of {_NAME} is "
            f"{interval.low:.1f} to {interval.high:.1f}; usual are several hundred (LLP has 649)"
        )
    return found
