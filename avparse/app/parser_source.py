"""The parser that a user asks for: that of a run, or one of networks at hand."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from avparse.app.class_list import read_classes
from avparse.app.run_source import run_source
from avparse.foundation.errors import UserError
from avparse.models.source import ParserSource
from avparse.models.trained import TrainedParser


def parser_source(
    run: str | os.PathLike[str] | TrainedParser | None,
    classes: str | Path | Sequence[str] | None = None,
    networks: str | None = None,
    class_map: str | Path | None = None,
    vectors: Path | None = None,
) -> ParserSource:
    """Return the parser of a run, or one of networks at hand, which needs no training.

    Args:
        run: trained run, or its folder; None for networks at hand.
        classes: wanted classes, as :func:`read_classes` takes them; None for those of the run.
        networks: key of ``NETWORKS`` of those that judge without a run; None for the best at hand.
        class_map: path of a class map of one's own, for networks that know a fixed list of names.
        vectors: path of the class vectors of ``classes``; None to read them from the run's own source.

    Raises:
        UserError: the options exclude each other or name neither a run nor classes; the run cannot parse, or not these
            classes; or no network is at hand.
    """
    if run is not None:
        for option, value in (("--with", networks), ("--class-map", class_map)):
            if value is not None:
                raise UserError(f"{option} {value}: belongs to parsing without a run; leave out --run")
        return run_source(run, classes, vectors)
    if classes is None:
        raise UserError("neither a run nor classes are given; name classes, or give a trained run")
    if vectors is not None:
        raise UserError(f"--label-vectors {vectors}: belongs to a run; give it with --run")
    # Reads tables of names, which a run does without.
    from avparse.models.training_free.at_hand import parser_at_hand  # noqa: PLC0415

    return parser_at_hand(read_classes(classes), networks, None if class_map is None else Path(class_map))


def source_of_examples(
    folder: str | Path,
    extractor: str | None,
    others: Iterable[object],
    *,
    out: Path | None = None,
    workers: int | None = None,
) -> ParserSource:
    """Return a parser of the classes of a folder of examples.

    Args:
        folder: path of the folder, which holds a folder of files for each class.
        extractor: key of the extractor in ``EXTRACTORS``; None for the best one at hand.
        others: values of the options that name classes in another way, each None unless it was given.
        out: folder of results, in which the features of the examples are kept for the next call; None for none.
        workers: number of decoding processes; None for all cores.

    Raises:
        UserError: another option names classes, too; or the examples or the extractor cannot be used.
    """
    if any(other is not None for other in others):
        raise UserError(
            f"--examples {folder}: brings its own classes; leave out --run, --classes, --class-map and --label-vectors"
        )
    # Reads tables of weights, which a run does without.
    from avparse.app.examples import parser_of_examples  # noqa: PLC0415

    return parser_of_examples(folder, extractor, out=out, workers=workers)
