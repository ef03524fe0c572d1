"""Imports: no circle among the modules, none that hides in a function, and a new part is one file and one line."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

import avparse
from tests.toy import toy_store

PACKAGE = Path(avparse.__file__).parent
DOCUMENT = Path(__file__).parents[1] / "docs" / "howto" / "own_method.md"


def circle(package: str) -> list[str]:
    """Modules that import each other in a circle, be it in a function or for type checkers alone; empty: none do.

    The names of the package's front door do not count: they are imported when they are used, and told to type checkers.
    """
    graph, run = (grimp.build_graph(package, cache_dir=None, exclude_type_checking_imports=x) for x in (False, True))
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    imports[package] = run.find_modules_directly_imported_by(package)
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_no_modules_import_each_other() -> None:
    assert circle("avparse") == []


def test_a_circle_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "looped").mkdir()
    (tmp_path / "looped" / "__init__.py").write_text("")
    (tmp_path / "looped" / "one.py").write_text("from looped import two\n")
    (tmp_path / "looped" / "two.py").write_text("def later():\n    from looped import one\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert set(circle("looped")) == {"looped.one", "looped.two"}


def hidden_imports(text: str) -> list[int]:
    """Lines of imports that do not run when the module is imported: in a function, or for type checkers alone."""
    tree = ast.parse(text)
    hiding = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    ]
    return [x.lineno for node in hiding for x in ast.walk(node) if isinstance(x, ast.Import | ast.ImportFrom)]


@pytest.mark.parametrize("layer", ["labels", "training"])
def test_no_import_hides(layer: str) -> None:
    files = sorted((PACKAGE / layer).rglob("*.py"))
    assert len(files) > 10
    assert {str(path): lines for path in files if (lines := hidden_imports(path.read_text()))} == {}


def test_hidden_imports_would_be_found() -> None:
    text = "import a\n\ndef f():\n    import b\n\nif TYPE_CHECKING:\n    from c import d\n"
    assert hidden_imports(text) == [4, 7]


# What the denoiser of the page needs from the blocks before it, and what any denoiser may import.
HEAD = """
from typing import Literal

import torch

from avparse.foundation.settings import PartConfig
from avparse.training.workspace import Workspace
"""


@pytest.mark.slow
def test_the_denoiser_of_the_page_goes_into_the_package_as_a_file_and_a_line(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "avparse", ignore=shutil.ignore_patterns("__pycache__"))
    (block,) = [b for b in re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL) if "MemoryDenoiser" in b]
    own = re.sub(r"^(from \S+ import DENOISERS|DENOISERS\[.*)\n", "", block, flags=re.MULTILINE)
    assert "DENOISERS" not in own
    assert "Prepared" in own
    room = tmp_path / "avparse" / "training" / "denoisers"
    (room / "memory.py").write_text(HEAD + own)
    listing = (room / "__init__.py").read_text()
    changed = listing.replace('    "oracle": ', '    "memory": MemoryDenoiser,\n    "oracle": ')
    assert changed != listing
    (room / "__init__.py").write_text(f"from avparse.training.denoisers.memory import MemoryDenoiser\n{changed}")
    store = toy_store(tmp_path / "store", videos=20)
    small = ("parser.stem.width=8", "training.epochs=1", "denoiser={name: memory, wait: 0}")
    settings = [x for change in small for x in ("--set", change)]
    command = [sys.executable, "-m", "avparse", "train", "han", "--data", store.path, "-o", tmp_path / "run", *settings]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "memory" in (tmp_path / "run" / "recipe.yaml").read_text()
    assert (tmp_path / "run" / "parser.safetensors").is_file()
