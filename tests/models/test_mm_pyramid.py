"""The pyramid encoder: counts and names of the published network, windows, masks, slots."""

from __future__ import annotations

import pytest
import torch

from avparse.data.features import Features, TaskSpec
from avparse.foundation.errors import UserError
from avparse.models import Hidden, Parser, ParserConfig, ParserOutput, load_official
from avparse.models.encoders.mm_pyramid import MMPyramidEncoder
from avparse.models.official import ignored_names
from tests import golden

WIDTH = 16
SPEC = TaskSpec(classes=("a", "b", "c"), streams={"audio": 6, "frames": 9}, segments=7)
SMALL = {"name": "mm_pyramid", "levels": 3, "heads": 2, "feedforward": 24}


def _encoder(**changes: object) -> MMPyramidEncoder:
    torch.manual_seed(0)
    return MMPyramidEncoder(MMPyramidEncoder.Config.read({**SMALL, **changes}, "test"), WIDTH).eval()


def _parser(decoder: str) -> Parser:
    torch.manual_seed(0)
    stem = {"name": "linear", "width": WIDTH, "visual": ["frames"]}
    part = {"name": decoder, "heads": 2} if decoder == "leap" else {"name": decoder}
    config = ParserConfig.read({"stem": stem, "encoder": SMALL, "decoder": part}, "test")
    return Parser(config, SPEC).eval()


