"""Published weights as runs: evaluated, parsed with, trained on from; what is refused is named, and nothing is run."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from avparse.app.import_checkpoint import import_checkpoint
from avparse.data.batching import task_spec
from avparse.data.features import Features, TaskSpec
from avparse.data.simulation.simulate import simulate
from avparse.data.store import FeatureStore
from avparse.data.timeline import Timeline
from avparse.data.vocabulary import LLP_CLASSES, Vocabulary
from avparse.foundation.errors import UserError
from avparse.foundation.tensors import read_tensors
from avparse.models import load_official
from avparse.models.official import OFFICIAL
from avparse.models.parsers.build import build_parser
from avparse.models.weights import load_weights
from avparse.training.recipe import load_recipe
from avparse.training.run import Run
from avparse.training.train import train
from tests import golden
from tests.conftest import Command
from tests.llp_folders import published
from tests.toy import DIMENSIONS, toy_store

SPEC = TaskSpec(classes=("Bark", "Bell", "Engine", "Voice"), streams=DIMENSIONS, segments=6)


def released(spec: TaskSpec = SPEC, width: int = 16, seed: int = 0) -> dict[str, Tensor]:
    """A HAN under the names of the released code, with the networks that it declares and never runs."""
    torch.manual_seed(seed)
    stem = {"name": "linear", "width": width}
    config = {"stem": stem, "encoder": {"name": "han", "feedforward": width}, "decoder": "mmil"}
    parser = build_parser(type(load_recipe("han").parser).read(config, "test"), spec)
    weights = parser.state_dict()
    state: dict[str, Tensor] = {}
    everything = dict.fromkeys(["hat_encoder.layers.0.norm1.weight"], torch.zeros(1))
    for ours, official in OFFICIAL["han"].names(everything).items():
        state |= dict(zip(official, weights[ours].chunk(len(official)), strict=True))
    return {**state, "hat_encoder.norm1.weight": torch.ones(width), "cmt_encoder.norm2.bias": torch.zeros(2)}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.save(released(), tmp_path / "HAN.pt")
    return tmp_path / "HAN.pt"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy_store(tmp_path_factory.mktemp("data") / "toy")


# --- a run like any other -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_golden_weights_become_a_run(tmp_path: Path, command: Command) -> None:
    network = golden.network("han")
    state, features = network.state, network.features()
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, tmp_path / "HAN.pt")
    code, out, err = command("import-checkpoint", tmp_path / "HAN.pt", "--system", "han", "-o", tmp_path / "run")
    assert code == 0, err
    assert "4,569,675 parameters" in out
    assert "cmt_encoder.layers.0" in out
    run = Run.open(tmp_path / "run")
    assert run.info.spec.classes == LLP_CLASSES
    with torch.no_grad():
        ours, expected = run.parser()(features), load_official("han", state)(features)
    assert torch.equal(ours.audio_segments, expected.audio_segments)
    assert torch.equal(ours.video, expected.video)
    simulate(tmp_path / "llp", seed=0, train=8, val=8, test=8, workers=1)
    code, out, err = command("evaluate", "--run", tmp_path / "run", "--data", tmp_path / "llp")
    assert code == 0, err
    assert "HAN, published weights" in out


def test_evaluate_and_train_from_it(checkpoint: Path, store: FeatureStore, tmp_path: Path, command: Command) -> None:
    given = ("--system", "han", "-o", tmp_path / "run", "--data", store.path)
    code, out, err = command("import-checkpoint", checkpoint, *given, "--set", "decoding.segment_threshold=0.4")
    assert code == 0, err
    assert "left out, as the released network never uses them: hat_encoder.norm1.weight, cmt_encoder.norm2.bias" in out
    run = Run.open(tmp_path / "run")
    assert run.info.spec == task_spec(store)
    assert run.recipe.decoding.segment_threshold == 0.4
    assert command("evaluate", "--run", run.path, "--data", store.path, "--split", "val")[0] == 0
    recipe = ["--set", "parser.stem.width=16", "--set", "parser.encoder.feedforward=16", "--set", "training.epochs=1"]
    still = [*recipe, "--set", "training.optimizer.rate=1e-12"]
    into = ("--data", store.path, "--device", "cpu", "--init", run.path)
    code, _, err = command("train", "han", *into, "-o", tmp_path / "next", *still)
    assert code == 0, err
    before, after = run.weights(), Run.open(tmp_path / "next").weights()
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)
    code, _, err = command("train", "han", *into, "-o", tmp_path / "wide", "--set", "training.epochs=1")
    assert code == 2
    assert "stem.maps.audio.weight has shape (16, 16), expected (512, 16)" in err
    assert not (tmp_path / "wide").exists()


def test_a_stopped_run_starts_from_the_same_weights(checkpoint: Path, store: FeatureStore, tmp_path: Path) -> None:
    init = import_checkpoint(checkpoint, "han", tmp_path / "imported", store=store).run
    small = ["parser.stem.width=16", "parser.encoder.feedforward=16", "training.epochs=1"]
    whole = train(load_recipe("han", small), store, tmp_path / "whole", init=init)
    # Killed before its first checkpoint: all there is are the files of the beginning.
    (tmp_path / "stopped").mkdir()
    for name in ("recipe.yaml", "run.json", "start.safetensors"):
        shutil.copy(whole.path / name, tmp_path / "stopped" / name)
    shutil.rmtree(init.path)
    resumed = train(load_recipe("han", small), store, tmp_path / "stopped", resume=True)
    a, b = whole.weights(), resumed.weights()
    assert all(torch.equal(a[name], b[name]) for name in a)
    random = train(load_recipe("han", small), store, tmp_path / "random")
    assert not torch.equal(random.weights()["stem.maps.audio.weight"], a["stem.maps.audio.weight"])


@pytest.mark.slow
def test_parse_with_imported_weights(tmp_path: Path, command: Command) -> None:
    """Weights of the released code, trained on features that avparse extracts."""

    def avparse(*arguments: str | Path) -> None:
        subprocess.run([sys.executable, "-m", "avparse", *map(str, arguments)], check=True, capture_output=True)

    avparse("synth", tmp_path / "corpus", "--videos", "6", "--workers", "1")
    avparse("extract", tmp_path / "corpus/videos", "--labels", tmp_path / "corpus", "-o", tmp_path / "store")
    store = FeatureStore.open(tmp_path / "store")
    state = released(task_spec(store))
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, tmp_path / "HAN.safetensors")
    given = ("--system", "han", "-o", tmp_path / "run", "--data", store.path)
    assert command("import-checkpoint", tmp_path / "HAN.safetensors", *given)[0] == 0
    video = next((tmp_path / "corpus/videos").glob("*.mp4"))
    assert command("parse", video, "--run", tmp_path / "run", "-o", tmp_path / "out", "--workers", "0")[0] == 0
    timeline = Timeline.load(tmp_path / "out" / f"{video.stem}.json")
    position = store.position(video.stem)
    rows = slice(store.first_row[position], store.first_row[position] + int(store.lengths[position]))
    streams = {n: torch.from_numpy(np.array(store.stream(n)[rows])).unsqueeze(0) for n in store.streams}
    with torch.no_grad():
        expected = load_official("han", state)(Features(streams))
    assert np.allclose(timeline.segments["visual"], expected.visual_segments[0].numpy(), atol=1e-4)


def test_another_recipe_decides(checkpoint: Path, store: FeatureStore, tmp_path: Path) -> None:
    run = import_checkpoint(checkpoint, "han", tmp_path / "run", recipe="jomold", store=store).run
    assert run.recipe.decoding.gate == "own"
    assert run.recipe.denoiser is None


# --- nothing is run -------------------------------------------------------------------------------------------------


class Canary:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("how", ["torch.save", "legacy", "pickle", "inside"])
def test_code_in_a_pickle_is_refused_and_not_run(how: str, tmp_path: Path, command: Command) -> None:
    canary, file = tmp_path / "canary", tmp_path / "model.pt"
    state: Mapping[str, Any] = {**released(), "fc_extra.weight": Canary(canary)}
    if how == "pickle":
        file.write_bytes(pickle.dumps({"a": Canary(canary)}, protocol=2))
    elif how == "inside":
        torch.save({"state_dict": released(), "optimizer": Canary(canary)}, file)
    else:
        torch.save(state, file, _use_new_zipfile_serialization=how == "torch.save")
    code, _, err = command("import-checkpoint", file, "--system", "han", "-o", tmp_path / "run")
    assert code == 2
    assert "refused, and nothing was run" in err
    assert "posix.mkdir" in err
    assert "\n" not in err.strip()
    assert not canary.exists()
    assert not (tmp_path / "run").exists()
    with open(file, "rb") as opened:  # the canary does sing where code is run
        torch.load(opened, weights_only=False) if how != "pickle" else pickle.load(opened)
    assert canary.exists()


def test_whole_models_are_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pt")
    with pytest.raises(UserError, match=r"would run torch\.nn\.modules\.linear\.Linear; refused"):
        read_tensors(tmp_path / "model.pt")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 no archive", b"\x80\x02}q\x00."])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    for name in ("model.pt", "model.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError) as error:
            read_tensors(tmp_path / name)
        assert str(tmp_path / name) in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"nowhere\.pt: cannot be read \(No such file"):
        read_tensors(tmp_path / "nowhere.pt")


def test_wrappers_are_unwrapped(tmp_path: Path) -> None:
    state = released()
    torch.save({"epoch": 3, "model": {"state_dict": state}}, tmp_path / "model.pt")
    found = read_tensors(tmp_path / "model.pt")
    assert found.keys() == state.keys()
    torch.save({"a": torch.zeros(1), "step": 3, "name": "x"}, tmp_path / "model.pt")
    with pytest.raises(UserError, match=r"not tensors: step, name"):
        read_tensors(tmp_path / "model.pt")
    torch.save({**state, "fc_a.bias": torch.full((16,), torch.nan)}, tmp_path / "model.pt")
    with pytest.raises(UserError, match=r"not finite: fc_a\.bias"):
        read_tensors(tmp_path / "model.pt")
    torch.save([torch.zeros(1)], tmp_path / "model.pt")
    with pytest.raises(UserError, match="holds a list instead of tensors by name"):
        read_tensors(tmp_path / "model.pt")


# --- tensors are named ----------------------------------------------------------------------------------------------


def _refusal(state: dict[str, Tensor], tmp_path: Path, system: str = "han") -> str:
    torch.save(state, tmp_path / "model.pt")
    with pytest.raises(UserError) as error:
        import_checkpoint(tmp_path / "model.pt", system, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_missing_extra_and_misshapen_tensors_are_named(tmp_path: Path) -> None:
    state = released()
    less = {name: tensor for name, tensor in state.items() if not name.startswith("fc_st.")}
    text = _refusal({**less, "fc_new.weight": torch.zeros(2, 2)}, tmp_path)
    assert all(part in text for part in ("missing fc_st.weight", "missing fc_st.bias", "unexpected fc_new.weight"))
    text = _refusal({**state, "fc_a.bias": torch.zeros(3), "fc_frame_att.weight": torch.zeros(4, 9)}, tmp_path)
    assert "fc_a.bias has shape (3,), expected (16,)" in text
    assert "fc_prob.weight+fc_frame_att.weight+fc_av_att.weight has shape (4, 16)+(4, 9)+(4, 16)" in text
    for flat in (torch.zeros(16), torch.zeros(())):
        assert "fc_v.weight" in _refusal({**state, "fc_v.weight": flat}, tmp_path)
    assert "unexpected" in _refusal(state, tmp_path, "cpsp")
    assert "did you mean 'han'" in _refusal(state, tmp_path, "hann")


@pytest.mark.parametrize("system", sorted(OFFICIAL))
def test_anything_misshapen_is_a_line_and_no_crash(system: str, tmp_path: Path) -> None:
    """Every tensor that a system reads, and each made a vector, a number, or empty."""
    generator = np.random.default_rng(0)
    names = [n for group in OFFICIAL[system].names({}).values() for n in group]
    for shape in ((3,), (), (0, 4), (2, 2, 2, 2)):
        state = {name: torch.zeros(4, 4) for name in names}
        for name in generator.permutation(names)[: 1 + len(names) // 3]:
            state[name] = torch.zeros(shape)
        assert system in _refusal(state, tmp_path, system)


def test_the_data_must_fit(checkpoint: Path, tmp_path: Path, store: FeatureStore) -> None:
    torch.save(released(SPEC.model_copy(update={"classes": ("a", "b")})), tmp_path / "two.pt")
    with pytest.raises(UserError, match="has 4 classes, the weights are of 2"):
        import_checkpoint(tmp_path / "two.pt", "han", tmp_path / "run", store=store)
    torch.save(released(SPEC.model_copy(update={"streams": {**DIMENSIONS, "clips": 9}})), tmp_path / "other.pt")
    with pytest.raises(UserError, match=r"stem\.maps\.clips\.weight has shape \(16, 9\), expected \(16, 8\)"):
        import_checkpoint(tmp_path / "other.pt", "han", tmp_path / "run", store=store)
    (tmp_path / "run").mkdir()
    with pytest.raises(UserError, match="exists already"):
        import_checkpoint(checkpoint, "han", tmp_path / "run")


@pytest.mark.slow
def test_frames_kept_apart_or_averaged(tmp_path: Path, command: Command) -> None:
    """CMPAE reads eight frames a segment; its weights serve averaged frames too, where one says so."""
    torch.save(golden.network("cmpae_ca").state, tmp_path / "cmpae.pt")
    run = import_checkpoint(tmp_path / "cmpae.pt", "cmpae", tmp_path / "run").run
    assert run.info.spec.streams["frames"] == 8 * 2048
    assert run.recipe.decoding.unimodal_share == 0.3
    simulate(tmp_path / "llp", seed=0, train=8, val=8, test=8, workers=1)
    pooled = FeatureStore.open(tmp_path / "llp")
    mend = (
        "the weights read vectors of 2048 numbers from stream 'frames', the data give 256; for frames one by one "
        "import with 'avparse import llp --keep-frames' and set parser.stem.rates={\"frames\": 8}; for averaged frames "
        "give --set parser.stem.rates={} (train, import-checkpoint)"
    )
    with pytest.raises(UserError) as error:
        import_checkpoint(tmp_path / "cmpae.pt", "cmpae", tmp_path / "pooled", store=pooled)
    assert str(error.value) == f"{tmp_path / 'cmpae.pt'}: {mend}"
    settings = ["parser.stem.rates={}"]
    averaged = import_checkpoint(tmp_path / "cmpae.pt", "cmpae", tmp_path / "pooled", store=pooled, changes=settings)
    assert averaged.run.parser().stem.maps["frames"].in_features == 2048
    assert command("evaluate", "--run", averaged.run.path, "--data", pooled.path)[0] == 0
    # The run of frames apart is fed by an import that keeps them, and says so of another store.
    code, _, err = command("evaluate", "--run", run.path, "--data", pooled.path)
    assert code == 2
    assert f"does not fit the run {run.path}: {mend}" in err
    into = ("train", run.path / "recipe.yaml", "--data", pooled.path, "--init", run.path, "-o", tmp_path / "next")
    code, _, err = command(*into, "--set", "training.epochs=1")
    assert code == 2
    assert mend in err
    assert command(*into, "--set", "training.epochs=1", "--set", "parser.stem.rates={}")[0] == 0
    features, tables = published(tmp_path, 6, vocabulary=Vocabulary(LLP_CLASSES))
    source = ("--features", features, "--annotations", tables)
    assert command("import", "llp", *source, "--keep-frames", "-o", tmp_path / "kept")[0] == 0
    assert command("evaluate", "--run", run.path, "--data", tmp_path / "kept", "--split", "val")[0] == 0
    into = ("train", "cmpae", "--data", tmp_path / "kept", "--init", run.path, "-o", tmp_path / "trained")
    changes = ["training.epochs=1", "denoiser=null", "parser.decoder.unimodal_absence=both"]
    given = [x for change in changes for x in ("--set", change)]
    code, _, err = command(*into, *given)
    assert code == 2
    assert 'parser.stem.rates={"frames": 8}' in err
    code, _, err = command(*into, *given, "--set", "parser.stem.rates={frames: 8}")
    assert code == 0, err


def test_weights_of_guides_may_be_missing() -> None:
    class Guided(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.map, self.guides = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)

    parser = Guided()
    load_weights(parser, {"map.weight": torch.zeros(2, 2), "map.bias": torch.ones(2)}, "x")
    assert parser.map.bias.tolist() == [1, 1]
    with pytest.raises(UserError, match=r"x: not weights of this parser: missing map\.bias, unexpected z"):
        load_weights(parser, {"map.weight": torch.zeros(2, 2), "z": torch.zeros(1)}, "x")
