from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.distributed
import torch.multiprocessing
from hypothesis import given, settings
from hypothesis import strategies as st

from avparse.evaluation import (
    METRICS,
    ParsingScores,
    bootstrap,
    bootstrap_difference,
    score_classes,
    score_parsing,
)
from avparse.evaluation import parsing as parsing_module
from avparse.evaluation.metric import ParsingMetric
from avparse.evaluation.parsing import LEVELS, TRACKS
from avparse.foundation.arrays import BoolArray
from avparse.foundation.errors import UserError
from avparse.models.decoding import DecodingRule
from avparse.models.output import ParserOutput
from tests import golden
from tests.plain_metrics import METRICS as PLAIN_METRICS
from tests.plain_metrics import count_events, count_segments, plain_scores

# ---- golden metrics


def in_our_axes(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """[video, class, segment] -> [N, T, C]."""
    return np.ascontiguousarray(array.transpose(0, 2, 1))


def decided(case: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> list[Any]:
    """Predictions of a golden case: stored, or decoded from the stored probabilities by our rule."""
    if "pred_audio" in arrays:
        return [in_our_axes(arrays["pred_audio"]), in_our_axes(arrays["pred_visual"])]
    own = case["kind"] == "probability_modality_gate"
    audio = torch.from_numpy(arrays["audio_prob" if own else "global_prob"])
    visual = torch.from_numpy(arrays["visual_prob" if own else "global_prob"])
    output = ParserOutput(
        audio_segments=torch.from_numpy(in_our_axes(arrays["frame_audio"])),
        visual_segments=torch.from_numpy(in_our_axes(arrays["frame_visual"])),
        audio=audio,
        visual=visual,
        video=torch.full_like(audio, torch.nan) if own else audio,  # the gate that is not asked for must not matter
    )
    thresholds = {k: tuple(v) if isinstance(v, list) else v for k, v in case["thresholds"].items()}
    rule = DecodingRule(
        gate="own" if own else "union",
        segment_threshold=thresholds["segment"],
        audio_gate_threshold=thresholds["gate_audio"],
        visual_gate_threshold=thresholds["gate_visual"],
    )
    return list(rule.decide(output))


def ours(name: str) -> str:
    return name.replace("_av", "_audio_visual")


def check_golden(listing: dict[str, Any], cases: Iterable[golden.MetricCase], least: int) -> None:
    names = set()
    for case, arrays in cases:
        name = case["name"]
        scores = score_parsing(
            *decided(case, arrays), in_our_axes(arrays["gt_audio"]), in_our_axes(arrays["gt_visual"])
        )
        metrics = scores.as_dict()
        assert tuple(metrics) == METRICS
        for column, value in zip(listing["figure_order"], arrays["figures"], strict=True):
            assert metrics[ours(column)] == pytest.approx(value, abs=1e-9), (name, column)
            assert metrics[ours(column)] == pytest.approx(case["figures"][column], abs=1e-9), (name, column)
        for k, column in enumerate(listing["per_video_columns"]):
            own = scores.per_video[:, METRICS.index(ours(column))]
            np.testing.assert_allclose(own, arrays["per_video"][:, k], rtol=0, atol=1e-9, err_msg=f"{name} {column}")
        names.add(name)
    assert len(names) >= least


def test_golden_metrics_and_per_video_scores() -> None:
    check_golden(*golden.metric_cases(), least=23)


def test_golden_metrics_of_llp(shared: Path) -> None:
    check_golden(*golden.metric_cases(shared / "golden"), least=10)


def test_golden_metrics_hold_for_the_plain_twin_too() -> None:
    listing, cases = golden.metric_cases()
    compared = 0
    for case, arrays in cases:
        if case["videos"] > 64:
            continue  # the twin is slow
        truth = [in_our_axes(arrays["gt_audio"]), in_our_axes(arrays["gt_visual"])]
        metrics = 100 * np.mean(
            plain_scores(*(np.asarray(x, dtype=bool) for x in [*decided(case, arrays), *truth])), axis=0
        )
        for column, value in zip(listing["figure_order"], arrays["figures"], strict=True):
            assert metrics[PLAIN_METRICS.index(ours(column))] == pytest.approx(value, abs=1e-9), (case["name"], column)
        compared += 1
    assert compared >= 20


# ---- properties, against the twin


def random_tracks(
    rng: np.random.Generator, videos: int, segments: int, classes: int, density: float
) -> list[BoolArray]:
    """Four tracks; half of the rows are independent bits, half are long runs; predictions resemble the truth."""
    shape = (videos, segments, classes)
    truth = []
    for _ in range(2):
        scattered = rng.random(shape) < density
        flips = rng.random(shape) < 0.2
        long_runs = (np.cumsum(flips, axis=1) + rng.integers(2, size=(videos, 1, classes))) % 2 == 1
        present = rng.random((videos, 1, classes)) < 2 * density
        truth.append(np.where(rng.random((videos, 1, classes)) < 0.5, scattered, long_runs & present))
    noise = [rng.random(shape) < rng.choice([0, 0.1, 0.5]) for _ in range(2)]
    return [truth[0] ^ noise[0], truth[1] ^ noise[1], *truth]


tracks_and_mask = st.tuples(
    st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 30), st.integers(1, 6), st.floats(0, 1), st.booleans()
)


def drawn(
    case: tuple[int, int, int, int, float, bool],
) -> tuple[list[BoolArray], BoolArray | None, np.random.Generator]:
    seed, videos, segments, classes, density, ragged = case
    rng = np.random.default_rng(seed)
    tracks = random_tracks(rng, videos, segments, classes, density)
    lengths = rng.integers(1, segments + 1, size=(videos, 1))
    return tracks, np.arange(segments) < lengths if ragged else None, rng


@settings(max_examples=400, deadline=None)
@given(case=tracks_and_mask, iou=st.sampled_from([0.1, 0.3, 0.5, 0.6, 0.75, 1.0]))
def test_equals_the_plain_twin(case: tuple[int, int, int, int, float, bool], iou: float) -> None:
    tracks, mask, _ = drawn(case)
    scores = score_parsing(*tracks, mask, iou)
    np.testing.assert_allclose(scores.per_video, plain_scores(*tracks, mask, iou), rtol=0, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(case=tracks_and_mask, extra=st.integers(1, 12))
def test_padding_changes_nothing_whatever_lies_in_it(case: tuple[int, int, int, int, float, bool], extra: int) -> None:
    tracks, mask, rng = drawn(case)
    videos, segments, classes = tracks[0].shape
    mask = np.ones((videos, segments), dtype=bool) if mask is None else mask
    padded = [np.concatenate([x, rng.random((videos, extra, classes)) < 0.5], axis=1) for x in tracks]
    longer = np.concatenate([mask, np.zeros((videos, extra), dtype=bool)], axis=1)
    expected = score_parsing(*tracks, mask).per_video
    np.testing.assert_array_equal(score_parsing(*padded, longer).per_video, expected)
    for n in range(videos):  # alone and without padding
        alone = [x[n : n + 1, : mask[n].sum()] for x in tracks]
        np.testing.assert_array_equal(score_parsing(*alone).per_video[0], expected[n])


@settings(max_examples=60, deadline=None)
@given(case=tracks_and_mask)
def test_order_of_videos_and_direction_of_time_do_not_matter(case: tuple[int, int, int, int, float, bool]) -> None:
    tracks, mask, rng = drawn(case)
    expected = score_parsing(*tracks, mask).per_video
    order = rng.permutation(len(tracks[0]))
    shuffled = score_parsing(*(x[order] for x in tracks), None if mask is None else mask[order]).per_video
    np.testing.assert_array_equal(shuffled, expected[order])
    backwards = score_parsing(*(x[:, ::-1] for x in tracks), None if mask is None else mask[:, ::-1]).per_video
    np.testing.assert_array_equal(backwards, expected)


@settings(max_examples=60, deadline=None)
@given(case=tracks_and_mask)
def test_the_truth_scores_one_hundred_and_f_is_symmetric(case: tuple[int, int, int, int, float, bool]) -> None:
    (audio, visual, audio_true, visual_true), mask, _ = drawn(case)
    perfect = score_parsing(audio_true, visual_true, audio_true, visual_true, mask)
    assert set(perfect.as_dict().values()) == {100.0}
    forth = score_parsing(audio, visual, audio_true, visual_true, mask).per_video
    back = score_parsing(audio_true, visual_true, audio, visual, mask).per_video
    np.testing.assert_allclose(forth, back, rtol=0, atol=1e-12)


def test_number_of_videos_in_a_pass_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    tracks = random_tracks(np.random.default_rng(1), 23, 12, 7, 0.3)
    expected = score_parsing(*tracks).per_video
    for block in (1, 12 * 7 * 5, 1 << 30):
        monkeypatch.setattr(parsing_module, "_BLOCK", block)
        np.testing.assert_array_equal(score_parsing(*tracks).per_video, expected)


def test_memory_stays_linear_for_an_hour_of_segments() -> None:
    def peak_bytes(segments: int) -> int:
        tracks = random_tracks(np.random.default_rng(0), 2, segments, 25, 0.3)
        tracemalloc.start()
        score_parsing(*tracks)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    quarter, hour = peak_bytes(900), peak_bytes(3600)
    assert hour < 4.4 * quarter
    assert hour < 100 * 3600 * 25  # bytes a cell of one video: three tracks, and both sides' runs


def test_below_half_one_true_event_makes_two_predictions_right() -> None:
    true = np.array([[1, 1, 1, 1, 1]], dtype=bool)[..., np.newaxis]
    pred = np.array([[1, 1, 0, 1, 1]], dtype=bool)[..., np.newaxis]
    empty = np.zeros_like(true)

    def event_audio(iou: float) -> float:
        return score_parsing(pred, empty, true, empty, iou=iou).as_dict()["event_audio"]

    assert event_audio(0.5) == 0
    assert event_audio(0.4) == 100  # TP 2, FP 0, FN 0
    true[0, 4] = False  # 2 of 4 and 1 of 5: exactly half counts
    assert event_audio(0.5) == pytest.approx(100 * 2 / 3)


def test_tensors_and_numbers_score_as_booleans_do() -> None:
    tracks = random_tracks(np.random.default_rng(2), 4, 9, 3, 0.4)
    mask = np.arange(9) < np.array([[9], [4], [1], [7]])
    expected = score_parsing(*tracks, mask).per_video
    for kind in (np.uint8, np.int64, np.float32):
        np.testing.assert_array_equal(score_parsing(*(x.astype(kind) for x in tracks), mask).per_video, expected)
    for dtype in (torch.bool, torch.bfloat16, torch.int32):
        tensors = [torch.from_numpy(x).to(dtype) for x in (*tracks, mask)]
        np.testing.assert_array_equal(score_parsing(*tensors).per_video, expected)


def test_a_table_is_printed() -> None:
    tracks = random_tracks(np.random.default_rng(2), 4, 9, 3, 0.4)
    scores = score_parsing(*tracks)
    lines = str(scores).splitlines()
    assert [line.split()[0] for line in lines] == ["F", "segment", "event"]
    shown = [float(x) for line in lines[1:] for x in line.split()[1:]]
    assert shown == pytest.approx(list(scores.as_dict().values()), abs=0.051)


# ---- bad input


def ones(*shape: int) -> BoolArray:
    return np.ones(shape, dtype=bool)


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ([ones(0, 10, 5)] * 4, "at least one video"),
        ([ones(2, 10, 5)] * 3 + [ones(2, 9, 5)], r"visual_true \(2, 9, 5\)"),
        ([ones(10, 5)] * 4, r"audio_pred \(10, 5\)"),
        ([ones(2, 10, 5)] * 4 + [ones(2, 9)], r"mask has shape \(2, 9\)"),
        ([ones(2, 10, 5)] * 4 + [ones(2, 10) * 0.5], "mask holds values other than 0 and 1"),
        ([ones(2, 10, 5) * 0.7] + [ones(2, 10, 5)] * 3, "audio_pred holds values other than 0 and 1"),
        ([ones(2, 10, 5)] * 3 + [torch.full((2, 10, 5), torch.nan)], "visual_true holds values"),
        ([ones(2, 10, 5)] * 4 + [None, 0.0], "iou is 0.0"),
        ([ones(2, 10, 5)] * 4 + [None, float("nan")], "iou is nan"),
    ],
)
def test_bad_input_is_told_in_one_line(arrays: list[Any], told: str) -> None:
    with pytest.raises(UserError, match=told) as caught:
        score_parsing(*arrays)
    assert "\n" not in str(caught.value)


