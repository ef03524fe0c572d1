"""Parsing by examples, and checking of examples."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from avparse.data.examples import (
    ExampleFolder,
    ExampleHead,
    ExamplesReport,
    check_examples,
    extract_examples,
    first_streams,
    fit_head,
    read_examples,
)
from avparse.foundation.errors import UserError
from avparse.models.training_free import Judge, LogOdds, TrainingFreeParser
from avparse.models.training_free.scorers.examples import ExampleScorer

_log = logging.getLogger(__name__)
CACHE = ".examples"  # folder of the examples' features, in the folder of results
_COMPACT = ("compact", ("efficientnet-lite0", "aisfx"))  # extractor, and the weights that it needs


def parser_of_examples(
    folder: str | Path, extractor: str | None = None, *, out: Path | None = None, workers: int | None = None
) -> TrainingFreeParser:
    """Return a parser of the classes of a folder of examples.

    Args:
        folder: folder that holds a folder of files for each class.
        extractor: key of the extractor in ``EXTRACTORS``; None for the best one at hand.
        out: folder of results, in which the features of the examples are kept for the next call; None for none.
        workers: number of decoding processes; None for all cores.

    Raises:
        UserError: the folder holds no examples, too few, or one that cannot be read; or the extractor is unknown.
    """
    examples = read_examples(folder)
    examples.require_enough()
    for note in examples.notes:
        _log.warning("%s", note)
    name = extractor or best_extractor()
    heads = _heads(examples, name, None if out is None else out / CACHE, workers)
    judging = [head for head in heads if head.judges.any()]
    if not judging:
        raise UserError(f"{examples.path}: no class has two sounds or two pictures, with two of others; add some")
    judges = [Judge(ExampleScorer(head, examples.classes, name), LogOdds()) for head in judging]
    return TrainingFreeParser(examples.classes, judges)


def check(folder: str | Path, extractor: str | None = None, *, workers: int | None = None) -> ExamplesReport:
    """Judge each example by heads that did not see it; nothing is written.

    Args:
        folder: folder that holds a folder of files for each class.
        extractor: key of the extractor in ``EXTRACTORS``; None for the best one at hand.
        workers: number of decoding processes; None for all cores.

    Raises:
        UserError: the folder holds no examples, or one that cannot be read; or the extractor is unknown.
    """
    examples, name = read_examples(folder), extractor or best_extractor()
    return check_examples(examples, _heads(examples, name, None, workers), name)


def best_extractor() -> str:
    """Return the extractor that is best for examples and at hand, and say so where it is not the best there is."""
    name, networks = _COMPACT
    # Reads the table of weights, which other extractors do without.
    from avparse.media.weights import find_weights  # noqa: PLC0415

    try:
        for network in networks:
            find_weights(network, fetch=False)
    except UserError as error:
        _log.warning("features of 'light', which knows colours and timbres only: %s", error)
        return "light"
    return name


def _heads(examples: ExampleFolder, extractor: str, cache: Path | None, workers: int | None) -> Sequence[ExampleHead]:
    rows = extract_examples(examples, first_streams(extractor), extractor, workers=workers, cache=cache)
    return [fit_head(one) for one in rows]
