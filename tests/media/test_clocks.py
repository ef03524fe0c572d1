"""Files whose clocks, lengths or streams contradict themselves: sound and pictures are where a player shows them."""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from avparse.media.decoding.guard import Limits
from avparse.media.decoding.opened import probe
from avparse.media.decoding.problems import MediaError
from avparse.media.decoding.waveform import waveform_peaks
from avparse.media.extractors import make_streams
from avparse.media.pipeline import Extracted, extract_video, extract_videos
from tests.clips import click, colours, flash, grey, tone, write_clip
from tests.decoded import SAMPLE_RATE, Decoded, click_s, read_whole

FPS = 20


def clicks_s(decoded: Decoded) -> list[float]:
    """Return the seconds at which loud sound begins after a tenth of a second without."""
    loud = np.flatnonzero(np.abs(decoded.audio) > 0.2)
    first = np.diff(loud, prepend=-SAMPLE_RATE) > SAMPLE_RATE // 10
    return (loud[first] / SAMPLE_RATE).tolist()


def flashes_s(path: Path) -> list[float]:
    """Return the seconds at which white pictures begin."""
    frames = read_whole(path, frames_per_segment=FPS, frame_size=(16, 12)).frames
    bright = frames.reshape(len(frames) * FPS, -1).mean(axis=1) > 150
    return (np.flatnonzero(bright & ~np.roll(bright, 1)) / FPS).tolist()


def kinds(decoded: Decoded) -> list[str]:
    """Return the kinds of the warnings."""
    return [warning.kind for warning in decoded.chunk.warnings]


def remux(source: Path, target: Path, change: Any, **options: str) -> Path:
    """Copy the packets of a file; ``change`` gets each with its number within its stream."""
    with av.open(str(source)) as read, av.open(str(target), "w", options=options) as written:
        streams = {s.index: written.add_stream_from_template(s) for s in read.streams}
        count = dict.fromkeys(streams, 0)
        for packet in read.demux():
            if packet.dts is None:
                continue
            index = packet.stream.index
            change(packet, count[index])
            count[index] += 1
            packet.stream = streams[index]
            written.mux(packet)
    return target


def test_a_clock_that_starts_again_goes_on(tmp_path: Path) -> None:
    piece = write_clip(tmp_path / "piece.ts", sound=click(1.5), picture=flash(1.5), seconds=4.0).read_bytes()
    joined = tmp_path / "joined.ts"
    joined.write_bytes(piece * 3)
    decoded = read_whole(joined)
    assert decoded.end_s == pytest.approx(12.0, abs=0.3)
    assert clicks_s(decoded) == pytest.approx([1.5, 5.5, 9.5], abs=0.15)
    assert flashes_s(joined) == pytest.approx([1.5, 5.5, 9.5], abs=0.15)
    assert kinds(decoded) == ["restart"]


@pytest.mark.parametrize("leap_s", [1000.0, 80_000.0])
def test_a_clock_that_leaps_ahead_leaves_no_gap(tmp_path: Path, leap_s: float) -> None:
    whole = write_clip(tmp_path / "whole.mp4", sound=click(3.5), picture=flash(3.5), seconds=5.0)

    def leap(packet: Any, number: int) -> None:
        if packet.dts * packet.time_base >= 2:
            packet.dts += int(leap_s / packet.time_base)
            packet.pts += int(leap_s / packet.time_base)

    path = remux(whole, tmp_path / "leap.mkv", leap)
    decoded = read_whole(path)
    assert decoded.end_s == pytest.approx(5.0, abs=0.3)
    assert click_s(decoded) == pytest.approx(3.5, abs=0.15)
    assert "jump" in kinds(decoded)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("ahead_s", [2.0, 6.0])
def test_one_odd_time_moves_one_picture(tmp_path: Path, suffix: str, ahead_s: float) -> None:
    whole = write_clip(tmp_path / "whole.mp4", sound=click(7.5), picture=flash(7.5), seconds=10.0)

    def outlier(packet: Any, number: int) -> None:
        if packet.stream.type == "video" and number == 60:
            packet.pts += int(ahead_s / packet.time_base)

    path = remux(whole, tmp_path / f"outlier{suffix}", outlier)
    assert flashes_s(path) == pytest.approx([7.5], abs=0.11)
    assert read_whole(path).end_s == pytest.approx(10.0, abs=0.1)