# ---- classes


def test_class_scores_are_counts_over_all_videos() -> None:
    tracks = random_tracks(np.random.default_rng(3), 11, 13, 4, 0.3)
    tracks = [np.concatenate([x, np.zeros((11, 13, 1), dtype=bool)], axis=2) for x in tracks]  # a class that never is
    names = ["a", "b", "c", "d", "never"]
    scores = score_classes(*tracks, classes=names)
    rows = {(r["class"], r["level"], r["track"]): r for r in scores.as_rows()}
    assert len(rows) == len(names) * len(LEVELS) * len(TRACKS)
    sides = {"audio": (tracks[0], tracks[2]), "visual": (tracks[1], tracks[3])}
    sides["audio_visual"] = (tracks[0] & tracks[1], tracks[2] & tracks[3])
    for track, (pred, true) in sides.items():
        for level, count in (("segment", count_segments), ("event", count_events)):
            for c, name in enumerate(names):
                counts = [count(pred[n, :, c].tolist(), true[n, :, c].tolist(), 0.5) for n in range(11)]
                tp, fp, fn = np.sum(counts, axis=0)
                row = rows[name, level, track]
                assert (row["right"], row["wrong"], row["missed"]) == (tp, fp, fn)
                if name == "never":
                    assert row["f"] is row["precision"] is row["recall"] is None
                else:
                    assert row["f"] == pytest.approx(100 * 2 * tp / (2 * tp + fp + fn))
                    assert row["precision"] == pytest.approx(100 * tp / (tp + fp))
                    assert row["recall"] == pytest.approx(100 * tp / (tp + fn))
    table = str(scores).splitlines()
    assert [line.split()[0] for line in table[1:]] == names
    assert table[-1].split()[1:] == ["-"] * 6


