"""Damaged files are refused in one line that names the file, the line and the field."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from avparse.data.event_formats import EVENT_FORMATS
from avparse.data.event_formats.event_format import Given
from avparse.data.event_formats.reading import read_events
from avparse.foundation.errors import UserError
from tests.data.event_formats.tables import park, write

HEAD = "video,class,modality,onset,offset,score\n"
REGION = '{"type": 1}'
LABELS = '{"label": "Dog", "support": [1, 2], "attributes": {"modality": "audio"}}'


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.csv", HEAD + "a,Dog,audio,1,2,x\n", "a.csv:2: score is 'x', not a number"),
        ("a.csv", HEAD + "a,Dog,audio,2,1,\n", "a.csv:2: onset 2 s is not before offset 1 s"),
        ("a.csv", HEAD + "a,Dog,sound,1,2,\n", "a.csv:2: unknown modality 'sound'"),
        ("a.csv", HEAD + "a,Dog,audio,1,2,7\n", "a.csv:2: score 7 is not between 0 and 1"),
        ("a.csv", HEAD + ",Dog,audio,1,2,\n", "a.csv:2: no video is named"),
        ("a.jsonl", '{"video": "a", "onset": 1}\n', "a.jsonl:1: field 'class' is null, not a text"),
        ("a.jsonl", '{"video": "a", "onset": 1}\n{"video": \n', "a.jsonl:1"),
        ("a.parquet", "PAR1 and nothing else", "a.parquet: not a readable Parquet table"),
        ("x_audio.tsv", "filename\tonset\toffset\tevent_label\na\t1\tx\tDog\n", "x_audio.tsv:2: offset is 'x'"),
        ("x.tsv", "filename\tonset\toffset\tevent_label\na\t1\t2\tDog\n", "x.tsv: the name tells no modality"),
        ("x.audio.txt", "1.0\t2.0\tDog\n3.0\tCat\n", "x.audio.txt:2: 2 columns"),
        ("x.eaf", "<ANNOTATION_DOCUMENT>\n<TIER>\n", "x.eaf:3: not XML (no element found)"),
        ("x.eaf", '<!DOCTYPE a [<!ENTITY x "y">]>\n<ANNOTATION_DOCUMENT/>', "x.eaf:1: declares a document type"),
        ("x.vtt", "WEBVTT\n\n00:01 --> 00:02\n[seen] Dog\n", "x.vtt:3: '00:01 --> 00:02' are no times of a cue"),
        (
            "x.vtt",
            "WEBVTT\n\n00:01.000 --> 00:02.000\nDog\n",
            "x.vtt:3: the text begins with neither [heard] nor [seen]",
        ),
        ("x.rttm", "SPEAKER a 3 1.0 1.0 <NA> <NA> Dog <NA> <NA>\n", "x.rttm:1: channel '3' is neither 1"),
        (
            "x.json",
            '[{"data": {}, "predictions": [{"result": [{"type": 1}]}]}]',
            "x.json: task 1, region 1: field 'type'",
        ),
        ("x.json", f'{{"labels": {{"a": [{LABELS}]}}}}', "x.json: labels of 'a', 1: the frame rate is unknown"),
        ("x.txt", "Selection\tBegin Time (s)\tEnd Time (s)\n1\t0\t1\n", "x.txt:2: none of the columns Class"),
    ],
)
def test_the_place_and_the_mend_are_told(name: str, text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError) as refused:
        read_events(tmp_path / name)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_unaligned_annotation_of_elan_is_told(tmp_path: Path) -> None:
    (path, _) = write(park(), "elan", tmp_path)
    path.write_text(path.read_text().replace(' TIME_VALUE="500"', ""))
    with pytest.raises(UserError, match=r"0\.eaf:\d+: time slot 'ts1' has no whole milliseconds"):
        read_events(path)


def test_a_tier_of_another_name_needs_a_modality(tmp_path: Path) -> None:
    (path, _) = write(park(), "elan", tmp_path)
    path.write_text(path.read_text().replace("audio/Speech", "Speaker A"))
    with pytest.raises(UserError, match=r"0\.eaf:\d+: tier 'Speaker A' is called neither audio/CLASS nor"):
        read_events(path)
    assert "Speaker A" in {event.class_name for event in read_events(path, given=Given(modality="audio")).events}


@pytest.mark.parametrize("name", list(EVENT_FORMATS))
def test_damage_of_any_kind_is_an_error_of_the_user(name: str, tmp_path: Path) -> None:
    """Bytes that are changed, left out or repeated never end in anything but events or one clear line."""
    rng = random.Random(name)
    pieces = (b"", b"\xff", b"\t", b"\n", b"null", b"-1", b"{", b'"', b"1e999")
    for path in write(park(), name, tmp_path):
        if path.name in ("durations.tsv", "labelling_config.xml"):
            continue
        whole = path.read_bytes()
        for _ in range(12):
            content = bytearray(whole)
            for _ in range(rng.randint(1, 4)):
                at, length = rng.randrange(len(content) + 1), rng.randint(0, 12)
                content[at : at + length] = rng.choice(pieces)
            path.write_bytes(content)
            told = refusal(path, name, Given(frame_rate=rng.choice((None, 25.0))))
            assert "\n" not in told
            assert not told or path.name in told


def refusal(path: Path, name: str, given: Given) -> str:
    """Return why a file is refused, nothing for one that is read."""
    try:
        EVENT_FORMATS[name].read(path, given)
    except UserError as refused:
        return str(refused)
    return ""
