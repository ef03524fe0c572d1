"""The report page in a real browser: it plays, decodes as the library does, seeks, and asks the network for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avparse.app.report.page import ScoreTable, write_report
from avparse.app.report.video import ReportVideo
from avparse.data.timeline import Event
from avparse.data.vocabulary import MODALITIES
from avparse.models.decoding import DecodingRule
from tests.app.browser import start_browser, watched_page
from tests.clips import colours, tone, write_clip
from tests.invented import CLASSES, NASTY, RULE, decode, make_video

SENSES = {"audio": "heard", "visual": "seen"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    yield from start_browser()


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """Open a report of the given videos; at the end, nothing may have been logged or asked of a network."""
    pages = watched_page(browser)
    page = next(pages)

    def opened(*videos: ReportVideo, rule: DecodingRule = RULE, **options: Any) -> Any:
        write_report(tmp_path / "report.html", videos, title="A title", rule=rule, **options)
        page.goto((tmp_path / "report.html").as_uri())
        return page

    yield opened
    next(pages, None)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", sound=tone(), picture=colours, seconds=4)


def playable(page: Any) -> None:
    page.wait_for_function("() => player.readyState >= 2")


# All rows of the list, which has only those in sight in the page: scrolled through.
LISTED = """() => {
    const box = document.querySelector("#list"), found = new Map();
    for (box.scrollTop = 0; ; box.scrollTop += box.clientHeight / 2) {
        list.draw();
        for (const row of document.querySelectorAll("#events tr[data-i]")) {
            found.set(row.dataset.i, [...row.cells].map(cell => cell.innerText.trim()));
        }
        if (box.scrollTop + box.clientHeight >= box.scrollHeight - 1) break;
    }
    box.scrollTop = 0;
    return [...found.values()];
}"""


def check_list(page: Any, events: list[Event]) -> None:
    """The page lists exactly these events, in any order."""
    rows = page.evaluate(LISTED)
    listed = sorted((name, sense.split()[0], onset, offset, float(score)) for name, sense, onset, offset, score in rows)
    expected = sorted(
        (e.class_name.replace("_", " "), SENSES[e.modality], f"{e.onset:.1f}", f"{e.offset:.1f}", e.score)
        for e in events
    )
    assert [row[:-1] for row in listed] == [row[:-1] for row in expected]
    assert [row[-1] for row in listed] == pytest.approx([row[-1] for row in expected], abs=0.0051)


def f_of(on: np.ndarray, truth: np.ndarray) -> float:
    """The published F of one video and modality ``[T, C]``, class by class, in percent."""
    values = [
        200 * (on[:, c] & truth[:, c]).sum() / (on[:, c].sum() + truth[:, c].sum())
        for c in range(on.shape[1])
        if (on[:, c] | truth[:, c]).any()
    ]
    return float(np.mean(values)) if values else 100.0


def test_threshold_decodes_as_the_library_does(show: Any) -> None:
    video = make_video(seed=5, segments=30)
    segments, truth = video.timeline.segments, video.truth
    page = show(video)
    check_list(page, video.timeline.events)
    for threshold in (0.0, 0.07, 0.3, 0.55, 0.7, 0.99):
        page.fill("#threshold", str(threshold))
        page.wait_for_function(f"() => document.querySelector('#threshold-value').textContent === '{threshold:.2f}'")
        rule = RULE.model_copy(update={"segment_threshold": threshold})
        events = decode(segments, video.gates, rule, video.timeline.duration)
        check_list(page, events)
        count = {m: sum(e.modality == m for e in events) for m in MODALITIES}
        counted = f"{len(events)} event{'s' * (len(events) != 1)}: {count['audio']} heard, {count['visual']} seen"
        assert page.inner_text("#counts") == counted
        on = {m: np.zeros_like(truth[m]) for m in MODALITIES}
        for e in events:
            on[e.modality][int(e.onset) : int(np.ceil(e.offset)), CLASSES.index(e.class_name)] = True
        metrics = [f_of(on[m], truth[m]) for m in MODALITIES]
        metrics.append(f_of(on["audio"] & on["visual"], truth["audio"] & truth["visual"]))
        shown = "F by segment: heard {:.1f} seen {:.1f} both {:.1f}".format(*metrics)
        assert " ".join(page.inner_text("#agreement").split()) == shown
    page.click("#reset")
    check_list(page, video.timeline.events)


def test_thresholds_by_class_are_kept_until_the_slider_moves(show: Any) -> None:
    rule = RULE.model_copy(update={"segment_threshold": (0.2, 0.4, 0.61, 0.9)})
    video = make_video(seed=3, segments=20, rule=rule)
    page = show(video, rule=rule)
    check_list(page, video.timeline.events)
    assert page.inner_text("#threshold-value") == "0.20–0.90 by class"


def test_clicks_and_keys_seek_the_video(show: Any, clip: Path) -> None:
    video = make_video(media=clip, waveform=np.tile(np.array([[-0.5, 0.5]], np.float32), (100, 1)))
    page = show(video)
    playable(page)

    def at(seconds: float) -> None:
        page.wait_for_function(f"() => Math.abs(player.currentTime - {seconds}) < .03 && !player.seeking")

    width = page.evaluate("document.querySelector('#axis').clientWidth")
    for target in ("#waveform", "#axis", "canvas[data-class]"):
        page.locator(target).first.click(position={"x": width * 2.5 / 3.75, "y": 5})
        at(2.5)
        page.locator(target).first.click(position={"x": width / 3.75, "y": 5})
        at(1.0)
    last = max(video.timeline.events, key=lambda e: e.onset)
    page.locator("#events tr").last.click()
    at(last.onset)
    page.evaluate("seek(1.3)")
    page.keyboard.press("ArrowRight")
    at(2)
    page.keyboard.press("ArrowRight")
    at(3)
    page.keyboard.press("ArrowLeft")
    at(2)
    head = "new DOMMatrix(getComputedStyle(document.querySelector('#playhead')).transform).e"
    before = page.evaluate(head)
    page.keyboard.press("Space")
    page.wait_for_function("() => player.currentTime > 2.3")
    page.keyboard.press("Space")
    page.wait_for_function("() => player.paused")
    assert page.evaluate(head) > before + width * 0.25 / 3.75
    assert page.evaluate("player.videoWidth") == 64


def test_a_linked_video_plays(show: Any, clip: Path) -> None:
    page = show(make_video(media=clip), embed_limit_bytes=10)
    playable(page)
    assert "Keep both together" in page.inner_text("#player-note")


def test_a_file_that_is_no_video_is_told(show: Any, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    page = show(make_video(media=tmp_path / "text.mp4"))
    page.wait_for_function("() => document.querySelector('#player-note').textContent.includes('cannot play')")
    page.keyboard.press("ArrowRight")  # the timeline works without it
    assert page.inner_text("#clock") == "1.0 s"


def test_names_are_text(show: Any) -> None:
    video = make_video(note=NASTY, only=[NASTY])
    timeline = replace(video.timeline, video=NASTY, classes=(NASTY, *CLASSES[1:]))
    events = [replace(e, class_name=NASTY if e.class_name == "Dog" else e.class_name) for e in timeline.events]
    video = replace(video, timeline=replace(timeline, events=events), weak_labels=[NASTY])
    page = show(video, make_video(), scores=ScoreTable([NASTY], [(NASTY, [NASTY])], NASTY))
    assert page.locator("#rows .name").first.inner_text().startswith(NASTY)
    assert page.inner_text("#video-note").startswith(NASTY)
    assert page.locator("img").count() == 0


@pytest.mark.parametrize(
    ("absent", "told"), [("audio", "no audio in this file"), ("visual", "no picture in this file")]
)
def test_absent_modality(show: Any, absent: str, told: str) -> None:
    page = show(make_video(absent=absent))
    rows = page.locator("#rows .row").count()
    assert rows > 0
    assert page.locator("#rows .absent").all_inner_texts() == [told] * rows
    assert told in page.inner_text("#now")


SHADES = """([top, height]) => [...document.querySelectorAll("canvas[data-class]")].map(lane => {
    const scale = lane.height / lane.clientHeight;
    const strip = lane.getContext("2d").getImageData(0, Math.round((top + height / 2) * scale), lane.width, 1).data;
    return Array.from({ length: state.video.segments }, (_, s) => {
        const at = 4 * Math.round((s + .4) / state.video.duration * lane.width);
        return [...strip.slice(at, at + 4)];
    });
})"""


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_attention_beside_the_lanes(show: Any, scheme: str) -> None:
    video = make_video(attention=True)
    plain = make_video()
    page = show(video, plain)
    page.emulate_media(color_scheme=scheme)
    page.check("#all")
    page.wait_for_function("() => document.querySelectorAll('canvas[data-class]').length === 8")
    page.evaluate("drawAll()")
    # The strip is the darker (in the dark: the lighter), the more attention; one scale for all.
    shades = np.array(page.evaluate(SHADES, [page.evaluate("attentionTop(state.video)"), 7]))[..., :3].mean(axis=-1)
    values = np.stack([video.timeline.attention[m].T for m in MODALITIES], axis=1).reshape(
        8, -1
    )  # by class, then sense
    line = np.polyfit(values.ravel(), shades.ravel(), 1)
    assert (line[0] < 0) == (scheme == "light")
    assert np.abs(np.polyval(line, values) - shades).max() < 8
    assert page.inner_text("#attention-most") == f"{values.max():.2f}"
    # The numbers: in the tip of a lane, in its name, and in a table.
    lane = page.locator("canvas[data-class]").first
    width = page.evaluate("document.querySelector('#axis').clientWidth")
    lane.hover(position={"x": width * 1.5 / 3.75, "y": 5})
    assert f"heard {video.timeline.segments['audio'][1, 0]:.2f}" in page.inner_text("#tip")
    assert page.inner_text("#tip").count(", attention ") == 2
    assert f"attention {values[0, 1]:.2f}" in page.inner_text("#tip")
    best = int(values[0].argmax())
    assert lane.get_attribute("aria-label").endswith(f"attention highest at {best:.1f} s, {values[0].max():.2f}")
    page.click("#attention-numbers summary")
    page.wait_for_selector("#attention-numbers tbody tr")  # filled when it opens
    rows = page.eval_on_selector_all(
        "#attention-numbers tbody tr", "rows => rows.map(row => [...row.cells].map(cell => cell.innerText))"
    )
    assert [row[0] for row in rows][:3] == ["Dog, heard", "Dog, seen", "Frying (food), heard"]
    assert [row[1:] for row in rows] == [[f"{x:.2f}" for x in row] for row in values.tolist()]
    # It can be put away, and a parser without attention has none of it.
    tall = page.evaluate("document.querySelector('canvas[data-class]').clientHeight")
    page.uncheck("#attention")
    assert page.evaluate("document.querySelector('canvas[data-class]').clientHeight") == tall - 10
    assert not page.is_visible("#attention-numbers")
    page.check("#attention")
    page.click("#next")
    for part in ("#attention-choice", "#attention-numbers", "#legend-attention"):
        assert not page.is_visible(part)
    lane.hover(position={"x": 5, "y": 5})
    assert "attention" not in page.inner_text("#tip")


def test_other_classes_and_other_videos(show: Any) -> None:
    quiet = make_video()
    nothing = {m: np.full((4, 4), 0.1, np.float32) for m in MODALITIES}
    quiet = replace(quiet, timeline=replace(quiet.timeline, segments=nothing, events=[]), truth=None, weak_labels=None)
    page = show(quiet, make_video())
    assert page.locator("#rows .row").count() == 0
    assert page.is_visible("#empty")
    page.check("#all")
    names = page.locator("#rows .name").all_inner_texts()
    assert [name.splitlines()[0] for name in names] == [c.replace("_", " ") for c in CLASSES]
    page.click("#next")
    assert page.locator("#events tr").count() == len(make_video().timeline.events)


@pytest.mark.slow
def test_an_hour_is_quick_and_a_phone_is_wide_enough(show: Any) -> None:
    video = make_video(segments=3600, attention=True)
    page = show(video, scores=ScoreTable(["Segment Type"] * 10, [("HAN", [50.0] * 10)], "F in percent."))
    page.fill("#threshold", "0.3")
    assert (
        page.evaluate("(() => { const start = performance.now(); refresh(); return performance.now() - start; })()")
        < 1000
    )
    page.click("#attention-numbers summary")
    page.wait_for_selector("#attention-numbers tbody tr")  # filled when it opens
    page.wait_for_function("() => document.querySelector('#attention-numbers tbody tr')?.cells.length === 61")
    assert "first 60 of 3600" in page.inner_text("#attention-span")
    page.evaluate("seek(1800)")
    page.click("#zoom-in")
    page.click("#zoom-in")
    start, end = page.evaluate("state.view")
    assert start < 1800 < end
    assert end - start == pytest.approx(3599.75 / 4)
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_a_lane_without_a_judge_says_so_and_a_tip_shows_score_and_threshold(show: Any) -> None:
    video = make_video()
    segments = {m: x.copy() for m, x in video.timeline.segments.items()}
    segments["audio"][:] = np.nan
    timeline = replace(video.timeline, segments=segments, events=[], judged_by={"visual": "a classifier"})
    page = show(replace(video, timeline=timeline))
    page.check("#all")
    assert page.locator("text=no network judges this").count() == len(CLASSES)
    assert page.locator("canvas.track[data-class]").count() == len(CLASSES)
    page.hover("canvas.track[data-class='0']")
    tip = page.inner_text("#tip")
    assert "heard: no network judges this" in tip
    assert f"{RULE.segment_threshold:g}" in tip.split("seen ")[1].split(",")[0]
