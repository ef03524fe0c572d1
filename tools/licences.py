"""Licences of everything that ``pip install 'avparse[...]'`` brings, and of the libraries inside binary wheels.

``python tools/licences.py`` lists them and fails (exit code 1) on a package whose licence is unknown, on a licence that
is not in the list below, and on a library in a wheel that nobody has looked up. The page of licences is made of the
same tables.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
DEVELOPMENT = ("dev", "docs")  # extras for those who work on avparse itself

NVIDIA = "LicenseRef-NVIDIA-Proprietary"
# What may be installed. All but NVIDIA's libraries are open source; MPL-2.0 asks for changes to its own files only.
ALLOWED = frozenset(
    "0BSD Apache-2.0 BSD BSD-2-Clause BSD-3-Clause BSL-1.0 CC0-1.0 CNRI-Python ISC LLVM-exception MIT MIT-CMU MPL-2.0 "
    f"PSF-2.0 Zlib {NVIDIA}".split()
)
# Names that packages give to licences, in the form of the list above.
_NAMES = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "NVIDIA Proprietary Software": NVIDIA,
    "Other/Proprietary License": NVIDIA,
    "Python Software Foundation License": "PSF-2.0",
}
# Packages that say nothing, or the whole text; read in the files that they install.
_READ = {"cuda-toolkit": NVIDIA, "scipy": "BSD-3-Clause"}

GPL, LGPL = "GPL-2.0-or-later", "LGPL-2.1-or-later"
_GCC = "GPL-3.0-or-later WITH GCC-exception-3.1"
# Libraries inside the wheels, by the beginning of their file's name, and the licences of their projects.
BUNDLED = {
    "libSvtAv1Enc": "BSD-3-Clause-Clear",
    "libXau": "MIT",
    "libaec": "BSD-2-Clause",
    "libasound": LGPL,
    "libavcodec": "LGPL-3.0-or-later",
    "libavdevice": "LGPL-3.0-or-later",
    "libavfilter": "LGPL-3.0-or-later",
    "libavformat": "LGPL-3.0-or-later",
    "libavif": "BSD-2-Clause",
    "libavutil": "LGPL-3.0-or-later",
    "libbrotlicommon": "MIT",
    "libbrotlidec": "MIT",
    "libcudart": NVIDIA,
    "libdav1d": "BSD-2-Clause",
    "libdrm": "MIT",
    "libfreetype": "FTL",
    "libgfortran": _GCC,
    "libgmp": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libgnutls": LGPL,
    "libgomp": _GCC,
    "libharfbuzz": "MIT",
    "libhdf5": "BSD-3-Clause",
    "libhdf5_hl": "BSD-3-Clause",
    "libhogweed": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libjpeg": "IJG AND BSD-3-Clause",
    "liblcms2": "MIT",
    "liblzma": "0BSD",
    "libmp3lame": "LGPL-2.0-or-later",
    "libnettle": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libnvjpeg": NVIDIA,
    "libopencore-amrnb": "Apache-2.0",
    "libopencore-amrwb": "Apache-2.0",
    "libopenjp2": "BSD-2-Clause",
    "libopus": "BSD-3-Clause",
    "libpng16": "libpng-2.0",
    "libquadmath": LGPL,
    "libscipy_openblas": "BSD-3-Clause",
    "libsharpyuv": "BSD-3-Clause",
    "libswresample": "LGPL-3.0-or-later",
    "libswscale": "LGPL-3.0-or-later",
    "libsz": "BSD-2-Clause",
    "libtiff": "libtiff",
    "libunistring": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libvpl": "MIT",
    "libvpx": "BSD-3-Clause",
    "libwebp": "BSD-3-Clause",
    "libwebpdemux": "BSD-3-Clause",
    "libwebpmux": "BSD-3-Clause",
    "libx264": GPL,
    "libx265": GPL,
    "libxcb": "MIT",
    "libz": "Zlib",
    "libzstd": "BSD-3-Clause OR GPL-2.0-only",
}


@dataclass(frozen=True)
class Package:
    """An installed package.

    Attributes:
        name: the name that it is installed by.
        version: the installed version.
        licence: an expression of licence identifiers, empty where it could not be found out.
        needed_by: ``avparse`` where every installation brings it, else the extras that do.
        libraries: file names of the shared libraries that its wheel brings in a folder of their own.
    """

    name: str
    version: str
    licence: str
    needed_by: tuple[str, ...]
    libraries: tuple[str, ...]

    def problems(self) -> Iterator[str]:
        """Yield what is unknown or not allowed about it."""
        words = set(re.findall(r"[\w.+-]+", self.licence)) - {"AND", "OR", "WITH"}
        if not words:
            yield f"{self.name} {self.version}: its licence is unknown; read it and add it to _READ in {__file__}"
        if unlisted := sorted(words - ALLOWED):
            yield f"{self.name} {self.version}: licence {', '.join(unlisted)} is not in ALLOWED of {__file__}"
        for library in self.libraries:
            if not library_licence(library):
                yield f"{self.name} {self.version}: its wheel brings {library}, which BUNDLED in {__file__} lacks"


def library_licence(file: str) -> str:
    """Return the licence of a shared library, empty where it is not listed; the longest name that fits decides."""
    known = [name for name in BUNDLED if re.match(rf"{re.escape(name)}(?![a-z])", file)]
    return BUNDLED[max(known, key=len)] if known else ""


def installed() -> list[Package]:
    """Return what avparse and its extras need and is installed, by name.

    Raises:
        ModuleNotFoundError: something is not installed, so its licence cannot be read.
    """
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    extras = {name: needs for name, needs in project["optional-dependencies"].items() if name not in DEVELOPMENT}
    needed: dict[str, list[str]] = {}
    for source, requirements in {"avparse": project["dependencies"], **extras}.items():
        for name in _closure(requirements):
            needed.setdefault(name, []).append(source)
    by = {name: sources[:1] if "avparse" in sources else sources for name, sources in needed.items()}
    return [_package(name, by[name]) for name in sorted(by)]


def as_page(packages: Sequence[Package]) -> str:
    """Return the page of licences as Markdown."""
    text = (Path(__file__).parent / "licences.md").read_text(encoding="utf-8")
    rows = [f"| {p.name} | {p.version} | {p.licence} | {', '.join(p.needed_by)} |" for p in packages]
    table = "\n".join(["| package | version | licence | needed by |", "|---|---|---|---|", *rows])
    wheels = [(p.name, p.libraries) for p in packages if p.libraries]
    lines = [f"| {wheel} | {_listed(libraries)} |" for wheel, libraries in wheels]
    bundled = "\n".join(["| wheel | libraries and their licences |", "|---|---|", *lines])
    return text.replace("<!-- packages -->", table).replace("<!-- bundled -->", bundled)


def _listed(libraries: Sequence[str]) -> str:
    by_licence: dict[str, list[str]] = {}
    for library in libraries:
        by_licence.setdefault(library_licence(library), []).append(library)
    groups = [f"**{licence}**: {', '.join(_short(names))}" for licence, names in sorted(by_licence.items())]
    return "; ".join(groups)


def _short(files: Sequence[str]) -> list[str]:
    """Return the names of libraries without the hash and the version that a wheel adds."""
    return sorted({re.sub(r"[-.][0-9a-f]{8}\b.*|\.so.*", "", file) for file in files})


def _closure(requirements: Sequence[str]) -> set[str]:
    """Return the canonical names of all packages that requirements lead to on this machine."""
    waiting = [(Requirement(text), "") for text in requirements]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        needed, extra = waiting.pop()
        if needed.marker is not None and not needed.marker.evaluate({"extra": extra}):
            continue
        key = (canonicalize_name(needed.name), frozenset(needed.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            further = metadata.requires(needed.name) or []
        except metadata.PackageNotFoundError:
            raise ModuleNotFoundError(f"{needed.name} is not installed: run 'make install' first") from None
        waiting += [(Requirement(text), own) for text in further for own in ("", *needed.extras)]
    return {name for name, _ in seen}


def _package(name: str, needed_by: Sequence[str]) -> Package:
    found = metadata.distribution(name)
    libraries = sorted({p.name for p in found.files or () if p.parts[0].endswith(".libs") and ".so" in p.name})
    return Package(found.metadata["Name"], found.version, _licence(found), tuple(needed_by), tuple(libraries))


def _licence(package: metadata.Distribution) -> str:
    """Return what a package says of its licence: as an expression, in a classifier, or in a word or two."""
    told = package.metadata
    if "License-Expression" in told:
        return told["License-Expression"]
    if (read := _READ.get(canonicalize_name(told["Name"]))) is not None:
        return read
    classified = [line.rsplit(" :: ", 1)[1] for line in told.get_all("Classifier", []) if line.startswith("License")]
    word = told["License"].strip() if "License" in told else ""
    names = classified or ([word] if word and "\n" not in word else [])
    return " AND ".join(_NAMES.get(name, name) for name in names)


def main() -> int:
    """Print a line a package and what is wrong; return the exit code."""
    packages = installed()
    for package in packages:
        print(f"{package.name:28} {package.version:16} {package.licence}")
        print("".join(f"    {file}: {library_licence(file)}\n" for file in package.libraries), end="")
    problems = [problem for package in packages for problem in package.problems()]
    print(*problems, sep="\n", file=sys.stderr, end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
