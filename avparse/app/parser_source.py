"""The parser that a user asks for: that of a run, or one of networks at hand."""

from __future__ import annotations

import os
from collections.abc import Sequence
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
