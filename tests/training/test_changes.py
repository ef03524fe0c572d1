"""``--set``: one setting of a recipe is changed, a loss by the name of its curve."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from avparse.foundation.errors import UserError
from avparse.training.recipe import load_recipe
from avparse.training.train import train
from tests.toy import toy_store


def test_a_loss_is_named_as_its_curve_is() -> None:
    before = load_recipe("cmpae").losses
    after = load_recipe("cmpae", ["losses.bce_visual.weight=0.5", "losses.mutual.least=0.7"]).losses
    assert [loss.name for loss in after] == [loss.name for loss in before]
    changed = {(new.name, getattr(new, "of", None)): new for new, old in zip(after, before, strict=True) if new != old}
    assert changed == {
        ("video_bce", "visual"): before[1].model_copy(update={"weight": 0.5}),
        ("mutual", None): before[4].model_copy(update={"least": 0.7}),
    }


def test_every_curve_of_a_loss_names_it(tmp_path: Path) -> None:
    small = ["parser.stem.width=8", "parser.encoder.feedforward=8", "training.epochs=1", "denoiser=null"]
    changes = [f"{key}=8" for key in ("parser.guides.feedforward", "parser.guides.heads")]
    recipe = load_recipe("coleaf", [*small, *changes])
    awake = recipe.model_copy(update={"losses": tuple(c.model_copy(update={"after": 0}) for c in recipe.losses)})
    run = train(awake, toy_store(tmp_path / "toy", videos=20), tmp_path / "run")
    line = json.loads((run.path / "metrics.jsonl").read_text().splitlines()[0])
    curves = [name.removeprefix("loss/") for name in line if name.startswith("loss/")]
    assert len(curves) == len(recipe.losses)
    for place, curve in enumerate(curves):  # logged in the order of the recipe
        losses = load_recipe("coleaf", [f"losses.{curve}.weight=7.5"]).losses
        assert [loss.weight == 7.5 for loss in losses] == [n == place for n in range(len(curves))]


def test_a_whole_loss_is_replaced_and_a_bare_name_has_settings(tmp_path: Path) -> None:
    values = yaml.safe_load(load_recipe("mgn").as_yaml())
    values["losses"][3] = "token_identity"
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(values))
    assert load_recipe(tmp_path / "mine.yaml", ["losses.token_identity.weight=3"]).losses[3].weight == 3
    replaced = load_recipe("han", ["losses.bce_video={name: positive_count, of: audio}"]).losses
    assert [loss.name for loss in replaced] == ["video_bce", "video_bce", "positive_count"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("losses.bce_vidoe.weight=2", "--set losses.bce_vidoe.weight=2: no loss 'bce_vidoe'; did you mean 'bce_video'"),
        ("losses.weight=2", "--set losses.weight=2: no loss 'weight'; known: bce_audio, bce_video, bce_visual"),
        ("losses.2.weight=2", "no loss '2'; known: bce_audio"),
        ("losses.bce_video.wieght=2", "loss 'video_bce': unknown key 'wieght'; did you mean 'weight'"),
        ("losses.bce_video.of.x=2", "'of' is not a table of settings"),
        ("parser.stem.audio.x=2", "'audio' is not a table of settings"),
    ],
)
def test_a_change_that_meets_nothing_names_the_nearest(change: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        load_recipe("han", [change])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_loss_whose_curve_is_not_its_own_or_that_is_bad_is_told() -> None:
    twice = "losses=[{name: mutual}, {name: mutual, least: 0.5}]"
    with pytest.raises(UserError, match="several losses are logged as 'mutual'; set the list 'losses' as a whole"):
        load_recipe("han", [twice, "losses.mutual.weight=2"])
    for bad, message in (("[{of: video}]", "give the loss a 'name'"), ("[{name: mutuel}]", "unknown loss 'mutuel'")):
        with pytest.raises(UserError, match=message):
            load_recipe("han", [f"losses={bad}", "losses.mutual.weight=2"])
    with pytest.raises(UserError, match="'losses' is not a table of settings"):
        load_recipe("han", ["losses=3", "losses.mutual.weight=2"])
