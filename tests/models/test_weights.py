"""Files of weights that are small on disk and large, endless or partial in memory, and weights that were changed."""

from __future__ import annotations

import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from avparse.foundation.errors import UserError
from avparse.foundation.tensors import read_tensors
from avparse.models.weights import load_weights, read_sealed, sealed_bytes


def _cycle(path: Path) -> None:
    state: dict[str, object] = {"a": torch.ones(2)}
    state["model"] = state
    torch.save(state, path)


def _zeros(path: Path) -> None:
    torch.save({"a": torch.zeros(16 << 20)}, path)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(path.with_name("packed"), "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    path.with_name("packed").rename(path)


def _twice(path: Path) -> None:
    """An archive whose directory names one member three times."""
    torch.save({"a": torch.ones(1 << 20)}, path)
    with zipfile.ZipFile(path, "a") as archive:
        entry = next(e for e in archive.infolist() if e.file_size == 4 << 20)
        archive.filelist += [entry, entry]
        archive._didModify = True


def _sparse_file(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(12 << 30)


def _named(make: Callable[[], Tensor]) -> Callable[[Path], None]:
    return lambda path: torch.save({"a": torch.ones(2), "b": make()}, path)


def _quantised() -> Tensor:
    return torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)


def _wrapped(path: Path) -> None:
    torch.save({"model": {"model": {"model": {"model": {"model": {"a": torch.ones(1)}}}}}}, path)


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "a dictionary inside itself": (_cycle, "not tensors: model"),
    "wrapped too often": (_wrapped, "not tensors: model"),
    "a packed archive": (_zeros, "a compressed archive"),
    "members that overlap": (_twice, "declares more bytes than the file has"),
    "nothing but holes": (_sparse_file, "of which the disk holds next to none"),
    "stride 0": (_named(lambda: torch.ones(1).expand(1 << 30)), "no plain tensors.*: b"),
    "meta": (_named(lambda: torch.ones(1 << 40, device="meta")), "no plain tensors.*: b"),
    "sparse": (_named(lambda: torch.sparse_coo_tensor([[0]], [1.0], (1 << 40,))), "no plain tensors.*: b"),
    "sparse rows": (_named(lambda: torch.eye(3).to_sparse_csr()), "no plain tensors.*: b"),
    "quantised": (
        _named(lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)),
        "no plain tensors.*: b",
    ),
    "complex": (_named(lambda: torch.ones(3, dtype=torch.complex64)), "no plain tensors.*: b"),
    "eight bits": (_named(lambda: torch.ones(3).to(torch.float8_e4m3fn)), "no plain tensors.*: b"),
    "not finite": (_named(lambda: torch.tensor([1.0, float("inf")])), "not finite: b"),
    "text": (lambda path: path.write_text("weights"), "holds more than tensors"),
    "empty": (lambda path: path.write_bytes(b""), "not a file of weights"),
    "a list": (lambda path: torch.save([torch.ones(1)], path), "holds a list instead of tensors by name"),
    "many other things": (lambda path: torch.save({str(n): n for n in range(1000)}, path), "and 995 more"),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", BAD)
def test_a_file_that_holds_no_plain_weights_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    make, problem = BAD[kind]
    path = tmp_path / "weights.pt"
    make(path)
    tracemalloc.start()
    begun = time.monotonic()
    with pytest.raises(UserError, match=problem) as caught:
        read_tensors(path)
    assert time.monotonic() - begun < 5
    assert tracemalloc.get_traced_memory()[1] < 200e6
    tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_many_names_of_one_tensor_are_refused(tmp_path: Path) -> None:
    tensor = torch.ones(1000)
    torch.save({f"a{n}": tensor for n in range(10_000)}, tmp_path / "weights.pt")
    size = (tmp_path / "weights.pt").stat().st_size
    if 4 * size + (1 << 20) >= 10_000 * 4000:
        pytest.fail("the file is too large to show it")
    with pytest.raises(UserError, match="larger than the file that holds them"):
        read_tensors(tmp_path / "weights.pt")


@pytest.mark.parametrize("old", [False, True])
def test_plain_weights_of_any_form_are_read(old: bool, tmp_path: Path) -> None:
    shared = torch.arange(6.0).reshape(2, 3)
    state = {"a": nn.Parameter(shared), "tied": shared, "b": shared.T, "half": shared.half(), "n": torch.tensor(3)}
    torch.save({"state_dict": state}, tmp_path / "weights.pt", _use_new_zipfile_serialization=not old)
    found = read_tensors(tmp_path / "weights.pt")
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)
    save_file({"a": torch.ones(2)}, tmp_path / "w.safetensors")
    assert torch.equal(read_tensors(tmp_path / "w.safetensors")["a"], torch.ones(2))
    save_file({"a": torch.tensor([torch.nan])}, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match="not finite: a"):
        read_tensors(tmp_path / "w.safetensors")


def test_one_flipped_bit_anywhere_never_passes_for_other_weights(tmp_path: Path) -> None:
    weights = {"a": torch.arange(12.0).reshape(3, 4), "b": torch.ones(2, dtype=torch.bfloat16), "c": torch.tensor(1.5)}
    content, path = sealed_bytes(weights), tmp_path / "parser.safetensors"
    assert content == sealed_bytes(dict(reversed(weights.items())))
    for byte in range(len(content)):
        flipped = bytearray(content)
        flipped[byte] ^= 1 << (byte % 8)
        path.write_bytes(flipped)
        try:
            found = read_sealed(path, required=True)
        except UserError:
            continue
        assert found.keys() == weights.keys(), byte
        assert all(torch.equal(found[name], weights[name]) for name in weights), byte
    path.write_bytes(content)
    assert read_sealed(path, required=True).keys() == weights.keys()


def test_weights_of_earlier_versions_have_no_digest_and_still_load(tmp_path: Path) -> None:
    path = tmp_path / "parser.safetensors"
    save_file({"a": torch.ones(2)}, path, {"format": "avparse parser 1"})
    assert torch.equal(read_sealed(path, required=False)["a"], torch.ones(2))
    with pytest.raises(UserError, match="its checksum is missing"):
        read_sealed(path, required=True)
    path.write_bytes(sealed_bytes({"a": torch.ones(2)}))
    changed = {"a": torch.zeros(2)}
    save_file(changed, path, {"sha256": "0" * 64})
    for required in (True, False):
        with pytest.raises(UserError, match="its checksum is wrong"):
            read_sealed(path, required)
    assert load_file(path).keys() == changed.keys()


def test_weights_that_are_no_numbers_are_refused_but_for_what_is_not_known_yet() -> None:
    parser = nn.Linear(2, 2)
    parser.register_buffer("vectors", torch.full((2,), torch.nan))
    state = {name: tensor.clone() for name, tensor in parser.state_dict().items()}
    load_weights(parser, state, "run")
    state["weight"][0, 0] = torch.nan
    with pytest.raises(UserError, match="run: weights that are no numbers: weight"):
        load_weights(parser, state, "run")
