"""The compact extractor: features of a segment from that segment alone, and what it says where weights are missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from avparse.foundation.errors import UserError
from avparse.media.decoding.chunks import read_chunks
from avparse.media.extractors import make_streams
from avparse.media.extractors.extractor import Stream
from tests.clips import colours, tone, write_clip
from tests.conftest import Command
from tests.weights import random_compact


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Stream]]:
    with pytest.MonkeyPatch.context() as patch:
        random_compact(tmp_path_factory.mktemp("cache"), patch)
        yield make_streams("compact")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mkv"

    def sound(t: np.ndarray) -> np.ndarray:
        return np.where((t > 1) & (t < 2), 0.0, tone(700, 0.2)(t))

    write_clip(path, sound=sound, picture=colours, seconds=3, fps=8)
    return path


def _features(clip: Path, streams: dict[str, Stream], chunk: int, seconds: float = 1.0) -> dict[str, np.ndarray]:
    views = [stream.view for stream in streams.values()]
    chunks = list(read_chunks(clip, views, segment_seconds=seconds, chunk_segments=chunk))
    return {name: np.concatenate([s.features(chunk) for chunk in chunks]) for name, s in streams.items()}


def test_features_are_those_of_the_segment_whatever_the_chunk(clip: Path, streams: dict[str, Stream]) -> None:
    whole, single = _features(clip, streams, 60), _features(clip, streams, 1)
    assert {name: values.shape for name, values in whole.items()} == {"pictures": (3, 1280), "sounds": (3, 512)}
    for name in whole:
        np.testing.assert_allclose(whole[name], single[name], atol=1e-4)
        assert np.abs(whole[name][0] - whole[name][1]).max() > 0.01
        assert streams[name].dimension == whole[name].shape[1]


def test_too_short_segments_and_missing_weights_are_one_line(
    clip: Path, streams: dict[str, Stream], tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"too short for the compact extractor; use 0\.2 s or more"):
        _features(clip, {"sounds": streams["sounds"]}, 60, seconds=0.1)
    monkeypatch.setenv("AVPARSE_CACHE", str(tmp_path / "none"))
    monkeypatch.setenv("AVPARSE_OFFLINE", "1")
    (tmp_path / "labels.csv").write_text("video,labels\nclip,Dog\n")
    store = ("--labels", tmp_path / "labels.csv", "-o", tmp_path / "store", "--workers", "0")
    code, _, err = command("extract", clip.parent, "--extractor", "compact", *store)
    assert (code, err.count("\n")) == (2, 1)
    assert "no weights of 'efficientnet-lite0'" in err
    assert "avparse weights fetch efficientnet-lite0" in err
    assert not (tmp_path / "store").exists()
