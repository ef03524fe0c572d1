"""The active order: a permutation of the items that depends on nothing but the decisions."""

from __future__ import annotations

import numpy as np
import pytest

from avparse.foundation.errors import UserError
from avparse.labels.reviewing.decision import Decision, Verdict
from avparse.labels.reviewing.item import ReviewItem
from avparse.labels.reviewing.order import ActiveOrder


def _items(count: int, seed: int = 0) -> list[ReviewItem]:
    random = np.random.default_rng(seed)
    return [
        ReviewItem(f"v{n // 2}", f"c{n % 6 // 2}", "visual" if n % 2 else "audio", float(p))
        for n, p in enumerate(random.beta(2, 1, count))
    ]


def _verdict(item: ReviewItem) -> Decision:
    return Decision(item.key, Verdict.KEEP if hash_of(item) % 3 else Verdict.REMOVE)


def hash_of(item: ReviewItem) -> int:
    return sum(map(ord, item.key))


def test_the_order_names_every_item_once() -> None:
    items = _items(24)
    order = ActiveOrder(items)
    seen = []
    while (item := order.next()) is not None:
        seen.append(item.key)
        order.decided(_verdict(item))
    assert sorted(seen) == sorted(item.key for item in items)


def test_a_restart_goes_on_from_the_decisions() -> None:
    items = _items(24)
    order, decisions = ActiveOrder(items), list[Decision]()
    for _ in range(10):
        item = order.next()
        assert item is not None
        decisions.append(_verdict(item))
        order.decided(decisions[-1])
    again = ActiveOrder(items)
    for decision in reversed(decisions):  # whatever their order
        again.decided(decision)
    assert np.array_equal(order.values(), again.values())
    assert order.next() == again.next()


def test_an_item_that_is_skipped_is_not_named() -> None:
    items = _items(8)
    order = ActiveOrder(items)
    first = order.next()
    assert first is not None
    second = order.next(skip=[first.key, "of no item"])
    assert second is not None
    assert second != first
    assert order.next() == first
    assert order.next(skip=[item.key for item in items]) is None


def test_a_decision_about_no_item_is_refused() -> None:
    order = ActiveOrder(_items(2))
    with pytest.raises(UserError, match="no review item"):
        order.decided(Decision('["x","c0","audio"]', Verdict.KEEP))
