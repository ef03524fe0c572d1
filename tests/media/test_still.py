"""Still pictures as files of one segment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avparse.media.decoding.guard import Limits
from avparse.media.decoding.problems import MediaError
from avparse.media.decoding.still import read_still
from avparse.media.decoding.views import PictureView, SoundView
from avparse.media.extractors import make_streams
from avparse.media.files import files_in
from avparse.media.pipeline import extract_video

VIEW = PictureView((8, 6), per_segment=2)
SOUND = SoundView(16000, window_s=0.5, hop_s=0.25)


def halves(size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Red above, blue below."""
    image = Image.new("RGB", size, (0, 0, 255))
    image.paste((255, 0, 0), (0, 0, size[0], size[1] // 2))
    return image


@pytest.mark.parametrize("ending", [".png", ".jpg", ".JPEG", ".webp", ".bmp"])
def test_a_picture_is_one_silent_segment(ending: str, tmp_path: Path) -> None:
    halves().save(tmp_path / f"a{ending}")
    chunk = read_still(tmp_path / f"a{ending}", [VIEW, SOUND])
    assert (chunk.segments, chunk.end_s) == (1, 1.0)
    assert (chunk.audio_present.tolist(), chunk.visual_present.tolist()) == ([False], [True])
    assert chunk.sounds[SOUND].shape == (1, 4, 8000)
    assert not chunk.sounds[SOUND].any()
    shown = chunk.pictures[VIEW][0].astype(int)
    assert shown.shape == (2, 6, 8, 3)
    assert np.abs(shown[:, 0] - [255, 0, 0]).max() < 20
    assert np.abs(shown[:, 5] - [0, 0, 255]).max() < 20


def test_turned_transparent_and_grey_pictures_are_shown_as_viewers_show_them(tmp_path: Path) -> None:
    turned, clear, grey = (tmp_path / name for name in ("turned.jpg", "clear.png", "grey.png"))
    block = Image.Exif()
    block[0x0112] = 3  # upside down
    halves().save(turned, exif=block, quality=95)
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(clear)
    Image.new("L", (8, 8), 100).save(grey)
    assert read_still(turned, [VIEW]).pictures[VIEW][0, 0, 0, 0, 2] > 200
    assert (read_still(clear, [VIEW]).pictures[VIEW] == 255).all()
    assert (read_still(grey, [VIEW]).pictures[VIEW] == 100).all()


def test_its_features_are_those_of_a_segment(tmp_path: Path) -> None:
    halves().save(tmp_path / "a.png")
    found = extract_video(tmp_path / "a.png", make_streams("light"))
    assert found.streams["frames"].any()
    assert not found.streams["audio"].any()
    assert not found.audio_present.any()


def test_what_is_no_picture_is_refused_in_one_line(tmp_path: Path) -> None:
    halves().save(tmp_path / "whole.png")
    cut, text, folder = (tmp_path / name for name in ("cut.png", "text.png", "folder.png"))
    cut.write_bytes((tmp_path / "whole.png").read_bytes()[:90])
    text.write_text("no picture")
    folder.mkdir()
    cases = {cut: "undecodable", text: "not media", folder: "missing", tmp_path / "gone.png": "missing"}
    for path, reason in cases.items():
        with pytest.raises(MediaError, match=path.name) as caught:
            read_still(path, [VIEW])
        assert caught.value.reason == reason
        assert "\n" not in str(caught.value)
    with pytest.raises(MediaError, match="3072 pixels, where 100 are allowed"):
        read_still(tmp_path / "whole.png", [VIEW], limits=Limits(max_pixels=100))


def test_pictures_are_found_where_they_are_asked_for(tmp_path: Path) -> None:
    for name in ("a.png", "b.mp4", "c.txt", ".d.png"):
        (tmp_path / name).touch()
    assert [file.name for file in files_in(tmp_path)] == ["b.mp4"]
    assert [file.name for file in files_in(tmp_path, stills=True)] == ["a.png", "b.mp4"]
