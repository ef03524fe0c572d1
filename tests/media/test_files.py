"""Which files of folders are tried as videos, and what the others are said to be."""

from __future__ import annotations

import os
import socket
import unicodedata
from pathlib import Path

import pytest

from avparse.foundation.errors import UserError
from avparse.media.files import find_media
from avparse.media.video_ids import file_id, video_id


def test_every_entry_of_a_folder_is_tried_or_left_out_with_a_reason(tmp_path: Path) -> None:
    top = tmp_path / "videos"
    (top / "day" / "deep").mkdir(parents=True)
    names = ["a.mp4", "b", "c.unknown", "day/a.mkv", "day/deep/c.WAV"]
    beside = ["a.JPG", "a.description", "a.info.json", "a.mp4.part", "b.srt", "day/notes.txt", "x.mp4.part-Frag3"]
    for name in [*names, *beside, ".DS_Store", "day/._a.mkv"]:
        (top / name).write_bytes(b"x")
    (top / "gone.mp4").symlink_to(tmp_path / "nowhere")
    (top / "again").symlink_to(top)
    (top / "z.mp4").symlink_to(top / "a.mp4")
    os.mkfifo(top / "pipe.mp4")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(top / "socket.mp4"))
        found = find_media([top])
    assert {str(path.relative_to(top)) for path in found.files} == {*names, "z.mp4"}
    kinds: dict[str, set[str]] = {}
    for left in found.left:
        kinds.setdefault(left.kind, set()).add(str(left.path.relative_to(top)))
    assert kinds == {
        "sidecar": set(beside),
        "hidden": {".DS_Store", "day/._a.mkv"},
        "link": {"gone.mp4"},
        "special": {"pipe.mp4", "socket.mp4"},
    }
    assert found.summary().startswith("9 other files are left out (2 hidden, ")


def test_a_named_file_is_always_tried_and_once(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "b.mp4").touch()
    found = find_media([tmp_path / "a.jpg", tmp_path / "b.mp4", tmp_path, tmp_path / "absent.mp4"])
    assert [path.name for path in found.files] == ["a.jpg", "b.mp4", "absent.mp4"]


def test_results_are_no_inputs(tmp_path: Path) -> None:
    for name in ("v/a.mp4", "v/a.json", "v/index.csv", "v/.parsing/x", "v/out/b.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    within = find_media([tmp_path / "v"], tmp_path / "v")
    assert [path.name for path in within.files] == ["a.mp4", "b.mp4"]
    assert within.left == []
    assert [path.name for path in find_media([tmp_path / "v"], tmp_path / "v" / "out").files] == ["a.mp4"]


def test_a_folder_without_videos_is_an_error_only_if_all_are(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").touch()
    with pytest.raises(UserError, match=r"empty: the folder holds no video; give files of videos"):
        find_media([tmp_path / "empty"])
    with pytest.raises(UserError, match=r"notes: the folder holds no video \(only 1 \.txt\)"):
        find_media([tmp_path / "notes"])
    (tmp_path / "a.mp4").touch()
    found = find_media([tmp_path / "empty", tmp_path / "a.mp4"])
    assert (len(found.files), [left.kind for left in found.left]) == (1, ["empty"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("clip", "clip"),
        ("clip.MP4", "clip"),
        ("clip.mp4.wav", "clip"),
        ("talk.v2", "talk.v2"),
        (" clip .mp4", "clip"),
        (unicodedata.normalize("NFD", "Übung_é.mov"), "Übung_é"),
        ("at 3.04.05\u202fPM.mov", "at 3.04.05\u202fPM"),
        (".mp4", ".mp4"),
    ],
)
def test_an_id_is_the_name_without_the_ending_of_a_medium(name: str, expected: str) -> None:
    assert video_id(name) == expected
    assert video_id(video_id(name)) == expected
    if name != ".mp4":
        assert file_id(Path("folder") / f"{name}.mkv") == expected
