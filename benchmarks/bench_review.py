"""How many decisions a minute the review page takes, by a scripted reviewer who presses real keys in a real browser.

    python -m benchmarks.bench_review [--items 60] [--videos 24]

A corpus is synthesised, its labels are given random scores, and the reviewer decides as soon as the next question is
there, once without and once with waiting until its video plays. A person needs time to look besides.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from avparse.app.extracting import extract_store, read_labels
from avparse.app.review.opening import Given, open_review
from avparse.app.review.server.routes import PageFacts, make_app
from avparse.app.review.server.serving import Server
from avparse.data.simulation.corpus import synthesise
from avparse.data.store import FeatureStore
from avparse.labels.table import RefinedLabels

_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
_SHOWN = "() => document.querySelector('#keep:not([disabled])')"
_PLAYS = (
    "() => { const v = document.querySelector('video:not([data-waits])'); return v.readyState >= 2 && !v.seeking; }"
)


@dataclass(frozen=True)
class Pace:
    """Times of a review.

    Attributes:
        seconds: seconds from each key to the next question.
    """

    seconds: list[float]

    def __str__(self) -> str:
        middle, high = np.quantile(self.seconds, [0.5, 0.95])
        return f"{60 / np.mean(self.seconds):.0f} | {1000 * middle:.0f} | {1000 * high:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=60)
    parser.add_argument("--videos", type=int, default=24)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        synthesise(corpus, given.videos, 3, workers=0)
        extract_store(corpus / "videos", read_labels(corpus), Path(folder) / "store", workers=0)
        store = FeatureStore.open(Path(folder) / "store")
        _write_labels(store, Path(folder) / "labels.parquet")
        print("| reviewer | decisions/minute | median (ms) | 95 % below (ms) |\n|---|--:|--:|--:|")
        for name, waits in (("decides at once", False), ("waits until the video plays", True)):
            file = Path(folder) / f"{waits}.sqlite"
            asked = Given([store.path], Path(folder) / "labels.parquet", None, [corpus / "videos"], file)
            print(f"| {name} | {_review(asked, given.items, waits)} |", flush=True)


def _write_labels(store: FeatureStore, path: Path) -> None:
    weak, random = store.weak, np.random.default_rng(0)
    quality = [random.random(weak.shape).astype(np.float32) for _ in range(2)]
    target = [weak * np.ones_like(quality[0]) for _ in range(2)]
    reason = [np.full(weak.shape, "", dtype=object) for _ in range(2)]
    RefinedLabels(tuple(store.videos), store.vocabulary.names, weak, *target, *quality, *reason).save(path)


def _review(given: Given, items: int, waits: bool) -> Pace:
    with _page(given) as page:
        page.wait_for_function(_SHOWN)
        seconds = []
        for number in range(items):
            if waits:
                page.wait_for_function(_PLAYS)
            question = page.evaluate("() => document.querySelector('#question').dataset.number")
            begun = time.perf_counter()
            page.keyboard.press("kr"[number % 2])
            page.wait_for_function(
                "before => document.querySelector('#question').dataset.number !== before", arg=question
            )
            if waits:
                page.wait_for_function(_PLAYS)
            seconds.append(time.perf_counter() - begun)
        return Pace(seconds)


@contextmanager
def _page(given: Given) -> Iterator[Any]:
    opened = open_review(given)
    server = Server(make_app(opened.review, PageFacts("Ann")))
    threading.Thread(target=server.run, daemon=True).start()
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=list(_FLAGS))
        page = browser.new_page()
        page.goto(server.address)
        yield page
        browser.close()
    server.stop()


if __name__ == "__main__":
    main()
