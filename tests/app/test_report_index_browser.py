"""The index and the pages beside it in a real browser: keys, filters, links to a moment, comparison, accessibility."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avparse.app.report.folder import MOST_ON_ONE_PAGE
from avparse.app.report.from_stored import report_stored
from avparse.app.report.other import OtherEvents
from avparse.app.report.page import write_report
from avparse.data.timeline import Timeline, events_of
from avparse.data.vocabulary import MODALITIES
from avparse.media.decoding.problems import MediaWarning
from tests.app.browser import start_browser, violations, visit, watched_page
from tests.invented import CLASSES, NASTY, RULE, make_video

VIDEOS = MOST_ON_ONE_PAGE + 4


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    yield from start_browser()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    yield from watched_page(browser)


def timelines(folder: Path, seed: int, videos: int) -> Path:
    folder.mkdir(parents=True)
    for number in range(videos):
        timeline = replace(make_video(seed + number, 12).timeline, video=f"clip {number:02d}.mp4")
        if number == 3:
            timeline = replace(timeline, video=f"{NASTY}")
        if number == 5:
            timeline = replace(timeline, warnings=(MediaWarning("gap", "no sound from 3 s on"),), events=[])
        timeline.save(folder / f"clip #{number:02d}.json")
    return folder


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index with a page a video, each beside another run."""
    folder = tmp_path_factory.mktemp("many")
    mine, theirs = timelines(folder / "mine", 0, VIDEOS), timelines(folder / "theirs", 1, VIDEOS - 1)
    return report_stored(mine, folder / "out", against=theirs).page


def names(page: Any) -> list[str]:
    return page.eval_on_selector_all("#videos tr[data-i] .go", "links => links.map(link => link.textContent)")


def test_the_index_lists_sorts_and_filters(page: Any, many: Path) -> None:
    visit(page, many)
    assert names(page)[:3] == ["clip 00.mp4", "clip 01.mp4", "clip 02.mp4"]
    assert page.locator("table").first.get_attribute("aria-rowcount") == str(VIDEOS + 1)
    assert page.locator("img").count() == 0  # a name with markup is text
    first = Timeline.load(many.parent.parent / "mine" / "clip #00.json")
    heard = sum(event.modality == "audio" for event in first.events)
    assert page.locator("#videos tr[data-i] .bars b").first.inner_text() == str(heard)
    page.click("button[data-sort=seen]")
    page.click("button[data-sort=seen]")
    assert page.locator("th[aria-sort=descending] button").inner_text().startswith("Seen")
    page.check("#warned")
    assert names(page) == ["clip 05.mp4"]
    page.uncheck("#warned")
    page.keyboard.press("/")
    page.keyboard.type("clip 1")
    assert {name[:6] for name in names(page)} == {"clip 1"}
    page.fill("#search", "none such")
    assert page.is_visible("#none")
    page.fill("#search", "")
    page.select_option("#class", label="Dog")
    page.select_option("#sense", "audio")
    shown = set(names(page))
    assert 0 < len(shown) < VIDEOS
    assert "clip 05.mp4" not in shown


@pytest.mark.slow
def test_keys_lead_from_the_index_through_the_pages_and_back(page: Any, many: Path) -> None:
    visit(page, many)
    for _ in range(3):
        page.keyboard.press("n")
    page.keyboard.press("p")
    assert page.evaluate("document.activeElement.textContent") == "clip 01.mp4"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("#video-name")
    assert page.inner_text("#video-name") == "clip 02.mp4"
    page.keyboard.press("N")  # by way of the index, whose order it is
    page.wait_for_function("() => document.querySelector('#video-name')?.textContent.startsWith('a </script>')")
    page.click("#previous")
    page.wait_for_function("() => document.querySelector('#video-name')?.textContent === 'clip 02.mp4'")
    page.click("#home")
    page.wait_for_selector("tr[aria-current] >> text=clip 02.mp4")


