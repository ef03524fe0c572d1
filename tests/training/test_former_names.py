"""Recipes and run folders that hold the names of earlier versions are read, and interrupted runs go on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from avparse.training.recipe import load_recipe
from avparse.training.run import Run
from avparse.training.train import train
from avparse.training.workspace import Workspace
from tests.toy import toy_store

FORMER = {
    "unimodal_share": "alone",
    "unimodal_absence": "apart",
    "metric": "figure",
    "audio_metric": "audio_figure",
    "visual_metric": "visual_figure",
    "finetune_epochs": "taught_epochs",
    "finetune_rate": "taught_rate",
    "finetune_batch": "taught_batch",
}
SMALL = ["parser.stem.width=16", "parser.encoder.feedforward=16", "training.batch_size=32", "training.epochs=1"]
FEW = ["denoiser.folds=2", "denoiser.finetune_epochs=1", "denoiser.updates=5"]


def _as_written_before(text: str) -> str:
    for today, former in FORMER.items():
        text = re.sub(rf"\b{today}(?=:)", former, text)
    return text.replace("name: ma\n", "name: exchange\n")


@pytest.mark.parametrize("name", ["coleaf", "ma", "rlld", "rlld-plus"])
def test_a_recipe_with_the_former_names_is_the_same_recipe(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    former = tmp_path / "former.yaml"
    former.write_text(_as_written_before(recipe.as_yaml()), encoding="utf-8")
    assert former.read_text(encoding="utf-8") != recipe.as_yaml()
    assert load_recipe(former) == recipe


def test_a_recipe_of_an_earlier_version() -> None:
    """As it was written; what is read carries the names of today."""
    recipe = load_recipe(Path(__file__).parent / "coleaf_former.yaml")
    assert recipe.parser.encoder.unimodal_share == 0.2  # type: ignore[attr-defined]
    assert recipe.parser.decoder.unimodal_absence == "both"  # type: ignore[attr-defined]
    assert recipe.decoding.unimodal_share == 0.3
    assert not set(FORMER.values()) & set(re.findall(r"\w+(?=:)", recipe.as_yaml()))


@pytest.mark.slow
def test_an_interrupted_run_of_an_earlier_version_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, recipe = toy_store(tmp_path / "store", videos=120), load_recipe("rlld-plus", [*SMALL, *FEW])
    whole = train(recipe, store, tmp_path / "whole")
    fit, trained = Workspace.fit, list[str]()

    def counted(self: Workspace, name: str, *arguments: Any) -> Any:
        if name == "finetuned0-1":
            raise KeyboardInterrupt
        trained.append(name)
        return fit(self, name, *arguments)

    former = tmp_path / "former"
    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "fit", counted)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, store, former)
    assert trained == ["unimodal0", "finetuned0-0"]
    for today, before in (("unimodal0", "apart0"), ("finetuned0-0", "taught0-0")):
        (former / "denoised" / today).rename(former / "denoised" / before)
    for file in (former / "recipe.yaml", *former.glob("denoised/*/recipe.yaml")):
        file.write_text(_as_written_before(file.read_text(encoding="utf-8")), encoding="utf-8")
    begun = (former / "denoised" / "apart0" / "metrics.jsonl").read_bytes()

    train(recipe, store, former, resume=True)
    for product in ("parser.safetensors", "labels.parquet", "results.json"):
        assert (former / product).read_bytes() == (whole.path / product).read_bytes(), product
    assert (former / "denoised" / "unimodal0" / "metrics.jsonl").read_bytes() == begun  # not trained again
    assert not list((former / "denoised").glob("apart*"))
    assert not list((former / "denoised").glob("taught*"))
    assert Run.open(former).recipe == whole.recipe
