"""AVE and AVSDN on parsing: recurrent encoders, sound that chooses among frames, three branches."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from avparse.data.features import Features
from avparse.foundation.errors import UserError
from avparse.models import Hidden, Parser, ParserConfig
from avparse.models.decoders.branches import BranchesDecoder
from avparse.models.encoders.avsdn import AVSDNEncoder
from avparse.models.layers.guided import GuidedPooling
from avparse.models.layers.recurrent import SegmentLSTM
from avparse.models.stem import LinearStem
from avparse.training.recipe import load_recipe
from avparse.training.train import train
from tests import masking
from tests.toy import toy_store

FRAMES = 3  # of masking.SPEC's nine numbers a segment


def _parser(system: str) -> Parser:
    torch.manual_seed(0)
    stem = {"name": "linear", "width": 16, "visual": ["frames"], "rates": {"frames": FRAMES}, "pooling": "guided"}
    size = {"ave": 8, "avsdn": None}[system]
    encoder = {"ave": "lstm", "avsdn": "avsdn"}[system]
    config = {"stem": stem, "encoder": encoder, "decoder": {"name": "branches", "size": size}}
    return Parser(ParserConfig.read(config, "test"), masking.SPEC).eval()


@pytest.mark.parametrize("system", ["ave", "avsdn"])
@pytest.mark.parametrize("segments", [1, 2, 7, 12])
def test_padding_changes_nothing(system: str, segments: int) -> None:
    masking.check_padding(_parser(system), segments)


@pytest.mark.parametrize("system", ["ave", "avsdn"])
def test_absent_modality_is_off_and_leaks_nothing(system: str) -> None:
    masking.check_absence(_parser(system))


def test_without_cross_avsdn_reads_each_modality_as_if_the_other_were_absent() -> None:
    masking.check_unimodal(_parser("avsdn"))


def test_ave_lets_the_modalities_meet_in_the_choice_of_frames_only() -> None:
    parser, given = _parser("ave"), masking.streams(2, 7)
    silent = torch.zeros(2, 7, dtype=torch.bool)
    with torch.no_grad():
        together, unimodal = parser(Features(given)), parser(Features(given), cross=False)
        deaf = parser(Features(given, silent))
    assert torch.equal(together.audio_segments, unimodal.audio_segments)
    assert not torch.allclose(together.visual_segments, unimodal.visual_segments, atol=1e-5)
    assert torch.allclose(unimodal.visual_segments, deaf.visual_segments, atol=1e-6)


@pytest.mark.parametrize("system", ["ave", "avsdn"])
def test_every_weight_learns(system: str) -> None:
    masking.check_gradients(_parser(system))


def test_sound_weighs_frames() -> None:
    torch.manual_seed(0)
    pooling = GuidedPooling(6, 4)
    vectors, sound = torch.randn(2, 3, 4, 6), torch.randn(2, 3, 6)
    with torch.no_grad():
        pooled = pooling(vectors, sound, None)
        for b in range(2):
            for t in range(3):
                guide = pooling.heard.weight @ pooling.listen(sound[b, t]).relu()
                scores = [
                    float(pooling.score.weight[0] @ (pooling.seen.weight @ pooling.look(v).relu() + guide[i]).tanh())
                    for i, v in enumerate(vectors[b, t])
                ]
                weights = torch.tensor(scores).softmax(0)
                assert torch.allclose(pooled[b, t], weights @ vectors[b, t], atol=1e-6)
        audible = torch.tensor([[True, False, True]]).expand(2, -1)
        silenced = pooling(vectors, sound, audible)
    assert torch.allclose(silenced[:, 1], vectors[:, 1].mean(dim=1), atol=1e-6)
    assert torch.equal(silenced[:, 0], pooled[:, 0])


def test_without_several_frames_there_is_nothing_to_choose() -> None:
    config = load_recipe("ave").parser
    assert config.stem.pooling == "guided"
    spec = masking.SPEC.model_copy(update={"streams": {"audio": 6, "frames": 9, "clips": 4}})
    assert not Parser(config, spec).stem.choices


def test_guided_pooling_of_nothing_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    # Streams of names that no other test has: what is told once is told in this test.
    sizes = {"audio": 2, "faces": 6, "hands": 3}
    guided = LinearStem.Config(width=4, visual=("faces", "hands"), pooling="guided")
    LinearStem(guided.model_copy(update={"rates": {"faces": 3}}), sizes)
    LinearStem(guided.model_copy(update={"pooling": "mean"}), sizes)
    LinearStem(guided.model_copy(update={"visual": ()}), sizes)  # of a network that sees nothing
    assert not caplog.records
    for rates in ({}, {"faces": 1}, {"audio": 2}):
        LinearStem(guided.model_copy(update={"rates": rates}), sizes)
    told = "guided pooling has no effect: parser.stem.rates gives faces, hands one vector per segment"
    assert [record.getMessage() for record in caplog.records] == [told]


def test_last_states_are_those_of_the_last_real_segment() -> None:
    torch.manual_seed(0)
    lstm = SegmentLSTM(5, 4)
    x, start = torch.randn(3, 6, 5), (torch.randn(2, 3, 4), torch.randn(2, 3, 4))
    mask = torch.tensor([[True] * 6, [False, True, True, False, True, False], [False] * 6])
    with torch.no_grad():
        read, last = lstm.run(x, mask, start)
        real = x[1, mask[1]].unsqueeze(0)
        expected, states = lstm.lstm(real, tuple(s[:, 1:2].contiguous() for s in start))
        whole, _ = lstm.run(x, None, start)
    assert torch.allclose(read[1, mask[1]], expected[0], atol=1e-6)
    assert torch.allclose(read[0], whole[0], atol=1e-6)
    for ours, theirs in zip(last, states, strict=True):
        assert torch.allclose(ours[:, 1:2], theirs, atol=1e-6)
        assert not ours[:, 2].any()
    assert not read[2].any()


def test_avsdn_starts_from_what_both_modalities_remember() -> None:
    """The encoder in the plainest words."""
    torch.manual_seed(0)
    encoder = AVSDNEncoder(AVSDNEncoder.Config(fusion=3), 8).eval()
    stem = Hidden(*torch.randn(2, 2, 5, 8))
    with torch.no_grad():
        (_, (ha, ca)), (_, (hv, cv)) = encoder.read_audio.lstm(stem.audio), encoder.read_visual.lstm(stem.visual)

        def fuse(a: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            a, v = a.relu(), v.relu()
            m = 0.5 * (encoder.hear(a) + encoder.see(v))
            return 0.5 * (torch.tanh(a + m) + torch.tanh(v + m))

        both = torch.cat((stem.audio, stem.visual), dim=-1)
        expected, _ = encoder.join.lstm(both, (fuse(ha, hv), fuse(ca, cv)))
        hidden = encoder(stem, None, None)
    assert torch.allclose(hidden.audio, expected, atol=1e-6)
    assert torch.equal(hidden.audio, hidden.visual)
    with pytest.raises(UserError, match="'avsdn': two directions cannot share a width of 7"):
        AVSDNEncoder(AVSDNEncoder.Config(), 7)


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_branches_pool_the_logits_of_real_segments(pooling: str) -> None:
    torch.manual_seed(0)
    config = BranchesDecoder.Config.read({"name": "branches", "size": 5, "pooling": pooling}, "test")
    decoder = BranchesDecoder(config, 6, "abc")
    hidden = Hidden(*torch.randn(2, 3, 4, 6))
    heard = torch.tensor([[True] * 4, [True, False, True, False], [False] * 4])
    seen = torch.tensor([[True] * 4, [False, True, True, False], [True] * 4])
    with torch.no_grad():
        whole, output = decoder(hidden, None, None), decoder(hidden, heard, seen)
        both = torch.cat((hidden.audio * heard.unsqueeze(-1), hidden.visual * seen.unsqueeze(-1)), dim=-1)
        logits = {"audio": decoder.branches["audio"](hidden.audio), "video": decoder.branches["video"](both)}
    for of, real in (("audio", heard), ("video", heard | seen)):
        for b in range(3):
            of_video = logits[of][b, real[b]]
            if not len(of_video):
                assert not getattr(output, of)[b].any()
                continue
            expected = of_video.mean(dim=0) if pooling == "mean" else of_video.max(dim=0).values
            assert torch.allclose(getattr(output, of)[b], expected.sigmoid(), atol=1e-6)
            if real[b].all() and of == "audio":
                assert torch.allclose(whole.audio[b], expected.sigmoid(), atol=1e-6)
    assert torch.equal(output.audio_segments, logits["audio"].sigmoid() * heard.unsqueeze(-1))
    maps = [m for m in decoder.branches["video"] if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in maps] == [(12, 5), (5, 3)]


@pytest.mark.parametrize("system", ["ave", "avsdn"])
def test_the_recipe_learns(tmp_path: Path, system: str) -> None:
    """Of streams without a sign as well, as those behind a ReLU are: an LSTM at its bounds would learn nothing."""
    store = toy_store(tmp_path / "toy", videos=80, ragged=True, noise=0.1, offset=20.0)
    small = ["parser.stem.width=32", "training.epochs=8", "training.batch_size=8", "training.optimizer.rate=0.01"]
    run = train(load_recipe(system, small), store, tmp_path / "run")
    logged = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert logged[-1]["loss"] < 0.5 * logged[0]["loss"]
    for of in ("audio", "visual", "video"):
        assert logged[-1][f"loss/bce_{of}"] < 0.75 * logged[0][f"loss/bce_{of}"]
    assert run.parser().config.encoder.name == {"ave": "lstm", "avsdn": "avsdn"}[system]
