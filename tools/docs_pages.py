"""Pages of the site that are made while it is built, from what they describe; no copy of them is committed.

MkDocs calls the functions here (``hooks`` in mkdocs.yml). The home page is the README; the pages of recipes, of the
code and of licences are made of the recipes, the docstrings and what is installed; tables of results are made of the
CSV files beside the pages.
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import licences
import results_tables
import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
RECIPES = resources.files("avparse") / "recipes"
# Pages of the site that are files beside docs/, which is where GitHub looks for them.
_BESIDE = {"index.md": "README.md", "changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}
# Recipes without a page of their own method, and the page that explains them.
_EXPLAINED = {"demo": "quickstart/command_line.md"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    made = {name: _inside((ROOT / source).read_text(encoding="utf-8")) for name, source in _BESIDE.items()}
    made["recipes.md"] = recipes_page()
    made["licences.md"] = licences.as_page(licences.installed())
    made |= {f"reference/{package}.md": package_page(package) for package in packages()}
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the tables into a page of results, and let links to files beside docs/ lead to their pages."""
    text = results_tables.with_tables(markdown, ROOT / "docs" / "results")
    for made, source in _BESIDE.items():
        text = re.sub(rf"\]\(((?:\.\./)*)\.\./{source}", rf"](\g<1>{made}", text)
    return text


def packages() -> list[str]:
    """Return the names of the packages inside avparse."""
    return sorted(path.parent.name for path in (ROOT / "avparse").glob("*/__init__.py"))


def package_page(package: str) -> str:
    """Return the reference of one package inside avparse: every module with its public names."""
    folder = ROOT / "avparse" / package
    text = (folder / "__init__.py").read_text(encoding="utf-8")
    about = re.match(r'"""(.+?)"""', text, re.DOTALL)
    lines = [f"# avparse.{package}", "", about[1].strip() if about else ""]
    for path in sorted(folder.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if path.parent != folder or path.stem != "__init__":
            lines += ["", f"::: {name}"]
    return "\n".join(lines) + "\n"


def recipes_page() -> str:
    """Return a page of all shipped recipes: what they are, what they are made of, and their YAML."""
    texts = {
        entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8")
        for entry in RECIPES.iterdir()
        if entry.name.endswith(".yaml")
    }
    lines = [
        "# Recipes",
        "",
        "A recipe is a YAML file that names the parts of a system and their numbers. `avparse train RECIPE` takes a",
        "name from this page, or a file of your own; `--set KEY=VALUE` changes one setting.",
        "[Formats](formats.md#recipe) explains the keys, and [which recipe is best](results/recommended.md) helps to",
        "choose.",
        "",
        "| recipe | system | parser | labels |",
        "|---|---|---|---|",
    ]
    recipes = {name: yaml.safe_load(text) for name, text in sorted(texts.items())}
    for name, recipe in recipes.items():
        page = method_page(name)
        title = f"[{recipe['title']}]({page})" if page else recipe["title"]
        lines.append(f"| [`{name}`](#{_anchor(name)}) | {title} | {_parser(recipe['parser'])} | {_labels(recipe)} |")
    for name, recipe in recipes.items():
        lines += ["", f"## {name} {{ #{_anchor(name)} }}", "", f"{recipe['title']}. {recipe.get('source', '')}", ""]
        lines += ["```yaml", texts[name].rstrip(), "```"]
    return "\n".join(lines) + "\n"


def method_page(recipe: str) -> str | None:
    """Return the page that explains a recipe: the one whose head names it."""
    for path in sorted((ROOT / "docs" / "methods").glob("*.md")):
        head = path.read_text(encoding="utf-8").split("\n## ")[0]
        if f"`{recipe}`" in head and path.stem != "index":
            return f"methods/{path.name}"
    return _EXPLAINED.get(recipe)


def _anchor(recipe: str) -> str:
    return f"recipe-{recipe.replace('+', '-plus-')}"


def _name(part: str | dict[str, str]) -> str:
    return part if isinstance(part, str) else part["name"]


def _parser(parser: dict[str, str | dict[str, str]]) -> str:
    if "encoder" not in parser:
        return f"`{parser['name']}`"
    return f"`{_name(parser['encoder'])}` → `{_name(parser['decoder'])}`"


def _labels(recipe: dict[str, str | dict[str, str]]) -> str:
    made = ["weak labels"]
    if recipe.get("pseudo_labels"):
        made.append("segment labels of teachers")
    if recipe.get("denoiser"):
        made.append(f"denoised by `{_name(recipe['denoiser'])}`")
    return ", ".join(made)


def _inside(text: str) -> str:
    """Return Markdown of the project's root with its links as they are from inside docs/."""
    pages = {source: page for page, source in _BESIDE.items()}

    def moved(link: re.Match[str]) -> str:
        target = link[1]
        return f"]({pages.get(target, target.removeprefix('docs/'))}"

    return re.sub(r"\]\(([^)#:]+)", moved, text)
