"""The profile of a recipe: counted parameters and products against arithmetic, memory and time against what is sure."""

from __future__ import annotations

import multiprocessing
import re
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import nn

from avparse.app.measuring import flops, matrix_peak, timed
from avparse.app.profiling import Conditions, Cost, as_markdown, measure
from avparse.foundation.errors import UserError
from avparse.models.recurrent import SegmentLSTM
from tests.conftest import Command
from tests.toy import DIMENSIONS, toy_store

SMALL = ("parser.stem.width=16", "parser.encoder.feedforward=24")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def han() -> Cost:
    conditions = Conditions(batch_size=6, segments=4, steps=1, device="cpu", changes=SMALL)
    # In a process of its own, as 'avparse profile' does: here other tests' memory comes back at any time.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(measure, "han", conditions).result()


def test_parameters_and_products_of_han(han: Cost) -> None:
    width, inner, classes, segments = 16, 24, 25, 4
    maps = {"audio": 128 * width, "frames": 2048 * width, "clips": 512 * width, "fusion": 2 * width * width}
    attention, feed = 4 * width * width, 2 * width * inner
    heads = 3 * classes * width
    matrices = sum(maps.values()) + 2 * attention + feed + heads
    vectors = 4 * width + 2 * 4 * width + (inner + width) + 4 * width + 3 * classes
    assert han.parameters == matrices + vectors
    assert han.training_parameters == 0
    assert han.unmoved == ()
    pairs = 2 * 2 * segments * width  # logits and mixing, for self- and cross-attention
    forward = 2 * (sum(maps.values()) + 2 * (2 * attention + feed + heads + pairs))
    assert han.forward_flops == pytest.approx(forward)
    assert 2 * forward < han.training_flops < 3 * forward  # the streams need no gradient
    assert han.segments == 24


def test_times_and_memory_are_there(han: Cost) -> None:
    assert han.peak_bytes > 0
    assert 0 < han.forward_s < 10
    assert 0 < han.training_s < 10
    assert han.limit > 1e8
    assert han.over_limit == pytest.approx(han.training_s * han.limit / (han.training_flops * 24))


def test_fused_operations_are_counted() -> None:
    network, x = SegmentLSTM(8, 4), torch.randn(3, 5, 8)
    assert flops(lambda: network(x, None)) == 2 * 2 * 3 * 5 * (8 * 16 + 4 * 16)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    with torch.no_grad():
        assert flops(lambda: layer(x)) == 2 * 3 * 5 * (4 * 8 * 8 + 2 * 8 * 16 + 2 * 5 * 8)
    assert torch.backends.mha.get_fastpath_enabled()


MEMORY = """
import time, torch
from avparse.app.measuring import Memory
memory = Memory()
with memory.watched(torch.device("cpu")):
    kept = torch.ones(16 << 20)
    time.sleep(0.1)
print(memory.peak)
"""


def test_memory_is_that_of_the_work() -> None:
    """In a process of its own, as it is measured: here other tests' memory comes back at any time."""
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    assert 60 << 20 < int(done.stdout) < 200 << 20


def test_measuring() -> None:
    assert matrix_peak(torch.float32, repeats=1) > 1e8
    seconds = timed(lambda: time.sleep(0.01), CPU, 3)
    assert len(seconds) == 3
    assert min(seconds) >= 0.01


@pytest.mark.parametrize(("recipe", "stream"), [("cmpae", "audio"), ("valor++", "clap")])
def test_other_shapes(recipe: str, stream: str) -> None:
    """A denoiser, pseudo labels, other streams: nothing of them is needed to measure."""
    changes = ("parser.stem.width=8", "parser.encoder.feedforward=8", "parser.encoder.heads=1", "training.batch_size=4")
    cost = measure(recipe, Conditions(batch_size=4, segments=3, steps=1, device="cpu", changes=changes))
    assert cost.unmoved == ()
    assert cost.forward_flops > 2 * 8 * 512


def test_shapes_of_a_store(tmp_path: Path) -> None:
    store = toy_store(tmp_path / "toy", videos=10)
    given = Conditions(batch_size=4, segments=3, steps=1, device="cpu", changes=SMALL, store=store.path)
    cost = measure("han", given)
    assert cost.forward_flops < 2 * 16 * 2048
    odd = ("parser.stem={name: linear, width: 8, audio: [audio], visual: [pictures]}",)
    with pytest.raises(UserError, match=r"how large is stream 'pictures'\? Give a store"):
        measure("han", Conditions(changes=odd))
    assert DIMENSIONS["audio"] == 16


def test_the_table(han: Cost) -> None:
    guided = Cost("mine", 1234567, 89, ("encoder.x",), 2e6, 5e6, 3 << 20, 0.5, 2.0, 100, 1e12)
    table = as_markdown([han, guided], Conditions(device="cpu"))
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    assert len(rows) == 3
    assert rows[2] == "| mine | 1,234,567 (+89) | 2.0 | 5.0 | 3 | 2000 | 50 | 200 | 4000.0x |"
    assert "mine: no training step changes encoder.x" in table
    assert re.match(r"Batches of 128 videos; CPU, \d+ threads\.", table)


@pytest.mark.slow
def test_the_command(command: Command) -> None:
    small = [part for change in SMALL for part in ("--set", change)]
    size = ("--batch-size", "4", "--segments", "3", "--steps", "1", "--device", "cpu")
    code, out, err = command("profile", "han", "jomold", *size, *small, "--denoiser", "--set", "training.epochs=1")
    assert code == 0, err
    assert [line.split("|")[1].strip() for line in out.splitlines() if line.startswith("| ")][1:] == ["han", "jomold"]
    code, _, err = command("profile", "hann", *size)
    assert code == 2
    assert "did you mean 'han'" in err
