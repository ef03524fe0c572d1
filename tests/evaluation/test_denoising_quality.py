"""Quality of refined labels against truth, and estimates of noise without it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from avparse.data.datasets.llp import read_llp
from avparse.data.vocabulary import MODALITIES
from avparse.evaluation.denoising import MEASURES, score_denoising
from avparse.evaluation.noise_rates import estimate_noise_rates
from avparse.foundation.errors import UserError
from avparse.labels.reinforced.actions import greedy
from avparse.labels.statistics.rates import RightRates

CLASSES = ("Bark", "Bell", "Voice")


def _bits(seed: int, videos: int = 40) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    share = rng.random(5)
    return [rng.random((videos, len(CLASSES))) < s for s in share]


# With truth


def test_by_hand() -> None:
    given_ = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 1], [0, 0, 1]], dtype=bool)
    audio = np.array([[1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1]], dtype=bool)  # removed Bell of 0, Bark of 2
    visual = np.array([[0, 1, 1], [0, 0, 0], [1, 0, 1], [0, 0, 0]], dtype=bool)  # removed 3, added Voice to 0
    heard = np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 0, 1]], dtype=bool)
    seen = np.array([[0, 1, 1], [1, 0, 0], [1, 0, 0], [0, 0, 0]], dtype=bool)
    quality = score_denoising(given_, audio, visual, heard, seen, CLASSES)
    total = quality.as_dict()["total"]
    assert {k: total["audio"][k] for k in ("removed_wrong", "removed_right", "kept_wrong", "kept_right")} == {
        "removed_wrong": 1,
        "removed_right": 1,
        "kept_wrong": 1,
        "kept_right": 3,
    }
    assert {k: round(total["audio"][k], 2) for k in MEASURES} == {
        "noise_before": 33.33,
        "noise_after": 25.0,
        "precision": 50.0,
        "recall": 50.0,
        "f": 50.0,
        "true_kept": 75.0,
        "accuracy": 66.67,
    }
    assert (total["visual"]["added_right"], total["visual"]["added_wrong"]) == (1, 0)
    assert total["visual"]["noise_after"] == pytest.approx(25.0), "one of four, the addition included"
    assert total["visual"]["precision"] == pytest.approx(200 / 3)
    bell = quality.as_dict()["per_class"]["Bell"]
    assert bell["audio"]["recall"] == 100
    assert bell["audio"]["true_kept"] is None
    assert bell["both"]["accuracy"] == 100


@given(st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_equals_the_definitions_entry_by_entry(seed: int) -> None:
    given_, audio, visual, heard, seen = _bits(seed)
    quality = score_denoising(given_, audio, visual, heard, seen, CLASSES)
    metrics = quality.as_dict()
    after, truth = {"audio": audio, "visual": visual}, {"audio": heard, "visual": seen}
    for scope in (*CLASSES, None):
        columns = range(len(CLASSES)) if scope is None else [CLASSES.index(scope)]
        found = metrics["total"] if scope is None else metrics["per_class"][scope]
        for sides in (("audio",), ("visual",), MODALITIES):
            entries = [
                (bool(given_[i, c]), bool(after[m][i, c]), bool(truth[m][i, c]))
                for m in sides
                for i in range(len(given_))
                for c in columns
            ]
            labels = [(kept, true) for was, kept, true in entries if was]
            left = [true for _, kept, true in entries if kept]
            removed = [true for kept, true in labels if not kept]
            wrong = [kept for kept, true in labels if not true]
            right = [kept for kept, true in labels if true]
            expected = {
                "noise_before": [not true for _, true in labels],
                "noise_after": [not true for true in left],
                "precision": [not true for true in removed],
                "recall": [not kept for kept in wrong],
                "true_kept": right,
                "accuracy": [kept == true for kept, true in labels],
            }
            row = found["both" if len(sides) == 2 else sides[0]]
            for name, hits in expected.items():
                assert row[name] == (pytest.approx(100 * sum(hits) / len(hits)) if hits else None), name
            if row["precision"] and row["recall"]:
                assert row["f"] == pytest.approx(2 / (1 / row["precision"] + 1 / row["recall"]))
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics


def test_nothing_removed_and_nothing_given() -> None:
    given_, _, _, heard, seen = _bits(1)
    same = score_denoising(given_, given_, given_, heard, seen, CLASSES).as_dict()["total"]["both"]
    assert same["noise_after"] == same["noise_before"]
    assert (same["precision"], same["recall"], same["true_kept"]) == (None, 0, 100)
    none = np.zeros_like(given_)
    empty = score_denoising(none, none, none, heard, seen, CLASSES)
    assert all(empty.as_dict()["total"]["both"][k] is None for k in MEASURES)
    assert "–" in empty.as_markdown(per_class=True)


def test_table_has_a_row_for_all_and_for_each_class_with_labels() -> None:
    given_, audio, visual, heard, seen = _bits(2)
    given_[:, 1] = False
    quality = score_denoising(torch.from_numpy(given_), audio, visual, heard, seen, CLASSES)
    lines = quality.as_markdown(per_class=True).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| audio",
        "| visual",
        "| both",
        "| Bark, audio",
        "| Bark, visual",
        "| Voice, audio",
        "| Voice, visual",
    ]
    assert len({line.count("|") for line in lines}) == 1
    assert quality.as_markdown().splitlines() == lines[:5]
    total = quality.as_dict()["total"]["audio"]
    assert lines[2].split(" | ")[3:5] == [f"{total['noise_before']:.1f}", f"{total['noise_after']:.1f}"]


def test_bad_input_is_refused_by_name() -> None:
    bits = _bits(0)
    with pytest.raises(UserError, match="kept_visual has shape"):
        score_denoising(bits[0], bits[1], bits[2][:3], bits[3], bits[4], CLASSES)
    with pytest.raises(UserError, match="true_audio is float64, not boolean"):
        score_denoising(bits[0], bits[1], bits[2], bits[3] * 0.5, bits[4], CLASSES)
    with pytest.raises(UserError, match="C = 2 classes"):
        score_denoising(*bits, CLASSES[:2])


def test_golden_noise_of_the_validation_labels(shared: Path) -> None:
    """Facts of the specification: visual noise 37.0 %, 285 of 433 are Speech, audio about 4.8 %."""
    tables = read_llp(shared / "data" / "llp")
    videos = tables.of_split("val")
    weak = np.stack([tables.videos[v].weak for v in videos])
    truth = np.array([[tables.dense(v, m, 10).any(axis=0) for v in videos] for m in MODALITIES])  # type: ignore[union-attr]
    oracle = 8 * torch.from_numpy(truth).float() - 4
    labels = torch.from_numpy(weak)
    found = {}
    for name, options in (("paper", {}), ("free", {"may_empty": True})):
        revised = greedy(oracle, labels, **options).labels
        quality = score_denoising(weak, revised[0], revised[1], *truth, tables.vocabulary.names)
        found[name] = quality.as_dict()["total"]
        speech = quality.as_dict()["per_class"]["Speech"]["visual"]
        assert speech["removed_wrong"] + speech["kept_wrong"] == 285
    assert found["paper"]["visual"]["noise_before"] == pytest.approx(37.0, abs=0.05)
    assert found["paper"]["audio"]["noise_before"] == pytest.approx(4.8, abs=0.1)
    assert found["free"]["visual"]["removed_wrong"] == 433
    assert found["paper"]["visual"]["removed_wrong"] == 311, "videos keep all labels where none is right"
    assert all(f[m]["true_kept"] == 100 for f in found.values() for m in MODALITIES)


# Without truth


def _labelled(videos: int, noise: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Labels ``[N, C]`` and truth ``[2, N, C]`` with a known share of wrong labels ``[2, C]``."""
    labels = torch.rand(videos, noise.shape[1], generator=generator) < 0.15
    truth = (torch.rand(2, *labels.shape, generator=generator) >= noise.unsqueeze(1)) & labels
    return labels, truth


