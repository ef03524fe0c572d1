"""Pages made of a template, style and script parts that are put into each, so that a page is one file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from avparse.foundation.errors import UserError
from avparse.foundation.files import atomic_file

GENERATOR = b'<meta name="generator" content="avparse report">'
_HEAD_BYTES = 1000  # the generator stands before the title, which may be long
_EARLIER = b"a parse made with avparse"  # in pages of versions that did not name themselves


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("avparse.app.report", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment


@cache
def _parts(folder: str, names: tuple[str, ...]) -> Markup:
    """Return text parts of the assets, one after the other; they are our own and need no escapes."""
    assets = files("avparse.app.report").joinpath("assets", folder)
    return Markup("\n".join(assets.joinpath(name).read_text(encoding="utf-8") for name in names))


def write_page(path: Path, template: str, *, styles: Sequence[str], scripts: Sequence[str], **values: Any) -> None:
    """Fill a template and write it at ``path``, atomically and piece by piece.

    The page's policy lets it run only the scripts that are written into it here, told by their hashes, and load nothing
    but media from files.

    Args:
        path: path of the HTML file.
        template: name of the template among the assets.
        styles: names of the style sheets, in order.
        scripts: names of the parts of the script, in order; ``theme.js`` goes before them, into the head.
        **values: values that the template names.

    Raises:
        UserError: the page cannot be written.
    """
    style, theme = _parts("style", tuple(styles)), _parts("script", ("theme.js",))
    script = _parts("script", tuple(scripts))
    policy = (
        f"default-src 'none'; script-src {_hashed(theme)} {_hashed(script)}; style-src {_hashed(style)}; "
        "img-src data:; media-src 'self' file: blob:; base-uri 'none'; form-action 'none'"
    )
    chunks = _environment().get_template(template)
    with atomic_file(path) as file:
        for chunk in chunks.generate(csp=Markup(policy), style=style, theme_script=theme, script=script, **values):
            # A file name that is not valid Unicode must not prevent the page; its invalid bytes become question marks.
            file.write(chunk.encode("utf-8", "replace"))


def page_head(path: Path) -> bytes | None:
    """Return the first bytes of a page that this program wrote; None for any other file."""
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
        if GENERATOR in head or _EARLIER in head + file.read(20 * _HEAD_BYTES):
            return head
    return None


def check_own(path: Path) -> None:
    """Refuse to replace a page that somebody else wrote.

    Raises:
        UserError: there is a file at ``path`` that is no page of this program.
    """
    if path.exists() and page_head(path) is None:
        raise UserError(f"{path}: 'avparse' did not write this page: rename it, or choose another folder")


def _hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"
