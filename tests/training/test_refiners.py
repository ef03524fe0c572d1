"""Refiners: parity of JoMoLD and MA with the released codes, and what must hold on any data."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from avparse.data.batching import FeatureTable, task_spec
from avparse.data.features import Batch, Features, Step
from avparse.foundation.arrays import BoolArray
from avparse.labels.target_sources import WeakLabels, smooth
from avparse.labels.targets import Targets
from avparse.losses.contrastive import contrast
from avparse.losses.video import VideoCrossEntropy
from avparse.models import Parser, ParserConfig, ParserOutput
from avparse.training.denoisers.jomold import JoMoLD, noise_ratios, noisy_labels
from avparse.training.denoisers.ma import class_errors, draw_partners, exchange_removals
from tests import golden
from tests.toy import toy_store

LATER = Step(epoch=3, step=0, steps=1)


def _output(audio: Tensor, visual: Tensor, video: Tensor | None = None) -> ParserOutput:
    nothing = torch.zeros(len(audio), 1, audio.shape[1])
    return ParserOutput(nothing, nothing, audio, visual, audio if video is None else video)


def _batch(labels: Tensor, audio_mask: Tensor | None = None, visual_mask: Tensor | None = None) -> Batch:
    features = Features({"audio": torch.zeros(len(labels), 1, 1)}, audio_mask, visual_mask)
    return Batch(torch.arange(len(labels)), features, labels)


def _jomold(audio: Tensor, visual: Tensor, **config: Any) -> JoMoLD:
    refiner = JoMoLD(**config)
    refiner.set_ratios(audio, visual)
    return refiner


def _losses(output: ParserOutput, targets: Targets, batch: Batch) -> dict[str, Tensor]:
    terms = {of: VideoCrossEntropy(VideoCrossEntropy.Config(of=of)) for of in ("audio", "visual", "video")}
    return {of: term(output, targets, batch, Step(0, 0, 1)) for of, term in terms.items()}


# --- JoMoLD: parity ---------------------------------------------------------------------------------------------------


def test_golden_noise_ratios() -> None:
    for parameters, arrays in golden.cases("jomold_noise_ratio"):
        sizes = arrays["in/batch_sizes"].tolist()
        for modality, keep in (("audio", 1.0), ("visual", 0.9)):
            threshold = parameters[f"{modality[0]}_thres"]
            inputs = (arrays[f"in/{modality[0]}_prob"], arrays["in/label"], keep, threshold)
            expected = arrays[f"out/{modality}_ratio"].nan_to_num().float()  # 0 / 0 for a class without positives
            torch.testing.assert_close(noise_ratios(*inputs, batch_sizes=sizes), expected)
            if len(set(sizes)) == 1:
                torch.testing.assert_close(noise_ratios(*inputs), expected)


def test_golden_denoising() -> None:
    removed = 0
    cases = [case for case in golden.cases("jomold_denoising") if "batches" in case[0]]
    assert len(cases) == 6
    for parameters, arrays in cases:
        refiner = _jomold(
            arrays["in/noise_ratio_audio"],
            arrays["in/noise_ratio_visual"],
            warmup_epochs=parameters["warm_up_epoch"] or 0,
        )
        for i in range(parameters["batches"]):
            labels = arrays[f"in/label_{i}"]
            batch = _batch(labels)
            before = WeakLabels(WeakLabels.Config())(batch)
            torch.testing.assert_close(before.visual, arrays[f"in/Pv_{i}"])
            step = Step(parameters["epoch"] - 1, i, parameters["iterations_per_epoch"])
            unimodal = _output(arrays[f"in/a_prob_est_{i}"], arrays[f"in/v_prob_est_{i}"])
            after = refiner.refine(before, unimodal, batch, step)
            torch.testing.assert_close(after.audio, arrays[f"out/Pa_after_{i}"])
            torch.testing.assert_close(after.visual, arrays[f"out/Pv_after_{i}"])
            removed += int((after.visual == 0).sum()) + int((after.audio < labels).sum())

            output = _output(*(arrays[f"in/{name}_prob_{i}"] for name in ("a", "v", "global")))
            terms = _losses(output, after, batch)
            terms["nce"] = contrast(arrays[f"in/sims_{i}"].reshape(-1, 10, 10), 0.9, "jomold")
            for ours, theirs in (("audio", "audio"), ("visual", "visual"), ("video", "global"), ("nce", "nce")):
                assert terms[ours].item() == pytest.approx(arrays[f"out/loss_{theirs}_{i}"].item(), rel=1e-5)
            total = sum(parameters[f"{name}_weight"] * value.item() for name, value in terms.items())
            assert total == pytest.approx(arrays[f"out/loss_{i}"].item(), rel=1e-5)
    assert removed > 100


def test_golden_estimator_step() -> None:
    _, arrays = golden.one_case("jomold_denoising", "estimator_step")
    batch = _batch(arrays["in/label"])
    output = _output(arrays["in/a_prob"], arrays["in/v_prob"], arrays["in/global_prob"])
    terms = _losses(output, WeakLabels(WeakLabels.Config())(batch), batch)
    terms["nce"] = contrast(arrays["in/sims"].reshape(-1, 10, 10), 0.9, "jomold")
    for ours, theirs in (("audio", "audio"), ("visual", "visual"), ("video", "global"), ("nce", "nce")):
        assert terms[ours].item() == pytest.approx(arrays[f"out/loss_{theirs}"].item(), rel=1e-5)
    assert sum(v.item() for v in terms.values()) == pytest.approx(arrays["out/loss"].item(), rel=1e-5)


# --- JoMoLD: cases by hand and properties -----------------------------------------------------------------------------


def test_noise_ratio_by_hand() -> None:
    probabilities = torch.tensor([[0.1, 0.5, 0.2], [0.9, 0.5, 0.2], [0.5, 0.5, 0.2]])
    labels = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    # Class 0: mean 0.5, so 0.1 / 0.5 is below 0.6 and 0.9 / 0.5 is not; class 2 has no positive.
    assert noise_ratios(probabilities, labels, 1.0, 0.6).tolist() == [0.5, 0.0, 0.0]
    # Class 0: 0.9 reaches 1.75 times the mean, smoothed to 0.95 x 0.9 it does not.
    assert noise_ratios(probabilities, labels, 1.0, 1.75).tolist() == [0.5, 1.0, 0.0]
    assert noise_ratios(probabilities, labels, 0.9, 1.75).tolist() == [1.0, 1.0, 0.0]
    assert noise_ratios(torch.zeros(3, 3), labels, 1.0, 0.6).tolist() == [0.0, 0.0, 0.0]  # no 0 / 0


def _slow_noisy_labels(losses: npt.NDArray[Any], ratios: npt.NDArray[Any]) -> BoolArray:
    """The published rule, class by class."""
    noisy = np.zeros(losses.shape, dtype=bool)
    for c in range(losses.shape[2]):
        positives = [i for i in range(losses.shape[1]) if not np.isnan(losses[0, i, c])]
        for m in range(2):
            n = math.floor(ratios[m, c] * len(positives) + 1e-4)
            if n == 0:
                continue
            worst = sorted(positives, key=lambda i, m=m, c=c: -losses[m, i, c])[:n]
            best = sorted(positives, key=lambda i, m=m, c=c: losses[1 - m, i, c])[:n]
            noisy[m, list(set(worst) & set(best)), c] = True
    return noisy


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 12), st.sampled_from([0.0, 0.5, 0.97]))
def test_noisy_labels_is_the_published_rule(seed: int, videos: int, empty: float) -> None:
    rng = np.random.default_rng(seed)
    losses = np.round(rng.random((2, videos, 4)).astype(np.float32), 1)  # rounded: many ties
    losses[:, rng.random((videos, 4)) < empty] = np.nan
    ratios = rng.choice([0.0, 0.3, 0.5, 1.0], (2, 4)).astype(np.float32)
    found = noisy_labels(torch.from_numpy(losses), torch.from_numpy(ratios)).numpy()
    assert (found == _slow_noisy_labels(losses, ratios)).all()


def test_share_of_whole_numbers_is_not_lost_to_rounding() -> None:
    for positives in range(1, 120):
        losses = torch.stack((torch.arange(positives), -torch.arange(positives))).float()[..., None]
        for n in range(positives + 1):
            ratios = torch.full((2, 1), n / positives)
            assert int(noisy_labels(losses, ratios)[0].sum()) == n


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_jomold_never_adds_and_touches_only_positives(seed: int, masked: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.rand(9, 5, generator=generator) < 0.5).float()
    labels[:, 2] = 0  # a class without positives
    masks = (torch.rand(2, 9, 3, generator=generator) < 0.4) if masked else (None, None)
    batch = _batch(labels, *masks)
    before = WeakLabels(WeakLabels.Config())(batch)
    copy = [x.clone() for x in (before.video, before.audio, before.visual)]
    unimodal = _output(*torch.rand(2, 9, 5, generator=generator))
    after = _jomold(*torch.rand(2, 5, generator=generator)).refine(before, unimodal, batch, LATER)
    assert all(torch.equal(x, y) for x, y in zip(copy, (before.video, before.audio, before.visual), strict=True))
    assert torch.equal(after.video, before.video)
    for mine, his in ((after.audio, before.audio), (after.visual, before.visual)):
        changed = mine != his
        assert (mine[changed] == 0).all()
        assert (labels[changed] == 1).all()
        if masked:
            absent = ~torch.stack([m.any(-1) for m in masks]).all(0)
            assert not changed[absent].any()


def test_jomold_ratio_zero_removes_nothing_and_one_removes_all() -> None:
    labels = torch.ones(6, 3)
    batch, unimodal = _batch(labels), _output(*torch.rand(2, 6, 3))
    before = WeakLabels(WeakLabels.Config())(batch)
    nothing = _jomold(torch.zeros(3), torch.full((3,), 0.16)).refine(before, unimodal, batch, LATER)  # 0.16 x 6 < 1
    assert torch.equal(nothing.audio, before.audio)
    assert torch.equal(nothing.visual, before.visual)
    everything = _jomold(torch.ones(3), torch.ones(3)).refine(before, unimodal, batch, LATER)
    assert not everything.audio.any()
    assert not everything.visual.any()


def test_jomold_ranks_only_videos_with_both_modalities() -> None:
    """A mute video fits 'audio' worst of all; it must not use up the one place."""
    labels = torch.ones(4, 1)
    audio = torch.tensor([[0.0], [0.2], [0.8], [0.9]])
    visual = torch.tensor([[0.95], [0.9], [0.5], [0.4]])
    present = torch.tensor([[False], [True], [True], [True]])
    ratios = torch.tensor([0.34]), torch.tensor([0.0])
    before = Targets(labels, labels, labels)
    heard = _jomold(*ratios).refine(before, _output(audio, visual), _batch(labels, present), LATER)
    assert heard.audio[:, 0].tolist() == [1, 0, 1, 1]
    unaware = _jomold(*ratios).refine(before, _output(audio, visual), _batch(labels), LATER)
    assert unaware.audio[:, 0].tolist() == [0, 1, 1, 1]


def test_jomold_chains_and_decides_on_the_labels_as_they_were() -> None:
    labels = torch.ones(2, 1)
    unimodal = _output(torch.tensor([[0.1], [0.9]]), torch.tensor([[0.9], [0.1]]))
    half = torch.full((1,), 0.5)
    after = _jomold(half, half).refine(Targets(labels, labels, labels), unimodal, _batch(labels), LATER)
    assert after.audio[:, 0].tolist() == [0, 1]
    assert after.visual[:, 0].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"warmup": "linear", "warmup_epochs": 1.0}, [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]),
        ({"warmup": "linear", "warmup_epochs": 0.5}, [0.0, 0.5, 1.0, 1.0, 1.0, 1.0]),
        ({"warmup": "step", "warmup_epochs": 0.9}, [0.0, 0.0, 0.0, 0.0, 1.0, 1.0]),
        ({"warmup": "step", "warmup_epochs": 0.0}, [1.0] * 6),
        ({"warmup": "linear", "warmup_epochs": 0.0}, [1.0] * 6),
    ],
)
def test_warmup(config: dict[str, Any], expected: list[float]) -> None:
    """Of eight labels that the modalities dispute in opposite order, as many go as the ratio says."""
    labels = torch.ones(8, 1)
    batch, before = _batch(labels), Targets(labels, labels, labels)
    unimodal = _output(torch.linspace(0.1, 0.9, 8)[:, None], torch.linspace(0.9, 0.1, 8)[:, None])
    refiner = _jomold(torch.ones(1), torch.zeros(1), **config)
    steps = [Step(s // 4, s % 4, 4) for s in range(6)]
    kept = [refiner.refine(before, unimodal, batch, step).audio.sum().item() for step in steps]
    assert kept == [8 - math.floor(8 * e) for e in expected]


def test_queue_lets_rare_classes_be_denoised_and_resumes() -> None:
    """One positive a batch and a ratio of a half: nothing in a batch, every other one in a queue."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.ones(1, 1)
    batch, before = _batch(labels), Targets(labels, labels, labels)
    fits = torch.rand(40, 1, 1, generator=generator)
    half = torch.full((1,), 0.5)

    def removed(refiner: JoMoLD, part: Tensor) -> list[bool]:
        return [not refiner.refine(before, _output(p, 1 - p), batch, LATER).audio.any() for p in part]

    assert not any(removed(_jomold(half, half), fits))
    whole = removed(_jomold(half, half, queue=16), fits)
    assert 12 <= sum(whole) <= 28
    first, second = _jomold(half, half, queue=16), _jomold(half, half, queue=16)
    start = removed(first, fits[:25])
    assert first.state_dict()["recent"].shape == (2, 16, 1)
    second.load_state_dict(first.state_dict())
    assert start + removed(second, fits[25:]) == whole


