"""Examples as a teacher of a store: the store's own features, the heads of the examples."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from avparse.app.extracting import extract_store, read_labels
from avparse.app.run_teacher import run_teacher
from avparse.data.scores import load_scores
from avparse.data.store import FeatureStore
from avparse.foundation.errors import UserError
from tests.examples_folder import make_examples, sound


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_examples(tmp_path_factory.mktemp("examples") / "examples", files=2, pictures=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of three sounds, with a class that has no examples."""
    folder = tmp_path_factory.mktemp("store")
    (folder / "videos").mkdir()
    for name in ("High", "Low", "_none"):
        sound(folder / "videos" / f"{name}.wav", name, 5)
    (folder / "classes.txt").write_text("Low\nOther\nHigh\n")
    (folder / "labels.csv").write_text("video,labels,split\nHigh,High|Low,train\nLow,Low,train\n_none,Other,val\n")
    labels = read_labels(folder / "labels.csv", folder / "classes.txt")
    extract_store(folder / "videos", labels, folder / "store", workers=0)
    return folder / "store"


def test_every_segment_is_judged_and_what_cannot_be_is_told(folder: Path, made: Path, tmp_path: Path) -> None:
    store = FeatureStore.open(shutil.copytree(made, tmp_path / "store"))
    files, failures = run_teacher(store, "examples", [f"folder={folder}", "workers=0"])
    assert [file.name for file in files] == ["examples.audio.safetensors"]  # no pictures, so nothing is seen
    assert not failures
    scores = load_scores(store, "examples", "audio")
    assert scores.info.unjudged == ("Other",)
    logits = scores.logits(scores.rows(("High", "Low", "_none")))
    assert (logits[:, [0, 2]] > 0).tolist() == [[False, True], [True, False], [False, False]]
    assert np.isfinite(logits).all()


def test_a_class_that_the_store_lacks_is_refused(folder: Path, made: Path, tmp_path: Path) -> None:
    examples = Path(shutil.copytree(folder, tmp_path / "examples"))
    (examples / "Low").rename(examples / "Lo")
    with pytest.raises(UserError, match=r"unknown class 'Lo'; did you mean 'Low'\?"):
        run_teacher(FeatureStore.open(made), "examples", [f"folder={examples}"])
    with pytest.raises(UserError, match="no such folder of examples"):
        run_teacher(FeatureStore.open(made), "examples", ["folder=nowhere"])
    with pytest.raises(UserError, match="folder"):
        run_teacher(FeatureStore.open(made), "examples")
