"""The feature store: what is appended comes back, damage is refused, and a kill at any instant loses nothing."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from avparse.data.store import FeatureStore
from avparse.data.store import writer as store_writer
from avparse.data.store.format import Manifest, write_manifest
from avparse.data.store.info import describe
from avparse.data.store.writer import Block, StoreWriter, StreamInfo
from avparse.data.vocabulary import Vocabulary
from avparse.foundation.errors import UserError
from tests import store_blocks
from tests.faults import Killed, faults, under


def make(path: Path, blocks: int = 3) -> Path:
    with store_blocks.create(path) as writer:
        for number in range(blocks):
            writer.append(store_blocks.block(number))
    return path


def assert_holds_blocks(store: FeatureStore, count: int) -> None:
    """The store is exactly the first ``count`` blocks, bit for bit."""
    blocks = [store_blocks.block(number) for number in range(count)]
    assert store.videos == [video for b in blocks for video in b.videos]
    if not count:
        return
    np.testing.assert_array_equal(store.lengths, np.concatenate([b.lengths for b in blocks]))
    np.testing.assert_array_equal(store.weak, np.concatenate([b.weak for b in blocks]))
    np.testing.assert_array_equal(store.present, np.concatenate([b.present for b in blocks]))
    for name in store.streams:
        np.testing.assert_array_equal(store.stream(name), np.concatenate([b.streams[name] for b in blocks]))
    for modality in ("audio", "visual"):
        np.testing.assert_array_equal(store.truth(modality), np.concatenate([b.truth[modality] for b in blocks]))


# What comes back


def test_a_store_gives_back_what_was_appended(tmp_path: Path) -> None:
    path = make(tmp_path / "store", blocks=4)
    store = FeatureStore.open(path)
    store.verify()
    assert_holds_blocks(store, 4)
    blocks = [store_blocks.block(number) for number in range(4)]
    assert store.splits.tolist() == [split for b in blocks for split in b.splits]
    assert store.durations.tolist() == [seconds for b in blocks for seconds in b.durations]
    assert store.origins == [origin for b in blocks for origin in b.origins]
    assert store.annotated.tolist() == [bool(flag) for b in blocks for flag in b.annotated]
    assert store.vocabulary == store_blocks.VOCABULARY
    assert store.streams == store_blocks.STREAMS
    assert store.position(store.videos[5]) == 5
    n = store.position("video_2_0")
    rows = slice(store.first_row[n], store.first_row[n] + store.lengths[n])
    np.testing.assert_array_equal(store.stream("audio")[rows], blocks[2].streams["audio"][: store.lengths[n]])


def test_numpy_reads_every_file(tmp_path: Path) -> None:
    path = make(tmp_path / "store")
    store = FeatureStore.open(path)
    for name in store.streams:
        np.testing.assert_array_equal(np.load(path / f"{name}.npy", allow_pickle=False), store.stream(name))


def test_maps_are_read_only(tmp_path: Path) -> None:
    store = FeatureStore.open(make(tmp_path / "store"))
    with pytest.raises(ValueError, match="read-only"):
        store.stream("audio")[0] = 1


def test_an_empty_store_opens(tmp_path: Path) -> None:
    store = FeatureStore.open(make(tmp_path / "store", blocks=0))
    store.verify()
    assert len(store) == 0
    assert store.weak.shape == (0, 3)
    assert store.stream("audio").shape == (0, 5)
    assert store.present.shape == (0, 2)
    with pytest.raises(UserError, match="splits with videos: none"):
        store.select("train")


def test_a_store_without_truth(tmp_path: Path) -> None:
    with StoreWriter.create(
        tmp_path / "s",
        vocabulary=store_blocks.VOCABULARY,
        streams=store_blocks.STREAMS,
        segment_seconds=0.5,
        truth=False,
    ) as writer:
        with pytest.raises(UserError, match="made for truth"):
            writer.append(store_blocks.block(0))
        writer.append(replace(store_blocks.block(0), truth=None, annotated=None, present=None))
    store = FeatureStore.open(tmp_path / "s")
    assert store.truth("audio") is None
    assert not store.annotated.any()
    assert store.present.all()
    with pytest.raises(
        UserError,
        match=r"1 of 1 training videos.*: give their events \(avparse data relabel .*\), or choose",
    ):
        store.dense_truth(np.array([0]))
    assert store.dense_truth(np.arange(0))[0].shape == (0, 0, 3)


def test_dense_truth_is_padded_and_masked(tmp_path: Path) -> None:
    store = FeatureStore.open(make(tmp_path / "store", blocks=6))
    chosen = np.flatnonzero(store.annotated)[::-1]
    audio, visual, mask = store.dense_truth(chosen)
    longest = store.lengths[chosen].max()
    assert audio.shape == visual.shape == (len(chosen), longest, 3)
    for row, n in enumerate(chosen):
        first, length = store.first_row[n], store.lengths[n]
        np.testing.assert_array_equal(audio[row, :length], store.truth("audio")[first : first + length])
        np.testing.assert_array_equal(visual[row, :length], store.truth("visual")[first : first + length])
        assert not audio[row, length:].any()
        assert mask[row].sum() == length
        assert mask[row, :length].all()
    with pytest.raises(UserError, match="videos have no dense truth"):
        store.dense_truth(np.flatnonzero(~store.annotated))


def test_select_names_the_splits_that_exist(tmp_path: Path) -> None:
    with store_blocks.create(tmp_path / "s") as writer:
        b = store_blocks.block(1)
        writer.append(replace(b, splits=["val"] * len(b.videos)))
    store = FeatureStore.open(tmp_path / "s")
    assert store.select("val").tolist() == list(range(len(b.videos)))
    with pytest.raises(UserError, match=r"no video in split 'test'; splits with videos: 'val'"):
        store.select("test")


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    store = FeatureStore.open(make(tmp_path / "store"))
    with pytest.raises(UserError, match="did you mean 'frames'"):
        store.stream("frame")
    with pytest.raises(UserError, match="no video 'nothing'"):
        store.position("nothing")
    with pytest.raises(UserError, match="unknown modality"):
        store.truth("vision")


def test_a_pickled_store_maps_the_files_again(tmp_path: Path) -> None:
    store = FeatureStore.open(make(tmp_path / "store"))
    store.stream("audio")
    content = pickle.dumps(store)
    assert len(content) < 1000
    assert pickle.loads(content).fingerprint == store.fingerprint


def test_the_fingerprint_is_that_of_the_content(tmp_path: Path) -> None:
    one, same, more = (FeatureStore.open(make(tmp_path / n, b)) for n, b in (("a", 2), ("b", 2), ("c", 3)))
    assert one.fingerprint == same.fingerprint
    assert one.fingerprint != more.fingerprint


def test_a_reader_keeps_its_version_while_a_writer_appends(tmp_path: Path) -> None:
    store = FeatureStore.open(make(tmp_path / "store", 2))
    with StoreWriter.reopen(tmp_path / "store") as writer:
        writer.append(store_blocks.block(2))
    store.verify()
    assert_holds_blocks(store, 2)
    assert_holds_blocks(FeatureStore.open(tmp_path / "store"), 3)


def test_info_tells_what_is_there(tmp_path: Path) -> None:
    store = FeatureStore.open(make(tmp_path / "store", 5))
    text = describe(store)
    assert f"videos      {len(store)} in {store.manifest.rows} segments" in text
    assert "checksums   ok (5 blocks)" in text
    assert store.fingerprint in text
    for name, counts in zip(store.vocabulary, store.weak.sum(axis=0), strict=True):
        line = next(line for line in text.splitlines() if line.startswith(name))
        assert line.split()[-1] == str(counts)
    describe(FeatureStore.open(make(tmp_path / "empty", 0)))


def _is_id(text: str) -> bool:
    return text == text.strip()


@st.composite
def ragged_blocks(draw: st.DrawFn) -> tuple[Vocabulary, dict[str, StreamInfo], list[Block]]:
    classes = draw(st.integers(1, 4))
    dtypes = st.sampled_from(["float32", "float16"])
    streams = {
        name: StreamInfo(dimension=draw(st.integers(1, 5)), dtype=draw(dtypes))
        for name in draw(st.lists(st.sampled_from(["audio", "frames", "clips-2"]), min_size=1, unique=True))
    }
    ids = draw(
        st.lists(
            st.text(st.characters(categories=["L", "N", "Zs"]), min_size=1, max_size=9).filter(_is_id),
            unique=True,
            max_size=9,
        )
    )
    blocks = []
    while ids:
        count = draw(st.integers(1, len(ids)))
        mine, ids = ids[:count], ids[count:]
        mine = [video for video in mine if video.isprintable()]
        count = len(mine)
        lengths = draw(st.lists(st.integers(1, 5), min_size=count, max_size=count))
        rows = sum(lengths)
        flags = [arrays.arrays(bool, shape) for shape in ((count, classes), (rows, 2), (rows, classes), (count,))]
        blocks.append(
            Block(
                videos=mine,
                splits=draw(st.lists(st.sampled_from(["train", "val", "test", ""]), min_size=count, max_size=count)),
                lengths=lengths,
                durations=draw(st.lists(st.floats(0, 1e6), min_size=count, max_size=count)),
                origins=draw(st.lists(st.text(max_size=5), min_size=count, max_size=count)),
                weak=draw(flags[0]),
                streams={
                    name: draw(
                        arrays.arrays(
                            info.dtype,
                            (rows, info.dimension),
                            elements=st.floats(-100, 100, width=16, allow_subnormal=False),
                        )
                    )
                    for name, info in streams.items()
                },
                present=draw(st.none() | flags[1]),
                truth={"audio": draw(flags[2]), "visual": draw(flags[2])},
                annotated=draw(st.none() | flags[3]),
            )
        )
    return Vocabulary(tuple(f"class {c}" for c in range(classes))), streams, blocks


@given(content=ragged_blocks())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_ragged_blocks_come_back(content: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    vocabulary, streams, blocks = content
    path = tmp_path_factory.mktemp("ragged") / "store"
    StoreWriter.create(path, vocabulary=vocabulary, streams=streams, segment_seconds=1.0, truth=True).close()
    for block in blocks:  # a writer a block: what is on the disk is all that counts
        with StoreWriter.reopen(path, vocabulary=vocabulary, streams=streams) as writer:
            writer.append(block)
    store = FeatureStore.open(path)
    store.verify()
    blocks = [block for block in blocks if block.videos]
    assert store.videos == [video for b in blocks for video in b.videos]
    if not blocks:
        return
    assert store.durations.tolist() == [d for b in blocks for d in b.durations]
    assert store.splits.tolist() == [s for b in blocks for s in b.splits]
    assert store.first_row.tolist() == np.cumsum([0, *(t for b in blocks for t in b.lengths)])[:-1].tolist()
    np.testing.assert_array_equal(store.weak, np.concatenate([b.weak for b in blocks]))
    expected = [np.full(len(b.videos), True) if b.annotated is None else b.annotated for b in blocks]
    np.testing.assert_array_equal(store.annotated, np.concatenate(expected))
    expected = [np.full((sum(b.lengths), 2), True) if b.present is None else b.present for b in blocks]
    np.testing.assert_array_equal(store.present, np.concatenate(expected))
    for name in streams:
        np.testing.assert_array_equal(store.stream(name), np.concatenate([b.streams[name] for b in blocks]))


# Bad blocks


def _with_nan(b: Block) -> Block:
    frames = b.streams["frames"].copy()
    frames[b.lengths[0], 3] = np.nan  # first segment of the second video
    return replace(b, streams={**b.streams, "frames": frames})


def _too_large_for_half(b: Block) -> Block:
    return replace(b, streams={**b.streams, "frames": np.full((sum(b.lengths), 7), 1e9)})


BAD_BLOCKS: dict[str, tuple[Callable[[Block], Block], str]] = {
    "nan": (_with_nan, "video 'video_9_1', stream 'frames': NaN or infinity"),
    "overflow": (_too_large_for_half, "video 'video_9_0', stream 'frames': NaN or infinity in float16"),
    "twice": (lambda b: replace(b, videos=[b.videos[1], *b.videos[1:]]), "'video_9_1' is twice in what is to be"),
    "separator": (lambda b: replace(b, videos=["../x", *b.videos[1:]]), "unsafe video id '../x'"),
    "backslash": (lambda b: replace(b, videos=["a\\x", *b.videos[1:]]), "unsafe video id"),
    "parent": (lambda b: replace(b, videos=["..", *b.videos[1:]]), "unsafe video id"),
    "nul": (lambda b: replace(b, videos=["a\0b", *b.videos[1:]]), "unsafe video id"),
    "surrogate": (lambda b: replace(b, videos=["a\udc80b", *b.videos[1:]]), "unsafe video id"),
    "long": (lambda b: replace(b, videos=["x" * 201, *b.videos[1:]]), "unsafe video id"),
    "empty": (lambda b: replace(b, videos=["", *b.videos[1:]]), "unsafe video id"),
    "width": (
        lambda b: replace(b, streams={**b.streams, "audio": np.zeros((sum(b.lengths), 4))}),
        r"audio.npy of videos 'video_9_0' to 'video_9_.' has shape \[\d+, 4\]",
    ),
    "rows": (lambda b: replace(b, present=b.present[1:]), r"present.npy of videos"),
    "missing stream": (lambda b: replace(b, streams={"audio": b.streams["audio"]}), "the store has audio, frames"),
    "half truth": (lambda b: replace(b, truth={"audio": b.truth["audio"]}), "must be of audio and visual"),
    "no truth": (lambda b: replace(b, truth=None, annotated=np.full(len(b.videos), True)), "'truth' be given"),
    "split": (lambda b: replace(b, splits=["training", *b.splits[1:]]), "split 'training'"),
    "no segment": (lambda b: replace(b, lengths=[0, *b.lengths[1:]]), "has 0 segments"),
    "duration": (lambda b: replace(b, durations=[float("nan"), *b.durations[1:]]), "nan s"),
    "short list": (lambda b: replace(b, origins=b.origins[1:]), "one value for each of"),
    "weak": (lambda b: replace(b, weak=b.weak[:, 1:]), "weak labels have shape"),
}


@pytest.mark.parametrize("name", BAD_BLOCKS)
def test_a_bad_block_is_refused_and_changes_nothing(name: str, tmp_path: Path) -> None:
    spoil, message = BAD_BLOCKS[name]
    good = store_blocks.block(9)
    assert len(good.videos) > 1
    with store_blocks.create(tmp_path / "s") as writer:
        writer.append(store_blocks.block(0))
        before = {file.name: file.read_bytes() for file in (tmp_path / "s").iterdir()}
        with pytest.raises(UserError, match=message) as caught:
            writer.append(spoil(good))
        assert "\n" not in str(caught.value)
        assert {file.name: file.read_bytes() for file in (tmp_path / "s").iterdir()} == before
        writer.append(store_blocks.block(1))
    assert_holds_blocks(FeatureStore.open(tmp_path / "s"), 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"streams": {}}, "'streams'"),
        ({"streams": {"present": StreamInfo(dimension=2)}}, "stream name 'present'"),
        ({"streams": {"../x": StreamInfo(dimension=2)}}, "stream name '../x'"),
        ({"segment_seconds": 0.0}, "'segment_seconds'"),
        ({"segment_seconds": float("nan")}, "'segment_seconds'"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    good = {
        "vocabulary": store_blocks.VOCABULARY,
        "streams": store_blocks.STREAMS,
        "segment_seconds": 1.0,
        "truth": True,
    }
    with pytest.raises(UserError, match=message):
        StoreWriter.create(tmp_path / "s", **{**good, **settings})
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_not_overwritten(tmp_path: Path) -> None:
    make(tmp_path / "store", 1)
    with pytest.raises(UserError, match="exists already"):
        store_blocks.create(tmp_path / "store")
    assert_holds_blocks(FeatureStore.open(tmp_path / "store"), 1)


@pytest.mark.parametrize(
    ("other", "field"),
    [
        ({"vocabulary": Vocabulary(("Dog",))}, "vocabulary"),
        ({"streams": {"audio": StreamInfo(dimension=5)}}, "streams"),
        ({"segment_seconds": 0.5}, "segment_seconds"),
        ({"truth": False}, "truth"),
    ],
)
def test_reopening_with_other_settings_is_refused(other: dict[str, Any], field: str, tmp_path: Path) -> None:
    make(tmp_path / "store", 1)
    with pytest.raises(UserError, match=f"its '{field}' differs"):
        StoreWriter.reopen(tmp_path / "store", **other)


# Damage


def _flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["audio.npy", "frames.npy", "present.npy"])
@pytest.mark.parametrize("where", [0.0, 0.5, 1.0])
def test_verify_finds_one_flipped_bit(name: str, where: float, tmp_path: Path) -> None:
    path = make(tmp_path / "store", 4)
    size = (path / name).stat().st_size
    _flip(path / name, 128 + int(where * (size - 129)))
    store = FeatureStore.open(path)
    with pytest.raises(UserError, match=rf"{name}: wrong checksum in videos 'video_\d_0' to"):
        store.verify()
    with pytest.raises(UserError, match="wrong checksum"):
        describe(store)


@given(position=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(max_examples=60, deadline=None)
def test_a_damaged_index_or_manifest_never_passes(
    position: int, bit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = make(tmp_path_factory.mktemp("damage") / "store", 2)
    whole = FeatureStore.open(path)
    (annotations,) = (file.name for file in path.glob("annotations-*.parquet"))
    for name in ("features.parquet", "manifest.json", "annotations.json", annotations):
        content = bytearray((path / name).read_bytes())
        content[position % len(content)] ^= 1 << bit
        (path / name).write_bytes(content)
        try:
            store = FeatureStore.open(path)
            store.verify()
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017 - a few positions are harmless
        else:  # a byte of the index without meaning, such as padding
            assert name == "features.parquet"
            assert store.videos == whole.videos
            assert store.splits.tolist() == whole.splits.tolist()
            np.testing.assert_array_equal(store.lengths, whole.lengths)
            np.testing.assert_array_equal(store.weak, whole.weak)
        content[position % len(content)] ^= 1 << bit
        (path / name).write_bytes(content)


def _npy(array: np.ndarray) -> Callable[[Path], None]:
    return lambda path: np.save(path, array, allow_pickle=True)


def _header(shape: str, descr: str = "'<f4'") -> Callable[[Path], None]:
    def write(path: Path) -> None:
        text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".encode().ljust(117) + b"\n"
        path.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(4000))

    return write


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_npy(np.zeros((50, 6), dtype=np.float32)), r"holds \[50, 6\] float32, the manifest says \[\d+, 5\] float32"),
        (_npy(np.zeros((50, 5), dtype=np.float64)), "float64"),
        (_npy(np.zeros((50, 5), dtype=np.float32, order="F")), "the manifest says"),
        (_npy(np.zeros(250, dtype=np.float32)), r"holds \[250\]"),
        (_npy(np.zeros((2, 5), dtype=np.float32)), "truncated|the manifest says"),
        (_npy(np.array([[{}] * 5] * 50)), "Python objects, which are never unpickled"),
        (_header("(65536, 65536)"), r"truncated|the manifest says"),
        (_header("(-7, 5)"), "not a readable .npy"),
        (_header("(3, 5)"), "the manifest says"),
        (_header("(9, 5)", "__import__('os').abort()"), "not a readable .npy"),
        (_header("(" * 400), "not a readable .npy"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "truncated"),
        (lambda path: path.write_bytes(path.read_bytes()[:60]), "not a readable .npy"),
        (lambda path: path.write_bytes(b""), "not a readable .npy"),
        (lambda path: path.write_text("<html>"), "not a readable .npy"),
        (lambda path: path.unlink(), "cannot be read"),
    ],
)
def test_a_file_unlike_the_manifest_is_refused(spoil: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    path = make(tmp_path / "store", 2)
    spoil(path / "audio.npy")
    for attempt in (FeatureStore.open, StoreWriter.reopen):
        with pytest.raises(UserError, match=message) as caught:
            attempt(path)
        assert "audio.npy" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 3}, "store format 3, this avparse reads 1 and 2"),
        ({"format": None}, "store format None"),
        ({"videos": 99}, "do not add up"),
        ({"rows": -1}, "'rows'"),
        ({"segment_seconds": 2.0}, "its checksum is wrong"),
        ({"vocabulary": ["Dog", "Dog"]}, "unknown key 'vocabulary'"),
        ({"streams": {"audio": {"dimension": 5, "dtype": "float64"}}}, "float64"),
        ({"surprise": 1}, "unknown key 'surprise'"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = make(tmp_path / "store", 2) / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    for attempt in (FeatureStore.open, StoreWriter.reopen):
        with pytest.raises(UserError, match=message) as caught:
            attempt(path.parent)
        assert "\n" not in str(caught.value)


def test_an_index_of_another_store_is_refused(tmp_path: Path) -> None:
    path, other = make(tmp_path / "store", 2), make(tmp_path / "other", 3)
    (path / "features.parquet").write_bytes((other / "features.parquet").read_bytes())
    assert_holds_blocks(FeatureStore.open(path), 2)  # the same rows and more: an append that did not finish
    write_manifest(path, FeatureStore.open(path).manifest.model_copy(update={"index_sha256": "0" * 64}))
    with pytest.raises(UserError, match=r"features.parquet: checksum differs"):
        FeatureStore.open(path)
    make(tmp_path / "shorter", 1)
    (path / "features.parquet").write_bytes((tmp_path / "shorter" / "features.parquet").read_bytes())
    with pytest.raises(UserError, match=r"features.parquet: not the table of this store"):
        FeatureStore.open(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b"3"])
def test_a_manifest_that_is_no_manifest_is_refused(content: bytes, tmp_path: Path) -> None:
    path = make(tmp_path / "store", 1)
    (path / "manifest.json").write_bytes(content)
    with pytest.raises(UserError, match=r"manifest\.json"):
        FeatureStore.open(path)


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "absent", tmp_path / "file"):
        with pytest.raises(UserError, match="no feature store there"):
            FeatureStore.open(path)


# Kills, full disks, two writers


@pytest.fixture
def appender() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.store_blocks"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    yield process
    assert process.stdin is not None
    process.stdin.close()
    process.wait(timeout=10)


def _kill_while_appending(appender: subprocess.Popen[str], path: Path, after_s: float | None) -> None:
    """Kill an appending process after a time, or (None) as soon as rows are there that are not committed."""
    rows = path / "audio.npy"
    size = rows.stat().st_size
    assert appender.stdin is not None
    assert appender.stdout is not None
    appender.stdin.write(f"{path}\n")
    appender.stdin.flush()
    child = int(appender.stdout.readline())
    if after_s is None:
        while rows.stat().st_size == size:
            pass
    else:
        time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    assert appender.stdout.readline() == "gone\n"


def _kill_often(appender: subprocess.Popen[str], folder: Path, kills: int) -> None:
    random = np.random.default_rng(0)
    cut, total = 0, 0
    for kill in range(kills):
        if kill % 20 == 0:  # a store that does not grow without end
            path = make(folder / f"store{kill}", 1)
            total = 1
        _kill_while_appending(appender, path, random.uniform(0.0, 0.06) if kill % 2 else None)
        store = FeatureStore.open(path)
        store.verify()
        assert len(store.manifest.blocks) >= total
        total = len(store.manifest.blocks)
        assert_holds_blocks(store, total)
        size = (path / "audio.npy").stat().st_size
        with StoreWriter.reopen(path) as writer:
            cut += (path / "audio.npy").stat().st_size < size
            assert not list(path.glob(".tmp-*"))
            writer.append(store_blocks.block(total))
        assert np.load(path / "audio.npy").shape[0] == writer.manifest.rows
        total += 1
        store = FeatureStore.open(path)
        store.verify()
        assert_holds_blocks(store, total)
    assert cut > 0  # some kills did fall between the rows and the commit


def test_a_kill_at_any_instant_leaves_committed_blocks(appender: subprocess.Popen[str], tmp_path: Path) -> None:
    _kill_often(appender, tmp_path, kills=20)


@pytest.mark.slow
def test_two_hundred_kills_leave_committed_blocks(appender: subprocess.Popen[str], tmp_path: Path) -> None:
    _kill_often(appender, tmp_path, kills=200)


def _fill(path: Path, blocks: int) -> None:
    """Make a store, or go on with the one that is there, and append the blocks that it lacks."""
    with StoreWriter.reopen(path) if path.exists() else store_blocks.create(path) as writer:
        for number in range(len(writer.manifest.blocks), blocks):
            writer.append(store_blocks.block(number))


def _fill_under_faults(error: type[BaseException], tmp_path: Path, every: int) -> int:
    """Fail file calls of the creation and of three appends; return the number of tries."""
    whole = FeatureStore.open(make(tmp_path / "whole"))
    for number, fault in enumerate(faults(error, every)):
        folder = tmp_path / str(number)
        outcome = under(partial(_fill, folder / "store", 3), fault)
        if outcome == "done":
            return number
        assert outcome in ("killed", "told", "passed"), outcome
        if (folder / "store").exists():
            found = FeatureStore.open(folder / "store")
            found.verify()
            assert_holds_blocks(found, len(found.manifest.blocks))
        _fill(folder / "store", 3)
        store = FeatureStore.open(folder / "store")
        store.verify()
        assert store.fingerprint == whole.fingerprint
        assert_holds_blocks(store, 3)
        assert sorted(file.name for file in store.path.iterdir()) == sorted(file.name for file in whole.path.iterdir())
        assert [file.name for file in folder.iterdir()] == ["store"]
    raise AssertionError("faults() does not end")


@pytest.mark.parametrize("error", [Killed, OSError])
def test_whatever_file_call_fails_the_same_call_again_fills_the_store(
    error: type[BaseException], tmp_path: Path
) -> None:
    """At every seventh file call, because a try syncs some fifty files and folders to the disk."""
    assert _fill_under_faults(error, tmp_path, every=7) > 15


@pytest.mark.slow
@pytest.mark.parametrize("error", [Killed, OSError])
def test_whatever_file_call_fails_of_all(error: type[BaseException], tmp_path: Path) -> None:
    assert _fill_under_faults(error, tmp_path, every=1) > 120


def test_a_second_writer_is_refused(appender: subprocess.Popen[str], tmp_path: Path) -> None:
    path = make(tmp_path / "store", 1)
    assert appender.stdin is not None
    assert appender.stdout is not None
    appender.stdin.write(f"{path}\n")
    appender.stdin.flush()
    child = int(appender.stdout.readline())
    try:
        while len(FeatureStore.open(path).manifest.blocks) < 2:
            time.sleep(0.01)
        with pytest.raises(UserError, match="another process is writing"):
            StoreWriter.reopen(path)
        assert_holds_blocks(store := FeatureStore.open(path), len(store.manifest.blocks))
    finally:
        os.kill(child, signal.SIGKILL)
        appender.stdout.readline()
    StoreWriter.reopen(path).close()


def test_a_store_is_read_while_another_appends(tmp_path: Path) -> None:
    """The index is replaced under the reader's hands; it reads the one it opened."""
    path = make(tmp_path / "store", 1)
    enough = threading.Event()

    def append() -> None:
        with StoreWriter.reopen(path) as writer:
            for number in itertools.count(1):
                if enough.is_set():
                    return
                writer.append(store_blocks.block(number))

    writer = threading.Thread(target=append)
    writer.start()
    try:
        sizes = [len(FeatureStore.open(path)) for _ in range(300)]
    finally:
        enough.set()
        writer.join()
    assert sizes == sorted(sizes)
    assert sizes[-1] > sizes[0]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(path)]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.decode().strip()}")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def _append_many(writer: StoreWriter) -> None:
    for number in range(10_000):
        writer.append(store_blocks.block(number))


