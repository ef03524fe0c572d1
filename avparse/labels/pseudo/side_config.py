"""Settings of the pseudo labels of one modality."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from avparse.data.prompt_styles import published_thresholds
from avparse.data.vocabulary import Vocabulary
from avparse.foundation.arrays import Float32Array
from avparse.foundation.errors import UserError
from avparse.foundation.settings import Settings

_READ = {  # settings that each decision reads
    "threshold": ("score", "norm", "temperature", "threshold", "filter"),
    "top_mass": ("score", "norm", "temperature", "mass", "filter"),
    "subset_argmax": (),
}


class SideConfig(Settings):
    """Settings of the pseudo labels of one modality.

    Attributes:
        teacher: name of the teacher whose scores are read; ``avparse teach`` lists those of a store.
        score: score that is used: the cosine of segment and prompt (of a teacher of class logits, the probability), or
            the logit that the network was trained with.
        norm: normalisation of scores: ``softmax`` is each class's share in the segment, over all classes, at
            ``temperature``. ``top_mass`` always uses these shares.
        decide: decision of the labels of a segment: ``threshold``: scores strictly above it; ``top_mass``: the most
            probable classes that together have at most ``mass``, and at least one; ``subset_argmax``: the most similar
            subset of the weak label.
        threshold: one number for all classes, one number per class by name, or the name of a published table
            (``valor``, for logits).
        temperature: divisor of the scores before the softmax.
        mass: largest sum of the shares of the classes that ``top_mass`` chooses.
        filter: restriction of the labels: ``and`` allows only classes of the weak label.
        target: form of the targets: ``hard``: 0 or 1; ``sigmoid_margin``: the sigmoid of score minus threshold;
            ``overlap``: softened where positives and negatives of a class overlap, by the two factors in ``overlap``.
        overlap: factors of the positives and of the negatives in the target ``overlap``.
    """

    teacher: str = Field(pattern=r"^[A-Za-z0-9_+-]{1,64}$")
    score: Literal["cosine", "logit"] = "cosine"
    norm: Literal["none", "softmax"] = "none"
    temperature: float = Field(1.0, gt=0)
    decide: Literal["threshold", "top_mass", "subset_argmax"] = "threshold"
    threshold: float | dict[str, float] | str | None = None
    mass: float = Field(0.5, gt=0, lt=1)
    filter: Literal["and", "none"] = "and"
    target: Literal["hard", "sigmoid_margin", "overlap"] = "hard"
    overlap: tuple[float, float] = (4.0, 0.4)

    @field_validator("threshold", mode="before")
    @classmethod
    def _numbers(cls, threshold: Any) -> Any:
        if isinstance(threshold, str):
            published_thresholds(threshold)
        elif isinstance(threshold, Mapping):
            for name, value in threshold.items():
                if not _is_number(value):
                    raise UserError(f"class '{name}' has {value!r}; give a number")
        elif threshold is not None and not _is_number(threshold):
            raise UserError(f"found {threshold!r}; give a number, one for each class by name, or the name of a table")
        return threshold

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.decide == "threshold" and self.threshold is None:
            raise UserError("give a 'threshold': a number, one for each class by name, or the name of a table")
        if self.decide != "threshold" and self.target == "sigmoid_margin":
            raise UserError(f"target 'sigmoid_margin' needs thresholds, but 'decide' is '{self.decide}'")
        for key, reason in self._of_no_effect().items():
            default = type(self).model_fields[key].default
            if getattr(self, key) != default:  # a run folder contains every default
                shown = "null" if default is None else default
                raise UserError(f"'{key}' has no effect {reason}; leave it out (or give its default, {shown})")
        if isinstance(self.threshold, str) and (self.score, self.norm) != ("logit", "none"):
            wrong = "score: logit" if self.score != "logit" else "norm: none"
            raise UserError(f"the table '{self.threshold}' is for logits; set '{wrong}', or give numbers")
        return self

    def _of_no_effect(self) -> dict[str, str]:
        """Return the settings that have no effect, each with the reason."""
        keys = dict.fromkeys(key for read in _READ.values() for key in read)
        unread = {key: f"with 'decide: {self.decide}'" for key in keys if key not in _READ[self.decide]}
        if self.decide == "threshold" and self.norm == "none":
            unread["temperature"] = "without 'norm: softmax'"
        if self.target != "overlap":
            unread["overlap"] = f"with 'target: {self.target}'"
        return unread

    def names_all(self, modality: str, vocabulary: Vocabulary) -> bool:
        """Whether the thresholds, if they are a published table, have a value for every class."""
        return (
            not isinstance(self.threshold, str)
            or set(vocabulary) <= published_thresholds(self.threshold)[modality].keys()
        )

    def thresholds(self, modality: str, vocabulary: Vocabulary) -> Float32Array:
        """Return the threshold of each class, ``[C]``.

        Raises:
            UserError: a class has no threshold, or a threshold is given for a class that the data lack.
        """
        where, given = f"pseudo_labels.{modality}.threshold", self.threshold
        if isinstance(given, str):
            table = published_thresholds(given)[modality]
            for name in vocabulary:
                if name not in table:
                    raise UserError(
                        f"{where}: the table '{given}' has no threshold for class '{name}'; give a number, or let "
                        "'avparse tune-thresholds' find one for each class"
                    )
            given = {name: table[name] for name in vocabulary}
        if not isinstance(given, dict):
            return np.full(len(vocabulary), given, dtype=np.float32)
        for name in given:
            vocabulary.index(name, where)
        missing = next((name for name in vocabulary if name not in given), None)
        if missing is not None:
            raise UserError(f"{where}: no threshold for class '{missing}'; give one for each class, or a number")
        return np.array([given[name] for name in vocabulary], dtype=np.float32)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
