"""Items and their keys, and what decisions settle."""

from __future__ import annotations

import numpy as np
import pytest

from avparse.foundation.errors import UserError
from avparse.labels.reviewing.decision import Decision, Verdict, settled
from avparse.labels.reviewing.item import KeyParts, ReviewItem, label_items
from avparse.labels.reviewing.state import suggestions
from avparse.labels.table import RefinedLabels

_HEARD = ReviewItem('a "b"\n,é', "Dog", "audio", 0.8)
_SEEN = ReviewItem(_HEARD.video, "Dog", "visual", 0.7)


@pytest.mark.parametrize("onset", [None, 0.0, 2.5])
def test_a_key_tells_its_parts(onset: float | None) -> None:
    item = ReviewItem('<b>x</b> "y"', "Été, 1", "visual", 0.5, onset, None if onset is None else onset + 1)
    assert KeyParts.of(item.key) == (item.video, item.class_name, item.modality, onset)
    assert KeyParts.of(item.key).key() == item.key


@pytest.mark.parametrize("key", ["", "Dog", "[]", "1", '["a","Dog"]', '["a","Dog","smell"]', '["a","b","audio",[]]'])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(UserError, match=r"not the key|no modality"):
        KeyParts.of(key)


def test_a_bad_item_is_refused() -> None:
    with pytest.raises(UserError, match="outside"):
        ReviewItem("a", "Dog", "audio", 1.1)
    with pytest.raises(UserError, match="twice"):
        suggestions([_HEARD, _HEARD])


def test_other_modality_settles_both() -> None:
    moved = Decision(_HEARD.key, Verdict.OTHER_MODALITY)
    assert settled([moved]) == {_HEARD.key: False, _SEEN.key: True}
    assert settled([moved, Decision(_SEEN.key, Verdict.REMOVE)]) == {_HEARD.key: False, _SEEN.key: False}
    assert settled([moved, Decision(_HEARD.key, Verdict.KEEP)]) == {_HEARD.key: True}
    event = ReviewItem("a", "Dog", "audio", 0.8, 1.0, 2.0)
    assert settled([Decision(event.key, Verdict.OTHER_MODALITY)]) == {event.key: False}
    assert suggestions([_HEARD], [moved]) == {_HEARD.key: False}  # the other one may not be there


def test_items_of_labels_follow_score_and_suggestion() -> None:
    given = np.array([[True, False]])
    target, quality = np.array([[0, 0.75]], np.float32), np.array([[0.9, 1]], np.float32)
    keep, sure = np.array([[1, 0]], np.float32), np.array([[0.75, 1]], np.float32)
    empty = np.full((1, 2), "")
    items = label_items(RefinedLabels(("v",), ("Dog", "Cat"), given, target, keep, quality, sure, empty, empty))
    assert [(i.class_name, i.modality, i.probability) for i in items] == [
        ("Dog", "audio", 0.499),  # the score says right, and the denoiser dropped it all the same
        ("Dog", "visual", 0.75),
        ("Cat", "audio", 0.75),  # repaired
    ]
    assert list(suggestions(items).values()) == [False, True, True]