def _fill_up(disk: Path) -> None:
    with open(disk / "rest", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_a_full_disk_leaves_the_committed_blocks(small_disk: Path) -> None:
    path = small_disk / "store"
    with store_blocks.create(path) as writer:
        with pytest.raises(UserError, match="the disk is full") as caught:
            _append_many(writer)
        assert "\n" not in str(caught.value)
        count = len(writer.manifest.blocks)
        store = FeatureStore.open(path)
        store.verify()
        assert_holds_blocks(store, count)
        assert not list(path.glob(".tmp-*"))
        _fill_up(small_disk)
        with pytest.raises(UserError, match="the disk is full"):
            make(small_disk / "another", 1)
        assert sorted(file.name for file in small_disk.iterdir()) == ["rest", "store"]


def test_a_disk_that_fills_up_within_the_rows(tmp_path: Path) -> None:
    """A device that takes no byte stands in for one file; the writer goes on once there is space again."""
    path = make(tmp_path / "store", 1)
    with StoreWriter.reopen(path) as writer:
        descriptor = writer._files["frames.npy"].fileno()
        file, full = os.dup(descriptor), os.open("/dev/full", os.O_RDWR)
        os.dup2(full, descriptor)
        with pytest.raises(UserError, match="the disk is full"):
            writer.append(store_blocks.block(1))
        os.dup2(file, descriptor)
        os.close(file)
        os.close(full)
        assert_holds_blocks(FeatureStore.open(path), 1)
        writer.append(store_blocks.block(1))
    store = FeatureStore.open(path)
    store.verify()
    assert_holds_blocks(store, 2)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="file stands where a folder is needed"):
        store_blocks.create(tmp_path / "file" / "store")
    assert (tmp_path / "file").read_text() == "x"


