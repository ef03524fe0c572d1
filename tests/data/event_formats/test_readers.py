"""Files of events, opened by the libraries of others."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pympi
import pytest
import srt
import webvtt
from pyannote.database.util import load_rttm

from avparse.data.event_formats.event_table import EventTable, VideoFacts
from tests.data.event_formats.tables import hostile, park, write

EMPTY = EventTable((), {"quiet.mp4": VideoFacts(3.0)})


@pytest.fixture(params=["park", "hostile", "empty"])
def table(request: pytest.FixtureRequest) -> EventTable:
    return {"park": park, "hostile": hostile, "empty": lambda: EMPTY}[request.param]()


def spans(table: EventTable, modality: str = "") -> list[tuple[int, int]]:
    return sorted(e.milliseconds() for e in table.events if modality in ("", e.modality))


def test_pympi_opens_elan_documents_and_saves_them_again(table: EventTable, tmp_path: Path) -> None:
    found = []
    for path in write(table, "elan", tmp_path):
        document = pympi.Elan.Eaf(str(path))
        document.to_file(str(tmp_path / "again.eaf"))
        assert document.adocument["VERSION"] == "3.0"
        for tier in pympi.Elan.Eaf(str(tmp_path / "again.eaf")).get_tier_names():
            assert tier.startswith(("audio/", "visual/"))
            found += [data[:2] for data in document.get_annotation_data_for_tier(tier)]
    assert sorted(found) == spans(table)


def milliseconds(clock: str) -> int:
    hours, minutes, seconds = clock.split(":")
    return round(1000 * (3600 * int(hours) + 60 * int(minutes) + float(seconds)))


def test_webvtt_py_opens_webvtt(table: EventTable, tmp_path: Path) -> None:
    cues = [cue for path in write(table, "webvtt", tmp_path) for cue in webvtt.read(str(path))]
    assert sorted((milliseconds(cue.start), milliseconds(cue.end)) for cue in cues) == spans(table)
    assert all(cue.text.startswith(("[heard] ", "[seen] ")) and "\n" not in cue.text for cue in cues)
    assert not any("<" in cue.raw_text or "-->" in cue.raw_text for cue in cues)


def test_srt_opens_subrip(table: EventTable, tmp_path: Path) -> None:
    cues = [cue for path in write(table, "srt", tmp_path) for cue in srt.parse(path.read_text(), ignore_errors=False)]
    times = [(round(cue.start.total_seconds() * 1000), round(cue.end.total_seconds() * 1000)) for cue in cues]
    assert sorted(times) == spans(table)
    assert not any("<" in cue.content or "-->" in cue.content or "\n" in cue.content for cue in cues)


def test_pyannote_opens_rttm(tmp_path: Path) -> None:
    (path,) = write(park(), "rttm", tmp_path)
    found = [
        (video, label, round(1000 * segment.start), round(1000 * segment.end))
        for video, annotation in load_rttm(str(path)).items()
        for segment, _, label in annotation.itertracks(yield_label=True)
    ]
    assert sorted(found) == sorted((e.video, e.class_name, *e.milliseconds()) for e in park().events)


def test_pyannote_opens_rttm_of_hostile_names(tmp_path: Path) -> None:
    (path,) = write(hostile(), "rttm", tmp_path)
    assert len(load_rttm(str(path))) == len(hostile().events) - 1  # it takes the video NaN for a missing one


@pytest.mark.parametrize(("name", "separator"), [("csv", ","), ("dcase", "\t"), ("llp", "\t"), ("raven", "\t")])
def test_pandas_opens_tables(name: str, separator: str, table: EventTable, tmp_path: Path) -> None:
    frames = [pd.read_csv(path, sep=separator, keep_default_na=False) for path in write(table, name, tmp_path)]
    rows = sum(len(frame) for frame in frames if "duration" not in frame.columns)
    left_out = 1 if name == "llp" and "park.mp4" in table.videos else 0  # an event of 40 ms covers no whole second
    assert rows == len(table.events) - left_out
    for frame in frames:
        assert not any(str(column).startswith("Unnamed") for column in frame.columns)


def test_pandas_opens_parquet_with_its_types(tmp_path: Path) -> None:
    for table in (park(), EMPTY):
        (path,) = write(table, "parquet", tmp_path)
        frame = pd.read_parquet(path)
        kinds = {name: str(frame[name].dtype) for name in ("class", "modality", "onset", "score")}
        assert kinds == {"class": "category", "modality": "category", "onset": "float64", "score": "float32"}


def test_audacity_reads_three_columns(tmp_path: Path) -> None:
    """As Audacity's manual has them: onset, offset and one text, with tabs between."""
    for path in write(hostile(), "audacity", tmp_path):
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        assert all(len(row) == 3 and float(row[0]) < float(row[1]) for row in rows)
        assert len(rows) == (1 if ".visual" in path.name else 0)
