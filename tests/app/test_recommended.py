"""'avparse train' and 'avparse denoise' without a recipe or method: what suits the data, and refusals that help."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import avparse
from avparse.app.recommended import recommend
from avparse.data.store import FeatureStore
from avparse.foundation.errors import UserError
from avparse.labels.table import RefinedLabels
from avparse.media.card import Card
from avparse.media.extractors.clip_clap import DIMENSIONS
from avparse.training.recipe import load_recipe
from avparse.training.run import Run
from tests.clips import tone, write_clip
from tests.conftest import Command
from tests.toy import toy_store

FAST = ("--set", "training.epochs=1", "--device", "cpu")


@pytest.fixture
def blind(tmp_path: Path) -> FeatureStore:
    """A store without any dense truth."""
    return toy_store(tmp_path / "blind", train_truth=False, val_truth=False)


def _command_of(text: str) -> list[str]:
    """The arguments of the command that a refusal names."""
    (found,) = re.findall(r"avparse ((?:train|denoise) [^:;,]+)", text)
    return found.split()


def test_the_truth_decides_the_recipe(blind: FeatureStore, tmp_path: Path) -> None:
    seen = recommend(toy_store(tmp_path / "seen"))
    assert (seen.recipe, seen.changes) == ("demo", ())
    unseen = recommend(blind)
    assert (unseen.recipe, unseen.changes) == ("weak-labels", ("training.select=last",))
    for suited in (seen, unseen):
        recipe = load_recipe(suited.recipe, suited.changes)
        assert recipe.denoiser is not None
        assert recipe.denoiser.name == suited.denoiser


def test_the_streams_decide_what_the_stem_reads(tmp_path: Path) -> None:
    assert set(DIMENSIONS) == {"clip", "clap"}
    suited = recommend(toy_store(tmp_path / "clip", dimensions={"clip": 8, "clap": 8}))
    stem = load_recipe(suited.recipe, suited.changes).parser.stem  # type: ignore[attr-defined]
    assert (stem.audio, stem.visual) == (("clap",), ("clip",))
    with pytest.raises(UserError, match=r"no recipe reads its streams \(mine\); name a recipe"):
        recommend(toy_store(tmp_path / "other", dimensions={"mine": 8}))


def test_a_recipe_reads_the_streams_of_the_store(
    tmp_path: Path, command: Command, caplog: pytest.LogCaptureFixture
) -> None:
    dimensions = {"mystery": 3, "sounds": 16, "pictures": 8}
    cards = {"sounds": Card(extractor="compact", version="1", sample_rate=16_000)}
    cards["pictures"] = Card(extractor="compact", version="1", size=(8, 8))
    store = toy_store(tmp_path / "store", dimensions=dimensions, cards=cards)
    assert command("train", "han", "--data", store.path, "-o", tmp_path / "run", *FAST)[0] == 0
    assert "has no stream 'audio', 'frames', 'clips' of the recipe 'han'" in caplog.text
    stem = Run.open(tmp_path / "run").recipe.parser.stem  # type: ignore[attr-defined]
    assert (stem.audio, stem.visual) == (("sounds",), ("pictures",))
    code, _, err = command(
        "train", "han", "--data", store.path, "-o", tmp_path / "misspelt", *FAST, "--set", "parser.stem.audio=[sound]"
    )
    assert code == 2
    assert "no stream 'sound'; did you mean 'sounds'" in err
    assert command("denoise", store.path, "-o", tmp_path / "l.parquet", "--method", "class-prior", *FAST)[0] == 0
    assert set(avparse.create_parser("valor", store).stem.maps) == {"sounds", "pictures"}


def test_training_without_truth_needs_no_recipe(blind: FeatureStore, tmp_path: Path, command: Command) -> None:
    code, _, err = command("train", "rlld", "--data", blind.path, "-o", tmp_path / "refused", *FAST)
    assert code == 2
    assert "needed by training.select and the denoiser 'rlld'" in err
    assert not (tmp_path / "refused").exists()
    named = [tmp_path / "run" if word == "OUT" else word for word in _command_of(err)]
    assert command(*named, *FAST)[0] == 0
    assert Run.open(tmp_path / "run").recipe == load_recipe("weak-labels", ["training.epochs=1"])
    more = ("--set", "training.select=last", "--set", "denoiser={name: jomold}")
    assert command("train", "rlld", "--data", blind.path, "-o", tmp_path / "as told", *more, *FAST)[0] == 0


@pytest.mark.parametrize("method", ["rlld", "class-prior", "oracle"])
def test_a_denoiser_without_its_truth_names_a_call_that_works(
    method: str, blind: FeatureStore, tmp_path: Path, command: Command
) -> None:
    out = tmp_path / "labels.parquet"
    code, _, err = command("denoise", blind.path, "-o", out, "--method", method, *FAST)
    assert code == 2
    assert f"needed by the method '{method}'" in err
    assert not list(tmp_path.glob("labels*"))
    assert command(*[out if word == "OUT" else word for word in _command_of(err)], *FAST)[0] == 0
    assert len(RefinedLabels.load(out, blind.vocabulary).videos) == len(blind.select("train"))


def test_classes_are_those_that_the_table_names(
    tmp_path: Path, command: Command, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "videos").mkdir()
    for name in "abc":
        write_clip(tmp_path / "videos" / f"{name}.wav", sound=tone(), seconds=2.0)
    labels = tmp_path / "labels.csv"
    labels.write_text("video;labels\na.wav;Rain|Dog\nb.wav;Dog\nc.wav;\n")
    store = tmp_path / "store"
    assert command("extract", tmp_path / "videos", "--labels", labels, "-o", store)[0] == 0
    assert "the classes are the labels that it names, with their videos: Dog 2, Rain 1" in caplog.text
    assert FeatureStore.open(store).vocabulary.names == ("Dog", "Rain")
    labels.write_text("video;labels\na.wav;Dog\nb.wav;Dog\nc.wav;\n")
    assert command("data", "relabel", store, "--labels", labels)[0] == 0
    assert FeatureStore.open(store).vocabulary.names == ("Dog", "Rain")  # relabelling keeps the store's classes
    assert np.array_equal(FeatureStore.open(store).weak, [[True, False], [True, False], [False, False]])
    labels.write_text("video;labels\na.wav;Dgo\nb.wav;Dog\nc.wav;\n")
    code, _, err = command("data", "relabel", store, "--labels", labels)
    assert code == 2
    assert "did you mean 'Dog'" in err
    labels.write_text("video;labels\na.wav;\nb.wav;\n")
    code, _, err = command("extract", tmp_path / "videos", "--labels", labels, "-o", tmp_path / "none")
    assert code == 2
    assert "no video has a label" in err


def test_a_missing_store_is_told_before_anything_heavy_is_loaded(tmp_path: Path, command: Command) -> None:
    for words in (("train", "--data"), ("denoise", "-o", "x"), ("evaluate", "--run", "x", "--data")):
        code, _, err = command(*words, tmp_path / "none", *(("-o", "x") if words[0] == "train" else ()))
        assert code == 2
        assert "no feature store there" in err
        assert json.dumps(str(tmp_path / "none"))[1:-1] in err
