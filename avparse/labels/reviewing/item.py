"""What a person may decide about: one label of one modality of one video, or one event of a timeline."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from avparse.data.vocabulary import MODALITIES
from avparse.foundation.errors import UserError
from avparse.labels.table import RefinedLabels

Modality = Literal["audio", "visual"]
_BELOW_HALF = 0.499


class KeyParts(NamedTuple):
    """The parts of an item's key.

    Attributes:
        video: id of the video.
        class_name: name of the class.
        modality: ``audio`` or ``visual``.
        onset: second at which an event begins; None for a label of the whole video.
    """

    video: str
    class_name: str
    modality: Modality
    onset: float | None = None

    def key(self) -> str:
        """Return the key: a JSON array of the parts, without the onset where there is none."""
        parts = [*self[:3]] if self.onset is None else [*self[:3], float(self.onset)]
        return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def of(cls, key: str) -> KeyParts:
        """Return the parts of a key.

        Raises:
            UserError: the text is not the key of an item.
        """
        try:
            video, class_name, modality, *onset = json.loads(key)
            parts = cls(video, class_name, modality, *(float(second) for second in onset))
        except (ValueError, TypeError):
            raise UserError(
                f"'{key[:80]}' is not the key of a review item; take keys as the review gives them"
            ) from None
        if parts.modality not in MODALITIES:
            raise UserError(f"'{key[:80]}' names no modality that exists; give 'audio' or 'visual'")
        return parts


@dataclass(frozen=True)
class ReviewItem:
    """One weak label of one modality of one video, or one event of a timeline, that a person may decide about.

    Attributes:
        video: id of the video.
        class_name: name of the class.
        modality: ``audio`` if the class is said to be heard, ``visual`` if it is said to be seen.
        probability: probability in [0, 1] that this is right, whether or not a denoiser has dropped it; where nothing
            better is known, it is kept from one half on.
        onset, offset: seconds at which an event begins and ends; None for a label of the whole video.
        against: spans of seconds that argue against the present state: against a label that is kept, for one that is
            dropped.
    """

    video: str
    class_name: str
    modality: Modality
    probability: float
    onset: float | None = None
    offset: float | None = None
    against: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if self.modality not in MODALITIES:
            raise UserError(f"review item of video '{self.video}': modality '{self.modality}' is not audio or visual")
        if not 0 <= self.probability <= 1:
            raise UserError(f"review item of video '{self.video}': probability {self.probability} is outside [0, 1]")

    @cached_property
    def key(self) -> str:
        """Stable and unique name of the item, which :meth:`KeyParts.of` reads."""
        return KeyParts(self.video, self.class_name, self.modality, self.onset).key()


def label_items(labels: RefinedLabels) -> list[ReviewItem]:
    """Return every given or repaired label of refined labels, in the order of videos, classes and modalities.

    The probability is the quality score of a given label, and the target of a repaired one. Where the score contradicts
    the table's suggestion (some denoisers decide by another rule), it is moved to the suggestion's side of one half.
    """
    sides = [labels.side(modality) for modality in MODALITIES]
    target, quality = (np.stack([side[i] for side in sides], axis=-1).astype(np.float64) for i in (0, 1))
    listed = labels.given[..., None] | (target > 0)
    score = np.where(labels.given[..., None], quality, target)
    score = np.where(target >= 0.5, np.maximum(score, 0.5), np.minimum(score, _BELOW_HALF))
    return [
        ReviewItem(labels.videos[n], labels.classes[c], "visual" if m else "audio", float(score[n, c, m]))
        for n, c, m in np.argwhere(listed)
    ]
