"""The pages of the documentation, and the code blocks in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
# A block that cannot run as it stands says why in a comment before it.
_BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>[^>]+?) -->\s*)?^ *```(?P<language>\w*)\n(?P<text>.*?)^ *```", re.M | re.S
)


@dataclass(frozen=True)
class CodeBlock:
    """A fenced block of a page.

    Attributes:
        language: the word after the fence; commands have none.
        text: the block without its fences.
        reason: why it cannot run as it stands; None where it can.
    """

    language: str
    text: str
    reason: str | None


def name_of(page: Path) -> str:
    """Return the path of a page from the project's root."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[CodeBlock]:
    """Return the blocks of a page in one language, in order."""
    text = page.read_text(encoding="utf-8")
    found = (CodeBlock(m["language"], m["text"], m["reason"]) for m in _BLOCK.finditer(text))
    return [block for block in found if block.language == language]


def commands(page: Path) -> list[str]:
    """Return the command lines of avparse in the blocks of a page, continuation lines joined."""
    joined = "\n".join(block.text for block in blocks(page, "")).replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip().startswith("avparse ")]


def inline_commands(page: Path) -> list[str]:
    """Return the calls of avparse in the prose of a page; they may leave out what is required."""
    prose = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return [" ".join(code.split()) for code in re.findall(r"`(avparse [^`]+)`", prose)]