def _streams(batch: int, segments: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {n: torch.randn(batch, segments, d, generator=generator) for n, d in SPEC.streams.items()}


def _stem(batch: int, segments: int) -> Hidden:
    generator = torch.Generator().manual_seed(2)
    return Hidden(*torch.randn(2, batch, segments, WIDTH, generator=generator))


def test_golden_counts_and_unused_names() -> None:
    counts = {}
    for network in golden.networks_of("mm_pyramid"):
        state = network.state
        parser = load_official("mm_pyramid", state)
        used = counts[network.name] = sum(p.numel() for p in parser.parameters())
        ignored = set(ignored_names("mm_pyramid", state))
        assert network.second_names <= ignored
        unused = ignored - network.second_names
        assert all("multiheadattn" in n or "feedforward." in n or "self_attn.layer_norm" in n for n in unused)
        assert used + sum(state[name].numel() for name in unused) == network.parameter_count
    assert counts["mm_pyramid"] == 40_827_469


def test_golden_swapped_slots_put_right() -> None:
    """The released weights, read with the order put right, give the same numbers to the other modality."""
    network = golden.network("mm_pyramid_2levels")
    released, features = load_official("mm_pyramid", network.state), network.features()
    assert released.config.encoder.slot_order == "visual_audio"
    encoder = released.config.encoder.model_copy(update={"slot_order": "audio_visual"})
    right = Parser(released.config.model_copy(update={"encoder": encoder}), released.spec).eval()
    right.load_state_dict(released.state_dict())
    with torch.no_grad():
        a, b = released(features), right(features)
    assert not torch.allclose(a.audio_segments, a.visual_segments, atol=1e-2)
    assert torch.equal(a.audio_segments, b.visual_segments)
    assert torch.equal(a.visual_segments, b.audio_segments)
    assert torch.allclose(a.video, b.video, atol=1e-6)


@pytest.mark.parametrize("decoder", ["mmil", "leap"])
@pytest.mark.parametrize("segments", [1, 2, 7, 20])
def test_padding_changes_nothing(decoder: str, segments: int) -> None:
    parser = _parser(decoder)
    unpadded = _streams(2, segments)
    padded = {n: torch.cat((x, torch.full((2, 5, x.shape[-1]), 1e3)), dim=1) for n, x in unpadded.items()}
    mask = torch.arange(segments + 5).expand(2, -1) < segments
    with torch.no_grad():
        a, b = parser(Features(unpadded)), parser(Features(padded, mask, mask))
    for name in ("audio_segments", "visual_segments"):
        assert torch.allclose(getattr(a, name), getattr(b, name)[:, :segments], atol=1e-6), name
        assert (getattr(b, name)[:, segments:] == 0).all()
    for name in ("audio", "visual", "video"):
        assert torch.allclose(getattr(a, name), getattr(b, name), atol=1e-6), name


@pytest.mark.parametrize("decoder", ["mmil", "leap"])
def test_absent_modality_is_off_and_leaks_nothing(decoder: str) -> None:
    parser = _parser(decoder)
    streams = _streams(2, 7)
    silent = torch.tensor([[True] * 7, [False] * 7])
    partly = torch.tensor([[True] * 7, [True, False, True, True, False, False, True]])
    noise = {**streams, "audio": streams["audio"] + 100 * (~silent).unsqueeze(-1)}
    noise["frames"] = streams["frames"] + 100 * (~partly).unsqueeze(-1)
    with torch.no_grad():
        a, b = parser(Features(streams, silent, partly)), parser(Features(noise, silent, partly))
        both = parser(Features(streams))
    assert torch.isfinite(a.video).all()
    assert (a.audio_segments[1] == 0).all()
    assert (a.audio[1] == 0).all()
    assert (a.visual_segments[1][~partly[1]] == 0).all()
    assert torch.equal(a.visual_segments, b.visual_segments)  # what stands in an absent segment does not matter
    assert torch.equal(a.video, b.video)
    assert torch.allclose(a.visual_segments[0], both.visual_segments[0], atol=1e-6)
    assert torch.allclose(a.video[1], a.visual[1], atol=1e-6)


@pytest.mark.parametrize("decoder", ["mmil", "leap"])
def test_without_cross_each_modality_is_as_if_the_other_were_absent(decoder: str) -> None:
    parser, streams = _parser(decoder), _streams(2, 7)
    nothing = torch.zeros(2, 7, dtype=torch.bool)
    everything = ~nothing

    def parse(cross: bool, audio: torch.Tensor | None = None, visual: torch.Tensor | None = None) -> ParserOutput:
        return parser(Features(streams, audio, visual), cross=cross)

    with torch.no_grad():
        unimodal, together = parse(False), parse(True)
        heard, seen = parse(True, everything, nothing), parse(True, nothing, everything)
        streams["frames"] = streams["frames"] + 3
        changed = parse(False)
    assert torch.allclose(unimodal.audio_segments, heard.audio_segments, atol=1e-6)
    assert torch.allclose(unimodal.visual_segments, seen.visual_segments, atol=1e-6)
    assert torch.equal(unimodal.audio_segments, changed.audio_segments)
    assert not torch.equal(unimodal.visual_segments, changed.visual_segments)
    assert not torch.allclose(unimodal.audio_segments, together.audio_segments, atol=1e-3)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_a_segment_reaches_as_far_as_windows_and_convolutions(levels: int) -> None:
    """Level i adds 2^i by attention and 2^i by its convolution; the last level's convolution counts too."""
    encoder = _encoder(levels=levels)
    middle, radius = 20, 2 * (2**levels - 1)
    stem = _stem(1, 41)
    changed = Hidden(stem.audio.clone(), stem.visual)
    changed.audio[0, middle] += 1
    with torch.no_grad():
        a, b = encoder(stem, None, None), encoder(changed, None, None)
    for before, after in ((a.audio, b.audio), (a.visual, b.visual)):
        moved = (before - after).abs().amax(dim=-1)[0].nonzero().flatten()
        assert moved.min() == middle - radius
        assert moved.max() == middle + radius


def test_swapped_slots() -> None:
    stem = _stem(2, 5)
    with torch.no_grad():
        a, b = _encoder()(stem, None, None), _encoder(slot_order="visual_audio")(stem, None, None)
    assert torch.equal(a.audio, b.visual)
    assert torch.equal(a.visual, b.audio)


def test_every_weight_learns_and_stays_finite_with_an_absent_modality() -> None:
    encoder = _encoder().train()
    silent = torch.tensor([[True] * 7, [False] * 7])
    hidden = encoder(_stem(2, 7), silent, torch.ones_like(silent))
    (hidden.audio[0].square().mean() + hidden.visual.square().mean()).backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.any(), name


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(UserError, match="5 heads do not divide a width of 16"):
        _encoder(heads=5)