def _covered(worlds: int, known: int, judged: int, level: float = 0.95) -> tuple[float, float, float]:
    """The share of intervals that hold the real share: of classes, of totals; and the mean error in points."""
    generator = torch.Generator().manual_seed(0)
    names = [f"class {c}" for c in range(8)]
    classes, totals, errors = [], [], []
    for world in range(worlds):
        noise = (0.9 * torch.randn(2, 8, generator=generator) - 1.5).sigmoid()
        right = RightRates.fit(*_labelled(known, noise, generator))
        labels, truth = _labelled(judged, noise, generator)
        rates = estimate_noise_rates(labels, right, names, level, draws=1000, seed=world)
        for m, modality in enumerate(MODALITIES):
            wrong = labels & ~truth[m]
            for c, name in enumerate(names):
                real, found = 100 * float(wrong[:, c].sum() / labels[:, c].sum()), rates.per_class[modality][name]
                classes.append(found.low <= real <= found.high)
                errors.append(found.value - real)
            real, found = 100 * float(wrong.sum() / labels.sum()), rates.total[modality]
            totals.append(found.low <= real <= found.high)
    return float(np.mean(classes)), float(np.mean(totals)), float(np.mean(errors))


def test_intervals_hold_the_real_share_about_as_often_as_they_say() -> None:
    classes, totals, error = _covered(worlds=30, known=300, judged=800)  # 480 intervals of classes, 60 of totals
    assert 0.9 <= classes <= 0.99
    assert totals >= 0.87
    assert abs(error) < 1.0


