"""Size and shape of the code and the docs of one or several trees, side by side.

Usage: ``python -m benchmarks.structure [TREE ...]``; by default this tree.

Counted in ``avparse/``: modules that import each other in a circle, imports inside functions, names of the package
root, files and their non-blank lines, lines of functions, functions with more than six parameters, and documented
arguments whose text cannot be read without its neighbours. Counted beside it: lines of the README and of the longest
page of docs.
"""

from __future__ import annotations

import ast
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

import grimp

_FRAGMENT = re.compile(r"^\s+\*{0,2}[a-z_][\w, ]*: (of |see |likewise|as for|as in |the same|ditto)")
_HEADS = ("Args:", "Attributes:", "Raises:")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def circle(imports: Mapping[str, Set[str]]) -> set[str]:
    """Return the modules from which a chain of imports leads back to them."""

    def reached(start: str) -> set[str]:
        seen, waiting = set[str](), list(imports[start])
        while waiting:
            module = waiting.pop()
            if module not in seen:
                seen.add(module)
                waiting += imports.get(module, ())
        return seen

    return {module for module in imports if module in reached(module)}


def hidden_imports(tree: ast.Module) -> int:
    """Count import statements inside functions."""
    functions = [node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)]
    return len({x.lineno for node in functions for x in ast.walk(node) if isinstance(x, ast.Import | ast.ImportFrom)})


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the parameters of a function, without ``self`` and ``cls``."""
    given = function.args
    names = [x.arg for x in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def fragments(tree: ast.Module) -> Iterator[str]:
    """Yield the documented arguments of public classes and functions whose text is a bare fragment."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.ClassDef, *_FUNCTIONS)) and not node.name.startswith("_"):
            inside = False
            for line in (ast.get_docstring(node, clean=True) or "").splitlines():
                if line.strip() and not line.startswith(" "):
                    inside = line.strip() in _HEADS
                elif inside and _FRAGMENT.match(line):
                    yield f"{node.name}: {line.strip()}"


def root_names(tree: ast.Module) -> int:
    """Count the names of ``__all__``; without it, those that the root defines itself."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return len(ast.literal_eval(node.value))
    return sum(isinstance(node, ast.Assign) for node in tree.body)


def spread(values: list[int]) -> str:
    """Return median, ninth decile and maximum."""
    ordered = sorted(values)
    return f"{statistics.median(ordered):g} / {ordered[int(0.9 * len(ordered))]} / {ordered[-1]}"


def measure(folder: Path) -> dict[str, str]:
    """Return what is counted in a tree, by name, ready to be printed."""
    sys.path.insert(0, str(folder))  # grimp looks for the package there, and does not import it
    graph, run = (grimp.build_graph("avparse", cache_dir=None, exclude_type_checking_imports=x) for x in (False, True))
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    imports["avparse"] = run.find_modules_directly_imported_by("avparse")  # its names are imported when they are used
    files = sorted((folder / "avparse").rglob("*.py"))
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in files}
    lines = [sum(bool(line.strip()) for line in path.read_text(encoding="utf-8").splitlines()) for path in files]
    functions = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)]
    lengths = [(node.end_lineno or node.lineno) - node.lineno + 1 for node in functions]
    hidden = {path: hidden_imports(tree) for path, tree in trees.items()}
    inner = sum(count for path, count in hidden.items() if {"labels", "training"} & {*path.parts})
    pages = {page: len(page.read_text(encoding="utf-8").splitlines()) for page in (folder / "docs").rglob("*.md")}
    longest = max(pages, key=lambda page: pages[page])
    return {
        "modules in import circles": f"{len(circle(imports))}",
        "imports inside functions": f"{sum(hidden.values())}",
        "of these in labels and training": f"{inner}",
        "names at the root": f"{root_names(trees[folder / 'avparse' / '__init__.py'])}",
        "files": f"{len(files)}",
        "non-blank lines": f"{sum(lines):,}",
        "lines a file, median / p90 / longest": spread(lines),
        "lines a function, median / p90 / longest": spread(lengths),
        "functions with more than six parameters": f"{sum(parameters(node) > 6 for node in functions)}",
        "arguments documented by a fragment": f"{sum(1 for tree in trees.values() for _ in fragments(tree))}",
        "lines of README": f"{len((folder / 'README.md').read_text(encoding='utf-8').splitlines())}",
        "longest page of docs": f"{pages[longest]} ({longest.relative_to(folder / 'docs')})",
    }


def main() -> None:
    """Measure each tree in a process of its own, so that each finds its own package, and print a table."""
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(Path(sys.argv[2]).resolve())))
        return
    folders = sys.argv[1:] or [str(Path(__file__).parents[1])]
    command = [sys.executable, __file__, "--one"]
    columns = [
        json.loads(subprocess.run([*command, folder], check=True, capture_output=True, text=True).stdout)
        for folder in folders
    ]
    print(f"| | {' | '.join(folders)} |\n|---|{'---:|' * len(folders)}")
    for name in columns[0]:
        print(f"| {name} | {' | '.join(column[name] for column in columns)} |")


if __name__ == "__main__":
    main()
