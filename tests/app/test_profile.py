"""The profile of a recipe: counted parameters and products against arithmetic, memory and time against what is sure."""

from __future__ import annotations

import multiprocessing
import re
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from avparse.app.profile import recipes as profiling
from avparse.app.profile.measure import flops, matrix_peak, timed
from avparse.app.profile.recipes import Conditions, Cost, Unmeasured, as_row, heading, measure
from avparse.data.features import Features, TaskSpec
from avparse.foundation.errors import UserError
from avparse.models.layers.recurrent import SegmentLSTM
from avparse.models.parsers.build import build_parser
from avparse.training.recipe import load_recipe
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
    assert han.forward_s > 0
    assert han.training_s > 0
    assert han.limit > 1e8


def test_over_the_limit_by_hand(han: Cost) -> None:
    """Ten segments of 3 GFLOP each take 10 s at 3 GFLOP/s; a step of 25 s takes 2.5 times as long."""
    cost = replace(han, training_flops=3e9, segments=10, limit=3e9, training_s=25.0)
    assert cost.over_limit == pytest.approx(2.5)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Conditions:
    """The machine's best rate is not what is tested."""
    monkeypatch.setattr(profiling, "matrix_peak", lambda *_: 1e9)
    return Conditions(batch_size=4, segments=3, steps=1, device="cpu", changes=SMALL)


def _with(conditions: Conditions, *changes: str) -> Conditions:
    return replace(conditions, changes=(*conditions.changes, *changes))


def test_what_a_denoiser_does_in_every_batch_counts(quick: Conditions) -> None:
    """JoMoLD judges each batch by one more pass, in which no modality sees the other; nothing is trained first."""
    width, inner, classes, segments = 16, 24, 25, 3
    maps = (128 + 2048 + 512) * width + 2 * width * width
    alone = 4 * width * width + 2 * width * inner + 3 * classes * width + 2 * segments * width
    judging = 4 * 2 * (maps + 2 * alone) * segments  # videos, and two operations a product
    cost, plain = measure("jomold", quick), measure("jomold", _with(quick, "denoiser=null"))
    assert (cost.training_flops - plain.training_flops) * 4 * segments == pytest.approx(judging)
    assert cost.forward_flops == plain.forward_flops
    policy = (128 + 2048 + 512 + 2 * 128 + 2 * 128 + classes + 2 * classes) * 128  # once a video
    joint = measure("rlld-joint", quick)
    assert (joint.training_flops - plain.training_flops) * segments == pytest.approx(2 * policy)


def test_a_denoiser_that_prepares_labels_costs_nothing_later(quick: Conditions) -> None:
    """Nor is it done, unless asked for."""
    plain = measure("vaplan", _with(quick, "denoiser=null")).training_flops
    assert measure("vaplan", quick).training_flops == plain
    assert measure("vaplan", _with(quick, "denoiser={name: rlld}")).training_flops == plain
    assert measure("vaplan", _with(quick, "denoiser={name: rlld-plus, folds: 8}")).training_flops == plain
    short = _with(quick, "denoiser.epochs=1", "training.epochs=1")
    assert measure("vaplan", replace(short, denoise=True)).training_flops == plain


def test_two_networks_where_parsing_takes_two(quick: Conditions) -> None:
    guides = "parser.guides={heads: 1, feedforward: 8, audio_rounds: 1, visual_rounds: 1, visual_layers: 1}"
    both = measure("dhhn", _with(quick, guides))
    one = measure("dhhn", _with(quick, guides, "training.select_visual=null"))
    assert both.parameters == 2 * one.parameters
    assert both.training_parameters == one.training_parameters > 0
    assert both.forward_flops == 2 * one.forward_flops
    assert both.training_flops == one.training_flops
    twins = measure("jocor", quick)
    assert twins.parameters == 2 * measure("han", quick).parameters


def test_a_pass_that_judges_labels_mixes_nothing_in() -> None:
    """In training mode, but without gradient: the pass of JoMoLD."""
    recipe = load_recipe("cvcms", [*SMALL, "parser.decoder.size=4"])
    streams = dict.fromkeys(("audio", "frames", "clips"), 8)
    parser = build_parser(recipe.parser, TaskSpec(classes=("a", "b"), streams=streams, segments=3))
    features = Features({name: torch.randn(4, 3, 8) for name in streams})

    def judge() -> None:
        with torch.no_grad():
            parser(features, cross=False)

    parser.eval()
    parsing = flops(judge)
    parser.train()
    assert flops(judge) == parsing
    assert flops(lambda: parser(features, cross=False)) > parsing