def test_jomold_says_what_it_needs() -> None:
    refiner = JoMoLD()
    assert refiner.reads == "unimodal"
    labels = torch.ones(1, 1)
    with pytest.raises(RuntimeError, match="set_ratios"):
        refiner.refine(Targets(labels, labels, labels), _output(labels, labels), _batch(labels), LATER)


def test_jomold_on_a_real_parser_and_ragged_data(tmp_path: Path) -> None:
    store = toy_store(tmp_path / "toy", videos=40, ragged=True)
    parts = {"stem": {"name": "linear", "width": 16}, "encoder": "han", "decoder": "mmil"}
    torch.manual_seed(0)
    parser = Parser(ParserConfig.read(parts, "test"), task_spec(store)).train()
    batch = FeatureTable(store).batch(np.arange(32))
    with torch.no_grad():
        unimodal = parser(batch.features, cross=False)
    before = WeakLabels(WeakLabels.Config())(batch)
    after = _jomold(torch.full((4,), 0.6), torch.full((4,), 0.6)).refine(before, unimodal, batch, Step(1, 0, 2))
    assert (after.audio != before.audio).any()
    assert (after.visual != before.visual).any()
    loss = sum(_losses(parser(batch.features), after, batch).values())
    loss.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in parser.parameters())


# --- MA ---------------------------------------------------------------------------------------------------------------


