"""Size, loading and smoothness of the report's page of one long video, and the costs of an index of many.

    python -m benchmarks.bench_report [--videos N]

The events are random (synthetic): a three-hour video of 25 classes in segments of one second. The page is opened from
disk in a headless Chromium without a graphics card; the time of a frame is what requestAnimationFrame reports while the
view is zoomed and panned in every frame, so that nothing is drawn from what is there already. Two folders, of N videos
of ten seconds, cost an index and a page each; a further call on one new video then costs its page and the index.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from avparse.app.output_index import OutputIndex
from avparse.app.report.csv import write_events_csv
from avparse.app.report.folder import REPORT, PageFolder
from avparse.app.report.page import write_report
from avparse.app.report.results import write_pages_index
from avparse.app.report.video import ReportVideo
from avparse.data.timeline import Timeline, events_of
from avparse.data.vocabulary import LLP_CLASSES, MODALITIES
from avparse.models.decoding import DecodingRule

_RULE = DecodingRule()
_FRAMES = 90
# Zooms in and out on the middle and pans on the way; every frame draws all lanes anew.
_FRAME_TIMES = """(frames) => new Promise((done) => {
    document.querySelector("#all").checked = true;
    refresh();
    const times = [], drawn = [];
    let last = null, i = 0;
    const next = (now) => {
        if (last !== null) times.push(now - last);
        last = now;
        if (i++ === frames) { done([times, drawn]); return; }
        const size = wholeLength() * Math.pow(0.02, 0.5 - 0.5 * Math.cos(2 * Math.PI * i / frames));
        state.view = [0, size];
        look((wholeLength() - size) * i / frames, size);
        const start = performance.now();
        drawAll();
        drawn.push(performance.now() - start);
        due = null;
        requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
})"""


def invented(name: str, seconds: int, events: int, seed: int = 0) -> Timeline:
    """Return a timeline of random events: each lane has its share of them, of random lengths."""
    rng = np.random.default_rng(seed)
    segments: dict[str, Any] = {}
    found = []
    for modality in MODALITIES:
        on = np.zeros((seconds, len(LLP_CLASSES)), dtype=bool)
        lanes = rng.integers(0, len(LLP_CLASSES), events // 2)
        for c in range(len(LLP_CLASSES)):
            count = min(int((lanes == c).sum()), seconds // 3)
            starts = np.sort(rng.choice(seconds // 3, count, replace=False)) * 3
            on[starts, c] = True
            on[np.minimum(starts + 1, seconds - 1), c] = rng.random(count) < 0.5
        values = np.where(on, 0.75, 0.2) + rng.uniform(-0.2, 0.2, on.shape)
        segments[modality] = values.astype(np.float32)
        found += events_of(segments[modality] >= 0.5, segments[modality], modality, LLP_CLASSES, 1.0, float(seconds))
    ordered = sorted(found, key=lambda e: (e.onset, e.offset, e.class_name, e.modality))
    return Timeline(name, float(seconds), 1.0, LLP_CLASSES, segments, ordered)


def print_head(names: str) -> None:
    columns = names.split(", ")
    print(f"| {' | '.join(columns)} |\n|{'--:|' * len(columns)}")


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that ``work`` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure_page(page: Any, path: Path, ready: str) -> tuple[float, int]:
    """Open a page and return the milliseconds until it is drawn, and the number of its elements."""
    start = time.perf_counter()
    page.goto(path.as_uri())
    page.wait_for_selector(ready, state="attached")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return 1000 * (time.perf_counter() - start), page.evaluate("document.querySelectorAll('*').length")


def one_video(browser: Any, folder: Path) -> None:
    print_head("events, written (s), page (MB), loaded (ms), elements, frame (ms) median, 95 %, drawing a frame (ms)")
    for events in (100, 1_000, 10_000):
        timeline, path = invented("long.mp4", 3 * 3600, events), folder / "long.html"
        wave = np.random.default_rng(0).uniform(-1, 1, (2000, 2)).astype(np.float32)
        video = ReportVideo(timeline, waveform=wave)
        start = time.perf_counter()
        write_report(path, [video], title="long", rule=_RULE)
        written = time.perf_counter() - start
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        loaded, elements = measure_page(page, path, "#events tr[data-i]")
        times, drawn = page.evaluate(_FRAME_TIMES, _FRAMES)
        page.close()
        print(
            f"| {len(timeline.events):,} | {written:.2f} | {path.stat().st_size / 1e6:.2f} | {loaded:.0f} "
            f"| {elements} | {statistics.median(times):.0f} | {np.percentile(times, 95):.0f} "
            f"| {statistics.median(drawn):.1f} |",
            flush=True,
        )


def many_videos(browser: Any, folder: Path, videos: int) -> None:
    """Print what an index and its pages cost, and then one more video."""
    inputs = [folder / "videos" / f"v{i:05d}.mp4" for i in range(videos + 1)]
    index, pages = OutputIndex(folder, inputs), PageFolder(folder)

    def parsed(number: int) -> str:
        timeline = invented(inputs[number].name, 10, 20, number)
        name = index.add(inputs[number], timeline)
        timeline.save(folder / name)
        return name

    def written(names: list[str]) -> None:
        for name in names:
            pages.write(name, ReportVideo(Timeline.load(folder / name)), _RULE)
        write_pages_index(index, pages, set(names), _RULE, LLP_CLASSES)

    names = [parsed(number) for number in range(videos)]
    write_events_csv(folder / "events.csv", (Timeline.load(folder / name) for name in names))
    all_s = timed(lambda: written(names))
    before = {path.name: os.stat(path).st_mtime_ns for path in (folder / "report").iterdir()}
    names.append(parsed(videos))
    write_events_csv(folder / "events.csv", (Timeline.load(folder / name) for name in names))
    one_s = timed(lambda: written(names[-1:]))
    after = {path.name: os.stat(path).st_mtime_ns for path in (folder / "report").iterdir()}
    changed = sum(after[name] != before.get(name) for name in after)
    sizes = [path.stat().st_size for path in (folder / "report").iterdir()]
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    loaded, elements = measure_page(page, folder / REPORT, "#videos tr[data-i]")
    page.close()
    print(
        f"| {videos:,} | {all_s:.1f} | {one_s:.2f} | {changed} | {(folder / REPORT).stat().st_size / 1e3:.0f} | "
        f"{statistics.median(sizes) / 1e3:.0f} | {loaded:.0f} | {elements} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, nargs="+", default=[200, 2_000], help="sizes of the folders")
    videos = parser.parse_args().videos
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as temporary:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        one_video(browser, Path(temporary))
        print()
        print_head("videos, all (s), one more (s), pages of it, index (kB), a page (kB), loaded (ms), elements")
        for count in videos:
            folder = Path(temporary) / str(count)
            folder.mkdir()
            many_videos(browser, folder, count)
        browser.close()


if __name__ == "__main__":
    main()