def test_a_container_without_times_of_showing_takes_the_order(tmp_path: Path) -> None:
    path = tmp_path / "b-frames.avi"
    with av.open(str(path), "w") as container:
        video = container.add_stream(
            "libx264", rate=5, options={"bf": "3", "b_strategy": "0", "g": "100", "sc_threshold": "0"}
        )
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        white = flash(1.4)
        for number in range(30):
            frame = av.VideoFrame.from_ndarray(white(number / 5), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 5)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    decoded = read_whole(path, frames_per_segment=5)
    assert decoded.segments == 6
    assert flashes_s(path) == pytest.approx([1.4], abs=0.01)
    assert kinds(decoded) == []


def test_pictures_an_hour_apart_do_not_make_hours(tmp_path: Path) -> None:
    path = write_clip(
        tmp_path / "slow.mkv", picture=colours, seconds=3.0, times=[0.0, 0.5, 1.0, 3600.0, 7200.0, 10800.0]
    )
    decoded = read_whole(path)
    assert decoded.end_s < 30
    assert kinds(decoded)


def test_a_file_that_starts_late_says_where_its_clock_stood(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mp4", sound=click(1.5), picture=flash(1.5), seconds=4.0)

    def later(packet: Any, number: int) -> None:
        packet.dts += int(3 / packet.time_base)
        packet.pts += int(3 / packet.time_base)

    path = remux(whole, tmp_path / "late.mkv", later)
    decoded = read_whole(path)
    assert click_s(decoded) == pytest.approx(1.5, abs=0.05)
    assert decoded.chunk.origin_s == pytest.approx(3.0, abs=0.05)
    assert kinds(decoded) == []


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg writes a stream of two programmes here")
def test_the_sound_is_that_of_the_programme_of_the_pictures(tmp_path: Path) -> None:
    write_clip(tmp_path / "radio.mp4", sound=tone(), seconds=4.0)
    write_clip(tmp_path / "tv.mp4", sound=click(1.5), picture=flash(1.5), seconds=4.0)
    path = tmp_path / "two.ts"
    command = ["ffmpeg", "-v", "error", "-i", "radio.mp4", "-i", "tv.mp4", "-map", "0:a", "-map", "1:v", "-map", "1:a"]
    programmes = ["-program", "title=Radio:program_num=1:st=0", "-program", "title=TV:program_num=2:st=1:st=2"]
    subprocess.run([*command, "-c", "copy", *programmes, path.name], cwd=tmp_path, check=True)
    decoded = read_whole(path)
    assert clicks_s(decoded) == pytest.approx([1.5], abs=0.05)


@pytest.mark.parametrize("codec", [b"apac", b"zzzz"])
def test_sound_that_cannot_be_decoded_is_said(tmp_path: Path, codec: bytes) -> None:
    with av.open(str(tmp_path / "known.mov"), "w") as container:
        audio = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        video = container.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(colours(number / 10), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(video.encode(frame))
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
            samples.sample_rate, samples.pts, samples.time_base = 8000, 800 * number, Fraction(1, 8000)
            container.mux(audio.encode(samples))
        container.mux(video.encode(None))
    content = (tmp_path / "known.mov").read_bytes()
    assert b"sowt" in content
    path = tmp_path / "unknown.mov"
    path.write_bytes(content.replace(b"sowt", codec))
    decoded = read_whole(path)
    assert not decoded.chunk.audio_present.any()
    assert decoded.chunk.visual_present.all()
    assert kinds(decoded) == ["no decoder"]


@pytest.mark.parametrize("channels", [1, 3, 8, 16])
def test_sound_of_any_number_of_channels(tmp_path: Path, channels: int) -> None:
    path = tmp_path / "many.wav"
    loud = np.where(np.arange(2 * 8000) // 800 == 15, 12000, 0).astype("<i2")
    samples = np.repeat(loud[:, None], channels, axis=1).tobytes()
    header = b"".join(
        [
            b"RIFF" + (36 + len(samples)).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little"),
            (1).to_bytes(2, "little") + channels.to_bytes(2, "little") + (8000).to_bytes(4, "little"),
            (16000 * channels).to_bytes(4, "little") + (2 * channels).to_bytes(2, "little"),
            (16).to_bytes(2, "little") + b"data" + len(samples).to_bytes(4, "little"),
        ]
    )
    path.write_bytes(header + samples)
    decoded = read_whole(path)
    assert decoded.segments == 2
    assert click_s(decoded) == pytest.approx(1.5, abs=0.02)
    assert np.abs(decoded.audio).max() == pytest.approx(12000 / 32768, rel=0.2)


def test_pictures_with_the_block_of_a_camera(tmp_path: Path) -> None:
    """PyAV has no name for EXIF, and refuses all side data of such a frame."""
    path = tmp_path / "camera.avi"
    with av.open(str(path), "w") as container:
        video = container.add_stream("mjpeg", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuvj420p"
        for number in range(20):
            image = Image.new("RGB", (64, 48), (255,) * 3 if number in (15, 16) else (0,) * 3)
            block = image.getexif()
            block[0x010F] = "Maker"
            image.save(tmp_path / "frame.jpg", exif=block, quality=90)
            packet = av.Packet((tmp_path / "frame.jpg").read_bytes())
            packet.stream, packet.time_base = video, Fraction(1, 10)
            packet.pts = packet.dts = number
            packet.is_keyframe = True
            container.mux(packet)
    assert flashes_s(path) == pytest.approx([1.5], abs=0.01)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_the_waveform_is_drawn_on_the_decoded_length(tmp_path: Path, suffix: str) -> None:
    whole = write_clip(
        tmp_path / f"whole{suffix}",
        sound=click(0.5),
        picture=colours,
        seconds=20.0,
        options={"movflags": "faststart"},
    )
    cut = tmp_path / f"cut{suffix}"
    content = whole.read_bytes()
    cut.write_bytes(content[: len(content) * 60 // 100])
    decoded = read_whole(cut)
    assert 1 < decoded.end_s < 15
    assert "length" in kinds(decoded)
    peaks = waveform_peaks(cut, 1000, decoded.end_s)
    loud = np.flatnonzero(np.abs(peaks).max(axis=1) > 0.3)
    assert loud[0] / 1000 * decoded.end_s == pytest.approx(0.5, abs=0.1)


def test_what_decoding_may_cost_is_a_setting(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", sound=tone(), picture=colours, seconds=5.0)
    streams = make_streams("light")
    assert isinstance(extract_video(path, streams), Extracted)
    with pytest.raises(MediaError, match=r"a\.mp4: decoding took .* allowed; .* raise 'busy_seconds'") as caught:
        extract_video(path, streams, limits=Limits(busy_seconds=1e-4, busy_per_second=1e-6))
    assert caught.value.reason == "budget"
    with pytest.raises(MediaError, match="more than 3 segments") as caught:
        extract_video(path, streams, limits=Limits(max_segments=3))
    assert caught.value.reason == "budget"
    with pytest.raises(MediaError, match="header asks for 5 seconds") as caught:
        probe(path, limits=Limits(max_seconds=4.0))
    assert caught.value.reason == "limit"


def test_a_file_that_costs_too_much_leaves_the_others(tmp_path: Path) -> None:
    heavy = write_clip(tmp_path / "heavy.mkv", picture=grey(lambda t: 99, (640, 480)), seconds=20.0)
    light = write_clip(tmp_path / "light.mkv", picture=colours, seconds=1.0)
    limits = Limits(max_segments=10)
    first, second = extract_videos([heavy, light], "light", workers=1, limits=limits)
    assert (type(first).__name__, type(second).__name__) == ("Failed", "Extracted")
    assert first.kind == "budget"


def test_damaged_cases(shared: Path) -> None:
    """Files that took 49 minutes, or claimed hours, or ended the process."""
    folder = shared / "cases" / "damaged"
    for name in ("246_vfr.mov", "stts_h264_aac.mp4", "seven1.flac"):
        (result,) = extract_videos([folder / name], "light", workers=1)
        if isinstance(result, Extracted):
            assert len(result.audio_present) < 60, name
            assert result.warnings or name == "seven1.flac"
        else:
            assert result.kind not in ("crash", "error"), name