def test_golden_exchange() -> None:
    removed = 0
    for _, arrays in golden.cases("ma_exchange"):
        labels = arrays["in/label"]
        errors = class_errors(arrays["in/a_prob"], labels), class_errors(arrays["in/v_prob"], labels)
        torch.testing.assert_close(1 - errors[0], arrays["out/audio_accuracy"])
        torch.testing.assert_close(1 - errors[1], arrays["out/visual_accuracy"])
        passes = [
            (arrays[f"in/a_prob_foreign_{track}"], arrays[f"in/v_prob_foreign_{track}"]) for track in ("video", "audio")
        ]
        audio, visual = exchange_removals(*passes, labels, errors)
        assert torch.equal(audio, arrays["out/remove_audio"])
        assert torch.equal(visual, arrays["out/remove_visual"])
        removed += int(audio.sum()) + int(visual.sum())
    assert removed > 0


def test_exchange_by_hand() -> None:
    labels = torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    errors = torch.tensor([0.4, 0.2, 0.0, 0.4]), torch.tensor([0.2, 0.2, 0.2, 0.2])
    # Audio bounds 0.5, 0.25, 0, 0.5; visual bounds 0.5 throughout.
    foreign_visual = torch.tensor([[0.49, 0.30, 0.0, 0.1]]), torch.tensor([[0.49, 0.1, 0.0, 0.1]])
    foreign_audio = torch.tensor([[0.1, 0.1, 0.6, 0.1]]), torch.tensor([[0.6, 0.1, 0.1, 0.1]])
    audio, visual = exchange_removals(foreign_visual, foreign_audio, labels, errors)
    assert audio.tolist() == [[True, False, False, False]]  # class 2 has no error, class 3 is no label
    assert visual.tolist() == [[False, True, False, False]]
    perfect = torch.zeros(4), torch.zeros(4)
    assert not any(x.any() for x in exchange_removals(foreign_visual, foreign_audio, labels, perfect))


