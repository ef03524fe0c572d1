"""A media file is one file: nothing that names others is followed, whatever its content or its name."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import av
import pytest
from PIL import Image

from avparse.foundation.errors import UserError
from avparse.media.decoding.chunks import read_chunks
from avparse.media.decoding.container import DEMUXERS
from avparse.media.decoding.opened import probe
from avparse.media.decoding.problems import MediaError
from avparse.media.decoding.waveform import waveform_peaks
from tests.clips import colours, tone, write_clip
from tests.decoded import SOUND, read_whole

# What other files are named by, in each the place of the name; `av.open` follows many of these by itself.
LISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\n{target}\n#EXT-X-ENDLIST\n",
    "hls with a map": '#EXTM3U\n#EXT-X-MAP:URI="{target}"\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\n{target}\n'
    "#EXT-X-ENDLIST\n",
    "hls of variants": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{target}\n",
    "m3u": "#EXTM3U\n#EXTINF:2,Title\n{target}\n",
    "concat": "ffconcat version 1.0\nfile '{target}'\n",
    "concat unsafe": "ffconcat version 1.0\noption safe 0\nfile {target}\nduration 2\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="0" '
    'bandwidth="1"><BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>',
    "smooth streaming": '<?xml version="1.0"?><SmoothStreamingMedia MajorVersion="2" Duration="2"><StreamIndex '
    'Type="video" Url="{target}"/></SmoothStreamingMedia>',
    "session description": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    "imf": '<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016"><Id>'
    "{target}</Id></CompositionPlaylist>",
    "avisynth": 'DirectShowSource("{target}")\n',
    "vapoursynth": 'import vapoursynth as vs\nvs.core.ffms2.Source("{target}").set_output()\n',
    "asx": '<asx version="3.0"><entry><ref href="{target}"/></entry></asx>',
    "pls": "[playlist]\nFile1={target}\nNumberOfEntries=1\nVersion=2\n",
    "xspf": '<?xml version="1.0"?><playlist version="1"><trackList><track><location>{target}</location></track>'
    "</trackList></playlist>",
    "ram": "{target}\n",
    "cue": 'FILE "{target}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n',
    "vobsub": "# VobSub index file, v7 (do not modify this line!)\nid: en, index: 0\ntimestamp: 00:00:00:000, "
    "filepos: 000000000\n",
    "svg": '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="{target}"/></svg>',
    "redirection": "[Reference]\nRef1={target}\n",
    "ffmetadata": ";FFMETADATA1\ntitle={target}\n",
}
ENDINGS = {
    "hls": ".m3u8",
    "m3u": ".m3u",
    "concat": ".ffconcat",
    "concat unsafe": ".concat",
    "dash": ".mpd",
    "session description": ".sdp",
    "avisynth": ".avs",
    "asx": ".asx",
    "pls": ".pls",
    "ram": ".ram",
    "vobsub": ".idx",
    "svg": ".svg",
}
NAMES = (
    *("s%03d.png", "s%d.png", "s*.png", "concat:a.mp4|b.mp4", "concatf:list.txt", "subfile,,start,0,end,9,,:clip.mp4"),
    *("data:video/mp4;base64,AAAA", "pipe:0", "pipe:", "-", "fd:0", "http://localhost:1/clip.mp4", "file:clip.mp4"),
    *("tcp://localhost:1", "udp://@localhost:1", "rtmp://localhost/x", "cache:clip.mp4", "async:clip.mp4"),
    *("crypto:clip.mp4", "md5:", "tee:clip.mp4", "testsrc", "color=red", "0:none", "/dev/zero", "hls+file:clip.mp4"),
)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A good clip that is not to be opened, with a second of the same pictures as numbered files beside it."""
    for number in range(3):
        Image.new("RGB", (32, 32), (80 * number, 0, 0)).save(tmp_path / f"s{number:03d}.png")
    return write_clip(tmp_path / "clip.mp4", sound=tone(), picture=colours, seconds=2.0)


def refuse_everywhere(path: Path | str) -> None:
    for look in (probe, lambda p: list(read_chunks(p, [SOUND])), lambda p: waveform_peaks(p, 4)):
        with pytest.raises(MediaError) as caught:
            look(path)
        assert caught.value.reason in ("missing", "not media")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("form", LISTS)
def test_lists_and_scripts_are_no_media(form: str, absolute: bool, target: Path) -> None:
    content = LISTS[form].replace("{target}", str(target) if absolute else target.name)
    for name in ("posing.mp4", f"own{ENDINGS.get(form, '.txt')}"):
        posing = target.with_name(name)
        posing.write_text(content)
        refuse_everywhere(posing)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_no_pattern_and_no_address(name: str, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(target.parent)
    refuse_everywhere(name)


@pytest.mark.parametrize("name", [name for name in NAMES if "/" not in name])
def test_a_file_of_such_a_name_is_that_file(name: str, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(target.parent)
    Path(name).write_bytes(target.read_bytes())
    assert read_whole(Path(name)).segments == 2


def test_a_name_that_is_no_utf_8_is_read(target: Path) -> None:
    odd = os.fsencode(target.parent) + b"/caf\xe9.mp4"
    try:
        Path(os.fsdecode(odd)).write_bytes(target.read_bytes())
    except OSError:
        pytest.skip("this file system wants names in UTF-8")
    path = Path(os.fsdecode(odd))
    assert read_whole(path).segments == 2
    assert waveform_peaks(path, 4).shape == (4, 2)


def test_data_of_a_movie_that_lie_in_another_file_are_not_read(target: Path) -> None:
    movie = write_clip(target.with_name("outside.mov"), sound=tone(), picture=colours, seconds=2.0).read_bytes()
    inside = struct.pack(">I4sI", 12, b"url ", 1)  # "the data are in this file"
    assert movie.count(inside) == 2
    named = os.fsencode(target) + bytes(len(os.fsencode(target)) % 2)
    alias = bytes(150) + struct.pack(">HH", 2, len(named)) + named + struct.pack(">HH", 0xFFFF, 0)
    posing = target.with_name("posing.mov")
    posing.write_bytes(grown(movie, inside, struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias))
    with av.open(str(posing), options={"enable_drefs": "1", "use_absolute_path": "1"}) as container:
        assert sum(packet.size for packet in container.demux()) > 1000  # FFmpeg would follow the alias
    with pytest.raises(UserError, match="neither sound nor pictures"):
        read_whole(posing)


def grown(movie: bytes, old: bytes, new: bytes) -> bytes:
    """Replace boxes in a movie whose index comes last; the sizes of the boxes around them grow along."""
    by = len(new) - len(old)
    places = [i for i in range(len(movie)) if movie.startswith(old, i)]
    sizes = {}
    for around in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        at = -1
        while (at := movie.find(around, at + 1)) >= 0:
            size = struct.unpack(">I", movie[at - 4 : at])[0]
            count = sum(at - 4 <= place < at - 4 + size for place in places)
            if count and movie.find(b"moov") <= at:
                sizes[at - 4] = size + count * by
    content = bytearray(movie)
    for at, size in sizes.items():
        content[at : at + 4] = struct.pack(">I", size)
    return bytes(content).replace(old, new)


def test_no_demuxer_that_opens_other_files_is_allowed() -> None:
    known = {"concat", "hls", "dash", "imf", "image2", "sdp", "rtp", "rtsp", "sap", "lavfi", "vobsub", "avisynth"}
    known |= {"webm_dash_manifest", "tty", "svg_pipe", "bluray", "dvdvideo", "rawvideo", "data", "ffmetadata"}
    assert not known & set(DEMUXERS)
    assert set(DEMUXERS) <= av.formats_available
