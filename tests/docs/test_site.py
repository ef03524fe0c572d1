"""The site builds without a warning, from what it describes, and reads nothing from the network."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from avparse.evaluation.parsing import METRICS
from avparse.training.recipe import list_recipes
from tools.results_tables import Request, render, with_tables

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"
SYSTEMS = sorted(path for path in RESULTS.glob("*.csv") if path.stem != "pseudo-label-quality")


class _Assets(HTMLParser):
    """What a page loads by itself: scripts, styles, pictures; not what it links to."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in {"script", "img", "iframe", "source", "video"} and given.get("src"):
            self.loaded.append(given["src"] or "")
        if tag == "link" and given.get("rel") not in {"canonical", "next", "prev"} and given.get("href"):
            self.loaded.append(given["href"] or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.mark.slow
def test_the_site_builds_and_needs_no_network(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        reader = _Assets()
        reader.feed(page.read_text(encoding="utf-8"))
        assert reader.loaded
        assert not [asset for asset in reader.loaded if re.match(r"(https?:)?//", asset)], page


@pytest.mark.slow
def test_every_page_of_the_folder_is_in_the_navigation(site: Path) -> None:
    listed = re.findall(r": (\S+\.md)$|- (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    named = {first or second for first, second in listed}
    written = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert written <= named
    assert all((site / page).with_suffix(".html").is_file() for page in named)


@pytest.mark.slow
def test_the_recipes_are_made_of_their_files(site: Path) -> None:
    page = (site / "recipes.html").read_text(encoding="utf-8")
    for name in list_recipes():
        assert f"<code>{name}</code>" in page
    assert "keep_visual" in page


def test_the_readme_and_the_docs_ask_for_no_table_that_is_not_there() -> None:
    pages = sorted(RESULTS.glob("*.md"))
    rendered = {page.stem: with_tables(page.read_text(encoding="utf-8"), RESULTS) for page in pages}
    assert not [name for name, text in rendered.items() if "<!-- results" in text]
    assert "| HAN | 56.9 | 50.6 | 54.0 / 47.7 |" in rendered["recommended"]
    assert "| VALOR+ (2 of 3 seeds) | 50.1 ± 0.0 | 44.7 ± 0.1 |" in rendered["teachers"]


def test_a_table_of_unknown_rows_is_refused() -> None:
    with pytest.raises(ValueError, match=r"rlld.csv has no row \['HAM'\]"):
        render(Request("rlld.csv", rows=["HAM"]), RESULTS)
    with pytest.raises(ValueError, match="no rows with tuned thresholds"):
        render(Request("rlld.csv", thresholds="tuned"), RESULTS)


@pytest.mark.parametrize("path", SYSTEMS, ids=lambda path: path.stem)
def test_results_hold_all_ten_metrics_and_say_what_they_were_measured_on(path: Path) -> None:
    """Rows are those of the table of runs that makes the file, and say that they are simulated."""
    table = yaml.safe_load((ROOT / "tables" / f"{path.stem}.yaml").read_text(encoding="utf-8"))
    planned = {row["name"]: row for row in table["rows"]}
    rows = list(csv.DictReader(path.open(encoding="utf-8", newline="")))
    assert rows
    for row in rows:
        assert row["system"] in planned
        metrics = [float(row[name]) for name in METRICS]
        assert all(0 <= metric <= 100 for metric in metrics)
        if row["source"] == "published, real LLP":
            assert metrics == planned[row["system"]]["published"]
        else:
            assert "simulated LLP" in row["source"]
            assert int(row["seeds"]) >= 1