def test_a_link_to_a_moment_opens_there(page: Any, many: Path, tmp_path: Path) -> None:
    visit(page, many, "video=clip%2007.mp4&t=4.5")
    page.wait_for_selector("#video-name")
    assert (page.inner_text("#video-name"), page.inner_text("#clock")) == ("clip 07.mp4", "4.5 s")
    visit(page, many, "video=clip%2007.mp4")
    page.wait_for_selector("tr[aria-current] >> text=clip 07.mp4")
    other = replace(make_video(1), timeline=replace(make_video(1).timeline, video="b & c.mp4"))
    write_report(tmp_path / "report.html", [make_video(), other], title="Two", rule=RULE)
    visit(page, tmp_path / "report.html", "video=b%20%26%20c.mp4&t=2")
    assert (page.inner_text("#video-name"), page.inner_text("#clock")) == ("b & c.mp4", "2.0 s")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("l")
    page.wait_for_function("() => location.hash === '#video=b%20%26%20c.mp4&t=3.0'")
    assert page.is_visible("#told")


def test_differences_are_those_that_python_finds_and_keys_step_through_them(page: Any, tmp_path: Path) -> None:
    video, theirs = make_video(4, 40), make_video(5, 40).timeline
    other = OtherEvents.of_timeline("theirs", replace(theirs, classes=(*CLASSES[:3], "Cat"), segment_seconds=2.0))
    write_report(tmp_path / "report.html", [replace(video, other=other)], title="Beside", rule=RULE)
    visit(page, tmp_path / "report.html")
    found = other.differences(video.timeline)
    said = page.inner_text("#compared")
    assert f"{100 * found.agreement:.0f} %" in said
    assert f"{found.both_s:.1f} s in both, {found.here_s:.1f} s only here, {found.there_s:.1f} s only in theirs" in said
    assert f"Events only here: {found.only_here}, only in theirs: {found.only_there}." in said
    told = page.inner_text("#other-told")
    assert "only here: Cello; only in theirs: Cat" in told
    assert "1 s here and 2 s in theirs" in told
    onsets = page.evaluate("list.items.map(item => item.onset)")
    walked = []
    for _ in range(4):
        page.keyboard.press("n")
        walked.append(page.evaluate("position()"))
    assert walked == onsets[:4]
    page.keyboard.press("p")
    assert page.evaluate("position()") == walked[2]
    page.keyboard.press("d")
    assert page.evaluate("list.items.length") == len(video.timeline.events)
    # The marks are in the lane: below the bars, where the list says.
    page.keyboard.press("d")
    mark = page.evaluate("""() => {
        const item = state.differences.items.find((one) => one.kind === "there");
        const row = state.rows.find((one) => one.c === item.c);
        const lane = row.lanes[item.modality], scale = lane.height / lane.clientHeight;
        const x = Math.round((item.onset + .4) / state.video.duration * lane.width);
        return [...lane.getContext("2d").getImageData(x, Math.round(37 * scale), 1, 1).data];
    }""")
    assert mark[3] == 255
    assert mark[0] > mark[2]  # orange


@pytest.mark.slow
def test_filters_and_mute_leave_events_out_and_the_figures_alone(page: Any, tmp_path: Path) -> None:
    video = make_video(2, 30)
    write_report(tmp_path / "report.html", [video], title="Filters", rule=RULE)
    visit(page, tmp_path / "report.html")
    events = video.timeline.events
    counts = page.inner_text("#counts")

    def shown() -> int:
        page.evaluate("refresh()")
        return page.evaluate("list.items.length")

    assert shown() == len(events)
    page.keyboard.press("h")
    assert shown() == sum(e.modality == "visual" for e in events)
    assert page.locator("#rows .sense >> text=heard").count() == 0
    page.keyboard.press("h")
    page.fill("#score", "0.7")
    assert abs(shown() - sum(e.score >= 0.7 for e in events)) <= 1
    page.fill("#score", "0")
    page.keyboard.press("/")
    page.keyboard.type("speech")
    assert shown() == sum(e.class_name == "Speech" for e in events)
    assert page.locator("#rows .row").count() == 1
    page.fill("#filter", "")
    page.keyboard.press("Escape")
    page.click("button[aria-label='Mute Speech']")
    assert shown() == sum(e.class_name != "Speech" for e in events)
    page.keyboard.press("M")
    assert shown() == len(events)
    assert page.inner_text("#counts") == counts


