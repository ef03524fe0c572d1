"""The pages of docs/methods: their recipes, commands and options exist, and no curve that a method logs is left out."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from avparse.training.denoisers import DENOISERS
from avparse.training.loop import train
from avparse.training.recipe import load_recipe, shipped_recipes
from tests.toy import toy_store

PAGES = sorted((Path(__file__).parents[1] / "docs" / "methods").glob("*.md"))
KEY = re.compile(r"`((?:denoiser|training|labels|losses|decoding|parser)(?:\.\w+)+|refined_video)`")


@cache
def _keys() -> set[str]:
    """Every key of every shipped recipe; an element of a list has the key of the list."""

    def walk(value: Any, key: str) -> set[str]:
        if isinstance(value, dict):
            inner = [walk(v, f"{key}.{k}" if key else k) for k, v in value.items()]
            return {key}.union(*inner)
        if isinstance(value, list):
            return {key}.union(*(walk(v, key) for v in value))
        return {key}

    return set().union(*(walk(load_recipe(name).model_dump(mode="json"), "") for name in shipped_recipes()))


def test_there_are_pages() -> None:
    assert {"coteaching", "contrastive", "jomold", "leap", "ma", "mm_pyramid", "references", "rlld"} <= {
        page.stem for page in PAGES
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_options_recipes_and_links_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not set(KEY.findall(text)) - _keys()
    commands = re.findall(r"^avparse (\w+) (.*)$", text, re.MULTILINE)
    assert commands
    for command, rest in commands:
        recipe = rest.split()[0] if command == "train" else re.search(r"--recipe (\S+)", rest)
        assert (recipe if isinstance(recipe, str) else recipe and recipe[1]) in shipped_recipes(), rest
        method = re.search(r"--method (\S+)", rest)
        assert method is None or method[1] in DENOISERS
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (page.parent / link).is_file(), link
    assert "@@" not in text


def test_the_27_ambiguities_are_numbered_as_in_the_code() -> None:
    page = next(page for page in PAGES if page.stem == "rlld").read_text(encoding="utf-8")
    numbers = [int(n) for n in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)]
    assert numbers == list(range(1, 28))
    code = (Path(__file__).parents[1] / "avparse/training/denoisers/rlld.py").read_text(encoding="utf-8")
    assert {int(n) for n in re.findall(r"\[(\d+)\]", code) if int(n) > 1} <= set(numbers)


def test_every_option_of_rlld_is_on_its_page() -> None:
    page = next(page for page in PAGES if page.stem == "rlld").read_text(encoding="utf-8")
    config = load_recipe("rlld").denoiser
    assert config is not None
    missing = [
        name
        for name in type(config).model_fields
        if name not in {"name", "policy", "inter", "baseline"} and f"denoiser.{name}`" not in page
    ]
    assert not missing


def test_every_curve_of_rlld_is_on_its_page(tmp_path: Path) -> None:
    page = next(page for page in PAGES if page.stem == "rlld").read_text(encoding="utf-8")
    small = ["parser.stem.width=8", "denoiser.policy.stem={name: linear, width: 8}", "training.epochs=1"]
    short = ["denoiser.episodes=1", "denoiser.steps=1", "denoiser.batch_size=16"]
    run = train(load_recipe("rlld", [*small, *short]), toy_store(tmp_path / "toy"), tmp_path / "run")
    for sheet in ("metrics.jsonl", "denoised/episodes.jsonl"):
        logged = json.loads((run.path / sheet).read_text().splitlines()[0])
        curves = {"val/*" if name.startswith("val/") else name for name in logged} - {"epoch", "episode"}
        assert not {curve for curve in curves if f"`{curve}`" not in page}, sheet