def test_recipes_of_one_cost_are_one_row() -> None:
    same = [["han", "ma"], ["oracle", "rlld", "rlld-paper", "rlld-plus"], ["cpsp", "rlld+cpsp"]]
    alone = ["cmpae", "coleaf", "coteaching", "dhhn", "jocor", "jomold", "jomold+cl", "ma+cl", "rlld-joint", "rlld+cl"]
    groups = [*same, *([name] for name in alone)]
    names = [group[n] for n in range(4) for group in groups if len(group) > n]
    assert profiling.alike(names, Conditions()) == groups
    assert profiling.alike(["han", "ma", "mgn"], Conditions(changes=("decoding.unimodal_share=0.1",))) == [
        ["han", "ma"],
        ["mgn"],
    ]


def test_without_a_name_all_list_recipes_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []

    def take(name: str, _: Conditions) -> Cost:
        measured.append(name)
        return Cost(name, 1, 0, (), 1.0, 1.0, 1, 1.0, 1.0, 1, 1.0)

    monkeypatch.setattr(profiling, "measure", take)
    monkeypatch.setattr(profiling, "ProcessPoolExecutor", lambda *_, **__: ThreadPoolExecutor(1))
    monkeypatch.setattr(profiling, "list_recipes", lambda: ["han", "ma", "poibin"])
    rows = profiling.profile([], Conditions(device="cpu"))
    assert next(rows).name == "han, ma"
    assert measured == ["han"]  # told before the next is measured
    assert [row.name for row in rows] == ["poibin"]
    assert [row.name for row in profiling.profile(["ma", "han"], Conditions(device="cpu"))] == ["ma", "han"]

    def fail(name: str, _: Conditions) -> Cost:
        raise UserError(f"{name}: how large is stream 'sound'?")

    monkeypatch.setattr(profiling, "measure", fail)
    reason = "{}: how large is stream 'sound'?".format
    assert list(profiling.profile([], Conditions(device="cpu"))) == [
        Unmeasured("han, ma", reason("han")),  # told of every recipe that would have shared the row
        Unmeasured("poibin", reason("poibin")),
    ]


def test_a_store_that_is_not_there_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nosuch"):
        profiling.profile(["han"], Conditions(device="cpu", store=tmp_path / "nosuch"))


def test_fused_operations_are_counted() -> None:
    network, x = SegmentLSTM(8, 4), torch.randn(3, 5, 8)
    assert flops(lambda: network(x, None)) == 2 * 2 * 3 * 5 * (8 * 16 + 4 * 16)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    with torch.no_grad():
        assert flops(lambda: layer(x)) == 2 * 3 * 5 * (4 * 8 * 8 + 2 * 8 * 16 + 2 * 5 * 8)
    assert torch.backends.mha.get_fastpath_enabled()


MEMORY = """
import time, torch
from avparse.app.profile.measure import Memory
memory = Memory()
with memory.watched(torch.device("cpu")):
    kept = torch.ones(16 << 20)
    time.sleep(0.1)
print(memory.peak)
"""


STEP = """
from avparse.app.profile import recipes as profiling
profiling.matrix_peak = lambda *_: 1e9
conditions = profiling.Conditions(batch_size=1, segments=1, steps=1, device="cpu", changes=("parser.stem.width=1024",))
cost = profiling.measure("han", conditions)
print(cost.peak_bytes / (4 * cost.parameters))
"""


@pytest.mark.slow
def test_memory_of_a_step_is_weights_gradients_and_two_moments() -> None:
    """The products of one segment are nothing beside them. In a process of its own, as above."""
    done = subprocess.run([sys.executable, "-c", STEP], capture_output=True, text=True, check=True)
    assert 3.9 < float(done.stdout) < 4.8


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
    *_, names, ruler = heading(Conditions(device="cpu")).splitlines()
    assert as_row(guided) == "| mine | 1,234,567 (+89) | 2.0 | 5.0 | 3 | 2000 | 50 | 200 | 4000.0x |"
    assert {line.count("|") for line in (names, ruler, as_row(han), as_row(guided))} == {10}
    assert re.match(r"Batches of 128 videos; CPU, \d+ threads\.", heading(Conditions(device="cpu")))


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
