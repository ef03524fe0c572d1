"""Which networks judged a parse without training, and what they could not judge, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

SENSES = {"audio": "heard", "visual": "seen"}
_MOST_NAMED = 30


def told_judges(judged_by: Mapping[str, str], unjudged: Mapping[str, Sequence[str]]) -> str:
    """Return one line about the networks that judge what is heard and what is seen; empty for a trained parser.

    Args:
        judged_by: the network that judges each modality, by modality; none for a trained parser.
        unjudged: classes that cannot be judged, by modality.
    """
    if not judged_by:
        return ""
    parts = []
    for modality, sense in SENSES.items():
        network, lacking = judged_by.get(modality), list(unjudged.get(modality, ()))
        more = f" and {len(lacking) - _MOST_NAMED} more" if len(lacking) > _MOST_NAMED else ""
        limits = f" (cannot judge {', '.join(lacking[:_MOST_NAMED])}{more})" if lacking else ""
        parts.append(f"{sense}: nothing at hand judges it" if network is None else f"{sense}: {network}{limits}")
    return "; ".join(parts)
