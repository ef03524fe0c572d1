"""A user's own tables: read as meant, or refused with file, line and mend."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from avparse.data.datasets.tables import read_event_table, read_weak_table
from avparse.data.timeline import Event
from avparse.data.vocabulary import Vocabulary
from avparse.foundation.errors import UserError

VOCABULARY = Vocabulary(("Speech", "Dog", "Vacuum_cleaner"))


@pytest.mark.parametrize(
    "text",
    [
        "video,labels,split\na,Speech|Dog,train\nb,,val\nc,Vacuum_cleaner,\n",
        "video\tlabels\tsplit\na\tSpeech,Dog\ttrain\nb\t\tval\nc\tVacuum_cleaner\t\n",
        "video;labels;split\na.mp4;Speech, Dog;train\nb.WAV;;val\nc;Vacuum_cleaner;\n",
        'split,note,video,labels\ntrain,x,a,"Dog, Speech"\nval,"y,\nz",b,\n,,c,Vacuum_cleaner\n',
        "\ufeffvideo,labels,split\r\na, Dog | Speech|Dog ,train\r\n\r\nb,,val\r\nc,Vacuum_cleaner,\r\n",
    ],
)
def test_weak_labels_are_read(text: str, tmp_path: Path) -> None:
    path = tmp_path / "weak.csv"
    path.write_bytes(text.encode())
    videos = read_weak_table(path, VOCABULARY)
    assert {name: video.split for name, video in videos.items()} == {"a": "train", "b": "val", "c": ""}
    weak = np.stack([video.weak for video in videos.values()])
    np.testing.assert_array_equal(weak, np.array([[1, 1, 0], [0, 0, 0], [0, 0, 1]], dtype=bool))


def test_a_table_without_splits_or_videos(tmp_path: Path) -> None:
    path = tmp_path / "weak.csv"
    path.write_text("video,labels\na,Dog\n")
    assert [video.split for video in read_weak_table(path, VOCABULARY).values()] == [""]
    path.write_text("video,labels\n")
    assert read_weak_table(path, VOCABULARY) == {}


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_events_are_read(separator: str, tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    rows = ["video,class,modality,onset,offset", "b,Dog,visual,0,2.5", "a,Speech,audio,1e0,3", "b,Dog,audio,2,4"]
    path.write_text("\n".join(rows).replace(",", separator))
    found = {video: [row.event for row in rows] for video, rows in read_event_table(path, VOCABULARY).items()}
    assert found == {
        "b": [Event("Dog", "visual", 0.0, 2.5), Event("Dog", "audio", 2.0, 4.0)],
        "a": [Event("Speech", "audio", 1.0, 3.0)],
    }


WEAK = "video,labels,split\na,Dog,train\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (WEAK + "b,Dgo,val\n", r"t.csv:3: unknown class 'Dgo'; did you mean 'Dog'\?"),
        (WEAK + "b,speech,val\n", r"t.csv:3: unknown class 'speech'; did you mean 'Speech'\?"),
        (WEAK + '"b","Dog",\n"c\nc",Dog,val\n', r"t.csv:5: unsafe video id"),
        (WEAK + "\n\na,Dog,val\n", r"t.csv:5: video 'a' is in line 2 already"),
        (WEAK + "b,Dog,vall\n", r"t.csv:3: unknown split 'vall'; did you mean 'val'\?"),
        (WEAK + "b,Dog,training\n", r"t.csv:3: unknown split 'training'; did you mean 'train'\?"),
        (WEAK + "../b,Dog,val\n", r"t.csv:3: unsafe video id '../b'"),
        (WEAK + f"{'b' * 300},Dog,val\n", r"t.csv:3: unsafe video id"),
        (WEAK + "b\0,Dog,val\n", r"t.csv:3: unsafe video id|not a UTF-8 text table"),
        (WEAK + ",Dog,val\n", r"t.csv:3: unsafe video id ''"),
        (WEAK + "b,Dog\n", r"t.csv:3: 2 cells, the header has 3"),
        (WEAK + "b,Dog,Speech,val\n", r"t.csv:3: 4 cells, the header has 3"),
        ("video,label\na,Dog\n", r"t.csv:1: column 'labels' is missing; the header needs video, labels"),
        ("video,labels,labels\na,Dog,Dog\n", r"t.csv:1: column 'labels' occurs twice"),
        ("video,labels,split,split\na,Dog,train,val\n", r"t.csv:1: column 'split' occurs twice"),
        ("", r"t.csv:1: column 'video' is missing"),
        (WEAK + "b,Dog" + "g" * 200_000, "not a UTF-8 text table"),
    ],
)
def test_bad_weak_tables_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_weak_table(path, VOCABULARY)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,Dgo,audio,0,1", r"t.csv:3: unknown class 'Dgo'; did you mean 'Dog'\?"),
        ("a,Dog,audo,0,1", r"t.csv:3: unknown modality 'audo'; did you mean 'audio'\?"),
        ("a,Dog,video,0,1", r"t.csv:3: unknown modality 'video'"),
        ("a,Dog,audio,3,1", r"t.csv:3: onset 3 s is not before offset 1 s"),
        ("a,Dog,audio,3,3", r"t.csv:3: onset 3 s is not before offset 3 s"),
        ("a,Dog,audio,-0.5,3", r"t.csv:3: onset -0.5 s is negative"),
        ("a,Dog,audio,nan,3", r"t.csv:3: onset is 'nan', not a finite number of seconds"),
        ("a,Dog,audio,0,inf", r"t.csv:3: offset is 'inf', not a finite number of seconds"),
        ("a,Dog,audio,0,", r"t.csv:3: offset is '', not a finite number of seconds"),
        ("a,Dog,audio,0,1:30", r"t.csv:3: offset is '1:30', not a finite number of seconds"),
        (" ,Dog,audio,0,1", r"t.csv:3: no video is named"),
        ("a,Dog,audio,0", r"t.csv:3: 4 cells, the header has 5"),
    ],
)
def test_bad_event_tables_are_refused(row: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"video,class,modality,onset,offset\na,Dog,audio,0,1\n{row}\n")
    with pytest.raises(UserError, match=message) as caught:
        read_event_table(path, VOCABULARY)
    assert "\n" not in str(caught.value)


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    for read in (read_weak_table, read_event_table):
        with pytest.raises(UserError, match=r"absent.csv: cannot be read \(No such file"):
            read(tmp_path / "absent.csv", VOCABULARY)
        with pytest.raises(UserError, match="cannot be read"):
            read(tmp_path, VOCABULARY)
        (tmp_path / "binary").write_bytes(b"\x80\x81video")
        with pytest.raises(UserError, match="not a UTF-8 text table"):
            read(tmp_path / "binary", VOCABULARY)
        (tmp_path / "events").write_text("video,class,modality,onset\n")
        with pytest.raises(UserError, match="events:1: column"):
            read(tmp_path / "events", VOCABULARY)
