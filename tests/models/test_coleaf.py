"""CoLeaF: parity with its three released networks and its losses, what learns from what, masks, and the recipe."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from avparse.data.features import Batch, Features, Step, TaskSpec
from avparse.data.vocabulary import LLP_CLASSES
from avparse.foundation.errors import UserError
from avparse.foundation.settings import build
from avparse.labels.target_sources import WeakLabels
from avparse.labels.targets import Targets
from avparse.losses import LOSSES
from avparse.losses.contrastive import contrast
from avparse.losses.reference_networks import ClassConsistency, ReferenceContrast, asymmetric
from avparse.models import Hidden, ParserConfig, ParserOutput, load_official
from avparse.models.guides.unimodal import UnimodalConfig, UnimodalParser
from avparse.models.official import ignored_names
from avparse.models.output import Guidance, Uncertainty
from avparse.models.parsers.build import build_parser
from avparse.training.denoisers.jomold import JoMoLD
from avparse.training.recipe import load_recipe
from avparse.training.run import Run
from avparse.training.train import train
from tests import golden
from tests.masking import SPEC, check_absence, check_padding, streams
from tests.toy import toy_store

LLP = TaskSpec(classes=LLP_CLASSES, streams={"audio": 128, "frames": 2048, "clips": 512}, segments=10)
NETWORKS = {"audio": "coleaf_audio", "visual": "coleaf_video"}


def _loss(name: str, given: ParserOutput, targets: Targets, masks: tuple = (None, None), **config: object) -> Tensor:
    """A loss as it is late in a run."""
    loss = build(LOSSES, LOSSES[name].Config.read(config, "test"))  # type: ignore[attr-defined]
    nothing = torch.zeros(len(given.audio))
    return loss(given, targets, Batch(nothing, Features({}, *masks), nothing), Step(9, 0, 1))


# --- parity ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["coleaf_ca", "coleaf_noca"])
def test_golden_forward(name: str) -> None:
    network = golden.network(name)
    state = network.state
    parser = load_official("coleaf", state)
    with torch.no_grad():
        output = parser(network.features(every_frame=True), cross=network.config["with_ca"])
    ours = golden.evidence_outputs(output)
    for m, hidden in (("a", output.hidden.audio), ("v", output.hidden.visual)):
        ours[f"{m}_embed"] = functional.normalize(hidden, dim=-1)
        ours[f"{m}_embed_pooled"] = functional.normalize(hidden.unflatten(1, (2, 5)).mean(dim=2), dim=-1)
    network.compare(ours)
    tokens = [f"hat_encoder.layers.0.cls_tokens_{m}" for m in "av"]
    assert set(tokens) < set(ignored_names("coleaf", state))
    dropped = sum(state[n].numel() for n in ignored_names("coleaf", state))
    assert sum(p.numel() for p in parser.parameters()) == 5_383_293 == network.parameter_count - dropped


@pytest.mark.parametrize(
    ("of", "used", "declared"), [("audio", 1_682_482, 2_735_154), ("visual", 3_452_978, 4_505_650)]
)
def test_golden_reference_networks(of: str, used: int, declared: int) -> None:
    network = golden.network(NETWORKS[of])
    state = network.state
    parser = load_official(NETWORKS[of], state)
    with torch.no_grad():
        output = parser(network.features())
    hidden = getattr(output.hidden, of)
    network.compare(
        {
            f"{of[0]}_prob": getattr(output, of),
            "frame_prob": getattr(output, f"{of}_segments"),
            "cls_prob": output.tokens[("audio", "visual").index(of)],
            "embed": functional.normalize(hidden, dim=-1),
            "embed_pooled": functional.normalize(hidden.unflatten(1, (2, 5)).mean(dim=2), dim=-1),
        }
    )
    unused = ignored_names(NETWORKS[of], state)
    assert all("cm_attn" in n or n.startswith("hat_encoder.norm") for n in unused)
    assert sum(p.numel() for p in parser.parameters()) == used
    assert used + sum(state[n].numel() for n in unused) == network.parameter_count == declared


def test_golden_asymmetric() -> None:
    cases = golden.cases("coleaf_losses", "asymmetric")
    assert len(cases) == 6
    for parameters, arrays in cases:
        p = arrays["in/prob"].requires_grad_()
        focus = (parameters["gamma_pos"], parameters["gamma_neg"])
        value = asymmetric(p, arrays["in/target"], focus, parameters["clip"]).sum()
        value.backward()
        assert value.item() == pytest.approx(arrays["out/loss"].item(), rel=1e-5)
        torch.testing.assert_close(p.grad, arrays["out/grad_prob"], atol=1e-5, rtol=1e-5)


def test_golden_consistency() -> None:
    """Mode 1 is what the released training uses; the sum is multiplied by the number of videos, ours divided."""
    # Mode 2, a mean of absolute differences, is left out: unused there, and the loss has no such option.
    _, arrays = golden.one_case("coleaf_losses", "consistency_mode1")
    p = arrays["in/student"].requires_grad_()
    videos = len(p)
    nothing = p.detach().unsqueeze(1)
    guides = Guidance(torch.stack((arrays["in/teacher"], arrays["in/teacher"])))
    output = ParserOutput(nothing, nothing, p, p, p, guides=guides)
    labels = torch.ones_like(p)
    value = _loss("class_consistency", output, Targets(labels, labels, labels), of="audio", present=0, absent=0)
    assert videos**2 * value.item() == pytest.approx(arrays["out/loss"].item(), rel=1e-5)
    (gradient,) = torch.autograd.grad(value, p)
    torch.testing.assert_close(videos**2 * gradient, arrays["out/grad_student"], atol=1e-5, rtol=1e-5)


def test_golden_weighted_contrast() -> None:
    _, arrays = golden.one_case("contrastive", "coleaf_weighted")
    audio, visual, weights = (arrays[f"in/{n}"] for n in ("x_audio", "x_video", "weights"))
    similarities = audio.requires_grad_() @ visual.requires_grad_().transpose(1, 2) / 0.2
    assert (weights == weights[:, :1]).all()  # one a video
    value = contrast(similarities, 0.9, "jomold", weights=weights[:, 0])
    assert value.item() == pytest.approx(arrays["out/loss"].item(), rel=1e-5)
    value.backward()
    for x, name in ((audio, "audio"), (visual, "video")):
        expected = arrays[f"out/grad_x_{name}"]
        # Of the largest entry: the stored ones are float32, and differences that nearly cancel have lost their digits.
        torch.testing.assert_close(x.grad, expected, atol=1e-5 * expected.abs().max().item(), rtol=0)


@pytest.mark.parametrize("label", ["train_step_epoch1", "train_step_epoch5"])
def test_golden_train_step(label: str) -> None:
    """All terms of parser and networks, and their sum with the weights of the recipe."""
    parameters, arrays = golden.one_case("coleaf_losses", label)
    epoch = parameters["epoch"] - 1
    x = {n.removeprefix("in/"): v for n, v in arrays.items() if n.startswith("in/")}
    videos, y = len(x["label"]), x["label"]
    batch, nothing = Batch(torch.arange(videos), Features({}), y), y.unsqueeze(1)
    refiner = JoMoLD(warmup_epochs=parameters["warm_up_epoch"])
    refiner.set_ratios(x["noise_ratio_audio"], x["noise_ratio_visual"])
    unimodal = ParserOutput(nothing, nothing, x["a_prob_est"], x["v_prob_est"], y)
    step = Step(epoch, parameters["batch_index"], 4)
    targets = refiner.refine(WeakLabels(WeakLabels.Config())(batch), unimodal, batch, step)
    torch.testing.assert_close(targets.audio, arrays["out/Pa_after"])
    torch.testing.assert_close(targets.visual, arrays["out/Pv_after"])
    output = ParserOutput(nothing, nothing, x["a_prob"], x["v_prob"], x["global_prob"])
    output.hidden = Hidden(x["a_embed"], x["v_embed"])
    output.uncertainty = Uncertainty(x["a_uct"], x["v_uct"], x["global_uct"], nothing, nothing)
    output.guides = Guidance(
        torch.stack((x["audio_net_prob"], x["visual_net_prob"])),
        torch.stack((x["audio_net_cls"], x["visual_net_cls"])),
        Hidden(x["audio_net_embed"], x["visual_net_embed"]),
    )
    total, terms = 0.0, {}
    for config in load_recipe("coleaf").losses:
        loss = build(LOSSES, config)
        value = terms[loss.label] = loss(output, targets, batch, step).item()
        if not loss.label.startswith("reference_labels") and epoch >= config.after:
            scale = videos**2 / 128**2 if loss.label.startswith("consistency") else 1.0
            total += scale * config.weight * value
    assert total == pytest.approx(arrays["out/loss"].item(), rel=1e-5)
    theirs = {
        "bce_audio": "audio",
        "bce_visual": "visual",
        "bce_video": "global",
        "contrast": "nce",
        "mutual": "mutual",
    }
    theirs |= {f"reference_contrast_{m}": f"nce_{m}" for m in ("audio", "visual")}
    for ours, name in theirs.items():
        assert terms[ours] == pytest.approx(arrays[f"out/loss_{name}"].item(), rel=1e-5), ours
    for m in ("audio", "visual"):
        config = next(c for c in load_recipe("coleaf").losses if c.name == "class_consistency" and c.of == m)
        found = ClassConsistency(config).targets(output, targets)
        torch.testing.assert_close(found, arrays[f"out/consistency_target_{m}"], atol=1e-6, rtol=1e-5)
        scaled = videos**2 * terms[f"consistency_{m}"]
        assert scaled == pytest.approx(arrays[f"out/loss_cc_{m[0]}"].item(), rel=1e-5)
        shares = ReferenceContrast(ReferenceContrast.Config(of=m)).shares(output.guides)
        torch.testing.assert_close(shares.unsqueeze(1).expand(-1, 10), arrays[f"out/weight_{m}"])
    asymmetric_terms = arrays["out/asymmetric_terms"].tolist()
    half = len(asymmetric_terms) // 2
    weights = {"audio": (1.2, 0.001), "visual": (1.0, 0.0)}
    for m, (labels, tokens, *confirmed) in (("audio", asymmetric_terms[:half]), ("visual", asymmetric_terms[half:])):
        plain = labels if not confirmed else (labels + confirmed[0]) / 2
        expected = plain + weights[m][len(confirmed)] * tokens
        assert videos * terms[f"reference_labels_{m}"] == pytest.approx(expected, rel=1e-5)


# --- the networks ---------------------------------------------------------------------------------------------------


def _unimodal(of: str) -> UnimodalParser:
    torch.manual_seed(0)
    stem = {"name": "linear", "width": 16, "visual": ["frames"]}
    parser = UnimodalParser(UnimodalConfig.read({"of": of, "stem": stem, "feedforward": 24}, "test"), SPEC).eval()
    torch.nn.init.normal_(parser.tokens)  # as after training; at first they are all the same
    return parser


@pytest.mark.parametrize("of", ["audio", "visual"])
@pytest.mark.parametrize("segments", [1, 2, 7, 31])
def test_padding_changes_nothing(of: str, segments: int) -> None:
    check_padding(_unimodal(of), segments)


@pytest.mark.parametrize("of", ["audio", "visual"])
def test_a_parser_of_one_modality(of: str) -> None:
    parser, other = _unimodal(of), "visual" if of == "audio" else "audio"
    check_absence(parser)
    silent = torch.tensor([[True] * 7, [False] * 7])
    given = {**streams(2, 7), "audio" if of == "visual" else "frames": torch.full((2, 7, 1), torch.nan)}
    with torch.no_grad():
        output = parser(Features(given, *((silent, None) if of == "audio" else (None, silent))))
    assert (getattr(output, other) == 0).all()
    assert (getattr(output, f"{other}_segments") == 0).all()
    assert output.video.isfinite().all()
    assert (output.tokens[:, 1] == 0).all()
    assert (output.tokens[("audio", "visual").index(of), 0] > 0).all()


def test_a_recipe_may_train_one_modality(tmp_path: Path) -> None:
    store = toy_store(tmp_path / "toy", videos=40)
    changes = ["parser={name: unimodal, of: audio, stem: {name: linear, width: 8}}", "training.epochs=1"]
    run = train(load_recipe("han", changes), store, tmp_path / "run")
    assert isinstance(run.parser(), UnimodalParser)


# --- what learns from what ------------------------------------------------------------------------------------------


def _coleaf(**guides: object):
    torch.manual_seed(0)
    stem = {"name": "linear", "width": 16, "visual": ["frames"], "activation": "elu"}
    parts = {"stem": stem, "encoder": {"name": "han", "unimodal_share": 0.2}, "decoder": "evidence"}
    config = ParserConfig.read({**parts, "guides": {"name": "references", "feedforward": 24, **guides}}, "test")
    return build_parser(config, SPEC).train()


def test_counts_of_the_whole_recipe() -> None:
    parser = build_parser(load_recipe("coleaf").parser, LLP)
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in parser.guides.named_children()}
    assert counts == {"audio": 1_682_482, "visual": 3_452_978}
    assert sum(p.numel() for p in parser.parameters()) - sum(counts.values()) == 5_383_293


def test_neither_side_learns_from_the_losses_of_the_other() -> None:
    """So one step over both is the released alternation of three optimisers."""
    masks = torch.tensor([[True] * 7, [False] * 7, [True] * 7]), None
    labels = torch.tensor([[1, 0, 0], [0, 1, 1], [1, 1, 0]]).float()
    targets = Targets(labels, labels, 0.9 * labels + 0.05)
    seen: dict[str, set[str]] = {}
    for config in load_recipe("coleaf").losses:
        parser = _coleaf()
        loss = build(LOSSES, config)
        output = parser(Features(streams(3, 7), *masks))
        sure = torch.tensor([[0.85, 0.05, 0.85], [0.05, 0.85, 0.85]]).unsqueeze(1)
        output.guides.probabilities = sure + 0.01 * output.guides.probabilities
        loss(output, targets, Batch(torch.arange(3), Features({}, *masks), labels), Step(5, 1, 4)).backward()
        moved = {n.split(".")[0] for n, p in parser.named_parameters() if p.grad is not None and p.grad.any()}
        assert all(p.grad.isfinite().all() for p in parser.parameters() if p.grad is not None), loss.label
        seen[loss.label] = moved
    for label, moved in seen.items():
        if label.startswith("reference_labels"):
            assert moved == {"guides"}, label
        else:
            assert moved
            assert "guides" not in moved, label


def test_networks_are_asked_only_to_learn_from() -> None:
    parser, features = _coleaf(), Features(streams(2, 7))
    assert parser(features).guides is not None
    with torch.no_grad():
        assert parser(features, cross=False).guides is None  # the pass that judges labels
    assert parser.eval()(features).guides is None


def test_asymmetric_by_hand() -> None:
    p, y = torch.tensor([0.8, 0.04, 0.5]), torch.tensor([1.0, 0.0, 0.0])
    expected = [-np.log(0.8) * 0.2**2, 0.0, -np.log(0.55) * 0.45]
    assert asymmetric(p, y, (2.0, 1.0), 0.05).tolist() == pytest.approx(expected, abs=1e-6)


def test_what_is_absent_does_not_count() -> None:
    generator = torch.Generator().manual_seed(0)
    own, said, tokens = (torch.rand(3, 4, generator=generator) for _ in range(3))
    segments = torch.randn(2, 3, 5, 8, generator=generator)
    labels = (torch.rand(3, 4, generator=generator) > 0.5).float()
    mask = torch.arange(5) < torch.tensor([[5], [3], [0]])

    def output(rows: slice) -> ParserOutput:
        guides = Guidance(torch.stack((said[rows], said[rows] * 0)), torch.stack((tokens[rows],) * 2))
        guides.hidden = Hidden(segments[0, rows], segments[0, rows])
        nothing = own[rows].unsqueeze(1)
        hidden = Hidden(segments[1, rows], segments[1, rows])
        return ParserOutput(nothing, nothing, own[rows], own[rows], own[rows], hidden=hidden, guides=guides)

    def value(name: str, rows: slice, masks: tuple) -> Tensor:
        targets = Targets(labels[rows], labels[rows], labels[rows])
        return _loss(name, output(rows), targets, masks, of="audio")

    for name in ("reference_labels", "class_consistency"):
        assert torch.allclose(value(name, slice(3), (mask, None)), value(name, slice(2), (None, None))), name
    each = [(5, value("reference_contrast", slice(0, 1), (None, None)))]
    each.append((3, value("reference_contrast", slice(1, 2), (mask[1:2], None))))
    mean = sum(n * v for n, v in each) / 8
    assert torch.allclose(value("reference_contrast", slice(3), (mask, None)), mean)


def test_losses_need_the_networks() -> None:
    x = torch.rand(1, 2)
    output = ParserOutput(x, x, x, x, x, hidden=Hidden(x, x))
    for name in ("reference_labels", "class_consistency", "reference_contrast"):
        with pytest.raises(UserError, match=r"set parser\.guides to \{name: references\}"):
            _loss(name, output, Targets(x, x, x), of="audio")
    output.guides = Guidance(torch.stack((x, x)))
    with pytest.raises(UserError, match="returns no hidden segments"):
        _loss("reference_contrast", output, Targets(x, x, x), of="audio")


# --- the recipe -----------------------------------------------------------------------------------------------------


def test_recipe_trains(tmp_path: Path) -> None:
    store = toy_store(tmp_path / "toy", videos=60, ragged=True)
    small = ["parser.stem.width=8", "parser.guides.feedforward=8", "training.batch_size=12"]
    changes = [*small, "training.epochs=3", "training.keep_checkpoints=true"]
    run = train(load_recipe("coleaf", changes), store, tmp_path / "run")
    logged = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    always = {"loss/bce_video", "loss/mutual", "loss/reference_labels_audio", "loss/reference_labels_visual"}
    later = {f"loss/{kind}_{m}" for kind in ("consistency", "reference_contrast") for m in ("audio", "visual")}
    assert always <= set(logged[0])
    assert not later & set(logged[0])
    assert later <= set(logged[1])
    assert any(name.startswith("guides.") for name in run.weights())
    estimator = Run.open(run.path / "denoised" / "estimator")
    assert [loss.name for loss in estimator.recipe.losses] == ["video_bce"] * 3 + ["segment_contrast"]
    assert not any(name.startswith("guides.") for name in estimator.weights())
    assert 0 <= logged[0]["val/unaligned"] <= 100
