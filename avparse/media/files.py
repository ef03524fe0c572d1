"""Which files of a folder are tried as videos, and which are left out and why."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from avparse.foundation.errors import UserError

# What downloaders, cameras, editors and this program put beside videos.
_ENDINGS = (
    ".jpg .jpeg .png .webp .bmp .tif .tiff .heic .svg .thm .lrv .description .txt .md .rtf .pdf .doc .docx .odt .json "
    ".jsonl .xml .nfo .html .htm .url .webloc .desktop .lnk .csv .tsv .xls .xlsx .ods .parquet .srt .vtt .ass .ssa "
    ".sub .idx .sup .lrc .ttml .part .ytdl .aria2 .crdownload .download .partial .tmp .temp .bak .log .yaml .yml .toml "
    ".ini .cfg .py .sh .bat .ipynb .npy .npz .pt .pth .safetensors .pkl .h5 .zip .tar .gz .bz2 .xz .zst .7z .rar .md5 "
    ".sha1 .sha256 .torrent .db .sqlite .sqlite-wal .sqlite-shm .textgrid .eaf .rttm .m3u .m3u8 .pls .cue .edl .xspf"
)
SIDECARS = frozenset(_ENDINGS.split())
STILLS = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp"))  # pictures that are read where they are asked for
EXPECTED = frozenset({"hidden", "sidecar", "unlabelled", "no file"})
PAGES = "report"  # folder of the pages that 'parse' writes, in the folder of its results
_OWN = (".json", ".csv", ".html")  # endings of what 'parse' writes
EXPORTS = "exports.csv"  # in the folder that 'export' writes to


@dataclass(frozen=True)
class LeftOut:
    """A file without a result.

    Attributes:
        path: path of the file, or of a folder that cannot be entered.
        kind: one word for the reason: ``hidden``, ``sidecar``, ``link``, ``special``, ``folder``, ``empty``,
            ``unlabelled`` and ``no file`` of an extraction, or a word of what read the file.
        reason: one line for people.
    """

    path: Path
    kind: str
    reason: str

    @property
    def expected(self) -> bool:
        """Whether the lack of a result is no failure: nobody asked for it, or another line tells it."""
        return self.kind in EXPECTED


@dataclass
class MediaFiles:
    """Files that are tried as videos, in order of folders and names, and those that are left out.

    Attributes:
        files: paths of the files to try.
        left: files that are not tried.
    """

    files: list[Path] = field(default_factory=list)
    left: list[LeftOut] = field(default_factory=list)

    def summary(self) -> str:
        """Return one line about the files that nobody would take for videos; empty if there are none."""
        expected = [one for one in self.left if one.kind in ("hidden", "sidecar")]
        if not expected:
            return ""
        endings = Counter(one.path.suffix.lower() if one.kind == "sidecar" else "hidden" for one in expected)
        common = ", ".join(f"{count} {ending}" for ending, count in endings.most_common(5))
        return f"{len(expected)} other files are left out ({common}{', ...' if len(endings) > 5 else ''})"


def find_media(inputs: Iterable[str | Path], out: Path | None = None) -> MediaFiles:
    """Find the files to try: those given, and in place of each given folder its files, those of nested folders too.

    A given file is always tried. In a folder, hidden files and those whose ending is not one of a medium are left out;
    so are links to nothing, pipes, sockets and devices. A file or folder that is met again is passed over.

    Args:
        inputs: paths of files and folders.
        out: folder of results; what lies in it as results does is no input. None if there is none.

    Raises:
        UserError: no file is given, and the given folders hold none to try.
    """
    found, seen, tried = MediaFiles(), set[tuple[int, int]](), set[str]()
    for given in map(Path, inputs):
        part = MediaFiles()
        if given.is_dir():
            _walk(given, out, part, seen)
            if not part.files:
                part.left.append(LeftOut(given, "empty", f"the folder holds no video{_only(part)}"))
        else:
            part.files.append(given)
        found.left += part.left
        for path in part.files:
            name = os.path.abspath(path)
            if name not in tried:
                tried.add(name)
                found.files.append(path)
    if not found.files and found.left:
        raise UserError(f"{found.left[-1].path}: {found.left[-1].reason}; give files of videos, or a folder of them")
    return found


def files_in(folder: str | Path, stills: bool = False) -> list[Path]:
    """Return the files of a folder, and of those nested in it, that are tried as videos; there may be none.

    Args:
        folder: path of the folder.
        stills: whether pictures are tried, too; beside videos they are thumbnails.
    """
    found = MediaFiles()
    _walk(Path(folder), None, found, set())
    pictures = [one.path for one in found.left if one.kind == "sidecar" and one.path.suffix.lower() in STILLS]
    return sorted(found.files + pictures) if stills else found.files


def _only(part: MediaFiles) -> str:
    kinds = Counter(one.path.suffix.lower() if one.kind == "sidecar" else one.kind for one in part.left)
    return f" (only {', '.join(f'{n} {kind}' for kind, n in kinds.most_common(5))})" if kinds else ""


def _walk(top: Path, out: Path | None, found: MediaFiles, seen: set[tuple[int, int]]) -> None:
    """Add the files of a folder and of those nested in it; ``seen`` keeps links from leading in circles."""
    results = None if out is None else os.path.realpath(out)
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        inside = results is not None and os.path.realpath(folder) == results
        if (inside and folder != top) or (folder / EXPORTS).is_file():
            continue
        pages = results is not None and os.path.realpath(folder) == os.path.join(results, PAGES)
        try:
            status = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            found.left.append(LeftOut(folder, "folder", f"the folder cannot be read ({error.strerror})"))
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        nested: list[Path] = []
        for entry in entries:
            path = folder / entry.name
            if (inside and (entry.name.startswith(".") or path.suffix in _OWN)) or (pages and path.suffix == ".html"):
                continue
            if entry.is_dir() and not entry.name.startswith("."):
                nested.append(path)
                continue
            left = _left(path, entry)
            found.files.append(path) if left is None else found.left.append(left)
        waiting += reversed(nested)


def _left(path: Path, entry: os.DirEntry[str]) -> LeftOut | None:
    """Return why an entry of a folder is not tried; None if it is."""
    if entry.name.startswith("."):
        return LeftOut(path, "hidden", "hidden, by a name that begins with a dot")
    try:
        mode = entry.stat().st_mode
    except OSError:
        return LeftOut(path, "link", "a link to a file that is not there; restore that file")
    if not stat.S_ISREG(mode):
        return LeftOut(path, "special", "a pipe, socket or device, not a file")
    suffix = path.suffix.lower()
    if suffix in SIDECARS or suffix.startswith(".part-"):
        return LeftOut(path, "sidecar", f"a file beside videos, by its ending {suffix}; name it to have it tried")
    return None