def test_exchange_with_several_partners() -> None:
    labels = torch.ones(1, 4)
    errors = torch.ones(4), torch.ones(4)
    low, high = 0.1, 0.9
    votes = torch.tensor([[[low, low, low, high]], [[low, low, high, high]], [[low, high, high, high]]])  # [3, 1, 4]
    passes = (votes, torch.zeros_like(votes)), (torch.zeros_like(votes), votes)
    for rule, expected in (("and", [True, False, False, False]), ("majority", [True, True, False, False])):
        audio, visual = exchange_removals(*passes, labels, errors, rule=rule)
        assert audio[0].tolist() == visual[0].tolist() == expected
    pair = (votes[1:], torch.zeros_like(votes[1:])), (torch.zeros_like(votes[1:]), votes[1:])
    assert exchange_removals(*pair, labels, errors, rule="majority")[0][0].tolist() == [
        True,
        False,
        False,
        False,
    ]  # a tie keeps


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 3), st.sampled_from([0.1, 0.5, 0.9]))
def test_partners_share_no_label(seed: int, videos: int, n_partners: int, density: float) -> None:
    labels = np.random.default_rng(seed).random((videos, 4)) < density
    partners = draw_partners(labels, np.random.default_rng(seed), n_partners)
    assert partners.shape == (videos, n_partners)
    assert (partners == draw_partners(labels, np.random.default_rng(seed), n_partners)).all()
    for video, others in enumerate(partners):
        disjoint = ~(labels & labels[video]).any(axis=1)
        assert disjoint[others].all() if disjoint.any() else (others == video).all()


def test_partners_are_uniform() -> None:
    labels = np.zeros((6, 2), dtype=bool)
    labels[0, 0] = labels[1, 0] = True
    labels[2:, 1] = True
    drawn = draw_partners(labels, np.random.default_rng(0), 4000)
    counts = np.bincount(drawn[0], minlength=6)
    assert counts[:2].sum() == 0
    assert (np.abs(counts[2:] - 1000) < 5 * math.sqrt(1000)).all()


def test_a_rare_partner_is_found() -> None:
    """One video in many is apart: rejection gives up, the exact draw does not."""
    labels = np.ones((3000, 1), dtype=bool)
    labels[1234] = False
    drawn = draw_partners(labels, np.random.default_rng(0))[:, 0]
    assert (np.delete(drawn, 1234) == 1234).all()


def test_smooth_keeps_soft_labels_in_order() -> None:
    assert smooth(torch.tensor([0.0, 0.5, 1.0]), 0.9).tolist() == pytest.approx([0.05, 0.5, 0.95])
