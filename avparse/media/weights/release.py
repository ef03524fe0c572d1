"""Weights that are a file of a release page."""

from __future__ import annotations

import urllib.error
import urllib.request
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

from avparse.foundation.errors import UserError
from avparse.foundation.files import writing
from avparse.foundation.progress import Tracker, track
from avparse.media.weights.source import FileSource

_BLOCK = 1 << 20
_SILENCE_S = 30.0  # after which a server counts as unreachable


@dataclass(frozen=True)
class ReleaseFile(FileSource):
    """A file at a fixed address. The release pages put eight digits of the SHA-256 into its name.

    Attributes:
        url: address of the file.
    """

    file: str = field(init=False)
    url: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        name = self.url.rpartition("/")[2]
        object.__setattr__(self, "file", name)
        if not self.sha256:
            object.__setattr__(self, "sha256", name.rpartition("-")[2].partition(".")[0])

    @property
    def origin(self) -> str:
        """The address."""
        return self.url

    def _download(self, folder: Path, size: int) -> Path:
        path = folder / self.file
        request = urllib.request.Request(self.url, headers={"User-Agent": "avparse"})
        try:
            with urllib.request.urlopen(request, timeout=_SILENCE_S) as answer, writing(path), open(path, "wb") as out:
                total = -(-int(answer.headers.get("Content-Length") or size) // _BLOCK)
                bar: Tracker[None] = track(None, self.file, total=total, unit="MB")
                with bar:
                    while block := answer.read(_BLOCK):
                        out.write(block)
                        bar.update()
                        if out.tell() > 2 * size:
                            raise UserError(f"{self.url}: larger than the {size >> 20} MB of the published file")
        except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
            reason = getattr(error, "reason", None) or error
            raise UserError(f"{self.url} cannot be downloaded ({reason})") from None
        return path
