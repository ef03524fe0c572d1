"""The traps that users of other programs fell into, each as a test of the format that has it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest

from avparse.data.event_formats import EVENT_FORMATS
from avparse.data.event_formats.event_format import Given
from avparse.data.event_formats.event_table import EventTable, VideoEvent, VideoFacts
from tests.data.event_formats.tables import park, write

TWICE = (VideoEvent("a", "Dog", "audio", 0.0, 2.0, 0.5), VideoEvent("a", "Dog", "audio", 1.5, 3.0, 0.9))


def cells(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]


def test_raven_begins_each_file_where_the_decoded_ones_before_end(tmp_path: Path) -> None:
    lengths = {"a.wav": 10.0123, "b.wav": 4.4567, "c.wav": 7.0}
    events = tuple(VideoEvent(name, "Dog", "audio", 1.0, 2.5, 0.9) for name in lengths)
    facts = {name: VideoFacts(seconds, f"/sounds/{name}", 32_000.0) for name, seconds in lengths.items()}
    (path,) = write(EventTable(events, facts), "raven", tmp_path)
    header, *rows = cells(path)
    found = [dict(zip(header, row, strict=True)) for row in rows]
    assert [float(row["Begin Time (s)"]) for row in found] == pytest.approx([1.0, 11.0123, 15.469], abs=1e-6)
    assert {row["File Offset (s)"] for row in found} == {"1.000"}
    assert [row["Begin Path"] for row in found] == ["/sounds/a.wav", "/sounds/b.wav", "/sounds/c.wav"]


def test_raven_selections_reach_to_the_nyquist_frequency_of_their_file(tmp_path: Path) -> None:
    (path,) = write(park(), "raven", tmp_path)
    header, *rows = cells(path)
    high = {row[header.index("Begin File")]: row[header.index("High Freq (Hz)")] for row in rows}
    assert high == {"park.mp4": "22050.0", "street.mp4": "8000.0"}


def test_a_sample_rate_that_is_unknown_is_told() -> None:
    table = EventTable(park().events[:1], {"park.mp4": VideoFacts(10.0)})
    assert "sample rate of 1 files is unknown" in EVENT_FORMATS["raven"].write(table).notes[0]


def test_a_selection_that_raven_lists_for_each_view_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "clip.Table.1.selections.txt"
    row = "1\t{}\t1\t1.5\t2.25\t0\t8000\tDog\n"
    head = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tAnnotation\n"
    path.write_text(head + row.format("Waveform 1") + row.format("Spectrogram 1"))
    (event,) = EVENT_FORMATS["raven"].read(path, Given()).events
    assert (event.video, event.class_name, event.onset, event.offset) == ("clip", "Dog", 1.5, 2.25)


def test_audacity_has_one_file_a_modality_with_the_confidence_in_the_text(tmp_path: Path) -> None:
    names = {path.name for path in write(park(), "audacity", tmp_path)}
    assert names == {"0.audio.txt", "0.visual.txt", "1.audio.txt", "1.visual.txt"}
    assert cells(tmp_path / "0.audio.txt")[0] == ["0.500", "3.250", "Dog (0.9123)"]


def test_labels_with_frequencies_are_read_from_audacity(tmp_path: Path) -> None:
    path = tmp_path / "Label Track.txt"
    path.write_text("0.500000\t3,250000\tDog\n\\\t100.0\t2000.0\n4.0\t5.0\tCat (0.5)\n")
    events = EVENT_FORMATS["audacity"].read(path, Given("clip.mp4", "audio")).events
    assert [(e.video, e.class_name, e.offset, e.score) for e in events] == [
        ("clip.mp4", "Dog", 3.25, None),
        ("clip.mp4", "Cat", 5.0, 0.5),
    ]


def test_elan_documents_are_of_schema_3_with_whole_milliseconds(tmp_path: Path) -> None:
    root = ElementTree.parse(write(park(), "elan", tmp_path)[0]).getroot()
    assert (root.get("FORMAT"), root.get("VERSION")) == ("3.0", "3.0")
    assert next(value for name, value in root.items() if name.endswith("SchemaLocation")).endswith("EAFv3.0.xsd")
    assert [tier.get("TIER_ID") for tier in root.iter("TIER")] == ["audio/Dog", "audio/Speech", "visual/Dog"]
    assert all((slot.get("TIME_VALUE") or "").isdecimal() for slot in root.iter("TIME_SLOT"))
    assert [child.tag for child in root] == ["HEADER", "TIME_ORDER", "TIER", "TIER", "TIER", "LINGUISTIC_TYPE"]


def test_an_elan_tier_has_no_overlaps(tmp_path: Path) -> None:
    (event,) = EVENT_FORMATS["elan"].read(write(EventTable(TWICE), "elan", tmp_path)[0], Given()).events
    assert (event.onset, event.offset) == (0.0, 3.0)
    assert event.score == pytest.approx((2 * 0.5 + 1.5 * 0.9) / 3.5, abs=1e-4)


def test_subtitles_may_overlap_and_mark_heard_and_seen(tmp_path: Path) -> None:
    for name in ("webvtt", "srt"):
        text = write(park(), name, tmp_path)[0].read_text()
        assert "[heard] Dog (0.9123)" in text
        assert "[seen] Dog (0.5000)" in text
    assert len(EVENT_FORMATS["srt"].read(write(EventTable(TWICE), "srt", tmp_path)[0], Given()).events) == 2


def test_times_beyond_an_hour_are_written_as_players_read_them(tmp_path: Path) -> None:
    late = EventTable((VideoEvent("a", "Dog", "audio", 3661.5, 360_000.001),))
    assert "01:01:01.500 --> 100:00:00.001" in write(late, "webvtt", tmp_path)[0].read_text()
    assert "01:01:01,500 --> 100:00:00,001" in write(late, "srt", tmp_path)[0].read_text()


def test_dcase_merges_what_touches_and_lists_durations(tmp_path: Path) -> None:
    touching = (replace(TWICE[0], offset=1.5), TWICE[1], replace(TWICE[0], onset=5.0, offset=6.0))
    table = EventTable(touching, {"a": VideoFacts(10.5), "silent": VideoFacts(3.25)})
    write(table, "dcase", tmp_path)
    header = ["filename", "onset", "offset", "event_label"]
    assert cells(tmp_path / "audio.tsv") == [header, ["a", "0.000", "3.000", "Dog"], ["a", "5.000", "6.000", "Dog"]]
    assert cells(tmp_path / "visual.tsv") == [header]
    assert cells(tmp_path / "durations.tsv")[1:] == [["a", "10.500000"], ["silent", "3.250000"]]


def test_empty_tables_have_a_header(tmp_path: Path) -> None:
    for name in ("csv", "dcase", "llp", "raven"):
        for path in write(EventTable(()), name, tmp_path):
            text = path.read_text()
            assert text.endswith("\n")
            assert len(text.splitlines()) == 1


def test_parquet_has_single_precision_and_dictionaries(tmp_path: Path) -> None:
    schema = pq.read_schema(write(park(), "parquet", tmp_path)[0])
    assert str(schema.field("score").type) == "float"
    assert "dictionary" in str(schema.field("class").type)
    assert "dictionary" in str(schema.field("modality").type)


def test_rttm_has_a_line_an_event_with_the_modality_as_channel(tmp_path: Path) -> None:
    (path,) = write(park(), "rttm", tmp_path)
    fields = [line.split(" ") for line in path.read_text().splitlines()]
    assert {len(row) for row in fields} == {10}
    assert fields[0] == ["SPEAKER", "park.mp4", "1", "0.500", "2.750", "<NA>", "<NA>", "Dog", "0.9123", "<NA>"]
    assert [row[2] for row in fields] == ["1", "2", "1", "2"]


def test_label_studio_has_predictions_with_scores_in_frames_from_1_and_seconds(tmp_path: Path) -> None:
    tasks, config = write(park(), "label-studio", tmp_path)
    first = json.loads(tasks.read_text())[0]
    heard, _, seen = first["predictions"][0]["result"]
    assert heard["value"] == {"start": 0.5, "end": 3.25, "channel": 0, "labels": ["Dog"]}
    assert seen["value"] == {"ranges": [{"start": 51, "end": 250}], "timelinelabels": ["Dog"]}
    assert (heard["score"], seen["score"]) == (0.9123, 0.5)
    assert first["data"] == {"video": "/data/local-files/?d=videos/park.mp4", "name": "park.mp4", "fps": 25.0}
    view = ElementTree.parse(config).getroot()
    tags = {tag.get("name"): (tag.tag, tag.get("toName")) for tag in view if tag.get("toName")}
    assert tags == {heard["from_name"]: ("Labels", "audio"), seen["from_name"]: ("TimelineLabels", "video")}
    assert {tag.get("value") for tag in view.iter("Label")} == {"Dog", "Speech", "Car"}


def test_an_answer_of_a_person_comes_before_the_prediction(tmp_path: Path) -> None:
    """Moved frames count, and not the seconds that stood beside the old ones."""
    path, _ = write(park(), "label-studio", tmp_path)
    tasks = json.loads(path.read_text())
    regions = json.loads(json.dumps(tasks[0]["predictions"][0]["result"]))
    regions[2]["value"]["ranges"][0]["start"] = 26
    tasks[0]["annotations"] = [{"result": [], "was_cancelled": True}, {"result": regions[2:]}]
    path.write_text(json.dumps(tasks[:1]))
    (event,) = EVENT_FORMATS["label-studio"].read(path, Given()).events
    assert (event.modality, event.onset, event.offset) == ("visual", 1.0, 10.0)


def test_fiftyone_counts_frames_from_1(tmp_path: Path) -> None:
    (path,) = write(park(), "fiftyone", tmp_path)
    labels = json.loads(path.read_text())["labels"]
    assert set(labels) == {"/videos/park.mp4", "/videos/street.mp4"}
    assert labels["/videos/park.mp4"][2]["support"] == [51, 250]
    assert labels["/videos/street.mp4"][0]["support"] == [1, 2]


def test_llp_takes_whole_seconds_and_says_what_is_lost(tmp_path: Path) -> None:
    written = EVENT_FORMATS["llp"].write(park())
    assert [file.name for file in written.files] == ["AVVP_eval_audio.csv", "AVVP_eval_visual.csv"]
    assert written.files[0].content.decode().splitlines()[1:] == ["park\t0\t3\tDog", "park\t1\t4\tSpeech"]
    assert written.notes == (
        "3 events are cut to the whole seconds whose middle they cover",
        "1 of them cover none and are left out",
    )


def test_the_published_tables_of_llp_are_read(shared: Path) -> None:
    for modality in ("audio", "visual"):
        table = EVENT_FORMATS["llp"].read(shared / f"data/llp/AVVP_eval_{modality}.csv", Given())
        assert len(table.events) > 2000
        assert {event.modality for event in table.events} == {modality}
