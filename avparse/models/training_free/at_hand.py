"""The choice of networks: for each modality the best one that is on this machine."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from avparse.data.judged import SENSES
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.errors import UserError
from avparse.foundation.settings import lookup
from avparse.models.training_free.networks import NETWORKS, Network
from avparse.models.training_free.parser import TrainingFreeParser

_log = logging.getLogger(__name__)


def parser_at_hand(
    classes: tuple[str, ...],
    name: str | None = None,
    class_map: Path | None = None,
    networks: Mapping[str, Network] | None = None,
) -> TrainingFreeParser:
    """Return a parser of some classes, by the best networks at hand; nothing is downloaded.

    Args:
        classes: names of the wanted classes.
        name: key of ``NETWORKS`` of the only ones that may judge; None for any.
        class_map: path of a class map of one's own, which says what classes are called in fixed lists of names.
        networks: the networks to choose from, best first; None for those of ``NETWORKS``.

    Raises:
        UserError: nothing is at hand, or the named networks are not; nothing can judge any of the classes; or a class
            is unknown to everything that is at hand.
    """
    known = {key: make() for key, make in NETWORKS.items()} if networks is None else networks
    allowed = known if name is None else {name: lookup(known, name, "network of --with")}
    found = {m: [one for one in allowed.values() if not one.missing(m)] for m in MODALITIES}
    if not any(found.values()):
        raise UserError(f"no network is at hand that could judge the classes; {_mends(allowed, *MODALITIES)}")
    for modality in (m for m, some in found.items() if not some):
        _log.warning("nothing at hand judges what is %s; %s", SENSES[modality], _mends(allowed, modality))
    judges = [some[0].judge(m, classes, class_map) for m, some in found.items() if some]
    unknown = next((one for one in classes if all(one in judge.unknown for judge in judges)), None)
    parser = TrainingFreeParser(classes, judges)
    if unknown is not None:
        hint = next(filter(None, (judge.unknown[unknown] for judge in judges)), "")
        raise UserError(f"class '{unknown}': no name that {parser.origin} knows{hint}")
    if all(len(parser.unjudged(m)) == len(classes) for m in MODALITIES):
        raise UserError(f"{parser.origin}: judges none of {', '.join(classes)}; name other classes or other networks")
    return parser


def _mends(networks: Mapping[str, Network], *modalities: str) -> str:
    """Return what would bring one of the networks, the smallest first, because that is the quickest to have."""
    return ", or ".join(dict.fromkeys(one.missing(m) for one in reversed(list(networks.values())) for m in modalities))
