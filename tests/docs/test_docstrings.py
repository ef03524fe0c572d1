"""Every public docstring exists, names the real parameters, and has no line that needs its neighbours to be read."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import avparse

PACKAGE = Path(avparse.__file__).parent
MODULES = {str(path.relative_to(PACKAGE)): path for path in sorted(PACKAGE.rglob("*.py"))}

# "of everything random", "see train", "likewise", "what to show", "they cannot be written": riddles in a hover.
FRAGMENT = re.compile(
    r"(of|see|as|likewise|same|the same|ditto|in|on|at|from|by|for|with|without|to|how|what|where|which|whose|when|"
    r"that|if|so|and|or|also|others|either|neither|none of|them|it|its|they|their|those|these|this|there are "
    r"none|there is none|divides|weighs|multiplies|likewise)\b",
    re.IGNORECASE,
)
SHAPE = re.compile(r"``\[[^`]*\]``,?\s*")  # an entry may open with a shape, as in "``[N, C]`` weak labels"
ENTRY = re.compile(r"    (?P<names>\*{0,2}\w+(?:, \*{0,2}\w+)*): (?P<text>.*)")

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | Function


def documented(tree: ast.Module) -> Iterator[tuple[str, Documented]]:
    """Yield the module, and its classes and functions that are not inside a function, with dotted names."""
    stack: list[tuple[str, Documented]] = [("module", tree)]
    while stack:
        name, node = stack.pop()
        yield name, node
        if not isinstance(node, FUNCTIONS):
            prefix = "" if isinstance(node, ast.Module) else f"{name}."
            stack += [(prefix + n.name, n) for n in node.body if isinstance(n, (ast.ClassDef, *FUNCTIONS))]


def entries(docstring: str, section: str) -> list[tuple[list[str], str]]:
    """Return names and text of the entries of a section (Args, Attributes, Raises) of a Google docstring."""
    found: list[tuple[list[str], str]] = []
    inside = False
    for line in docstring.splitlines():
        if line and not line.startswith(" "):
            inside = line == f"{section}:"
        elif inside and (entry := ENTRY.fullmatch(line)):
            found.append((entry["names"].split(", "), entry["text"]))
        elif inside and line.startswith("     "):
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
        elif inside and line.strip():
            found.append((["?"], line.strip()))
    return found


def is_fragment(text: str) -> bool:
    """Return whether an entry cannot be read on its own: it opens like a fragment or has under three words."""
    rest = SHAPE.sub("", text, count=1) if SHAPE.match(text) else text
    return FRAGMENT.match(rest) is not None or len(text.split()) < 3


def parameters(function: Function) -> list[str]:
    """Return the names of the parameters as they stand in a docstring."""
    a = function.args
    names = [p.arg for p in (*a.posonlyargs, *a.args)]
    if names[:1] in (["self"], ["cls"]):
        del names[0]
    return (
        names
        + ([f"*{a.vararg.arg}"] if a.vararg else [])
        + [p.arg for p in a.kwonlyargs]
        + ([f"**{a.kwarg.arg}"] if a.kwarg else [])
    )


def initialiser(node: Documented) -> Function | None:
    """Return the function whose parameters an Args section of ``node`` lists; None where it has no such function."""
    if isinstance(node, ast.ClassDef):
        return next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
    return node if isinstance(node, FUNCTIONS) else None


def is_overload(node: Documented) -> bool:
    """Return whether a function is a signature for type checkers only, whose documentation is the function's."""
    return isinstance(node, FUNCTIONS) and any("overload" in ast.unparse(d) for d in node.decorator_list)


def problems(tree: ast.Module) -> list[str]:
    """Return what is wrong with the docstrings of a module, a line each."""
    found = []
    for name, node in documented(tree):
        public = not any(part.startswith("_") for part in name.split("."))
        docstring = ast.get_docstring(node)
        if is_overload(node):
            continue
        if docstring is None:
            found += [f"{name}: no docstring"] if public else []
            continue
        for section in ("Args", "Attributes", "Raises"):
            for names, text in entries(docstring, section):
                if is_fragment(text):
                    found.append(f"{name}: {section}: {', '.join(names)}: {text}")
        listed = [n for names, _ in entries(docstring, "Args") for n in names]
        function = initialiser(node)
        if listed and function is not None and sorted(listed) != sorted(parameters(function)):
            found.append(f"{name}: Args lists {listed}, the parameters are {parameters(function)}")
    return found


@pytest.mark.parametrize("module", MODULES)
def test_docstrings_can_be_read_line_by_line(module: str) -> None:
    assert problems(ast.parse(MODULES[module].read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "module", [name for name, path in MODULES.items() if ">>> " in path.read_text(encoding="utf-8")]
)
def test_examples_run(module: str) -> None:
    name = ".".join(("avparse", *Path(module).with_suffix("").parts)).removesuffix(".__init__")
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_check_finds_what_it_is_for() -> None:
    module = '''
def f(a, b, *rest):
    """Return.

    Args:
        a: likewise.
        b: ``[N]`` of the
            draws.

    Raises:
        UserError: as for ``f``.
    """

class Open:
    def method(self):
        pass
'''
    assert problems(ast.parse(module)) == [
        "module: no docstring",
        "Open: no docstring",
        "Open.method: no docstring",
        "f: Args: a: likewise.",
        "f: Args: b: ``[N]`` of the draws.",
        "f: Raises: UserError: as for ``f``.",
        "f: Args lists ['a', 'b'], the parameters are ['a', 'b', '*rest']",
    ]
