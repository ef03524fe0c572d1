"""What every source of weights can do: say where its copy is, check it, and bring one."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from avparse.foundation.errors import UserError
from avparse.foundation.files import atomic_file, scratch_folder, sha256_of


class WrongWeightsError(UserError):
    """A file that is not the published one."""


class Source(ABC):
    """Where the weights of one network come from."""

    @property
    @abstractmethod
    def origin(self) -> str:
        """The source in a few words, for people."""

    @abstractmethod
    def held(self, folder: Path) -> Path | None:
        """Return the copy on this machine, unchecked; None where there is none.

        Args:
            folder: folder of cached files.
        """

    @abstractmethod
    def check(self, path: Path) -> None:
        """Check that a copy is the published one.

        Raises:
            WrongWeightsError: the content is not the published one.
        """

    @abstractmethod
    def fetch(self, folder: Path, size: int) -> Path:
        """Fetch the weights and return the copy, checked; a copy that was there is kept until then.

        Args:
            folder: folder of cached files.
            size: expected size in bytes.

        Raises:
            UserError: the source cannot be reached, or what came is not what was published.
        """

    @abstractmethod
    def take(self, given: Path, folder: Path) -> Path:
        """Copy a local file into the cache, if it is the published one.

        Raises:
            UserError: the file is another one, or the weights are no single file.
        """


@dataclass(frozen=True)
class FileSource(Source):
    """Weights that are one file, known by its digest.

    Attributes:
        file: name of the file in the cache.
        sha256: SHA-256 of its content in hexadecimal digits, or the first eight of them.
    """

    file: str
    sha256: str

    def held(self, folder: Path) -> Path | None:
        """Return the file in the cache, unchecked."""
        path = folder / self.file
        return path if path.is_file() else None

    def check(self, path: Path) -> None:
        """Compare the digest of a file.

        Raises:
            WrongWeightsError: the digest is another one, or the file cannot be read.
        """
        try:
            found = sha256_of(path)
        except OSError as error:
            raise WrongWeightsError(f"{path}: cannot be read ({error.strerror or error})") from None
        if not found.startswith(self.sha256):
            raise WrongWeightsError(
                f"{path}: not the published '{self.file}' (SHA-256 {found[:16]}... instead of {self.sha256[:16]})"
            )

    def fetch(self, folder: Path, size: int) -> Path:
        """Download into a temporary folder, check the file, and only then put it into the cache."""
        with scratch_folder(folder) as temporary:
            return self.take(self._download(temporary, size), folder)

    def take(self, given: Path, folder: Path) -> Path:
        """Check a file and copy it into the cache."""
        self.check(given)
        path = folder / self.file
        with open(given, "rb") as source, atomic_file(path) as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
        return path

    @abstractmethod
    def _download(self, folder: Path, size: int) -> Path:
        """Return the file, downloaded into an empty folder and unchecked."""
