"""CVCMS: classes that attend to each other, mixed videos, contrast across videos, labels that lose their smoothing."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from avparse.data.features import Batch, Features, Step
from avparse.foundation.errors import UserError
from avparse.labels.targets import Targets
from avparse.losses.cross_video import CrossVideoContrast
from avparse.models import Hidden, Parser, ParserConfig, ParserOutput, load_official
from avparse.models.official import ignored_names
from avparse.models.output import Mixed
from avparse.training.denoisers.ma import ModalityExchange, base_recipe
from avparse.training.recipe import load_recipe
from avparse.training.run import Run
from avparse.training.train import train
from avparse.training.trainer import Trainer
from tests import masking, official_state
from tests.toy import toy_store

STEP = Step(epoch=0, step=0, steps=1)
SMALL = {
    "stem": {"name": "linear", "width": 16, "visual": ["frames"]},
    "encoder": {"name": "han", "heads": 2, "feedforward": 24, "dropout": 0},
    "decoder": {"name": "class_tokens", "size": 8, "feedforward": 12, "heads": 2, "dropout": 0},
}
UNUSED = ("fc_prob", "fc_occ_class_av", "frame_att_encoder", "modality_encoder")


def _parser(**changes: object) -> Parser:
    torch.manual_seed(0)
    return Parser(ParserConfig.read({**SMALL, **changes}, "test"), masking.SPEC).eval()


def _plain(state: official_state.StateDict, features: Features) -> dict[str, torch.Tensor]:
    """The published network in the plainest words, for ten segments without masks."""
    a, v = official_state.stem(state, features.streams)
    layer = "hat_encoder.layers.0"
    a, v = official_state.han_layer(state, layer, a, v), official_state.han_layer(state, layer, v, a)
    x = torch.stack((a, v), dim=2)  # [B, T, 2, D]
    classes = [
        official_state.linear(state, f"fc_occ_class_{m}", y).relu().view(-1, 25, 128) for m, y in (("a", a), ("v", v))
    ]
    layer, segments = "av_class_encoder.layers.0", []
    for m, own, other in (("a", *classes), ("v", *classes[::-1])):
        attended = official_state.han_layer(state, layer, own, other)
        segments.append(official_state.linear(state, f"fc_occ_prob_{m}", attended).sigmoid().view(len(a), 10, 25))
    p = torch.stack(segments, dim=2)
    weighted = official_state.linear(state, "fc_frame_att", x).softmax(1) * p
    video = (weighted * official_state.linear(state, "fc_av_att", x).softmax(2)).sum((1, 2))
    audio, visual = weighted.sum(1).unbind(1)
    values = {"audio_segments": segments[0], "visual_segments": segments[1]}
    return values | {"audio": audio, "visual": visual, "video": video}


def test_released_weights_are_read_under_their_names() -> None:
    state = official_state.cvcms()
    assert len(state) == 126
    assert sum(v.numel() for v in state.values()) == 11_787_087
    parser = load_official("cvcms", state)
    assert sum(p.numel() for p in parser.parameters()) == 8_005_940
    unused = ignored_names("cvcms", state)
    assert sum(v.numel() for n, v in state.items() if n not in unused) == 8_005_940
    assert all(n.startswith((*UNUSED, "fc_occ_")) or ".norm" in n for n in unused)
    generator = torch.Generator().manual_seed(2)
    sizes = {"audio": 128, "frames": 2048, "clips": 512}
    features = Features({n: torch.randn(3, 10, d, generator=generator) for n, d in sizes.items()})
    with torch.no_grad():
        output, expected = parser(features), _plain(state, features)
    for name, value in expected.items():
        assert torch.allclose(getattr(output, name), value, atol=1e-5), name


@pytest.mark.parametrize("segments", [1, 2, 7, 12])
def test_padding_changes_nothing(segments: int) -> None:
    masking.check_padding(_parser(), segments)


def test_absent_modality_is_off_and_leaks_nothing() -> None:
    masking.check_absence(_parser())


def test_without_cross_each_modality_is_as_if_the_other_were_absent() -> None:
    masking.check_unimodal(_parser())


def test_every_weight_learns() -> None:
    masking.check_gradients(_parser())


def test_classes_of_a_segment_see_each_other_and_no_other_segment() -> None:
    parser = _parser()
    hidden = Hidden(*torch.randn(2, 2, 5, 16))
    with torch.no_grad():
        before = parser.decoder(hidden, None, None)
        parser.decoder.tokens[1].weight[8:16] += 1  # the second class of visual
        after = parser.decoder(hidden, None, None)
        hidden.audio[:, 3] += 1
        moved = parser.decoder(hidden, None, None)
    for of in ("audio_logits", "visual_logits"):
        assert (getattr(before, of) != getattr(after, of)).all()  # each class, in both modalities
        still = [0, 1, 2, 4]
        assert torch.equal(getattr(after, of)[:, still], getattr(moved, of)[:, still])
        assert (getattr(after, of)[:, 3] != getattr(moved, of)[:, 3]).all()


def test_mixing_gives_each_sound_another_picture_in_training_only() -> None:
    parser, features = _parser(mixing=True), Features(masking.streams(6, 7))
    features.visual_mask = torch.rand(6, 7, generator=torch.Generator().manual_seed(0)) > 0.3
    assert parser(features).mixed is None
    parser.train()
    mixed = parser(features).mixed
    assert (mixed.partners != torch.arange(6)).all()
    swapped = Features({"audio": features.streams["audio"], "frames": features.streams["frames"][mixed.partners]})
    swapped.visual_mask = features.visual_mask[mixed.partners]
    output = parser(swapped)
    assert torch.allclose(mixed.hidden.audio, output.hidden.audio, atol=1e-6)
    assert torch.allclose(mixed.time_logits, output.time_logits, atol=1e-6)
    assert parser(features.videos(slice(1))).mixed is None
    assert {tuple(parser(features).mixed.partners.tolist()) for _ in range(20)} != {tuple(mixed.partners.tolist())}
    with pytest.raises(UserError, match="pools over time, not 'leap'"):
        _parser(mixing=True, decoder={"name": "leap", "heads": 2})


def _case(mixed: bool) -> tuple[ParserOutput, Targets]:
    generator = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    label = (draw(4, 3) > 0).float()
    targets = Targets(label, label.clone(), 0.9 * label + 0.05)
    targets.audio[0], targets.visual[1] = 0.0, 0.0  # all removed
    segments = torch.zeros(4, 5, 3)
    output = ParserOutput(segments, segments, label, label, label, hidden=Hidden(draw(4, 5, 6), draw(4, 5, 6)))
    output.time_logits = draw(2, 4, 5, 3)
    if mixed:
        partners = torch.tensor([2, 3, 1, 0])
        output.mixed = Mixed(partners, Hidden(draw(4, 5, 6), draw(4, 5, 6)), draw(2, 4, 5, 3))
    return output, targets


def _plain_contrast(output: ParserOutput, targets: Targets, masks: list[torch.Tensor], temperature: float) -> float:
    """The loss, video by video."""
    sounds, pictures = [], []
    rows = [(output.hidden, output.time_logits, list(range(4)))]
    if output.mixed is not None:
        rows.append((output.mixed.hidden, output.mixed.time_logits, output.mixed.partners.tolist()))
    for hidden, logits, whose in rows:
        for i in range(4):
            for kind, x, target, mask, who in (
                (sounds, hidden.audio[i], targets.audio[i], masks[0][i], 0),
                (pictures, hidden.visual[i], targets.visual[whose[i]], masks[1][whose[i]], 1),
            ):
                labels = target >= 0.5
                if mask.any():
                    weight = torch.stack([logits[who, i, t][labels].sum() for t in mask.nonzero()[:, 0]]).softmax(0)
                    vector = sum(w * x[t] for w, t in zip(weight, mask.nonzero()[:, 0], strict=True))
                    kind.append((vector / vector.norm(), labels))
    total = 0.0
    for a, heard in sounds:
        exponents = [math.exp(float(a @ v) / temperature) for v, _ in pictures]
        matches = [bool((heard & seen).any()) for _, seen in pictures]
        total -= sum(math.log(e / sum(exponents)) for e, m in zip(exponents, matches, strict=True) if m) / max(
            sum(matches), 1
        )
    return total / len(sounds)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_contrast_is_what_it_says(mixed: bool, masked: bool) -> None:
    output, targets = _case(mixed)
    masks = [torch.ones(4, 5, dtype=torch.bool) for _ in range(2)]
    if masked:
        masks[0][2, 3:], masks[1][1, 0], masks[0][3], masks[1][2] = False, False, False, False
    features = Features({"x": torch.zeros(4, 5, 1)}, *(masks if masked else (None, None)))
    loss = CrossVideoContrast(CrossVideoContrast.Config(temperature=0.5))
    value = loss(output, targets, Batch(torch.arange(4), features, targets.video), STEP)
    assert float(value) == pytest.approx(_plain_contrast(output, targets, masks, 0.5), rel=1e-5)


def test_contrast_learns_and_needs_weights_over_time() -> None:
    parser = _parser(mixing=True).train()
    features = Features(masking.streams(4, 7))
    label = torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1]])
    batch, targets = Batch(torch.arange(4), features, label), Targets(label, label, label)
    loss, optimizer = CrossVideoContrast(CrossVideoContrast.Config()), torch.optim.Adam(parser.parameters(), 0.01)
    values = []
    for _ in range(40):
        value = loss(parser(features), targets, batch, STEP)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < values[0] - 0.1
    output = parser(features)
    output.time_logits = None
    with pytest.raises(UserError, match="does not pool"):
        loss(output, targets, batch, STEP)


def test_labels_lose_their_smoothing_and_a_loss_waits(tmp_path: Path) -> None:
    store = toy_store(tmp_path / "toy", videos=40, ragged=True)
    small = ["parser.stem.width=8", "parser.encoder.feedforward=8", "parser.decoder.size=4", "training.batch_size=8"]
    short = ["denoiser.epochs=1", "training.epochs=3", "denoiser.base_set=[training.batch_size=5]"]
    run = train(load_recipe("cvcms", [*small, *short]), store, tmp_path / "run")
    logged = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert ["loss/cross_video" in line for line in logged] == [False, False, True]
    expected = logged[2]["loss/bce_audio"] + logged[2]["loss/bce_visual"] + logged[2]["loss/bce_video"]
    assert logged[2]["loss"] == pytest.approx(expected + 0.85 * logged[2]["loss/cross_video"], rel=1e-5)
    base = Run.open(run.path / "denoised" / "base")
    assert (base.recipe.title, base.recipe.parser.encoder.name, base.recipe.training.epochs) == ("MA + CL", "han", 1)
    assert (base.recipe.parser.stem.width, base.recipe.training.batch_size) == (8, 5)
    trainer = Trainer(Run.create(tmp_path / "other", load_recipe("cvcms", [*small, "denoiser=null"]), store, 1), store)
    batch = trainer.table.batch(trainer.train_indices)
    weak = batch.weak
    steps = [Step(epoch, 0, 1) for epoch in (1, 2)]
    targets = [trainer.targets(batch, step, None, trainer.model) for step in steps]  # type: ignore[arg-type]
    assert torch.equal(targets[0].visual, 0.9 * weak + 0.05)
    assert torch.equal(targets[1].visual, weak)
    with pytest.raises(UserError, match="every loss starts later"):
        load_recipe("cvcms", ["losses=[{name: video_bce, of: audio, after: 1}]"])


def test_the_base_of_the_exchange_is_the_run_itself_where_none_is_named() -> None:
    recipe = load_recipe("ma")
    assert base_recipe(ModalityExchange.Config(), recipe) is recipe
    with pytest.raises(UserError, match="did you mean 'han'"):
        base_recipe(ModalityExchange.Config(base="hann"), recipe)
    with pytest.raises(UserError, match="denoiser 'ma': settings: base_set changes the recipe that base names"):
        load_recipe("ma", ["denoiser.base_set=[training.epochs=2]"])


def test_a_base_of_its_own_is_trained_as_published_but_in_the_precision_of_the_run() -> None:
    ours = [
        "training.precision=bfloat16",
        "training.batch_size=32",
        "training.epochs=20",
        "training.optimizer.rate=0.1",
    ]
    recipe, published = load_recipe("cvcms", ours), load_recipe("ma+cl").training
    assert recipe.denoiser is not None
    base = base_recipe(recipe.denoiser, recipe).training
    assert published.precision == "float32"
    assert base == published.model_copy(update={"precision": "bfloat16"})


def test_a_base_of_its_own_is_changed_by_base_set() -> None:
    changed = "denoiser.base_set=[training.batch_size=32, losses.bce_video.weight=2]"
    recipe = load_recipe("cvcms", ["training.precision=bfloat16", changed])
    base = base_recipe(recipe.denoiser, recipe)
    assert (base.training.batch_size, base.training.epochs, base.losses[2].weight) == (32, 12, 2)
    assert base.training.precision == "bfloat16"
    exact = ModalityExchange.Config(base="ma", base_set=("training.precision=float32",))
    assert base_recipe(exact, recipe).training.precision == "float32"
    with pytest.raises(UserError, match=r"unknown key 'training.batchsize'; did you mean 'batch_size'"):
        base_recipe(ModalityExchange.Config(base="ma", base_set=("training.batchsize=32",)), recipe)
