"""Pictures of a constant rate: the rule against the program FFmpeg, the picks against the official ones of a clip."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avparse.media.decoding.chunks import read_chunks
from avparse.media.decoding.constant_rate import ConstantRate
from avparse.media.decoding.views import PictureView
from tests.clips import tone, write_clip

_BITS = 8
_VIEW = PictureView((64, 48), per_segment=8, picked="spread")
_IRREGULAR = [0.0, 0.01, 0.4, 0.42, 0.43, 0.5, 1.3, 1.31, 1.5, 2.2, 2.25, 2.3, 2.9]


def _coded(times: list[float]) -> dict[float, np.ndarray]:
    """Return a picture for each time whose eight bars are the bits of its number."""
    bars = [np.repeat([number >> bit & 1 for bit in range(_BITS)], 64 // _BITS) for number in range(len(times))]
    return {
        round(t, 6): np.broadcast_to(255 * bar[None, :, None], (48, 64, 3)).astype(np.uint8)
        for t, bar in zip(times, bars, strict=True)
    }


def _numbers(pictures: np.ndarray) -> list[int]:
    bars = pictures[:, 24, 4 :: 64 // _BITS, 1] > 128
    return (bars @ (1 << np.arange(_BITS))).tolist()


def _clip(path: Path, times: list[float], fps: int, varying: bool, seconds: float) -> Path:
    coded = _coded(times)
    return write_clip(
        path,
        picture=lambda t: coded[round(t, 6)],
        sound=tone(),
        seconds=seconds,
        fps=fps,
        times=times if varying else None,
    )


def _ours(path: Path, chunk_segments: int | None = None, view: PictureView = _VIEW) -> list[int]:
    chunks = list(read_chunks(path, [view], chunk_segments=chunk_segments))
    pictures = np.concatenate([chunk.pictures[view] for chunk in chunks]).reshape(-1, 48, 64, 3)
    return _numbers(pictures)


def _shown(times: list[float], lengths: list[float], usual_s: float) -> list[int]:
    """Return which frame each picture of 8 a second shows."""
    rate, shown = ConstantRate(8, usual_s), []
    for number, (at_s, length_s) in enumerate(zip(times, lengths, strict=True)):
        shown += [number - 1] * (rate.repeats(at_s, length_s) - len(shown))
        shown += [number] * (rate.shows() - len(shown))
    return shown


@pytest.mark.parametrize(
    ("fps", "expected"),
    [
        (5, [0, 0, 1, 1, 2, 3, 3, 4, 5, 5, 6, 6, 7, 8, 8, 9]),
        (15, [0, 1, 2, 3, 4, 6, 8, 10, 12, 13, 15, 17, 19, 21, 23, 25, 27, 28]),
        (25, [0, 1, 2, 5, 9, 12, 15, 18, 21, 24, 27, 30, 34, 37, 40, 43, 46, 49]),
        (50, [0, 1, 5, 11, 18, 24, 30, 36, 43, 49, 55, 61, 68, 74, 80, 86, 93, 99]),
    ],
)
def test_the_rule_is_that_of_ffmpeg(fps: int, expected: list[int]) -> None:
    """The numbers were read from what version 5.1.9 of the program wrote of clips of two seconds."""
    assert _shown([n / fps for n in range(2 * fps)], [1 / fps] * 2 * fps, 1 / fps) == expected


def test_a_picture_shows_the_frame_that_the_official_one_shows(shared: Path) -> None:
    """Of the 82 official pictures of the real clip, ours are the 80 that LLP's features were made of, in order."""
    jpegs = sorted((shared / "data/llp/frames_8fps").glob("*.jpg"))
    official = np.stack([np.asarray(Image.open(jpeg).convert("RGB"), dtype=np.float32) for jpeg in jpegs])
    view = PictureView((320, 240), per_segment=8, picked="spread")
    chunks = read_chunks(shared / "data/llp/BjCEufrlXm4.mp4", [view], chunk_segments=4)
    ours = np.concatenate([chunk.pictures[view] for chunk in chunks]).reshape(-1, 240, 320, 3).astype(np.float32)
    wanted = np.round(np.linspace(0, len(official) - 1, 80)).astype(int)
    coarse, coarse_official = (x[:, ::4, ::4].reshape(len(x), -1) for x in (ours, official))
    errors = np.stack([np.square(coarse_official - picture).mean(axis=1) for picture in coarse])  # [80, 82]
    np.testing.assert_array_equal(errors.argmin(axis=1)[1:], wanted[1:])  # the first two show the same picture
    ratios = 10 * np.log10(255**2 / np.square(ours - official[wanted]).mean(axis=(1, 2, 3)))
    assert ratios.min() > 30
    assert ratios.mean() == pytest.approx(34.9, abs=0.3)  # what JPEG lost, see docs/howto/published_features.md


def test_pictures_taken_later_are_those_of_later_instants(tmp_path: Path) -> None:
    times = [n / 8 for n in range(24)]
    path = _clip(tmp_path / "a.mp4", times, 8, False, 3.0)
    numbers = _ours(path)
    assert _ours(path, 1, replace(_VIEW, offset_s=0.5)) == numbers[4:] + [numbers[-1]] * 4
    centres = replace(_VIEW, picked="centres")
    assert _ours(path, 1, centres) == list(range(24))
    assert _ours(path, 1, replace(centres, offset_s=0.5)) == [*range(4, 24), 23, 23, 23, 23]


def test_a_video_that_begins_late_shows_its_first_frame_before(tmp_path: Path) -> None:
    coded = _coded([n / 8 for n in range(16)])
    path = write_clip(
        tmp_path / "a.mp4", picture=lambda t: coded[round(t, 6)], sound=tone(), seconds=2.0, fps=8, picture_start_s=0.5
    )
    numbers = _ours(path)
    assert numbers == [4] * 5 + list(range(5, 16))


@pytest.mark.slow
@pytest.mark.parametrize(("fps", "suffix"), [(3, ".mp4"), (12, ".mkv"), (24, ".mp4"), (30, ".mkv"), (0, ".mkv")])
def test_the_pictures_are_those_that_the_program_ffmpeg_writes(tmp_path: Path, fps: int, suffix: str) -> None:
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("no program ffmpeg here")
    times = [n / fps for n in range(3 * fps)] if fps else _IRREGULAR
    path = _clip(tmp_path / f"a{suffix}", times, fps or 20, not fps, 3.0)
    command = [program, "-v", "error", "-threads", "1", "-i", str(path), "-r", "8", str(tmp_path / "%06d.png")]
    subprocess.run(command, check=True)
    theirs = _numbers(np.stack([np.asarray(Image.open(png).convert("RGB")) for png in sorted(tmp_path.glob("*.png"))]))
    wanted = np.round(np.linspace(0, len(theirs) - 1, 24)).astype(int)
    assert _ours(path) == [theirs[n] for n in wanted]
    assert _ours(path, chunk_segments=1) == _ours(path)
