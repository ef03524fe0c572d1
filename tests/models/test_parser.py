"""The parser: parity with the published networks, any length, masks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from avparse.data.features import Batch, Features, Step, TaskSpec
from avparse.foundation.errors import UserError
from avparse.foundation.settings import build
from avparse.labels.target_sources import TARGET_SOURCES
from avparse.labels.targets import Targets
from avparse.losses import LOSSES, contrastive
from avparse.models import DecodingRule, Parser, ParserConfig, ParserOutput, load_official
from avparse.models.official import OFFICIAL, ignored_names
from avparse.training.recipe import load_recipe
from tests import golden

SPEC = TaskSpec(classes=("a", "b", "c"), streams={"audio": 6, "frames": 9, "clips": 4}, segments=7)
CONFIG = ParserConfig.read(
    {
        "stem": {"name": "linear", "width": 16},
        "encoder": {"name": "han", "layers": 2, "heads": 2, "feedforward": 24},
        "decoder": "mmil",
    },
    "test",
)


def _parser(seed: int = 0) -> Parser:
    torch.manual_seed(seed)
    return Parser(CONFIG, SPEC).eval()


def _streams(batch: int, segments: int, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {n: torch.randn(batch, segments, d, generator=generator) for n, d in SPEC.streams.items()}


def _compared(
    system: str, output: ParserOutput, features: Features, patch: pytest.MonkeyPatch
) -> tuple[Tensor, Tensor]:
    """What the contrastive loss of the system's recipe compares, ``[B*T, T]``, and the column each row is drawn to."""
    (config,) = (c for c in load_recipe(f"{system}+cl").losses if c.name == "segment_contrast")
    seen: list[Tensor] = []
    original = contrastive.contrast

    def watched(similarities: Tensor, *rest: Any) -> Tensor:
        seen.append(similarities.detach().requires_grad_())
        return original(seen[0], *rest)

    nothing = torch.zeros(len(output.audio), 1)
    with patch.context() as patched:
        patched.setattr(contrastive, "contrast", watched)
        batch = Batch(torch.arange(len(nothing)), features, nothing)
        value = build(LOSSES, config)(output, Targets(nothing, nothing, nothing), batch, Step(0, 0, 1))
    (gradient,) = torch.autograd.grad(value, seen)
    return seen[0].detach().flatten(0, 1), gradient.flatten(0, 1).argmin(dim=-1)


# Whose outputs are more than probabilities, in files of their own: tests/test_SYSTEM.py
OWN_TESTS = {
    "leap",
    "cpsp",
    "cmpae",
    "coleaf",
    "coleaf_audio",
    "coleaf_video",
    "mgn",
    "mgn_soft_hard",
    "mgn_hard_hard",
    "dhhn",
    "cvcms",
}


