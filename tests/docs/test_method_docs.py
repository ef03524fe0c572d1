"""The pages of docs/methods: their recipes, commands and options exist, and no curve that a method logs is left out."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from avparse.app.run_teacher import TEACHERS
from avparse.foundation.errors import UserError
from avparse.foundation.settings import build
from avparse.losses import LOSSES
from avparse.training.denoisers import DENOISERS
from avparse.training.recipe import Recipe, list_recipes, load_recipe
from avparse.training.train import train
from tests.toy import toy_store

PAGES = [p for p in sorted((Path(__file__).parents[2] / "docs" / "methods").glob("*.md")) if p.stem != "index"]
KEY = re.compile(
    r"`((?:denoiser|training|labels|losses|decoding|parser|pseudo_labels|tuning)(?:\.\w+)+|refined_video)`"
)


@cache
def _values(recipe: str) -> dict[str, Any]:
    """A recipe with every default written out, its losses by the names of their curves."""
    read = load_recipe(recipe)
    values = read.model_dump(mode="json")
    labels = [build(LOSSES, config).label for config in read.losses]
    return {**values, "losses": dict(zip(labels, values["losses"], strict=True))}


@cache
def _settable(recipe: str, key: str) -> bool:
    """Whether ``--set`` reaches the key: it takes the value that the recipe has, and refuses what no key can have."""
    value: Any = _values(recipe)
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    assert load_recipe(recipe, [f"{key}={json.dumps(value)}"]) == load_recipe(recipe), f"{recipe}: {key}"
    with pytest.raises(UserError):
        load_recipe(recipe, [f"{key}={{nothing: []}}"])
    return True


def _accepts(recipe: str, change: str) -> bool:
    try:
        return load_recipe(recipe, [change]) != load_recipe(recipe)
    except UserError:
        return False


def test_there_are_pages() -> None:
    assert {"coteaching", "contrastive", "jomold", "leap", "ma", "mm_pyramid", "baselines", "rlld"} <= {
        page.stem for page in PAGES
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_options_recipes_and_links_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    recipes = [name for name in list_recipes() if f"`{name}`" in text]
    keys = set(KEY.findall(text))
    assert not [key for key in sorted(keys) if not any(_settable(recipe, key) for recipe in recipes)]
    for written in re.findall(r"--set ([^\s\"`]+|\"[^\"]+\")", text):
        change = written.strip('"')
        if re.split(r"[.=]", change)[0] in Recipe.model_fields:  # else it is a setting of a teacher
            assert any(_accepts(recipe, change) for recipe in recipes), change
    commands = re.findall(r"^avparse (\w+) (.*)$", text, re.MULTILINE)
    assert commands
    for rest in (rest for command, rest in commands if command == "teach"):
        teacher = re.search(r"--teacher (\S+)", rest)
        assert teacher is not None
        assert teacher[1] in TEACHERS
    for command, rest in (found for found in commands if found[0] != "teach"):
        recipe = rest.split()[0] if command == "train" else re.search(r"--recipe (\S+)", rest)
        assert (recipe if isinstance(recipe, str) else recipe and recipe[1]) in list_recipes(), rest
        method = re.search(r"--method (\S+)", rest)
        assert method is None or method[1] in DENOISERS
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (page.parent / link).is_file(), link
    assert "@@" not in text


def test_the_27_ambiguities_are_numbered_as_in_the_code() -> None:
    page = next(page for page in PAGES if page.stem == "rlld").read_text(encoding="utf-8")
    numbers = [int(n) for n in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)]
    assert numbers == list(range(1, 28))
    folder = Path(__file__).parents[2] / "avparse/training/denoisers"
    code = "".join((folder / name).read_text(encoding="utf-8") for name in ("rlld.py", "rlld_learner.py"))
    assert {int(n) for n in re.findall(r"\[(\d+)\]", code) if int(n) > 1} <= set(numbers)


def test_every_option_of_rlld_is_on_its_page() -> None:
    page = next(page for page in PAGES if page.stem == "rlld").read_text(encoding="utf-8")
    config = load_recipe("rlld").denoiser
    assert config is not None
    missing = [
        name
        for name in type(config).model_fields
        if name not in {"name", "policy", "inter", "baseline", "shift"} and f"denoiser.{name}`" not in page
    ]
    assert not missing


@pytest.mark.parametrize("name", ["rlld", "rlld-paper"])
def test_every_curve_of_rlld_is_on_its_page(name: str, tmp_path: Path) -> None:
    page = next(page for page in PAGES if page.stem == "rlld").read_text(encoding="utf-8")
    small = ["parser.stem.width=8", "training.epochs=1"]
    short = ["denoiser.episodes=1", "denoiser.steps=1", "denoiser.batch_size=16"]
    run = train(load_recipe(name, [*small, *short]), toy_store(tmp_path / "toy"), tmp_path / "run")
    for sheet in ("metrics.jsonl", "denoised/episodes.jsonl"):
        logged = json.loads((run.path / sheet).read_text().splitlines()[0])
        curves = {"val/*" if name.startswith("val/") else name for name in logged} - {"epoch", "episode"}
        assert not {curve for curve in curves if f"`{curve}`" not in page}, sheet
