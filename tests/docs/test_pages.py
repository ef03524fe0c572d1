"""Every page of the documentation: its lines, its commands and its Python."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import typer

from avparse.app import cli
from avparse.app.run_teacher import TEACHERS
from avparse.data.simulation.corpus import synthesise
from avparse.training.denoisers import DENOISERS
from avparse.training.recipe import list_recipes, load_recipe
from tests.docs.pages import PAGES, ROOT, CodeBlock, blocks, commands, inline_commands, name_of

WIDTH = 120
OWN_METHOD = ROOT / "docs" / "howto" / "own_method.md"  # a program of its own: test_own_method.py
PROGRAMS = [page for page in PAGES if blocks(page, "python") and page != OWN_METHOD]
_PLACEHOLDER = re.compile(r"[A-Z]+\d?(\.[a-z]+)?|\.\.\.|[\w/.-]+\.ya?ml|help|tuned")


def _long_lines(page: Path) -> list[str]:
    """Return lines of prose beyond the width; tables, code, comments and unbreakable links are left out."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
    lines = [line for line in text.splitlines() if len(line) > WIDTH and not line.lstrip().startswith("|")]
    return [line for line in lines if not re.fullmatch(r"\s*!?(\[.*\])?\(?\S+\)?", line) and "](" not in line]


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md", ROOT / "tools" / "licences.md"], ids=name_of)
def test_prose_wraps(page: Path) -> None:
    assert not _long_lines(page)


def test_the_readme_is_short_and_leads_with_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 120
    assert "make demo" in text.split("```")[1]
    assert "make test" in text.split("```")[1]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files(page: Path) -> None:
    """As a reader of the files follows them; the site is built with its own check of links."""
    made_while_building = {ROOT / "docs" / "recipes.md", ROOT / "docs" / "licences.md"}
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        target = (page.parent / link).resolve()
        assert target in made_while_building or target.exists(), link


def _command(words: list[str]) -> tuple[Any, list[str]]:
    """Return the command that the words name, and its arguments."""
    found: Any = typer.main.get_command(cli.app)
    rest = words[1:]
    while hasattr(found, "commands") and rest and not rest[0].startswith("-"):
        name, *rest = rest
        default = getattr(found, "default", None)  # of 'avparse review STORE', which is 'avparse review open STORE'
        if name not in found.commands and default is not None:
            name, rest = default, [name, *rest]
        assert name in found.commands, f"no command 'avparse {name}'"
        found = found.commands[name]
    return found, rest


def _check_names(given: dict[str, Any]) -> None:
    """Refuse recipes, denoisers and teachers that do not exist; words in capitals stand for the reader's own."""
    named = given.get("recipe")
    known = {"method": DENOISERS, "teacher": TEACHERS, "recipe": list_recipes()}
    for key, names in known.items():
        value = named if key == "recipe" else given.get(key)
        for name in [value] if isinstance(value, str) else value or []:
            assert name in names or _PLACEHOLDER.fullmatch(name), f"unknown {key} '{name}'"


def _parse(line: str, whole: bool) -> None:
    command, arguments = _command(shlex.split(line))
    if hasattr(command, "commands"):
        assert not arguments or arguments[0].startswith("-")
        return
    context = command.context_class(command, info_name=command.name)
    given, _, _ = command.make_parser(context).parse_args([word for word in arguments if word != "..."])
    if whole:
        missing = [p.name for p in command.params if p.required and not given.get(p.name)]
        assert not missing, f"{line}: lacks {missing}"
        if command.name == "train" and given["recipe"] in list_recipes():
            load_recipe(given["recipe"], given.get("changes") or [])
    _check_names(given)


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=name_of)
def test_command_blocks_name_commands_options_and_parts_that_exist(page: Path) -> None:
    for line in commands(page):
        _parse(line, whole=True)


@pytest.mark.parametrize("page", [page for page in PAGES if inline_commands(page)], ids=name_of)
def test_commands_in_prose_exist(page: Path) -> None:
    for line in inline_commands(page):
        _parse(line, whole=False)


def test_a_command_that_does_not_exist_is_noticed() -> None:
    with pytest.raises(AssertionError, match="no command 'avparse prase'"):
        _parse("avparse prase clip.mp4", whole=False)
    with pytest.raises(Exception, match="--runs"):
        _parse("avparse parse clip.mp4 --runs x", whole=False)
    with pytest.raises(AssertionError, match="unknown recipe 'hna'"):
        _parse("avparse train hna --data store -o run", whole=True)
    with pytest.raises(AssertionError, match="lacks"):
        _parse("avparse train han --data store", whole=True)


@pytest.fixture(scope="module")
def after_the_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as 'make demo' leaves one, with a smaller corpus and a parser that hardly learned, and a clip."""
    folder = tmp_path_factory.mktemp("after")
    corpus, store = folder / "runs/demo-data/corpus", folder / "runs/demo-data/features"
    synthesise(corpus, 24, 3, workers=0)
    for name in ("labels.csv", "classes.txt"):
        assert not (folder / name).exists()
    _avparse(folder, "extract", corpus / "videos", "--labels", corpus, "-o", store, "--workers", "0")
    few = ["--set", "training.epochs=2", "--set", "denoiser=null"]
    _avparse(folder, "train", "demo", "--data", store, "-o", "runs/demo", "--device", "cpu", *few)
    first, second = sorted((corpus / "videos").glob("*.mp4"))[:2]
    (folder / "videos").mkdir()
    (folder / "clip.mp4").symlink_to(first)
    (folder / "videos/clip2.mp4").symlink_to(second)
    (folder / "store").symlink_to(store)
    torch.save({"weight": torch.ones(2)}, folder / "pytorch_model.bin")
    _avparse(folder, "denoise", "store", "--method", "class-prior", "-o", "labels.parquet", "--device", "cpu")
    return folder


def _avparse(folder: Path, *arguments: str | Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "avparse", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _runnable(page: Path) -> list[CodeBlock]:
    return [block for block in blocks(page, "python") if block.reason is None]


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PROGRAMS if _runnable(page)], ids=name_of)
def test_the_python_of_a_page_is_a_program(page: Path, after_the_demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All its blocks, one after the other, in a folder as the demo leaves it."""
    monkeypatch.chdir(after_the_demo)
    program = "\n".join(block.text for block in _runnable(page))
    exec(compile(program, name_of(page), "exec", dont_inherit=True), {"__name__": page.stem})


def test_the_only_python_that_is_not_run_says_why() -> None:
    kept_out = {name_of(page): block.reason for page in PROGRAMS for block in blocks(page, "python") if block.reason}
    assert all(len(reason.split()) > 3 for reason in kept_out.values())
    assert len(kept_out) <= 3


def test_the_architecture_names_files_that_exist() -> None:
    """What it calls by a path is there: from the package, or from the folder that a column of its tables speaks of."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    places = [ROOT, *(ROOT / "avparse" / room for room in ("", "models", "losses", "labels", "training"))]
    named = {span for span in re.findall(r"`([\w/.]+)`", text) if "/" in span or span.endswith(".py")}
    assert len(named) > 40
    for span in named:
        found = [p for place in places for p in (place / span, place / f"{span}.py") if p.exists()]
        assert found, span