def test_class_names_must_fit() -> None:
    with pytest.raises(UserError, match="2 names for 5 classes"):
        score_classes(*[ones(2, 10, 5)] * 4, classes=["a", "b"])


# ---- intervals


def test_bootstrap_matches_the_analytic_standard_error() -> None:
    rng = np.random.default_rng(4)
    scores = ParsingScores(rng.beta(2, 1, size=(649, len(METRICS))))
    intervals = bootstrap(scores, repeats=4000, seed=1, level=0.95)
    assert tuple(intervals) == METRICS
    error = 100 * scores.per_video.std(axis=0) / np.sqrt(649)
    for name, expected in zip(METRICS, error, strict=True):
        interval = intervals[name]
        assert interval.value == pytest.approx(scores.as_dict()[name])
        # Half the width is 1.96 standard errors; the quantiles of 4000 draws are good to about 3 %.
        assert (interval.high - interval.low) / 2 == pytest.approx(1.96 * expected, rel=0.1)
        assert (interval.high + interval.low) / 2 == pytest.approx(interval.value, abs=0.2 * expected)
    assert bootstrap(scores, 500, seed=1) == bootstrap(scores, 500, seed=1)
    assert bootstrap(scores, 500, seed=1) != bootstrap(scores, 500, seed=2)


