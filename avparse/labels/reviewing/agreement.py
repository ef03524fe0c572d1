"""How far reviewers agree beyond chance: kappa (Cohen, "A coefficient of agreement for nominal scales", 1960)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from math import nan

from avparse.labels.reviewing.decision import Decision, Verdict
from avparse.labels.reviewing.item import KeyParts, Modality


@dataclass(frozen=True)
class Agreement:
    """Agreement of reviewers about the items that two or more of them decided.

    Attributes:
        kappa: Cohen's kappa, 1 for full agreement and 0 for that of chance; NaN where nothing was decided twice, or
            where all verdicts are one and the same, so that chance alone explains the agreement.
        observed: share of the pairs of verdicts that are equal; NaN where nothing was decided twice.
        pairs: number of pairs of verdicts of two reviewers about one item.
    """

    kappa: float
    observed: float
    pairs: int


@dataclass(frozen=True)
class Agreements:
    """Agreement over everything, of each pair of reviewers, and of each class and modality.

    Attributes:
        total: agreement over all items; ``kappa`` is the mean over the pairs of reviewers, weighted by their items.
        by_reviewers: agreement of each pair of reviewers, in alphabetical order.
        by_group: agreement by class and modality, over all pairs of reviewers as in ``total``.
    """

    total: Agreement
    by_reviewers: Mapping[tuple[str, str], Agreement]
    by_group: Mapping[tuple[str, Modality], Agreement]


def kappa(decisions: Iterable[Decision]) -> Agreements:
    """Return the agreement of reviewers; of several decisions of one about an item, the last counts.

    Raises:
        UserError: a key is not that of an item.
    """
    verdicts: dict[str, dict[str, Verdict]] = defaultdict(dict)
    for decision in decisions:
        verdicts[decision.key][decision.author] = decision.verdict
    tables: dict[tuple[str, str], _Table] = defaultdict(_Table)
    groups: dict[tuple[str, Modality], dict[tuple[str, str], _Table]] = defaultdict(lambda: defaultdict(_Table))
    for key, by_author in verdicts.items():
        parts = KeyParts.of(key)
        for a, b in combinations(sorted(by_author), 2):
            pair = (by_author[a], by_author[b])
            tables[a, b][pair] += 1
            groups[parts.class_name, parts.modality][a, b][pair] += 1
    return Agreements(
        total=_mean(tables.values()),
        by_reviewers={pair: _agreement(tables[pair]) for pair in sorted(tables)},
        by_group={group: _mean(groups[group].values()) for group in sorted(groups)},
    )


_Table = Counter[tuple[Verdict, Verdict]]


def _agreement(table: _Table) -> Agreement:
    """Return the agreement of two reviewers from how often each pair of verdicts occurred."""
    count = sum(table.values())
    if not count:
        return Agreement(nan, nan, 0)
    equal = sum(n for (a, b), n in table.items() if a is b)
    first, second = Counter[Verdict](), Counter[Verdict]()
    for (a, b), n in table.items():
        first[a] += n
        second[b] += n
    by_chance = sum(first[verdict] * second[verdict] for verdict in Verdict)  # in units of 1 / count squared
    whole = count * count
    return Agreement(
        (equal * count - by_chance) / (whole - by_chance) if by_chance < whole else nan, equal / count, count
    )


def _mean(tables: Iterable[_Table]) -> Agreement:
    """Return the agreement over pairs of reviewers: kappas weighted by items, those that are defined."""
    found = [_agreement(table) for table in tables]
    pairs = sum(one.pairs for one in found)
    defined = [one for one in found if one.kappa == one.kappa]
    weight = sum(one.pairs for one in defined)
    mean = sum(one.kappa * one.pairs for one in defined) / weight if weight else nan
    return Agreement(mean, sum(one.observed * one.pairs for one in found) / pairs if pairs else nan, pairs)