@pytest.mark.slow
def test_coverage_over_many_worlds_and_levels() -> None:
    for known, level in ((100, 0.95), (649, 0.95), (300, 0.8)):
        classes, totals, error = _covered(worlds=150, known=known, judged=2000, level=level)
        assert classes == pytest.approx(level, abs=0.035)
        assert totals == pytest.approx(level, abs=0.06)
        assert abs(error) < 0.5


def test_estimate_is_repeatable_and_says_what_it_knows() -> None:
    generator = torch.Generator().manual_seed(3)
    noise = torch.tensor([[0.05, 0.1, 0.2], [0.4, 0.7, 0.1]])
    small, large = (RightRates.fit(*_labelled(n, noise, generator)) for n in (60, 3000))
    labels, _ = _labelled(2000, noise, generator)
    labels[:, 1] = False
    rates = [estimate_noise_rates(labels, r, CLASSES, seed=1) for r in (small, large, large)]
    assert rates[1] == rates[2]
    assert rates[1] != estimate_noise_rates(labels, large, CLASSES, seed=2)
    assert rates[1].labels["Bell"] == 0
    assert "Bell" not in rates[1].per_class["audio"]
    for modality in MODALITIES:
        for name in ("Bark", "Voice"):
            few, many = (r.per_class[modality][name] for r in rates[:2])
            assert few.high - few.low > 1.3 * (many.high - many.low)
            assert 0 <= many.low <= many.value <= many.high <= 100
    assert rates[1].per_class["visual"]["Bark"].value == pytest.approx(40, abs=8)
    lines = rates[1].as_markdown().splitlines()
    assert lines[0] == "Estimated wrong labels in percent, with 95 % intervals."
    assert [line.split(" | ")[0] for line in lines[4:]] == ["| all", "| Bark", "| Voice"]


def test_estimates_of_nothing_are_refused() -> None:
    generator = torch.Generator().manual_seed(3)
    rates = RightRates.fit(*_labelled(60, torch.full((2, 3), 0.2), generator))
    with pytest.raises(UserError, match="no label to estimate the noise of"):
        estimate_noise_rates(torch.zeros(4, 3), rates, CLASSES)
    with pytest.raises(UserError, match="level is 95"):
        estimate_noise_rates(torch.ones(4, 3), rates, CLASSES, level=95)