def test_bootstrap_covers_the_expectation_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    inside = 0
    for trial in range(40):
        scores = ParsingScores(rng.random((200, len(METRICS))) ** 2)  # expectation one third
        inside += sum(i.low <= 100 / 3 <= i.high for i in bootstrap(scores, 300, trial, level=0.8).values())
    assert 0.74 < inside / 400 < 0.86  # 400 intervals: standard error 0.02


def test_paired_differences_are_narrower_and_change_sign() -> None:
    rng = np.random.default_rng(6)
    one = rng.random((300, len(METRICS)))
    better = ParsingScores(np.clip(one + rng.normal(0.01, 0.02, one.shape), 0, 1))
    base = ParsingScores(one)
    gain, loss = bootstrap_difference(better, base), bootstrap_difference(base, better)
    for name in METRICS:
        assert gain[name].low > 0
        assert (loss[name].value, loss[name].low, loss[name].high) == pytest.approx(
            (-gain[name].value, -gain[name].high, -gain[name].low)
        )
    single = bootstrap(base)["segment_audio"]
    assert gain["segment_audio"].high - gain["segment_audio"].low < (single.high - single.low) / 5


def test_bootstrap_refuses_nonsense() -> None:
    a, b = ParsingScores(np.zeros((3, 10))), ParsingScores(np.zeros((4, 10)))
    with pytest.raises(UserError, match="3 and 4 videos"):
        bootstrap_difference(a, b)
    with pytest.raises(UserError, match="repeats is 0"):
        bootstrap(a, repeats=0)
    with pytest.raises(UserError, match="level is 95"):
        bootstrap(a, level=95)


