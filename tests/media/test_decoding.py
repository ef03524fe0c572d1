"""Decoding: one clock, whatever the file is like."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from avparse.foundation.errors import UserError
from avparse.media.decoding.chunks import segment_count
from avparse.media.decoding.guard import Limits
from avparse.media.decoding.opened import probe
from avparse.media.decoding.waveform import waveform_peaks
from tests.clips import click, colours, flash, grey, tone, write_clip
from tests.decoded import click_s, flash_segments, read_parts
from tests.decoded import read_whole as read


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".avi", ".ts"])
def test_containers_agree(tmp_path: Path, suffix: str) -> None:
    path = write_clip(tmp_path / f"a{suffix}", sound=click(1.3), picture=flash(1.3), seconds=3.0)
    chunk = read(path)
    assert chunk.segments == 3
    assert chunk.audio_present.all()
    assert chunk.visual_present.all()
    assert chunk.end_s == pytest.approx(3.0, abs=0.07)
    assert click_s(chunk) == pytest.approx(1.3, abs=0.06)
    assert flash_segments(chunk) == [1]
    assert chunk.audio.shape == (3 * 16000,)
    assert chunk.audio.dtype == np.float32
    assert chunk.frames.shape == (3, 8, 72, 96, 3)
    info = probe(path)
    assert (info.width, info.height, info.channels, info.sample_rate) == (64, 48, 1, 48000)
    assert info.duration_s == pytest.approx(3.0, abs=0.07)
    assert info.segments(1.0) == 3
    assert info.frame_rate == pytest.approx(20, rel=0.05)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(("sound_start", "picture_start"), [(1.7, 0.0), (0.0, 1.7), (0.4, 0.0), (1.0, 2.3)])
def test_start_offsets_keep_click_and_flash_together(
    tmp_path: Path, suffix: str, sound_start: float, picture_start: float
) -> None:
    path = write_clip(
        tmp_path / f"a{suffix}",
        sound=click(3.35),
        picture=flash(3.35),
        seconds=5.0,
        sound_start_s=sound_start,
        picture_start_s=picture_start,
    )
    origin = min(sound_start, picture_start)
    chunk = read(path)
    assert click_s(chunk) == pytest.approx(3.35 - origin, abs=0.05)
    assert flash_segments(chunk) == [int(3.35 - origin)]
    # A segment counts as present when at least half of it is covered.
    for present, start in ((chunk.audio_present, sound_start), (chunk.visual_present, picture_start)):
        absent = round(start - origin)
        assert present.tolist() == [False] * absent + [True] * (chunk.segments - absent)
    assert not chunk.frames[~chunk.visual_present].any()
    assert not chunk.audio[: max(0, round((sound_start - origin) * 16000) - 500)].any()


def test_an_edit_list_hides_what_comes_before_it(tmp_path: Path) -> None:
    """What a cut without re-encoding leaves: a second of sound and pictures before time 0 that players skip."""
    path = write_clip(
        tmp_path / "a.mp4",
        sound=click(1.3),
        picture=flash(1.3),
        seconds=3.0,
        sound_start_s=-1.0,
        picture_start_s=-1.0,
    )
    chunk = read(path)
    assert chunk.segments == 3
    assert click_s(chunk) == pytest.approx(1.3, abs=0.03)
    assert flash_segments(chunk) == [1]
    assert chunk.warnings == ()
    assert probe(path).duration_s == pytest.approx(3.0, abs=0.05)


def test_a_stream_that_ends_early_is_absent_afterwards(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", sound=tone(), picture=colours, seconds=4.0, times=[0, 0.1, 0.2, 0.3, 1.2])
    chunk = read(path)
    assert chunk.segments == 4
    assert chunk.visual_present.tolist() == [True, False, False, False]
    assert chunk.audio_present.all()


def test_variable_frame_rate_shows_what_a_player_shows(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.15, 0.9, 1.0, 2.62, 2.7, 3.1, 3.11, 3.12, 3.9]
    levels = dict(zip(times, np.linspace(20, 240, len(times)), strict=True))
    path = write_clip(tmp_path / "a.mp4", sound=tone(), picture=grey(levels.__getitem__), times=times, seconds=4.0)
    chunk = read(path, frames_per_segment=5)
    instants = (np.arange(4 * 5) + 0.5) / 5
    expected = [levels[max(t for t in times if t <= instant)] for instant in instants]
    shown = chunk.frames.reshape(20, -1).mean(axis=1)
    np.testing.assert_allclose(shown, expected, atol=6)


def test_a_picture_that_stands_still_stays_present(tmp_path: Path) -> None:
    path = write_clip(
        tmp_path / "a.mkv",
        sound=tone(),
        picture=grey(lambda t: 200),
        times=[0.0, 0.1, 99.0],
        seconds=100,
        sample_rate=16000,
    )
    chunks = list(read_parts(path, chunk_segments=7, frame_size=(8, 8)))
    assert sum(chunk.segments for chunk in chunks) == 100
    assert all(chunk.visual_present[: 99 - round(chunk.start_s)].all() for chunk in chunks)
    assert min(int(chunk.frames[chunk.visual_present].min()) for chunk in chunks) > 150


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".avi"])
def test_without_audio(tmp_path: Path, suffix: str) -> None:
    path = write_clip(tmp_path / f"a{suffix}", picture=colours)
    chunk = read(path)
    assert not chunk.audio_present.any()
    assert not chunk.audio.any()
    assert chunk.visual_present.all()
    info = probe(path)
    assert (info.has_audio, info.has_video) == (False, True)
    assert waveform_peaks(path, 10).shape == (0, 2)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".avi"])
def test_without_video(tmp_path: Path, suffix: str) -> None:
    path = write_clip(tmp_path / f"a{suffix}", sound=tone())
    chunk = read(path)
    assert chunk.audio_present.all()
    assert chunk.audio.std() == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
    assert not chunk.visual_present.any()
    assert not chunk.frames.any()
    info = probe(path)
    assert (info.has_audio, info.has_video, info.width) == (True, False, 0)


def test_cover_art_is_not_a_video(tmp_path: Path) -> None:
    import av
    from PIL import Image

    bare, cover = tmp_path / "bare.mp3", tmp_path / "cover.png"
    with av.open(str(bare), "w") as container:
        stream = container.add_stream("libmp3lame", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 88200), np.int16), format="s16", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    Image.new("RGB", (32, 32), "red").save(cover)
    body = b"\0image/png\0\3\0" + cover.read_bytes()
    frame_bytes = b"APIC" + struct.pack(">I", len(body)) + b"\0\0" + body
    size = len(frame_bytes)
    header = b"ID3\3\0\0" + bytes((size >> shift) & 127 for shift in (21, 14, 7, 0))
    path = tmp_path / "song.mp3"
    path.write_bytes(header + frame_bytes + bare.read_bytes())
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1  # the cover is seen as a video stream, so the test tests something
    assert not probe(path).has_video
    chunk = read(path)
    assert chunk.audio_present.all()
    assert not chunk.visual_present.any()


QUARTERS = np.zeros((48, 64, 3), np.uint8)  # red, green / blue, black
QUARTERS[:24, :32], QUARTERS[:24, 32:], QUARTERS[24:, :32] = (230, 0, 0), (0, 230, 0), (0, 0, 230)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize(("hflip", "vflip"), [(False, False), (True, False), (False, True)])
def test_display_matrix_is_applied(tmp_path: Path, degrees: int, hflip: bool, vflip: bool) -> None:
    path = write_clip(tmp_path / "a.mp4", picture=lambda t: QUARTERS, seconds=1.0, rotation=(degrees, hflip, vflip))
    expected = np.rot90(QUARTERS, degrees // 90)
    expected = expected[:, ::-1] if hflip else expected
    expected = expected[::-1] if vflip else expected
    picture = read(path, frame_size=(20, 12)).frames[0, 3]
    height, width = expected.shape[:2]
    for row, column in ((0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75)):
        want = expected[int(row * height), int(column * width)]
        found = picture[int(row * 12), int(column * 20)]
        assert np.abs(want.astype(int) - found.astype(int)).max() < 45
    info = probe(path)
    assert (info.width, info.height) == (width, height)
    if not (hflip or vflip):
        assert info.rotation_degrees == degrees


@pytest.mark.parametrize("sample_rate", [44100, 48000, 16000, 22050])
def test_channels_are_averaged_and_resampled(tmp_path: Path, sample_rate: int) -> None:
    path = write_clip(
        tmp_path / "a.avi", sound=[tone(500, 0.8), tone(1500, 0.4)], picture=colours, sample_rate=sample_rate
    )
    chunk = read(path)
    middle = chunk.audio[8000:24000]
    spectrum = np.abs(np.fft.rfft(middle)) / 8000  # 1 Hz a bin
    assert spectrum[500] == pytest.approx(0.4, abs=0.01)
    assert spectrum[1500] == pytest.approx(0.2, abs=0.01)
    t = np.arange(8000, 24000) / 16000
    np.testing.assert_allclose(middle, 0.4 * np.sin(1000 * np.pi * t) + 0.2 * np.sin(3000 * np.pi * t), atol=0.01)


def test_six_channels(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", sound=[tone(300, 0.6)] + [tone(300, 0.0)] * 5)
    chunk = read(path)
    assert np.abs(chunk.audio).max() == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize(
    ("seconds", "segments", "last_present"), [(10.4, 11, True), (0.3, 1, True), (3.05, 3, True), (3.0, 3, True)]
)
def test_durations(tmp_path: Path, seconds: float, segments: int, last_present: bool) -> None:
    path = write_clip(tmp_path / "a.mkv", sound=tone(), picture=colours, seconds=seconds)
    chunks = list(read_parts(path, chunk_segments=3))
    assert sum(chunk.segments for chunk in chunks) == segments
    assert chunks[-1].end_s == pytest.approx(seconds, abs=0.051)
    assert bool(chunks[-1].audio_present[-1]) == last_present
    assert bool(chunks[-1].visual_present[-1]) == last_present
    assert probe(path).segments(1.0) == segments


def test_segment_count() -> None:
    assert [segment_count(d, 1.0) for d in (0.02, 1.0, 1.05, 1.2, 10.03, 10.4)] == [1, 1, 1, 2, 10, 11]
    assert segment_count(10.0, 0.1) == 100
    assert segment_count(10.0, 2.5) == 4


@pytest.mark.parametrize("segment_seconds", [1.0, 0.96, 1 / 3, 2.5])
def test_chunks_do_not_change_the_segments(tmp_path: Path, segment_seconds: float) -> None:
    path = write_clip(
        tmp_path / "a.mp4",
        sound=[tone(), click(3.0)],
        picture=colours,
        seconds=7.3,
        sample_rate=44100,
        sound_start_s=0.6,
    )
    whole = list(read_parts(path, segment_seconds=segment_seconds))
    assert len(whole) == 1
    for size in (1, 3):
        chunks = list(read_parts(path, segment_seconds=segment_seconds, chunk_segments=size))
        assert [c.start_s for c in chunks] == [i * size * segment_seconds for i in range(len(chunks))]
        for field in ("audio", "audio_present", "frames", "visual_present"):
            joined = np.concatenate([getattr(chunk, field) for chunk in chunks])
            np.testing.assert_array_equal(joined, getattr(whole[0], field))
        assert chunks[-1].end_s == whole[0].end_s


FAST_START = {"movflags": "faststart"}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi", ".webm"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated_files_give_what_they_have(tmp_path: Path, suffix: str, share: float) -> None:
    options = FAST_START if suffix == ".mp4" else None
    path = write_clip(tmp_path / f"a{suffix}", sound=tone(), picture=colours, seconds=8.0, options=options)
    whole = read(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    part = read(path)
    assert 8 * share - 3 < part.end_s < 8 * share + 3
    assert part.end_s < 7.8
    if suffix != ".ts":  # a transport stream states no duration
        assert {warning.kind for warning in part.warnings} & {"length", "break"}
    sure = int(part.end_s) - 1
    if sure > 0:
        np.testing.assert_array_equal(part.frames[: sure - 1], whole.frames[: sure - 1])


def test_damage_in_the_middle(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", sound=tone(), picture=colours, seconds=8.0, options=FAST_START)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = np.random.default_rng(0).bytes(2000)
    path.write_bytes(content)
    chunk = read(path)
    assert chunk.segments == 8
    assert chunk.audio_present.all()
    assert chunk.visual_present.all()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_duration(tmp_path: Path) -> None:
    """Peak memory of a process that reads 3 minutes against one that reads 25."""
    if not Path("/proc/self/status").exists():
        pytest.skip("peak memory is read from /proc")
    script = (
        "import sys; from avparse.media.decoding.chunks import read_chunks\n"
        "from avparse.media.decoding.views import PictureView, SoundView\n"
        "views = [SoundView(16000), PictureView((96, 72), per_segment=8)]\n"
        "for chunk in read_chunks(sys.argv[1], views): pass\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    peaks = []
    for minutes in (3, 25):
        seconds = 60.0 * minutes
        path = write_clip(
            tmp_path / f"{minutes}.mkv", sound=tone(), picture=colours, seconds=seconds, fps=2, sample_rate=16000
        )
        done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout) / 1024)
    assert peaks[1] < peaks[0] + 20  # MiB; the decoded sound and pictures of 22 minutes are 290


def test_headers_beyond_the_limits_are_refused(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", sound=[tone(), tone()], picture=colours, seconds=3.0)
    for limits, word in (
        (Limits(max_seconds=2), "seconds"),
        (Limits(max_pixels=1000), "pixels"),
        (Limits(max_streams=1), "streams"),
        (Limits(max_sample_rate=8000), "samples"),
        (Limits(max_channels=1), "channels"),
    ):
        with pytest.raises(UserError, match=word) as caught:
            probe(path, limits=limits)
        assert str(path) in str(caught.value)
        with pytest.raises(UserError, match=word):
            next(iter(read_parts(path, limits=limits)))


def _bad_files(folder: Path) -> dict[str, Path]:
    good = write_clip(folder / "good.mp4", sound=tone(), picture=colours, seconds=3.0).read_bytes()
    contents = {
        "empty.mp4": b"",
        "text.mp4": b"Dear video,\nI am a letter.\n" * 50,
        "page.mp4": b"<!DOCTYPE html><html><body>404 Not found</body></html>",
        "letter.txt": b"Dear video,\nI am a letter.\n" * 50,
        "subtitles.srt": b"1\n00:00:01,000 --> 00:00:02,000\nHello\n\n",
        "playlist.mp4": b"#EXTM3U\n#EXTINF:10,\nhttp://localhost:1/a.ts\n#EXT-X-ENDLIST\n",
        "noise.mp4": np.random.default_rng(1).bytes(20000),
        "cut_early.mp4": good[:40],
        "no_index.mp4": good[: len(good) // 2],  # the index is at the end
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "folder.mp4").mkdir()
    return {name: folder / name for name in [*contents, "folder.mp4", "missing.mp4"]}


def test_what_is_not_a_video_is_refused_in_one_line(tmp_path: Path) -> None:
    for path in _bad_files(tmp_path).values():
        for look in (probe, lambda p: list(read_parts(p)), lambda p: waveform_peaks(p, 4)):
            with pytest.raises(UserError) as caught:
                look(path)
            message = str(caught.value)
            assert message.startswith(f"{path}: ")
            assert "\n" not in message


def test_odd_names_are_files_not_protocols(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "plain.mp4", sound=tone(), seconds=1.0)
    for name in ("http:x.mp4", "concat:a|b.mp4", "50%d.mp4", "-i.mp4", "köln 1.mp4"):
        odd = tmp_path / name
        odd.write_bytes(path.read_bytes())
        assert read(odd).segments == 1


def test_waveform(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.avi", sound=click(1.55), picture=colours, seconds=2.0)
    peaks = waveform_peaks(path, 20)
    assert peaks.shape == (20, 2)
    assert peaks.dtype == np.float32
    assert np.flatnonzero(np.abs(peaks).max(axis=1) > 0.3).tolist() == [15]
    late = write_clip(tmp_path / "b.mkv", sound=click(1.55), picture=colours, seconds=2.0, sound_start_s=1.0)
    peaks = waveform_peaks(late, 20)
    assert np.flatnonzero(np.abs(peaks).max(axis=1) > 0.3).tolist() == [15]
    assert not peaks[:9].any()
    assert np.flatnonzero(np.abs(waveform_peaks(late, 20, duration_s=4.0)).max(axis=1) > 0.3).tolist() == [7]


def test_real_clip(shared: Path) -> None:
    path = shared / "data" / "llp" / "BjCEufrlXm4.mp4"
    info = probe(path)
    assert (info.width, info.height, info.sample_rate, info.channels) == (320, 240, 44100, 2)
    assert info.frame_rate == pytest.approx(30, abs=0.2)
    assert info.duration_s == pytest.approx(10.03, abs=0.01)
    chunk = read(path)
    assert chunk.segments == info.segments(1.0) == 10
    assert chunk.audio_present.all()
    assert chunk.visual_present.all()
    assert chunk.audio.reshape(10, -1).std(axis=1).min() > 0.001
    assert chunk.frames.std(axis=(1, 2, 3, 4)).min() > 10
    assert chunk.warnings == ()
