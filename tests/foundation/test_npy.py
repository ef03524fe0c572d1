"""Headers of array files that declare more than the file or archive holds, and many threads that read at once."""

from __future__ import annotations

import gc
import io
import sys
import tracemalloc
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from avparse.foundation.errors import UserError
from avparse.foundation.npy import read_header, read_npy, read_npz
from avparse.models.class_vectors.tensor import TensorVectors

MOST = 1 << 20


def _header(shape: tuple[int, ...], dtype: str = "<f4") -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


@pytest.mark.parametrize("shape", [(1 << 33,), (1 << 40,), (1 << 20, 1 << 20), (10**30,), (-1, 4)])
def test_a_header_that_declares_more_than_the_file_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(_header(shape) + bytes(64))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("vectors.npy", _header(shape) + bytes(64))
    tracemalloc.start()
    for path in (tmp_path / "a.npy", tmp_path / "a.npz"):
        with pytest.raises(UserError, match=r"truncated|not a readable"):
            TensorVectors(TensorVectors.Config(path=str(path)))(["a", "b"])
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()


def test_files_of_nothing_but_holes_are_refused(tmp_path: Path) -> None:
    for name in ("a.npy", "a.npz"):
        with open(tmp_path / name, "wb") as file:
            file.write(_header((3 << 30,)))
            file.truncate(12 << 30)
    with open(tmp_path / "a.npy", "rb") as file, pytest.raises(UserError, match="the disk holds next to none"):
        read_header(file, tmp_path / "a.npy")
    for read in (lambda: read_npy(tmp_path / "a.npy", MOST), lambda: read_npz(tmp_path / "a.npz", ["a"], MOST)):
        with pytest.raises(UserError, match="the disk holds next to no"):
            read()


def test_an_archive_that_unpacks_to_more_than_it_is_is_refused(tmp_path: Path) -> None:
    rows = 8 << 20
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vectors.npy", _header((rows, 1)) + bytes(4 * rows))
    np.savez(tmp_path / "large.npz", vectors=np.random.default_rng(0).random(1 << 18))
    tracemalloc.start()
    with pytest.raises(UserError, match="unpacks to 33554560 bytes"):
        read_npz(tmp_path / "bomb.npz", ["vectors"], 1 << 30)
    with pytest.raises(UserError, match="unpacks to"):
        read_npz(tmp_path / "large.npz", ["vectors"], MOST)
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()


def test_a_header_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x02\x00" + (1 << 31).to_bytes(4, "little") + b"x" * 100)
    with pytest.raises(UserError, match="a header that is longer than any array needs"):
        read_npy(tmp_path / "a.npy", MOST)


def test_archives_come_back_as_they_were_saved(tmp_path: Path) -> None:
    vectors, names = np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.array(["a", "bc"])
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", vectors=vectors, names=names)
        found = read_npz(tmp_path / "a.npz", ["vectors", "names", "absent"], MOST)
        assert found.keys() == {"vectors", "names"}
        assert np.array_equal(found["vectors"], vectors)
        assert found["names"].tolist() == ["a", "bc"]
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[100] ^= 255
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UserError, match="not a readable archive"):
        read_npz(tmp_path / "a.npz", ["vectors"], MOST)
    np.savez(tmp_path / "b.npz", vectors=np.array([{}], dtype=object))
    with pytest.raises(UserError, match="never unpickled"):
        read_npz(tmp_path / "b.npz", ["vectors"], MOST)


def test_label_vectors_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", vectors=np.array([[1.0, np.nan]]), names=np.array(["Dog"]))
    with pytest.raises(UserError, match="NaN or infinity"):
        TensorVectors(TensorVectors.Config(path=str(tmp_path / "a.npz"), dimension=2))(["Dog"])


@pytest.fixture
def busy_interpreter() -> Iterator[None]:
    """Collect garbage often, with a callback as test tools and profilers install one, and change threads often."""
    thresholds, interval = gc.get_threshold(), sys.getswitchinterval()

    def callback(phase: str, info: dict[str, int]) -> None:
        sum(range(50))

    gc.callbacks.append(callback)
    gc.set_threshold(5, 2, 2)
    sys.setswitchinterval(1e-6)
    yield
    gc.callbacks.remove(callback)
    gc.set_threshold(*thresholds)
    sys.setswitchinterval(interval)


def test_threads_read_headers_at_once(tmp_path: Path, busy_interpreter: None) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((10, 128), np.float32))

    def read(_: int) -> None:
        with path.open("rb") as file:
            for _ in range(100):
                file.seek(0)
                assert read_header(file, path).shape == (10, 128)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read, range(16)))