@pytest.mark.slow
def test_zoom_by_wheel_drag_keys_and_map(page: Any, tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", [make_video(2, 300)], title="Zoom", rule=RULE)
    visit(page, tmp_path / "report.html")
    page.evaluate("seek(100)")
    page.keyboard.press("+")
    start, end = page.evaluate("state.view")
    assert start < 100 < end
    assert end - start == pytest.approx(299.75 / 2)
    axis = page.locator("#axis").bounding_box()
    page.mouse.move(axis["x"] + axis["width"] / 4, axis["y"] + 5)
    under = start + (end - start) / 4
    page.mouse.wheel(0, -60)
    page.wait_for_function(f"() => span() < {end - start} - 1")
    start, end = page.evaluate("state.view")
    assert start + (end - start) / 4 == pytest.approx(under, abs=0.5)  # what is under the pointer stays
    lane = page.locator("canvas[data-class]").first.bounding_box()
    page.mouse.move(lane["x"] + 300, lane["y"] + 5)
    page.mouse.down()
    page.mouse.move(lane["x"] + 200, lane["y"] + 5, steps=4)
    page.mouse.up()
    moved = page.evaluate("state.view[0]")
    assert moved == pytest.approx(start + 100 / lane["width"] * (end - start), abs=0.5)
    assert page.evaluate("position()") == 100  # a drag is no click
    page.focus("#minimap")
    page.keyboard.press("Home")
    assert page.evaluate("state.view[0]") == 0
    page.keyboard.press("End")
    assert page.evaluate("state.view[1]") == pytest.approx(299.75)
    page.keyboard.press("0")
    assert page.evaluate("zoomed()") is False
    page.keyboard.press("?")
    assert page.is_visible("#help")
    page.keyboard.press("Escape")
    assert not page.is_visible("#help")


@pytest.mark.slow
def test_events_that_no_rule_gives_are_shown_as_they_were_stored(page: Any, tmp_path: Path) -> None:
    timeline = make_video(6, 20).timeline
    first = timeline.events[0]
    moved = [replace(first, onset=first.onset + 0.25), *timeline.events[1:]]
    replace(timeline, events=moved, video="moved.mp4").save(tmp_path / "moved.json")
    report_stored(tmp_path / "moved.json", tmp_path / "out")
    visit(page, tmp_path / "out" / "report.html")
    onsets = page.evaluate("state.shown.map(event => event.onset)")
    assert sorted(onsets) == sorted(event.onset for event in moved)
    assert "The rule of these events is not known" in page.locator("#rule").text_content()
    page.fill("#threshold", "0.9")
    page.wait_for_function("() => document.querySelector('#threshold-value').textContent === '0.90'")
    expected = sum(
        len(events_of(values >= np.float32(0.9), values, m, CLASSES, 1.0, timeline.duration))
        for m in MODALITIES
        if (values := timeline.segments[m]) is not None
    )
    assert page.evaluate("state.shown.length") <= expected
    page.click("#reset")
    assert page.evaluate("state.shown.length") == len(moved)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_accessibility_checker_finds_nothing(browser: Any, many: Path, tmp_path: Path, scheme: str) -> None:
    video = make_video(3, 40, attention=True, absent="visual", note="A note.", waveform=np.ones((9, 2), np.float32))
    write_report(tmp_path / "report.html", [video, make_video(1, 30)], title="Both", rule=RULE)
    pages = watched_page(browser, color_scheme=scheme)
    page = next(pages)
    for path in (many, many.parent / "report" / "clip #02.html", tmp_path / "report.html"):
        visit(page, path)
        for width in (1200, 400):
            page.set_viewport_size({"width": width, "height": 800})
            assert violations(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.keyboard.press("?")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    page.keyboard.press("Escape")
    page.select_option("#theme", "light" if scheme == "dark" else "dark")
    assert page.evaluate("document.documentElement.dataset.theme") != scheme
    next(pages, None)