# ---- the torchmetrics form


def scored_tracks() -> tuple[list[BoolArray], BoolArray]:
    tracks = random_tracks(np.random.default_rng(7), 31, 14, 6, 0.3)
    return tracks, np.arange(14) < np.random.default_rng(8).integers(1, 15, size=(31, 1))


def test_metric_over_batches_equals_one_call() -> None:
    tracks, mask = scored_tracks()
    expected = score_parsing(*tracks, mask).as_dict()
    metric = ParsingMetric()
    for part in (slice(0, 1), slice(1, 12), slice(12, 31)):
        longest = int(mask[part].sum(axis=1).max())  # batches are padded to their own longest video
        metric.update(*(torch.from_numpy(x[part, :longest]) for x in tracks), torch.from_numpy(mask[part, :longest]))
    assert {k: float(v) for k, v in metric.compute().items()} == pytest.approx(expected, abs=1e-10)
    metric.reset()
    with pytest.warns(UserWarning, match="before"), pytest.raises(UserError, match="no video was added"):
        metric.compute()


def rank_job(rank: int, folder: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    tracks, mask = scored_tracks()
    part = slice(0, 9) if rank == 0 else slice(9, 31)  # ranks need not hold equally many
    metric = ParsingMetric()
    for first in range(part.start, part.stop, 6):
        piece = slice(first, min(first + 6, part.stop))
        metric.update(*(x[piece] for x in tracks), mask[piece])
    metrics = {name: float(value) for name, value in metric.compute().items()}
    Path(folder, f"{rank}.json").write_text(json.dumps(metrics))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_metric_over_two_ranks_equals_one_call(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(rank_job, args=(str(tmp_path),), nprocs=2)
    tracks, mask = scored_tracks()
    expected = score_parsing(*tracks, mask).as_dict()
    for rank in range(2):
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == pytest.approx(expected, abs=1e-10)
