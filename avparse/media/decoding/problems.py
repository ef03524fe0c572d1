"""What can be wrong with a media file: errors, which leave it out, and warnings, which stay with its results."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, get_args

from avparse.foundation.errors import UserError

Reason = Literal["missing", "not media", "limit", "undecodable", "budget", "crash", "error"]
Kind = Literal[
    "damage", "break", "length", "restart", "jump", "stamp", "overlap", "still", "no decoder", "cut", "unknown"
]


class MediaError(UserError):
    """A file that cannot be used.

    Attributes:
        reason: ``missing`` (no readable file), ``not media`` (no container that avparse reads), ``limit`` (its header
            asks for more than is allowed), ``undecodable`` (nothing in it can be decoded), ``budget`` (decoding cost
            more than is allowed), ``crash`` (the process that decoded it died), ``error`` (anything else).
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason

    def __reduce__(self) -> tuple[type[MediaError], tuple[Reason, str]]:
        return MediaError, (self.reason, str(self))


@dataclass(frozen=True)
class MediaWarning:
    """Something of a file that cannot be trusted; what could be decoded is in the results.

    Attributes:
        kind: ``damage`` (data that cannot be decoded are left out), ``break`` (the file breaks off), ``length`` (it
            decodes to another length than it states), ``restart`` and ``jump`` (its clock starts again, or leaps
            ahead; it is read on without a gap), ``stamp`` (single times contradict their neighbours and are replaced),
            ``overlap`` (what lies at times that were there before is left out), ``still`` (a picture claims to stand
            for longer than is allowed), ``no decoder`` (a sound or picture stream cannot be decoded), ``cut`` (the
            rest is left out, as the decoder found nothing in it), ``unknown`` (of another version of avparse).
        message: one line for people.
    """

    kind: Kind
    message: str

    def as_dict(self) -> dict[str, str]:
        """Return the JSON form."""
        return asdict(self)

    @classmethod
    def read(cls, value: dict[str, str]) -> MediaWarning:
        """Read the JSON form.

        Raises:
            KeyError, TypeError: the data do not describe a warning.
        """
        kind, message = value["kind"], value["message"]
        if not isinstance(message, str):
            raise TypeError("'message' is no text")
        known = {name: name for name in get_args(Kind)}
        return cls(known.get(kind, "unknown"), message)

    def __str__(self) -> str:
        return self.message
