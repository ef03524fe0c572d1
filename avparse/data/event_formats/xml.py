"""Texts that XML can hold, and reading of a small document with the line of each element, which an error names."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from avparse.foundation.cells import in_line
from avparse.foundation.errors import UserError
from avparse.foundation.reading import RECORDS, read_bytes

_DEPTH = 30


@dataclass
class Element:
    """An element of a document.

    Attributes:
        tag: name of the element.
        attributes: values of its attributes by name.
        line: number of the line where it begins.
        text: text inside it, without that of the elements inside.
        children: elements inside it, in order.
    """

    tag: str
    attributes: dict[str, str]
    line: int
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def found(self, tag: str) -> list[Element]:
        """Return the elements of a name directly inside this one."""
        return [child for child in self.children if child.tag == tag]


def in_xml(text: str) -> str:
    """Return a text as one line without the two characters that XML cannot hold; ``from_line`` turns it back."""
    return in_line(text, "\ufffe\uffff")


def read_xml(path: Path, mend: str) -> Element:
    """Read a document and return its outermost element.

    Raises:
        UserError: the file cannot be read, is not XML, declares a document type (which may refer to other files or
            grow without bounds), or is nested too deeply; ``mend`` is the advice in the message.
    """
    content = read_bytes(path, RECORDS.size, mend)
    parser, outermost = expat.ParserCreate(), Element("", {}, 0)
    stack = [outermost]

    def begin(tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag, attributes, parser.CurrentLineNumber)
        stack[-1].children.append(element)
        stack.append(element)
        if len(stack) > _DEPTH:
            raise UserError(f"{path}:{element.line}: nested more than {_DEPTH} deep; {mend}")

    def text(characters: str) -> None:
        stack[-1].text += characters

    def refuse(*_: object) -> None:
        raise UserError(f"{path}:{parser.CurrentLineNumber}: declares a document type; remove the line <!DOCTYPE ...>")

    parser.buffer_text = True
    parser.StartElementHandler, parser.CharacterDataHandler = begin, text
    parser.EndElementHandler = lambda tag: stack.pop()
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        told = expat.ErrorString(error.code)
        raise UserError(f"{path}:{error.lineno}: not XML ({told}); {mend}") from None
    except LookupError as error:  # an encoding that Python does not know
        raise UserError(f"{path}: not XML ({error}); {mend}") from None
    return outermost.children[0]
