"""One decision about each item, where several reviewers have decided about it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from avparse.app.review.log import Action

Rule = Literal["latest", "majority"]


@dataclass(frozen=True)
class Resolved:
    """Decisions after disagreements are resolved.

    Attributes:
        actions: the verdict that counts about each item, by key, in the order in which they were given.
        several: number of items about which several reviewers have decided.
        differ: number of those about which their verdicts differ.
    """

    actions: dict[str, Action]
    several: int
    differ: int


def resolve(verdicts: Iterable[Action], rule: Rule = "latest") -> Resolved:
    """Return one verdict about each item.

    Args:
        verdicts: the last verdict of each reviewer about each item.
        rule: ``latest`` takes the last one; ``majority`` the verdict that most reviewers gave, of equally many the one
            that was given last. Moved edges are those of the last of the verdicts that count.
    """
    by_key: dict[str, list[Action]] = defaultdict(list)
    for action in sorted(verdicts, key=lambda action: action.at):
        by_key[action.key].append(action)
    chosen = {key: _chosen(actions, rule) for key, actions in by_key.items()}
    several = [actions for actions in by_key.values() if len(actions) > 1]
    differ = sum(len({action.action for action in actions}) > 1 for actions in several)
    return Resolved(dict(sorted(chosen.items(), key=lambda pair: pair[1].at)), len(several), differ)


def _chosen(actions: list[Action], rule: Rule) -> Action:
    if rule == "latest":
        return actions[-1]
    count = Counter(action.action for action in actions)
    return max(enumerate(actions), key=lambda pair: (count[pair[1].action], pair[0]))[1]
