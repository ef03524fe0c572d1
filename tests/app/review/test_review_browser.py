"""The review page in a real browser, by keyboard: it plays, decides, moves edges, undoes, and shows names as text."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avparse.app.review.opening import Given
from avparse.data.timeline import Event
from tests.app.review.reviews import Client, served, write_timeline
from tests.clips import colours, tone, write_clip
from tests.invented import NASTY

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=[*FLAGS, "--disable-sync"])
        yield started
        started.close()


@pytest.fixture
def show(browser: Any) -> Iterator[Any]:
    """Open the page of a review; at the end, nothing may have been logged or asked of anything else."""
    contexts: list[Any] = []
    trouble: list[str] = []
    expected: list[str] = []

    def opened(client: Client, *expect: str) -> Any:
        expected.extend(expect)
        contexts.append(browser.new_context(viewport={"width": 1200, "height": 800}))
        page = contexts[-1].new_page()
        own = f"http://127.0.0.1:{client.port}/"
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("request", lambda asked: asked.url.startswith((own, "data:")) or trouble.append(asked.url))
        page.goto(f"{own}?token={client.token}")
        assert page.url == own
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [line for line in trouble if not any(part in line for part in expected)] == []


def said(page: Any, text: str) -> None:
    page.wait_for_function("text => document.querySelector('#saved').textContent.startsWith(text)", arg=text)


def log(folder: Path) -> list[tuple[Any, ...]]:
    with sqlite3.connect(folder / "events.review.sqlite") as connection:
        rows = connection.execute("SELECT key, action, onset, offset, note FROM log ORDER BY number").fetchall()
    connection.close()
    return rows


def test_a_reviewer_decides_by_keyboard_while_the_moment_plays(show: Any, tmp_path: Path) -> None:
    write_timeline(tmp_path / "clip.json")
    write_clip(tmp_path / "clip.mp4", sound=tone(), picture=colours, seconds=8)
    with served(Given([tmp_path]), author="") as client:
        page = show(client)
        page.fill("#name", "Ann")
        page.keyboard.press("Enter")
        page.click("#order")
        page.select_option("#order", "wrong")
        page.wait_for_function("() => document.querySelector('#said').textContent.includes('0.30')")
        assert page.inner_text("#question") == "Is Dog seen here?"
        # The event from 4 to 6 s plays with half a second around it, again and again.
        page.wait_for_function(
            "() => { const v = document.querySelector('video:not([data-waits])'); return v.currentTime > 5; }"
        )
        page.evaluate("document.querySelector('video:not([data-waits])').currentTime = 6.4")
        page.wait_for_function(
            "() => Math.abs(document.querySelector('video:not([data-waits])').currentTime - 4) < 0.55"
        )
        for key in ("b", "Shift+ArrowLeft", "Shift+ArrowLeft", "e", "ArrowRight"):
            page.keyboard.press(key)
        assert page.inner_text("#edges") == "From 3.8 s to 7.0 s"
        page.keyboard.press("n")
        page.keyboard.type("kept for its tail")
        page.keyboard.press("Enter")
        page.keyboard.press("k")
        said(page, "Saved: Dog, seen: keep.")
        page.wait_for_function("() => document.querySelector('#said').textContent.includes('0.55')")
        page.keyboard.press("o")
        said(page, "Saved: Speech, heard: other modality.")
        page.keyboard.press("u")
        said(page, "Taken back: other modality.")
        page.keyboard.press("Control+z")
        said(page, "Taken back: keep.")
        assert page.inner_text("#edges") == "From 3.8 s to 7.0 s"
        assert page.input_value("#note") == "kept for its tail"
        page.keyboard.press("r")
        said(page, "Saved: Dog, seen: remove.")
        page.keyboard.press("s")
        said(page, "Skipped")
        page.keyboard.press("k")
        said(page, "Saved: Dog, heard: keep.")
        page.wait_for_function("() => document.querySelector('#question').textContent === 'Is Speech heard here?'")
        page.keyboard.press("k")
        page.wait_for_function("() => document.querySelector('#question').textContent.startsWith('Nothing is left')")
        page.wait_for_function("() => document.querySelector('#counted').textContent === '3 of 3'")
    actions = [(action, onset, offset, note) for _, action, onset, offset, note in log(tmp_path)]
    assert actions[0] == ("keep", 3.8, 7.0, "kept for its tail")
    assert [action[0] for action in actions[1:]] == [
        *("other_modality", "undo", "undo", "remove", "skip", "keep", "keep")
    ]


def test_names_are_text_and_without_videos_there_are_lanes(show: Any, tmp_path: Path) -> None:
    timeline = write_timeline(tmp_path / "a.json", NASTY, events=[Event("Dog", "audio", 1.0, 3.0, 0.5)])
    classes = (NASTY.replace(",", " "), *timeline.classes[1:])
    events = [replace(event, class_name=classes[0]) for event in timeline.events]
    segments = {"audio": np.full((8, 3), 0.5, np.float32), "visual": None}
    replace(timeline, classes=classes, events=events, segments=segments).save(tmp_path / "a.json")
    with served(Given([tmp_path]), author=NASTY[:60]) as client:
        page = show(client)
        page.wait_for_selector("#keep:not([disabled])")
        assert page.inner_text("#question b") == classes[0].replace("_", " ")
        assert page.inner_text("#video-name") == NASTY
        assert "no videos to play" in page.inner_text("#notes")
        assert page.locator("#lanes canvas").count() == 2
        assert page.locator("#lanes .absent").all_inner_texts() == ["no picture in this file"]
        assert page.locator("img").count() == 0
        page.keyboard.press("k")
        page.wait_for_function("() => document.querySelector('#counted').textContent === '1 of 1'")
        page.set_viewport_size({"width": 400, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 400


@pytest.mark.slow
def test_a_decision_that_is_not_kept_is_told_and_asked_again(show: Any, tmp_path: Path) -> None:
    write_timeline(tmp_path / "a.json")
    with served(Given([tmp_path])) as client:
        page = show(client, "409 (Conflict)")
        page.wait_for_selector("#keep:not([disabled])")
        asked = page.inner_text("#question")
        client.opened.database.close()
        page.keyboard.press("k")
        page.wait_for_selector("#trouble:not([hidden])")
        assert page.inner_text("#question") == asked