@pytest.mark.parametrize("system", sorted(OFFICIAL.keys() - OWN_TESTS))
def test_golden_forward(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for network in golden.networks_of(system):
        parser, features = load_official(system, network.state), network.features()
        with torch.no_grad():
            output = parser(features, cross=network.config.get("with_ca", True))
        segments = torch.stack((output.audio_segments, output.visual_segments), dim=2)
        ours = {"global_prob": output.video, "a_prob": output.audio, "v_prob": output.visual, "frame_prob": segments}
        if "frame_logits" in network.outputs:
            assert output.audio_logits is not None
            assert output.visual_logits is not None
            ours["frame_logits"] = torch.stack((output.audio_logits, output.visual_logits), dim=2)
        if "sims" in network.outputs:
            ours["sims"], ours["sims_target"] = _compared(system, output, features, monkeypatch)
        if "sims2" in network.outputs:
            # Audio before the encoder with visual after it. The released training reads only the other direction, and
            # so does ours, but the parser shows both: with its encoding and its stem exchanged the loss compares these.
            exchanged = replace(output, hidden=output.stem, stem=output.hidden)
            ours["sims2"], _ = _compared(system, exchanged, features, monkeypatch)
        network.compare(ours)


def test_golden_parameter_count() -> None:
    network = golden.network("han")
    state = network.state
    parser = load_official("han", state)
    assert sum(p.numel() for p in parser.parameters()) == 4_569_675
    ignored = ignored_names("han", state)
    dropped = sum(state[name].numel() for name in ignored)
    assert 4_569_675 + dropped == network.parameter_count


def test_official_weights_refused_by_name() -> None:
    state = golden.network("han").state
    with pytest.raises(UserError, match=r"unexpected fc_extra\.weight"):
        load_official("han", {**state, "fc_extra.weight": torch.zeros(1)})
    with pytest.raises(UserError, match=r"missing fc_prob\.bias"):
        load_official("han", {k: v for k, v in state.items() if k != "fc_prob.bias"})
    with pytest.raises(UserError, match=r"fc_a\.bias has shape \(3,\), expected \(512,\)"):
        load_official("han", {**state, "fc_a.bias": torch.zeros(3)})
    with pytest.raises(UserError, match="did you mean 'han'"):
        load_official("hann", state)


@pytest.mark.parametrize("segments", [1, 2, 7, 31])
def test_padding_changes_nothing(segments: int) -> None:
    parser = _parser()
    alone = _streams(2, segments)
    padded = {n: torch.cat((x, torch.full((2, 5, x.shape[-1]), 1e3)), dim=1) for n, x in alone.items()}
    mask = torch.arange(segments + 5).expand(2, -1) < segments
    with torch.no_grad():
        a, b = parser(Features(alone)), parser(Features(padded, mask, mask))
    assert torch.allclose(a.audio_segments, b.audio_segments[:, :segments], atol=1e-6)
    assert torch.allclose(a.visual_segments, b.visual_segments[:, :segments], atol=1e-6)
    for name in ("audio", "visual", "video"):
        assert torch.allclose(getattr(a, name), getattr(b, name), atol=1e-6), name
    assert (b.audio_segments[:, segments:] == 0).all()
    assert a.audio_segments.shape == (2, segments, 3)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_the_sequential_order_respects_masks_too(norm: str) -> None:
    encoder = {"name": "han", "layers": 3, "heads": 2, "feedforward": 24, "order": "sequential", "norm": norm}
    config = {"stem": {"name": "linear", "width": 16}, "encoder": encoder, "decoder": "mmil"}
    torch.manual_seed(0)
    parser = Parser(ParserConfig.read(config, "test"), SPEC).eval()
    streams = _streams(2, 7)
    longer = {n: torch.cat((x, torch.full((2, 3, x.shape[-1]), 1e3)), dim=1) for n, x in streams.items()}
    heard, seen = torch.arange(10).expand(2, -1) < 7, torch.arange(10) < torch.tensor([[7], [0]])
    with torch.no_grad():
        whole, masked = parser(Features(streams)), parser(Features(longer, heard, seen))
        noise = {**longer, "frames": longer["frames"] + torch.tensor([0.0, 50.0])[:, None, None]}
        again, unimodal = parser(Features(noise, heard, seen)), parser(Features(streams), cross=False)
    assert torch.allclose(whole.audio_segments[0], masked.audio_segments[0, :7], atol=1e-6)
    assert torch.allclose(whole.visual_segments[0], masked.visual_segments[0, :7], atol=1e-6)
    assert torch.equal(masked.audio_segments, again.audio_segments)
    assert (masked.visual_segments[1] == 0).all()
    # Audio is updated first, from what visual was; visual then sees the new audio: a change of either reaches both.
    assert not torch.allclose(unimodal.audio_segments, whole.audio_segments, atol=1e-3)
    with pytest.raises(UserError, match="norm 'pre' needs order 'sequential'"):
        ParserConfig.read({**config, "encoder": {"name": "han", "norm": "pre"}}, "test")


def test_layers_may_start_alike() -> None:
    def weights(alike: bool) -> list[torch.Tensor]:
        encoder = {"name": "han", "layers": 2, "alike": alike}
        config = {"stem": {"name": "linear", "width": 16}, "encoder": encoder, "decoder": "mmil"}
        return [layer.expand.weight for layer in Parser(ParserConfig.read(config, "test"), SPEC).encoder.layers]

    assert torch.equal(*weights(True))
    assert not torch.equal(*weights(False))


def test_absent_modality_is_off_and_leaks_nothing() -> None:
    parser = _parser()
    streams = _streams(2, 7)
    silent = torch.tensor([[True] * 7, [False] * 7])
    seen = torch.ones(2, 7, dtype=torch.bool)
    noise = {**streams, "audio": streams["audio"] + torch.tensor([0.0, 100.0])[:, None, None]}
    with torch.no_grad():
        a, b = parser(Features(streams, silent, seen)), parser(Features(noise, silent, seen))
        both = parser(Features(streams))
    assert torch.isfinite(a.video).all()
    assert (a.audio_segments[1] == 0).all()
    assert (a.audio[1] == 0).all()
    assert torch.equal(a.visual_segments, b.visual_segments)  # what stands in an absent stream does not matter
    assert torch.allclose(a.visual_segments[0], both.visual_segments[0], atol=1e-6)
    assert torch.allclose(a.video[1], a.visual[1], atol=1e-6)  # all modality weight goes to what is there


def test_gradients_are_finite_with_an_absent_modality() -> None:
    parser = _parser().train()
    silent = torch.tensor([[True] * 7, [False] * 7])
    output = parser(Features(_streams(2, 7), silent, torch.ones_like(silent)))
    (output.video.sum() + output.audio.sum() + output.visual.sum()).backward()
    assert all(torch.isfinite(p.grad).all() for p in parser.parameters() if p.grad is not None)


def test_decoding_thresholds_are_inclusive_and_gates_differ() -> None:
    one = torch.tensor([[[0.5, 0.49, 0.9]]])
    output = ParserOutput(
        audio_segments=one,
        visual_segments=one,
        audio=torch.tensor([[0.4, 0.9, 0.4]]),
        visual=torch.tensor([[0.6, 0.9, 0.4]]),
        video=torch.tensor([[0.5, 0.9, 0.5]]),
    )
    on = {gate: DecodingRule(gate=gate).decide(output) for gate in ("union", "own", "mixed")}
    assert on["union"][0].tolist() == [[[True, False, True]]]
    assert on["own"][0].tolist() == [[[False, False, False]]]
    assert on["own"][1].tolist() == [[[True, False, False]]]
    assert on["mixed"][0].tolist() == on["union"][0].tolist()
    assert on["mixed"][1].tolist() == on["own"][1].tolist()
    per_class = DecodingRule(segment_threshold=(0.6, 0.4, 0.9))
    assert per_class.decide(output)[0].tolist() == [[[False, True, True]]]
    assert per_class.decide(output, allowed=torch.tensor([[True, False, True]]))[0].tolist() == [[[False, False, True]]]
    with pytest.raises(UserError, match="2 thresholds for 3 classes"):
        DecodingRule(segment_threshold=(0.5, 0.5)).decide(output)


def test_unknown_parts_and_keys_are_named() -> None:
    with pytest.raises(UserError, match=r"encoder: unknown encoder 'hna'; did you mean 'han'"):
        ParserConfig.read({"stem": "linear", "encoder": "hna", "decoder": "mmil"}, "recipe.yaml")
    with pytest.raises(UserError, match=r"unknown key 'layer'; did you mean 'layers'"):
        ParserConfig.read({"stem": "linear", "encoder": {"name": "han", "layer": 2}, "decoder": "mmil"}, "recipe.yaml")
    with pytest.raises(UserError, match=r"no stream 'frames'"):
        Parser(CONFIG, SPEC.model_copy(update={"streams": {"audio": 6, "pictures": 9}}))


def test_golden_loss_of_the_base() -> None:
    """HAN's three terms, with probabilities of exactly 0 and 1, which the clamp must take."""
    _, arrays = golden.one_case("han_losses", "han")
    recipe, label = load_recipe("han"), arrays["in/label"]
    batch = Batch(torch.arange(len(label)), Features({"x": torch.zeros(len(label), 1, 1)}), label)
    targets = build(TARGET_SOURCES, recipe.labels)(batch)
    for modality in ("audio", "visual"):
        assert torch.allclose(getattr(targets, modality), arrays[f"out/target_{modality}"], atol=1e-6)
    segments = torch.zeros(len(label), 1, label.shape[1])
    output = ParserOutput(segments, segments, *(arrays[f"in/{n}"] for n in ("a_prob", "v_prob", "global_prob")))
    values = {c.of: float(build(LOSSES, c)(output, targets, batch, Step(0, 0, 1))) for c in recipe.losses}
    for name, theirs in {"audio": "audio", "visual": "visual", "video": "global"}.items():
        assert values[name] == pytest.approx(float(arrays[f"out/loss_{theirs}"]), rel=1e-5)
    assert sum(values.values()) == pytest.approx(float(arrays["out/loss"]), rel=1e-5)
