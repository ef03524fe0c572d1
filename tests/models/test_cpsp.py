"""CPSP: parity with the released parser and loss, masks, the threshold, and the recipes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from avparse.data.features import Batch, Features, Step
from avparse.foundation.errors import UserError
from avparse.labels.targets import Targets
from avparse.losses.contrastive import SegmentContrast
from avparse.losses.video_contrast import VideoContrast
from avparse.models import Hidden, Parser, ParserConfig, ParserOutput, load_official
from avparse.models.encoders.cpsp import CPSPEncoder
from avparse.models.layers.recurrent import SegmentLSTM
from avparse.models.official import ignored_names
from avparse.training.recipe import load_recipe
from avparse.training.train import train
from tests import golden
from tests.masking import SPEC, check_absence, check_gradients, check_padding, check_unimodal
from tests.toy import toy_store

STEP = Step(0, 0, 1)


def _parser(**encoder: object) -> Parser:
    torch.manual_seed(0)
    stem = {"name": "linear", "width": 16, "visual": ["frames"]}
    config = ParserConfig.read({"stem": stem, "encoder": {"name": "cpsp", **encoder}, "decoder": "mmil"}, "test")
    return Parser(config, SPEC).eval()


def _contrast(
    hidden: Hidden, labels: torch.Tensor, audio_mask: torch.Tensor | None = None, **config: object
) -> torch.Tensor:
    nothing = torch.zeros_like(labels)
    output = ParserOutput(nothing, nothing, nothing, nothing, nothing, hidden=hidden)
    batch = Batch(torch.arange(len(labels)), Features({}, audio_mask), labels)
    return VideoContrast(VideoContrast.Config(**config))(output, Targets(labels, labels, labels), batch, STEP)


# --- parity ---------------------------------------------------------------------------------------------------------


def test_golden_forward() -> None:
    for name in ("cpsp_avvp", "cpsp_avvp_thr0"):
        network = golden.network(name)
        state = network.state
        parser = load_official("cpsp", state)
        assert ignored_names("cpsp", state) == []
        assert sum(p.numel() for p in parser.parameters()) == network.parameter_count == 6_668_875
        parser.encoder.threshold = 10 * network.config["threshold"]  # of ten segments
        with torch.no_grad():
            output = parser(network.features())
        audio = torch.nn.functional.normalize(output.hidden.audio, dim=-1)
        visual = torch.nn.functional.normalize(output.stem.visual, dim=-1)
        ours = _probabilities(output) | {
            "av_feat": torch.stack((output.hidden.audio, output.hidden.visual), dim=2),
            "sims": (audio @ visual.transpose(1, 2) / 0.2).flatten(0, 1),
            "sims_target": torch.arange(10).repeat(3),
        }
        network.compare(ours, relative=True)


def test_golden_han_of_the_same_code_is_han() -> None:
    network = golden.network("cpsp_avvp_han")
    with torch.no_grad():
        output = load_official("han", network.state)(network.features())
    network.compare(_probabilities(output))


def _probabilities(output: ParserOutput) -> dict[str, torch.Tensor]:
    segments = torch.stack((output.audio_segments, output.visual_segments), dim=2)
    return {"global_prob": output.video, "a_prob": output.audio, "v_prob": output.visual, "frame_prob": segments}


def test_golden_video_contrast() -> None:
    cases = golden.cases("cpsp_losses", "avvp_video_contrastive")
    assert len(cases) == 4
    for parameters, arrays in cases:
        features = arrays["in/av_feat"].requires_grad_()
        config = {"overlap": parameters["ratio"], "temperature": parameters["eta"]}
        value = _contrast(Hidden(*features.unbind(dim=2)), arrays["in/target"], skip="batch", **config)
        expected = float(arrays["out/loss"])
        if np.isnan(expected):  # the released loop then leaves the term out
            assert value.item() == 0
            continue
        assert value.item() == pytest.approx(expected, rel=1e-5)
        value.backward()
        gradient = arrays["out/grad_av_feat"]
        # Of the largest entry: the stored ones are float32, and differences that nearly cancel have lost their digits.
        torch.testing.assert_close(features.grad, gradient, atol=1e-5 * gradient.abs().max().item(), rtol=0)


# --- masks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("segments", [1, 2, 7, 31])
def test_padding_changes_nothing(segments: int) -> None:
    check_padding(_parser(), segments)


def test_absence_and_cross_and_gradients() -> None:
    check_absence(_parser())
    check_unimodal(_parser())
    check_gradients(_parser())


def test_the_recurrent_network_steps_over_holes() -> None:
    torch.manual_seed(0)
    network, x = SegmentLSTM(4, 3), torch.randn(3, 6, 4)
    mask = torch.tensor([[1, 0, 1, 1, 0, 1], [1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]]).bool()
    with torch.no_grad():
        out = network(x, mask)
        for video in (0, 1):
            real = mask[video]
            assert torch.allclose(out[video, real], network(x[video : video + 1, real], None)[0], atol=1e-6)
        assert torch.allclose(network(x, torch.ones_like(mask)), network(x, None), atol=1e-6)
    assert (out[~mask] == 0).all()


def test_square_maps_start_as_released() -> None:
    """Xavier: a deviation of 1 / sqrt(width) in each square matrix; a linear layer has 0.58 times that by itself."""
    torch.manual_seed(0)
    encoder = CPSPEncoder(CPSPEncoder.Config(), 128)
    for linear in (*encoder.project, *encoder.merge):
        for square in linear.weight.split(128):
            assert square.std().item() == pytest.approx(128**-0.5, rel=0.03)


def test_odd_widths_are_refused() -> None:
    with pytest.raises(UserError, match="two directions cannot share a width of 15"):
        CPSPEncoder(CPSPEncoder.Config(), 15)


# --- propagation ----------------------------------------------------------------------------------------------------


def test_shares_are_cut_and_add_up_to_one() -> None:
    similarity = torch.tensor([[[6.0, 4.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0], [5.0, 5.0, 0.0, 90.0]]])
    encoder = CPSPEncoder(CPSPEncoder.Config(threshold=0.9), 4)
    shares = encoder._shares(similarity, None)[0]  # the even share of four is 0.25: at most 0.225 is cut
    assert torch.allclose(shares[0], torch.tensor([0.6, 0.4, 0.0, 0.0]))
    assert (shares[1] == 0).all()
    assert shares[2].tolist() == [0, 0, 0, 1]
    masked = encoder._shares(similarity, torch.tensor([[True, True, True, False]]))[0]
    assert torch.allclose(masked[0], torch.tensor([0.6, 0.4, 0.0, 0.0]))
    assert torch.allclose(masked[2], torch.tensor([0.5, 0.5, 0.0, 0.0]))
    everything = CPSPEncoder(CPSPEncoder.Config(threshold=0), 4)._shares(similarity, None)[0]
    assert torch.allclose(everything[2], similarity[0, 2] / 100)


def test_the_threshold_follows_the_number_of_segments() -> None:
    """A video of 40 segments, its sound the same ten times over, receives what one of four segments does."""
    torch.manual_seed(0)
    similarity = torch.rand(2, 5, 4)
    encoder = CPSPEncoder(CPSPEncoder.Config(), 4)
    short, long = encoder._shares(similarity, None), encoder._shares(similarity.repeat(1, 1, 10), None)
    assert torch.allclose(short, long.unflatten(2, (10, 4)).sum(dim=2), atol=1e-6)


# --- the loss over videos -------------------------------------------------------------------------------------------


def test_video_contrast_by_hand() -> None:
    labels = torch.tensor([[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]]).float()
    x = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 0.0]])
    hidden = Hidden(x.unsqueeze(1), x.unsqueeze(1))
    unit = torch.nn.functional.normalize(x, dim=-1)
    e = (unit @ unit.T / 0.5).exp()
    positives = {0: [0], 1: [0, 1], 2: [2], 3: [0, 3]}  # the first has both labels: others have half of its, not all
    negatives = {0: [2], 1: [2, 3], 2: [0, 1, 3], 3: [1, 2]}
    each = []
    for i in range(4):
        near, far = e[i, positives[i]].mean(), e[i, negatives[i]].mean()
        each.append(-(near / (near + far)).log())
    value = _contrast(hidden, labels, overlap=0.9, temperature=0.5)
    assert value.item() == pytest.approx(torch.stack(each).mean().item(), rel=1e-5)


def test_videos_without_a_negative_do_not_count() -> None:
    torch.manual_seed(0)
    labels = torch.tensor([[1, 1, 1], [1, 0, 0], [0, 1, 0]]).float()
    hidden = Hidden(torch.randn(3, 5, 8, requires_grad=True), torch.randn(3, 5, 8, requires_grad=True))
    value = _contrast(hidden, labels)
    value.backward()
    assert value > 0
    assert hidden.audio.grad.isfinite().all()
    with torch.no_grad():
        assert _contrast(hidden, labels, skip="batch") == 0
        assert _contrast(hidden, torch.ones(3, 3)) == 0
        assert _contrast(hidden, torch.zeros(3, 3)) == 0
        assert _contrast(Hidden(hidden.audio[:1], hidden.visual[:1]), labels[:1]) == 0


def test_video_contrast_ignores_what_is_absent() -> None:
    torch.manual_seed(0)
    labels = torch.eye(3)
    audio, visual = torch.randn(2, 3, 5, 8)
    mask = torch.arange(5) < torch.tensor([[5], [2], [0]])
    noise = torch.where(mask.unsqueeze(-1), audio, 1e3)
    value = _contrast(Hidden(audio, visual), labels, mask)
    assert torch.equal(value, _contrast(Hidden(noise, visual), labels, mask))
    assert not torch.allclose(value, _contrast(Hidden(audio, visual), labels))


def test_video_contrast_needs_hidden_segments() -> None:
    with pytest.raises(UserError, match="'video_contrast': the parser returns no hidden segments"):
        _contrast(None, torch.eye(2))


# --- recipes --------------------------------------------------------------------------------------------------------


def test_recipes_train(tmp_path: Path) -> None:
    store = toy_store(tmp_path / "toy", videos=60, ragged=True)
    small = ["parser.stem.width=8", "training.epochs=1"]
    few = ["denoiser.episodes=1", "denoiser.steps=2", "denoiser.batch_size=16", "denoiser.check_seeds=0"]
    for name, more in (("cpsp", []), ("rlld+cpsp", few)):
        recipe = load_recipe(name, [*small, *more])
        assert [type(loss) for loss in recipe.losses[3:]] == [SegmentContrast.Config, VideoContrast.Config]
        run = train(recipe, store, tmp_path / name)
        logged = json.loads((run.path / "metrics.jsonl").read_text().splitlines()[0])
        assert {"loss/contrast", "loss/video_contrast"} <= set(logged)
        assert (run.path / "results.json").is_file()
