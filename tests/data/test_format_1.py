"""Stores of format 1 are read as they are, and become format 2 when they are written to, atomically."""

from __future__ import annotations

import gc
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from avparse.data.store import FeatureStore
from avparse.data.store.writer import StoreWriter
from avparse.foundation.errors import UserError
from tests import store_blocks
from tests.faults import Killed, faults
from tests.format_1 import write_format_1

BLOCKS = [store_blocks.block(number) for number in range(3)]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return write_format_1(tmp_path / "old", BLOCKS)


def assert_holds(store: FeatureStore, blocks: int) -> None:
    wanted = [store_blocks.block(number) for number in range(blocks)]
    store.verify()
    assert store.videos == [video for b in wanted for video in b.videos]
    assert store.splits.tolist() == [split for b in wanted for split in b.splits]
    assert store.origins == [origin for b in wanted for origin in b.origins]
    np.testing.assert_array_equal(store.weak, np.concatenate([b.weak for b in wanted]))
    np.testing.assert_array_equal(store.annotated, np.concatenate([b.annotated for b in wanted]))
    np.testing.assert_array_equal(store.stream("frames"), np.concatenate([b.streams["frames"] for b in wanted]))
    for side in ("audio", "visual"):
        np.testing.assert_array_equal(store.truth(side), np.concatenate([b.truth[side] for b in wanted]))


def test_a_store_of_format_1_is_read_as_it_is(old: Path) -> None:
    before = {file.name: file.read_bytes() for file in old.iterdir()}
    store = FeatureStore.open(old)
    assert_holds(store, 3)
    assert store.manifest.description == "of an earlier version"
    assert store.fingerprint == json.loads(before["manifest.json"])["sha256"][:16]  # runs on it go on
    assert {file.name: file.read_bytes() for file in old.iterdir()} == before


def test_writing_to_it_converts_it(old: Path) -> None:
    before = FeatureStore.open(old)
    StoreWriter.reopen(old).close()
    after = FeatureStore.open(old)
    assert_holds(after, 3)
    assert (after.features_version, after.annotations_version) == (before.features_version, before.annotations_version)
    assert not [file.name for file in old.iterdir() if file.name.startswith(("truth.", "index."))]
    with StoreWriter.reopen(old) as writer:
        writer.append(store_blocks.block(3))
    assert_holds(FeatureStore.open(old), 4)


@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_a_conversion_that_is_killed_leaves_one_of_both(old: Path, tmp_path: Path, every: int) -> None:
    """The process ends at every (seventh) file call; the store is whole, and the next writer converts it."""
    number = 0
    for fault in faults(Killed, every):
        number += 1
        path = tmp_path / f"store{number}"
        shutil.copytree(old, path)
        with fault:
            StoreWriter.reopen(path).close()
        gc.collect()  # closes the lock of the ended process
        assert_holds(FeatureStore.open(path), 3)
        StoreWriter.reopen(path).close()
        assert_holds(FeatureStore.open(path), 3)
        assert not [f.name for f in path.iterdir() if f.name.startswith(("truth.", "index.", ".tmp"))]
        if not fault.hit:
            break
    assert number > 30 / every


def test_damaged_truth_is_not_sealed(old: Path) -> None:
    content = bytearray((old / "truth.visual.npy").read_bytes())
    content[140] ^= 1
    (old / "truth.visual.npy").write_bytes(content)
    for attempt in (FeatureStore.open, StoreWriter.reopen):
        with pytest.raises(UserError, match=r"truth.visual.npy: wrong checksum in rows 0 to"):
            attempt(old)
