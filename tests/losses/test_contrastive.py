"""The "+CL" loss: parity with both released forms, masks, edge cases."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from avparse.data.batching import FeatureTable, task_spec
from avparse.data.features import Batch, Features, Step
from avparse.foundation.errors import UserError
from avparse.labels.target_sources import WeakLabels
from avparse.labels.targets import Targets
from avparse.losses import LOSSES
from avparse.losses.contrastive import Form, SegmentContrast, contrast
from avparse.models import Hidden, Parser, ParserConfig, ParserOutput
from tests import golden
from tests.toy import toy_store

FORMS: dict[str, Form] = {"probability": "jomold", "cross_entropy": "ma"}


def _loss(form: Form, **settings: float) -> SegmentContrast:
    return SegmentContrast(SegmentContrast.Config(form=form, **settings))


def _call(
    loss: SegmentContrast, audio: Tensor, visual: Tensor, masks: tuple[Tensor | None, Tensor | None] = (None, None)
) -> Tensor:
    """The loss of encoded segments [B, T, H]; the stem is the encoding, so that both forms compare the same."""
    nothing = torch.zeros(len(audio), 1)
    output = ParserOutput(nothing, nothing, nothing, nothing, nothing, Hidden(audio, visual), Hidden(audio, visual))
    batch = Batch(torch.arange(len(audio)), Features({"audio": audio}, *masks), nothing)
    return loss(output, Targets(nothing, nothing, nothing), batch, Step(0, 0, 1))


@pytest.mark.parametrize("label", FORMS)
def test_golden_contrast(label: str) -> None:
    cases = golden.cases("contrastive", label)
    assert len(cases) == 3
    for parameters, arrays in cases:
        similarities = arrays["in/sims"].reshape(-1, 10, 10).requires_grad_()
        assert (arrays["in/target"].reshape(-1, 10) == torch.arange(10)).all()
        value = contrast(similarities, 1 - parameters["smoothing"], FORMS[label])
        value.backward()
        assert value.item() == pytest.approx(arrays["out/loss"].item(), rel=1e-6)
        np.testing.assert_allclose(similarities.grad.reshape(-1, 10), arrays["out/grad_sims"], atol=2e-8)


def test_golden_from_unit_vectors() -> None:
    """A stored loss of whole sequences, in the form of JoMoLD; its inputs are unit vectors and not normalised again."""
    _, arrays = golden.one_case("contrastive", "coleaf_unweighted")
    audio, visual = (arrays[f"in/x_{m}"].requires_grad_() for m in ("audio", "video"))
    value = _call(_loss("jomold"), audio, visual)
    value.backward()
    assert value.item() == pytest.approx(arrays["out/loss"].item(), rel=1e-6)
    for x, name in ((audio, "audio"), (visual, "video")):
        expected = arrays[f"out/grad_x_{name}"]
        unit = x.detach()
        tangent = expected - (expected * unit).sum(-1, keepdim=True) * unit  # what passes through the normalisation
        # Of the largest entry: the stored ones are float32, and differences that nearly cancel have lost their digits.
        torch.testing.assert_close(x.grad, tangent, atol=1e-5 * tangent.abs().max().item(), rtol=0)


@pytest.mark.parametrize("form", ["ma", "jomold"])
def test_two_segments_by_hand(form: Form) -> None:
    audio = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]])
    visual = torch.tensor([[[3.0, 0.0], [0.0, 1.0]]])  # cosines 1 0, 0 1
    own, other = (math.exp(c / 0.2) / (math.exp(1 / 0.2) + 1) for c in (1, 0))
    expected = {"ma": -0.9 * math.log(own) - 0.1 * math.log(other), "jomold": -math.log(0.9 * own + 0.1 * other)}[form]
    assert _call(_loss(form), audio, visual).item() == pytest.approx(expected, rel=1e-5)


def test_jomold_form_is_bounded() -> None:
    similarities = torch.full((1, 10, 10), 50.0).masked_fill(torch.eye(10, dtype=torch.bool), -50.0)
    assert contrast(similarities, 0.9, "jomold").item() == pytest.approx(math.log(9 / 0.1))
    assert contrast(similarities, 0.9, "ma").item() > 80


@pytest.mark.parametrize("form", ["ma", "jomold"])
@pytest.mark.parametrize("keep", [0.9, 1.0])
def test_padding_and_absence_do_not_count(form: Form, keep: float) -> None:
    generator = torch.Generator().manual_seed(0)
    audio, visual = (torch.randn(5, 6, 8, generator=generator) for _ in range(2))
    audio_mask, visual_mask = torch.ones(2, 5, 6, dtype=torch.bool)
    audio_mask[1, 4:] = visual_mask[1, 4:] = False  # a shorter video
    visual_mask[2, 1] = False  # an unseen segment: neither row nor negative
    audio_mask[3, 0] = False  # an unheard one: no row, still a negative
    audio_mask[4] = False  # silent altogether
    audio, visual = audio.requires_grad_(), visual.requires_grad_()
    value = _call(_loss(form, keep=keep), audio, visual, (audio_mask, visual_mask))
    kept = [0, 2, 3, 4, 5]
    alone = [
        (6, _call(_loss(form, keep=keep), audio[:1], visual[:1])),
        (4, _call(_loss(form, keep=keep), audio[1:2, :4], visual[1:2, :4])),
        (5, _call(_loss(form, keep=keep), audio[2:3, kept], visual[2:3, kept])),
        (5, _call(_loss(form, keep=keep), audio[3:4], visual[3:4], (audio_mask[3:4], None))),
    ]
    assert value.item() == pytest.approx(sum(n * v.item() for n, v in alone) / sum(n for n, _ in alone), rel=1e-5)
    value.backward()
    assert audio.grad.isfinite().all()
    assert visual.grad.isfinite().all()
    assert not audio.grad[~(audio_mask & visual_mask)].any()
    assert not visual.grad[~visual_mask].any()
    assert not visual.grad[4].any()
    assert visual.grad[3, 0].any()


@pytest.mark.parametrize("form", ["ma", "jomold"])
@pytest.mark.parametrize("segments", [1, 3])
def test_nothing_to_tell_apart_is_zero(form: Form, segments: int) -> None:
    audio, visual = (torch.randn(2, segments, 4).requires_grad_() for _ in range(2))
    alone = torch.zeros(2, segments, dtype=torch.bool)
    alone[:, 0] = True
    value = _call(_loss(form), audio, visual, (None, alone) if segments > 1 else (None, None))
    value.backward()
    assert value.item() == 0
    assert not audio.grad.any()
    assert not visual.grad.any()


def test_ma_reads_the_visual_stem() -> None:
    x = torch.randn(2, 4, 6)
    hidden, stem = Hidden(x, -x), Hidden(-x, x)
    nothing = torch.zeros(2, 1)
    batch = Batch(torch.arange(2), Features({"audio": x}), nothing)
    output = ParserOutput(nothing, nothing, nothing, nothing, nothing, hidden, stem)
    ma, jomold = (
        _loss(form)(output, Targets(nothing, nothing, nothing), batch, Step(0, 0, 1)) for form in ("ma", "jomold")
    )
    assert ma < 1.0 < jomold  # encoded audio equals the visual stem and opposes the encoded visual
    with pytest.raises(UserError, match="no hidden segments"):
        _loss("ma")(
            ParserOutput(nothing, nothing, nothing, nothing, nothing, hidden),
            Targets(nothing, nothing, nothing),
            batch,
            Step(0, 0, 1),
        )


@pytest.mark.parametrize("form", ["ma", "jomold"])
def test_descends_in_a_real_parser(tmp_path: Path, form: Form) -> None:
    store = toy_store(tmp_path / "toy", videos=40, ragged=True)
    parts = {"stem": {"name": "linear", "width": 16}, "encoder": "han", "decoder": "mmil"}
    torch.manual_seed(0)
    parser = Parser(ParserConfig.read(parts, "test"), task_spec(store))
    batch = FeatureTable(store).batch(np.arange(16))
    targets = WeakLabels(WeakLabels.Config())(batch)
    loss = LOSSES["segment_contrast"](SegmentContrast.Config(form=form))
    optimizer = torch.optim.Adam(parser.parameters(), 1e-2)
    values = []
    for _ in range(15):
        value = loss(parser(batch.features), targets, batch, Step(0, 0, 1))
        values.append(value.item())
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    assert values[-1] < 0.8 * values[0]
