"""The report page without a browser: what it embeds, escapes, links and refuses; and the table of events."""

from __future__ import annotations

import base64
import csv
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avparse.app.report.csv import write_events_csv
from avparse.app.report.page import ScoreTable, write_report
from avparse.app.report.video import ReportVideo
from avparse.data.timeline import Event, Timeline, events_of
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.errors import UserError
from avparse.models.decoding import DecodingRule
from tests.clips import colours, tone, write_clip
from tests.invented import CLASSES, NASTY, RULE, make_video


class Page(HTMLParser):
    """The scripts of a page by id, and every attribute that could load something."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text = path.read_text(encoding="utf-8")
        self.scripts: dict[str, str] = {}
        self.loads: list[str] = []
        self.words = ""
        self._inside: str | None = None
        self.feed(self.text)
        self.data = json.loads(self.scripts["data"])

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self._inside = (given.get("id") or f"script-{len(self.scripts)}") if tag == "script" else None
        if self._inside:
            self.scripts[self._inside] = ""
        self.loads += [v or "" for k, v in attributes if k in {"src", "href", "srcset", "action", "poster", "data"}]

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts[self._inside] += data
        else:
            self.words += data

    def handle_endtag(self, tag: str) -> None:
        self._inside = None


def page_of(
    tmp_path: Path, *videos: ReportVideo, rule: DecodingRule = RULE, title: str = "A title", **options: Any
) -> Page:
    write_report(tmp_path / "report.html", videos, title=title, rule=rule, **options)
    return Page(tmp_path / "report.html")


def made_up_video(**options: Any) -> ReportVideo:
    """A video parsed by a parser that was trained on simulated data."""
    video = make_video(**options)
    return replace(video, timeline=replace(video.timeline, trained_on="simulated"))


def floats(text: str, classes: int = len(CLASSES)) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4").reshape(-1, classes)


def dense(runs: list[list[list[int]]], segments: int) -> np.ndarray:
    marked = np.zeros((segments, len(runs)), bool)
    for c, spans in enumerate(runs):
        for first, last in spans:
            marked[first:last, c] = True
    return marked


def test_page_loads_nothing_and_carries_its_video(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", sound=tone(), picture=colours, seconds=1)
    page = page_of(tmp_path, made_up_video(media=tmp_path / "clip.mp4"))
    head, content = page.scripts.pop("media-0").split(",")
    assert head == "data:video/mp4;base64"
    assert base64.b64decode(content, validate=True) == (tmp_path / "clip.mp4").read_bytes()
    rest = page.text.replace(content, "")
    for pattern in ("http:", "https:", "@import", "url(", "fetch(", "XMLHttpRequest", "WebSocket"):
        assert pattern not in rest, pattern
    assert page.loads == ["data:,", "#tracks"]  # the empty icon, and the way to the timeline
    assert "default-src 'none'" in rest
    assert "unsafe" not in rest


def test_every_class_and_number_is_there(tmp_path: Path) -> None:
    video = make_video(waveform=np.array([[-0.5, 0.25], [-1, 1]], np.float32), note="Unseen.")
    (entry,) = page_of(tmp_path, video).data["videos"]
    assert entry["classes"] == list(CLASSES)
    assert (entry["duration"], entry["segment_seconds"], entry["segments"]) == (3.75, 1.0, 4)
    assert (entry["weak_labels"], entry["note"]) == (["Cello"], "Unseen.")
    assert entry["thresholds"] == [0.5] * 4
    assert np.frombuffer(base64.b64decode(entry["waveform"]), "i1").tolist() == [-63, 31, -127, 127]
    for modality in MODALITIES:
        track = entry["tracks"][modality]
        np.testing.assert_array_equal(floats(track["probabilities"]), video.timeline.segments[modality])
        np.testing.assert_array_equal(floats(track["gate"])[0], video.gates[modality])
        np.testing.assert_array_equal(dense(entry["truth"][modality], 4), video.truth[modality])
        assert track["differs"] is False
    np.testing.assert_allclose(entry["tracks"]["visual"]["gate_threshold"], [0.3, 0.4, 0.5, 0.6], atol=1e-7)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), segments=st.integers(1, 12), threshold=st.integers(0, 100), known=st.booleans())
def test_page_holds_what_the_rule_needs(
    tmp_path_factory: pytest.TempPathFactory, seed: int, segments: int, threshold: int, known: bool
) -> None:
    rule = RULE.model_copy(update={"segment_threshold": threshold / 100})
    video = make_video(seed, segments, rule)
    if not known:
        video = replace(video, gates=None)
    (entry,) = page_of(tmp_path_factory.mktemp("page"), video, rule=rule).data["videos"]
    found = []
    for modality in MODALITIES:
        track = entry["tracks"][modality]
        values = floats(track["probabilities"])
        on = (values >= np.float32(entry["thresholds"])) & (values > 0) & dense(track["open"], segments)
        found += events_of(on, values, modality, CLASSES, 1.0, entry["duration"])
        assert track["differs"] is False
    assert found == video.timeline.events


def test_a_class_that_was_not_allowed_stays_closed(tmp_path: Path) -> None:
    video = make_video()
    kept = [e for e in video.timeline.events if e.class_name == "Speech"]
    video = replace(video, timeline=replace(video.timeline, events=kept), only=["Speech"])
    (entry,) = page_of(tmp_path, video).data["videos"]
    for modality in MODALITIES:
        assert not dense(entry["tracks"][modality]["open"], 4)[:, [0, 1, 3]].any()
        assert entry["tracks"][modality]["differs"] is False


def test_gates_of_stitched_windows_open_segment_by_segment(tmp_path: Path) -> None:
    gates = {m: np.array([[0.9] * 4, [0.9] * 4, [0.1] * 4, [0.9] * 4], np.float32) for m in MODALITIES}
    (entry,) = page_of(tmp_path, make_video(gates=gates)).data["videos"]
    assert entry["tracks"]["audio"]["open"] == [[[0, 2], [3, 4]]] * 4


def test_events_of_another_rule_are_told(tmp_path: Path) -> None:
    video = make_video()
    video = replace(video, timeline=replace(video.timeline, events=video.timeline.events[1:]))
    tracks = page_of(tmp_path, video).data["videos"][0]["tracks"]
    assert [tracks[m]["differs"] for m in MODALITIES] == [True, False]


@pytest.mark.parametrize("absent", MODALITIES)
def test_an_absent_modality_has_no_track(tmp_path: Path, absent: str) -> None:
    video = make_video(absent=absent, waveform=np.zeros((0, 2), np.float32))
    (entry,) = page_of(tmp_path, video).data["videos"]
    assert entry["tracks"][absent] is None
    assert entry["segments"] == 4
    assert entry["waveform"] is None


@pytest.mark.parametrize("absent", ["", *MODALITIES])
def test_attention_is_there_where_the_parser_has_it(tmp_path: Path, absent: str) -> None:
    video = make_video(attention=True, absent=absent)
    page = page_of(tmp_path, video, make_video())
    with_it, without = page.data["videos"]
    for modality in MODALITIES:
        assert without["tracks"][modality]["attention"] is None
        if modality != absent:
            shown = floats(with_it["tracks"][modality]["attention"])
            np.testing.assert_array_equal(shown, video.timeline.attention[modality])
    assert "grey strip" in page.words
    assert "grey strip" not in page_of(tmp_path, make_video()).words


def test_timelines_keep_attention(tmp_path: Path) -> None:
    for video in (make_video(), make_video(attention=True), make_video(attention=True, absent="audio")):
        video.timeline.save(tmp_path / "a.json")
        raw, again = json.loads((tmp_path / "a.json").read_text()), Timeline.load(tmp_path / "a.json")
        assert ("attention" in raw) == (video.timeline.attention is not None)
        assert again.as_dict() == raw
        for modality, values in (video.timeline.attention or {}).items():
            kept = again.attention[modality]
            assert (kept is None) == (values is None)
            assert values is None or np.abs(kept - values).max() < 1e-4
    (tmp_path / "a.json").write_text(json.dumps({**raw, "attention": {"audio": None}}))
    with pytest.raises(UserError, match=r"a\.json: bad timeline field 'visual'"):
        Timeline.load(tmp_path / "a.json")


def test_user_text_is_never_markup(tmp_path: Path) -> None:
    (tmp_path / NASTY.replace("/", ":")).write_bytes(b"no video")
    video = make_video(note=NASTY, weak_labels=[NASTY], media=tmp_path / NASTY.replace("/", ":"))
    video = replace(video, timeline=replace(video.timeline, video=NASTY, classes=(NASTY, *CLASSES[1:]), events=[]))
    table = ScoreTable([NASTY], [(NASTY, [NASTY])], NASTY)
    page = page_of(tmp_path, video, title=NASTY, scores=table)
    assert len(page.scripts) == 4  # the theme, the data, the video and the program
    assert page.loads == ["data:,", "#tracks"]
    entry = page.data["videos"][0]
    assert {entry["video"], entry["classes"][0], entry["note"], entry["weak_labels"][0]} == {NASTY}
    assert page.words.count(NASTY) == 6  # title twice, caption, column, row, value


def test_a_name_that_is_no_unicode_costs_nothing(tmp_path: Path) -> None:
    odd = b"caf\xe9.mp4".decode("utf-8", "surrogateescape")
    video = make_video()
    video = replace(video, timeline=replace(video.timeline, video=odd))
    assert "caf" in page_of(tmp_path, video, title=odd).data["videos"][0]["video"]
    write_events_csv(tmp_path / "events.csv", [video.timeline])
    assert "caf\\xe9.mp4" in (tmp_path / "events.csv").read_text(encoding="utf-8")


def test_large_videos_are_linked(tmp_path: Path) -> None:
    clips = tmp_path / "my clips"
    clips.mkdir()
    for name, size in {"a b#.mp4": 11, "c.mp4": 10, "d.mp4": 10}.items():
        (clips / name).write_bytes(bytes(size))
    names = ["a b#.mp4", "c.mp4", "d.mp4", "c.mp4", "d.mp4", "c.mp4"]
    out = tmp_path / "out"
    out.mkdir()
    page = page_of(out, *(make_video(media=clips / name) for name in names), embed_limit_bytes=10)
    media = [entry["media"] for entry in page.data["videos"]]
    assert media[0] == {
        "embedded": False,
        "bytes": 11,
        "link": "../my clips/a b#.mp4",
        "url": "../my%20clips/a%20b%23.mp4",
    }
    assert [m["embedded"] for m in media] == [
        False,
        True,
        True,
        True,
        True,
        False,
    ]  # the page holds four times the limit
    assert sorted(name for name in page.scripts if name.startswith("media")) == [
        "media-1",
        "media-2",
        "media-3",
        "media-4",
    ]


def test_bad_input_leaves_the_old_page(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text("old")
    with pytest.raises(UserError, match=r"gone\.mp4: cannot be put into the report \(No such file"):
        write_report(page, [make_video(media=tmp_path / "gone.mp4")], title="t", rule=RULE)
    with pytest.raises(UserError, match="3 thresholds for 4 classes"):
        write_report(page, [make_video()], title="t", rule=DecodingRule(segment_threshold=(0.1, 0.2, 0.3)))
    with pytest.raises(UserError, match="cannot be put into the report"):  # found only while the page is being written
        write_report(page, [make_video(media=tmp_path)], title="t", rule=RULE)
    assert page.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match=r"differ in shape \[T, C\]"):
        make_video(truth={"audio": np.zeros((5, 4), bool)})
    timeline = replace(make_video().timeline, attention={"audio": np.zeros((4, 3), np.float32), "visual": None})
    with pytest.raises(ValueError, match=r"differ in shape \[T, C\]"):
        ReportVideo(timeline)
    with pytest.raises(ValueError, match="row 'HAN' has 1 values for 2 columns"):
        ScoreTable(["A", "V"], [("HAN", [1.0])], "")
    with pytest.raises(ValueError, match="at least one video"):
        write_report("report.html", [], title="t", rule=RULE)


def test_scores_and_their_origin_are_told(tmp_path: Path) -> None:
    table = ScoreTable(["A", "V"], [("HAN", [54.04, None]), ("copy", ["50.1 ± 2", 61])], "F in percent.")
    page = page_of(tmp_path, made_up_video(), scores=table)
    words = " ".join(page.words.split())
    for part in (
        "54.0",
        "–",
        "50.1 ± 2",
        "61.0",
        "F in percent. Measured on simulated (synthetic) data.",
        "Simulated:",
    ):
        assert part in words
    plain = page_of(tmp_path, make_video(), scores=table).words.lower()
    assert "simulated" not in plain
    assert "synthetic" not in plain


def test_events_table(tmp_path: Path) -> None:
    events = [Event("Dog", "audio", 0, 2 / 3, 0.123456), Event("Speech", "visual", 1, 3.75)]
    timeline = Timeline('a, "b"\n.mp4', 3.75, 1.0, CLASSES, {"audio": None, "visual": None}, events)
    write_events_csv(tmp_path / "events.csv", [timeline, replace(timeline, video="c.mp4", events=[])])
    with open(tmp_path / "events.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["video", "class", "modality", "onset", "offset", "score", "trained_on"],
        ['a, "b"\n.mp4', "Dog", "audio", "0.000", "0.667", "0.1235", ""],
        ['a, "b"\n.mp4', "Speech", "visual", "1.000", "3.750", "1.0000", ""],
    ]


def test_events_table_without_events_has_its_header(tmp_path: Path) -> None:
    write_events_csv(tmp_path / "new" / "events.csv", [])
    assert (tmp_path / "new" / "events.csv").read_bytes() == b"video,class,modality,onset,offset,score,trained_on\n"


def test_events_table_is_whole_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*folder"):
        write_events_csv(tmp_path / "file" / "events.csv", [])
    broken = Timeline("a.mp4", 1.0, 1.0, CLASSES, {}, [Event("Dog", "audio", 0, "one")])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="format code"):
        write_events_csv(tmp_path / "events.csv", [broken])
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_what_no_network_judges_is_said_and_has_no_score(tmp_path: Path) -> None:
    video = make_video()
    segments = {m: x.copy() for m, x in video.timeline.segments.items()}
    segments["audio"][:] = np.nan
    segments["visual"][:, 1] = np.nan
    events = [e for e in video.timeline.events if e.modality == "visual" and e.class_name != CLASSES[1]]
    timeline = replace(video.timeline, segments=segments, events=events, judged_by={"visual": "a classifier"})
    shown = page_of(tmp_path, replace(video, timeline=timeline))
    (data,) = shown.data["videos"]
    assert data["tracks"]["audio"]["unjudged"] == list(range(len(CLASSES)))
    assert data["tracks"]["visual"]["unjudged"] == [1]
    assert f"heard: nothing at hand judges it; seen: a classifier (cannot judge {CLASSES[1]})" in data["note"]
    assert np.isfinite(floats(data["tracks"]["visual"]["probabilities"])).all()