def test_a_failure_after_the_commit_keeps_the_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt between the last rename and the writer's own bookkeeping: the disk decides."""
    write = store_writer.write_manifest

    def interrupted(folder: Path, manifest: Manifest) -> None:
        write(folder, manifest)
        raise KeyboardInterrupt

    with store_blocks.create(tmp_path / "s") as writer:
        monkeypatch.setattr(store_writer, "write_manifest", interrupted)
        with pytest.raises(KeyboardInterrupt):
            writer.append(store_blocks.block(0))
        monkeypatch.undo()
        assert "video_0_0" in writer.done
        writer.append(store_blocks.block(1))
    store = FeatureStore.open(tmp_path / "s")
    store.verify()
    assert_holds_blocks(store, 2)


THREADS = """
import sys
import psutil
from avparse.foundation.parquet import read_parquet

process = psutil.Process()
before = process.num_threads()
read_parquet(sys.argv[1], ["a", "b"])
print(process.num_threads() - before)
"""


def test_reading_a_table_starts_no_pool_of_threads(tmp_path: Path) -> None:
    """One that is still at work when the program ends aborts it now and then."""
    pq.write_table(pa.table({"a": list(range(1000)), "b": [str(i) for i in range(1000)]}), tmp_path / "t.parquet")
    call = [sys.executable, "-c", THREADS, str(tmp_path / "t.parquet")]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    assert int(done.stdout) == 0
