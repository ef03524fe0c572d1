"""What the page sends, checked field by field."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from avparse.app.review.queue import Order, Wish

_LONGEST_NAME, _LONGEST_NOTE, _LONGEST_KEY, _MOST_HELD = 80, 1000, 4000, 16


def reviewer(name: str) -> str:
    """Return a reviewer's name in one form.

    Raises:
        ValueError: the name is empty, long, or has characters that cannot be seen.
    """
    name = unicodedata.normalize("NFC", name).strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise ValueError(f"a reviewer's name has 1 to {_LONGEST_NAME} visible characters")
    return name


def _readable(text: str) -> str:
    if not all(c.isprintable() or c in "\n\t" for c in text):
        raise ValueError("a note has no control characters")
    return text.strip()


Name = Annotated[str, AfterValidator(reviewer)]
Key = Annotated[str, Field(max_length=_LONGEST_KEY)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Note = Annotated[str, Field(max_length=_LONGEST_NOTE), AfterValidator(_readable)]
Tab = Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{1,64}$")]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    author: Name
    tab: Tab


class Ask(_Asked):
    """The page wants an item."""

    modality: Literal["", "audio", "visual"] = ""
    order: Order = "informative"
    held: Annotated[list[Key], Field(max_length=_MOST_HELD)] = []

    def wish(self) -> Wish:
        """Return what the queue is asked for."""
        return Wish(self.author, self.tab, self.modality, self.order, tuple(self.held))


class Decide(_Asked):
    """A reviewer has decided."""

    key: Key
    verdict: Literal["keep", "remove", "other_modality"]
    onset: Seconds | None = None
    offset: Seconds | None = None
    note: Note = ""


class Skip(_Asked):
    """A reviewer passes over an item."""

    key: Key
    note: Note = ""


class Undo(_Asked):
    """A reviewer takes back the last action."""


class Progress(_Asked):
    """The page wants to know how far the review is."""
