"""DHHN: scales, guides, their losses, and a parser whose halves are of two epochs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from avparse.data.batching import FeatureTable, task_spec
from avparse.data.features import Batch, Features, Step, TaskSpec
from avparse.data.vocabulary import LLP_CLASSES
from avparse.foundation.errors import UserError
from avparse.foundation.settings import build
from avparse.labels.target_sources import RefinedSource, WeakLabels
from avparse.labels.targets import Targets
from avparse.losses import LOSSES
from avparse.models import Parser, ParserConfig, ParserOutput, load_official
from avparse.models.encoders.hcmn import HCMNEncoder
from avparse.models.official import ignored_names
from avparse.models.output import Guidance
from avparse.models.parsers import SplitParser, TwinParser
from avparse.models.parsers.build import build_parser
from avparse.training.recipe import load_recipe
from avparse.training.run import Run
from avparse.training.schedule import AdamConfig
from avparse.training.train import train
from avparse.training.workspace import Workspace
from tests import masking, official_state
from tests.toy import toy_store

STEP = Step(epoch=0, step=0, steps=1)
STRIDES, KERNELS = (1, 2, 5), (1, 3, 5)
SMALL = {
    "stem": {"name": "linear", "width": 16, "visual": ["frames"]},
    "encoder": {"name": "hcmn", "heads": 2, "feedforward": 24},
    "decoder": "mmil",
}


def _parser(**changes: object) -> Parser:
    torch.manual_seed(0)
    parser = Parser(ParserConfig.read({**SMALL, **changes}, "test"), masking.SPEC).eval()
    for name, buffer in parser.named_buffers():  # as if trained
        if name.endswith(("mean", "var")):
            buffer.add_(torch.rand_like(buffer))
    return parser


def _plain(state: official_state.StateDict, features: Features) -> dict[str, torch.Tensor]:
    """The published network in the plainest words, for ten segments without masks."""

    def shorten(modality: int, scale: int, x: torch.Tensor) -> torch.Tensor:
        name, kernel = f"conv_x{modality}.{scale}.blocks.0", KERNELS[scale]
        x = functional.conv1d(x.transpose(1, 2), state[f"{name}.0.weight"], stride=STRIDES[scale], padding=kernel // 2)
        statistics = (state[f"{name}.1.{kind}"] for kind in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(x, *statistics).relu().transpose(1, 2)

    audio, visual = official_state.stem(state, features.streams)
    total, found = 0.0, []
    for scale in range(3):
        a, v = shorten(1, scale, audio), shorten(2, scale, visual)
        pair = [official_state.han_layer(state, "hat_encoder.layers.0", *given) for given in ((a, v), (v, a))]
        x = torch.stack(pair, dim=2)  # [B, T', 2, D]
        x = functional.interpolate(x.flatten(2).transpose(1, 2), size=10).transpose(1, 2).unflatten(2, (2, -1))
        total = total + x
        over_time, over_modality = (official_state.linear(state, name, total) for name in ("fc_frame_att", "fc_av_att"))
        p = official_state.linear(state, "fc_prob", total).sigmoid()
        weighted = over_time.softmax(1) * p
        found.append((p, weighted.sum(1), (weighted * over_modality.softmax(2)).sum((1, 2))))
    segments, modalities, video = (torch.stack(x).mean(0) for x in zip(*found, strict=True))
    return {
        "audio_segments": segments[:, :, 0],
        "visual_segments": segments[:, :, 1],
        "audio": modalities[:, 0],
        "visual": modalities[:, 1],
        "video": video,
    }


def test_released_weights_are_read_under_their_names() -> None:
    state = official_state.dhhn()
    assert len(state) == 70
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    assert sum(v.numel() for k, v in state.items() if not k.endswith(buffers)) == 9_296_459
    parser = load_official("dhhn", state)
    unused = ignored_names("dhhn", state)
    assert all(n.endswith("num_batches_tracked") or n.startswith("hat_encoder.norm") for n in unused)
    used = sum(p.numel() for p in parser.parameters())
    assert used + sum(state[n].numel() for n in unused if "norm" in n) == 9_296_459
    generator = torch.Generator().manual_seed(2)
    sizes = {"audio": 128, "frames": 2048, "clips": 512}
    features = Features({n: torch.randn(3, 10, d, generator=generator) for n, d in sizes.items()})
    with torch.no_grad():
        output, expected = parser(features), _plain(state, features)
    for name, value in expected.items():
        assert torch.allclose(getattr(output, name), value, atol=1e-5), name


def test_counts_of_the_whole_recipe() -> None:
    spec = TaskSpec(classes=LLP_CLASSES, streams={"audio": 128, "frames": 2048, "clips": 512}, segments=10)
    parser = build_parser(load_recipe("dhhn").parser, spec)
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in parser.guides.named_children()}
    assert counts == {"audio": 1_669_682, "visual": 5_018_162}
    unused = 2 * 2 * 512  # two norms in the released weights
    assert sum(p.numel() for p in parser.parameters()) - sum(counts.values()) + unused == 9_296_459


@pytest.mark.parametrize("segments", [1, 2, 7, 12])
def test_padding_changes_nothing(segments: int) -> None:
    masking.check_padding(_parser(), segments)


def test_absent_modality_is_off_and_leaks_nothing() -> None:
    masking.check_absence(_parser())


def test_without_cross_each_modality_is_as_if_the_other_were_absent() -> None:
    masking.check_unimodal(_parser())


def test_every_weight_learns() -> None:
    masking.check_gradients(_parser())


def test_normalisation_learns_from_what_exists_only() -> None:
    """Padding does not move the statistics of a batch, nor does what stands in absent segments."""
    streams = masking.streams(3, 7)
    padded = {n: torch.cat((x, torch.full((3, 4, x.shape[-1]), 50.0)), dim=1) for n, x in streams.items()}
    mask = torch.arange(11).expand(3, -1) < 7
    nothing = torch.zeros_like(mask)
    parsers = [_parser(encoder={**SMALL["encoder"], "dropout": 0}).train() for _ in range(3)]  # type: ignore[dict-item]
    a = parsers[0](Features(streams))
    b = parsers[1](Features(padded, mask, mask))
    assert torch.allclose(a.audio_segments, b.audio_segments[:, :7], atol=1e-5)
    before = dict(parsers[2].named_buffers())["encoder.scales.1.norms.1.running_mean"].clone()
    assert parsers[2](Features(padded, mask, nothing)).audio_segments.isfinite().all()
    buffers = [dict(parser.named_buffers()) for parser in parsers]
    for name, value in buffers[0].items():
        assert torch.allclose(value.float(), buffers[1][name].float(), atol=1e-5), name
    assert torch.equal(buffers[2]["encoder.scales.1.norms.1.running_mean"], before)
    assert not torch.equal(buffers[2]["encoder.scales.1.norms.0.running_mean"], before)


def test_a_level_adds_its_scale_to_those_before() -> None:
    torch.manual_seed(0)
    stem = ParserConfig.read(SMALL, "test").stem
    one, three = (
        Parser(ParserConfig.read({**SMALL, "encoder": {**SMALL["encoder"], **given}}, "test"), masking.SPEC).eval()  # type: ignore[dict-item]
        for given in ({"strides": [1], "kernels": [1]}, {})
    )
    assert one.config.stem == stem
    one.load_state_dict({k: v for k, v in three.state_dict().items() if "scales.1" not in k and "scales.2" not in k})
    features = Features(masking.streams(2, 7))
    with torch.no_grad():
        a, b = one(features), three(features)
    assert torch.equal(a.hidden.audio, b.hidden.levels[0].audio)
    step = b.hidden.levels[2].audio - b.hidden.levels[1].audio  # what the last scale added: two steps, of 5 and 2
    assert torch.allclose(step[:, :5], step[:, :1].expand(-1, 5, -1), atol=1e-6)
    assert torch.allclose(step[:, 5:], step[:, 5:6].expand(-1, 2, -1), atol=1e-6)
    assert not torch.allclose(step[:, 4], step[:, 5], atol=1e-3)
    with pytest.raises(UserError, match="odd kernels"):
        HCMNEncoder.Config.read({"strides": [1, 2], "kernels": [1, 4]}, "test")


def _guided(**changes: object) -> Parser:
    guides = {"heads": 2, "feedforward": 8, "audio_rounds": 2, "visual_rounds": 2, "dropout": 0, **changes}
    return _parser(guides=guides)


def test_guides_see_one_modality_and_only_in_training() -> None:
    parser, streams = _guided(), masking.streams(2, 7)
    assert parser(Features(streams)).guides is None
    parser.train()
    silent = torch.tensor([[True] * 7, [False] * 7])
    partly = torch.tensor([[True] * 7, [True, False, True, True, False, False, True]])
    noise = {"audio": streams["audio"] + 9 * ~silent[..., None], "frames": streams["frames"] + 9 * ~partly[..., None]}
    a, b = (parser(Features(x, silent, partly)).guides.probabilities for x in (streams, noise))
    assert a.shape == (2, 2, 3)
    assert torch.equal(a, b)
    assert (a[0, 1] == 0).all()
    other = {**streams, "frames": streams["frames"] + 1}
    changed = parser(Features(other, silent, partly)).guides.probabilities
    assert torch.equal(a[0], changed[0])
    assert not torch.equal(a[1], changed[1])
    a.sum().backward()
    learned = {n for n, p in parser.named_parameters() if p.grad is not None and p.grad.isfinite().all()}
    assert learned == {n for n, _ in parser.named_parameters() if n.startswith("guides")}


def test_losses_of_guides() -> None:
    generator = torch.Generator().manual_seed(0)
    audio, visual, guide_audio, guide_visual = torch.rand(4, 3, 5, generator=generator).requires_grad_()
    label = (torch.rand(3, 5, generator=generator) > 0.5).float()
    segments = torch.zeros(3, 2, 5)
    guides = Guidance(torch.stack((guide_audio, guide_visual)))
    output = ParserOutput(segments, segments, audio, visual, audio, guides=guides)
    targets = Targets(label, 0.5 * label, 0.9 * label + 0.05)
    seen = torch.tensor([[True, True], [True, False], [False, False]])

    def value(name: str, masked: bool = False, **settings: object) -> torch.Tensor:
        loss = build(LOSSES, LOSSES[name].Config.read(settings, "test"))  # type: ignore[attr-defined]
        batch = Batch(torch.arange(3), Features({"x": segments}, None, seen if masked else None), label)
        result: torch.Tensor = loss(output, targets, batch, STEP)
        return result

    bce, mse = functional.binary_cross_entropy, functional.mse_loss
    assert torch.allclose(value("guide_bce", of="audio"), bce(guide_audio, label))
    assert torch.allclose(value("guide_bce", of="visual", target="modality"), bce(guide_visual, targets.visual))
    assert torch.allclose(value("follow_guide", of="visual"), mse(visual, guide_visual))
    assert torch.allclose(value("keep_apart", of="parser"), -mse(audio, visual))
    assert torch.allclose(value("keep_apart", of="guides"), -mse(guide_audio, guide_visual))
    assert torch.allclose(value("follow_guide", masked=True, of="visual"), mse(visual[:2], guide_visual[:2]))
    assert torch.allclose(value("keep_apart", masked=True, of="parser"), -mse(audio[:2], visual[:2]))
    (gradient,) = torch.autograd.grad(value("follow_guide", of="audio"), output.guides.probabilities, allow_unused=True)
    assert gradient is None  # the guide does not follow the parser
    output.guides = None
    with pytest.raises(UserError, match=r"set parser\.guides"):
        value("follow_guide", of="audio")


def test_parameters_learn_at_their_own_rates() -> None:
    parser = _guided()
    optimizer = AdamConfig(rate=0.1, multiples={"guides.audio": 2.0, "guides.visual": 0.2}).build(parser)
    sizes = [sum(p.numel() for p in group["params"]) for group in optimizer.param_groups]
    guides = [sum(p.numel() for p in part.parameters()) for part in (parser.guides.audio, parser.guides.visual)]
    assert sizes[1:] == guides
    assert sum(sizes) == sum(p.numel() for p in parser.parameters())
    assert [group["multiple"] for group in optimizer.param_groups] == [1.0, 2.0, 0.2]
    with pytest.raises(UserError, match="begins with 'guide_'"):
        AdamConfig(multiples={"guide_": 2.0}).build(parser)


def test_the_run_keeps_two_epochs_and_parses_with_both(tmp_path: Path) -> None:
    store = toy_store(tmp_path / "toy", videos=60, ragged=True)
    small = [f"parser.guides.{key}={value}" for key, value in {"heads": 2, "feedforward": 8}.items()]
    recipe = load_recipe("dhhn", ["parser.stem.width=8", "parser.encoder.feedforward=8", "training.epochs=3", *small])
    recipe = recipe.model_copy(update={"training": recipe.training.model_copy(update={"keep_checkpoints": True})})
    run = train(recipe, store, tmp_path / "run")
    logged = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert logged[0]["val/audio"] == pytest.approx((logged[0]["val/segment_audio"] + logged[0]["val/event_audio"]) / 2)
    assert {"loss/keep_apart_guides", "loss/follow_guide_audio", "loss/guide_bce_visual"} <= set(logged[0])
    assert logged[0]["loss/keep_apart_parser"] <= 0
    parser = Run.open(run.path).parser()
    assert isinstance(parser, SplitParser)
    features = FeatureTable(store).batch(store.select("test")).features
    with torch.no_grad():
        output, first, second = (parse(features) for parse in (parser, parser.first, parser.second))
    assert torch.equal(output.audio_segments, first.audio_segments)
    assert torch.equal(output.visual, second.visual)
    assert torch.allclose(output.video, (first.video + second.video) / 2)
    checkpoint = run.path / "checkpoints" / (run.path / "checkpoints" / "last").read_text().strip()
    kept = json.loads((checkpoint / "state.json").read_text())
    for metric, epoch in (("val/audio", kept["best_epoch"]), ("val/visual", kept["best_visual_epoch"])):
        assert epoch == max(range(3), key=lambda e: (logged[e][metric], e))
    assert recipe.plain(1).training.select_visual is None  # what a denoiser trains on the way is one parser
    with pytest.raises(UserError, match=r"unknown metric 'visuals' in training.select_visual; did you mean 'visual'"):
        load_recipe("dhhn", ["training.select_visual=visuals"])


def test_the_refined_run_takes_its_labels_from_the_base_of_ma(tmp_path: Path) -> None:
    store = toy_store(tmp_path / "toy", videos=30, ragged=True)
    small = [f"parser.guides.{key}={value}" for key, value in {"heads": 2, "feedforward": 8}.items()]
    small += ["parser.stem.width=8", "parser.encoder.feedforward=8"]
    recipe = load_recipe("dhhn-refined", [*small, "denoiser.epochs=1"])
    weak = load_recipe("dhhn")
    assert (recipe.training.epochs, recipe.training.optimizer.rate) == (5, 3e-4)
    alike = {"title", "denoiser", "losses", "training", "parser"}
    assert recipe.model_dump(exclude=alike) == weak.model_dump(exclude=alike)
    parser, optimizer = build_parser(recipe.parser, task_spec(store)), recipe.training.optimizer
    assert [group["multiple"] * optimizer.rate for group in optimizer.build(parser).param_groups] == [3e-4]
    targets = {loss.of: loss.target for loss in recipe.losses if loss.name == "guide_bce"}
    assert targets == {"audio": "modality", "visual": "modality"}
    others = [[loss for loss in r.losses if loss.name != "guide_bce"] for r in (recipe, weak)]
    assert others[0] == others[1]
    run = train(
        recipe.model_copy(update={"training": recipe.training.model_copy(update={"epochs": 1})}),
        store,
        tmp_path / "run",
    )
    base = Run.open(run.path / "denoised" / "base").recipe
    assert (base.title, base.parser.guides, base.parser.encoder.name, base.training.epochs) == (
        "MA + CL",
        None,
        "han",
        1,
    )
    assert load_recipe("dhhn-refined").denoiser.epochs is None  # so as many as MA has
    assert isinstance(run.parser(), SplitParser)


def test_the_released_alias_removes_labels_from_the_video_too(tmp_path: Path) -> None:
    store = toy_store(tmp_path / "toy", videos=20)
    workspace = Workspace(load_recipe("dhhn"), store, tmp_path, seed=1)
    keep = torch.from_numpy(workspace.given).float().expand(2, -1, -1).clone()
    heard = keep[0].nonzero()[0]
    keep[0, heard[0], heard[1]] = 0
    labels = workspace.refined(keep, torch.ones_like(keep), "noise")
    batch = FeatureTable(store).batch(workspace.train)
    smoothing = WeakLabels.Config()
    for video, expected in (("given", 1), ("union", 1), ("audio", 0)):
        source = RefinedSource(labels, store.videos, store.weak, smoothing, video)  # type: ignore[arg-type]
        assert source(batch).video[heard[0], heard[1]] == expected
    assert load_recipe("dhhn", ["refined_video=audio", "denoiser=ma"]).refined_video == "audio"


def test_twins_still_average(tmp_path: Path) -> None:
    spec = task_spec(toy_store(tmp_path / "toy", videos=10))
    parser = build_parser(ParserConfig.read({**SMALL, "twins": True}, "test"), spec).eval()
    assert isinstance(parser, TwinParser)
    features = Features({n: torch.randn(2, 4, d) for n, d in spec.streams.items()})
    with torch.no_grad():
        output = parser(features)
    a, b = output.peers
    assert torch.allclose(output.video, (a.video + b.video) / 2)
