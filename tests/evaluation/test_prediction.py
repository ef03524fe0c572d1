"""Parsing whole stores and long videos."""

from __future__ import annotations

import pytest
import torch

from avparse.data.batching import FeatureTable, task_spec
from avparse.data.features import Features
from avparse.evaluation.comparison import compare_with_labels, score_split
from avparse.evaluation.prediction import predict
from avparse.foundation.errors import UserError
from avparse.models import DecodingRule, Parser, ParserConfig
from avparse.models.windows import predict_windows
from tests.toy import DIMENSIONS, toy_store

PARTS = {"stem": {"name": "linear", "width": 16}, "encoder": "han"}
CONFIG = ParserConfig.read({**PARTS, "decoder": "mmil"}, "test")
LEAP = ParserConfig.read({**PARTS, "decoder": {"name": "leap", "heads": 2}}, "test")


@pytest.fixture(scope="module")
def ragged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Parser, FeatureTable]:
    store = toy_store(tmp_path_factory.mktemp("ragged") / "toy", ragged=True)
    torch.manual_seed(0)
    return Parser(CONFIG, task_spec(store)).eval(), FeatureTable(store)


def _streams(total: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(total)
    return {name: torch.randn(total, d, generator=generator) for name, d in DIMENSIONS.items()}


def test_batch_size_changes_nothing_on_ragged_videos(ragged: tuple[Parser, FeatureTable]) -> None:
    parser, table = ragged
    indices = table.store.select("train")
    one, many = predict(parser, table, indices, batch_size=1), predict(parser, table, indices, batch_size=64)
    for name in ("audio_segments", "visual_segments", "audio", "visual", "video"):
        assert torch.allclose(getattr(one, name), getattr(many, name), atol=1e-6), name


def test_scores_use_only_real_segments(ragged: tuple[Parser, FeatureTable]) -> None:
    parser, table = ragged
    indices = table.store.select("test")
    rule = DecodingRule()
    scores = compare_with_labels(parser, table, indices, rule)
    assert score_split(parser, table, indices, rule).as_dict() == scores["parser"].as_dict()
    # A label copied into padding would cost precision; by hand, video by video:
    copied = scores["weak label copied everywhere"].per_video[:, 0]
    for row, position in enumerate(indices):
        first, length = table.store.first_row[position], table.store.lengths[position]
        truth = torch.from_numpy(table.store.truth("audio")[first : first + length].copy())
        weak = torch.from_numpy(table.store.weak[position])
        f = [
            2 * truth[:, c].sum() / (truth[:, c].sum() + length * weak[c])
            for c in range(len(weak))
            if weak[c] or truth[:, c].any()
        ]
        assert copied[row] == pytest.approx(float(torch.stack(f).mean()) if f else 1.0)


@pytest.mark.parametrize("total", [1, 5, 6])
def test_a_short_video_is_parsed_whole(ragged: tuple[Parser, FeatureTable], total: int) -> None:
    parser, _ = ragged
    streams, present = _streams(total), torch.ones(total, dtype=torch.bool)
    stitched = predict_windows(parser, streams, present, present, window=6)
    with torch.no_grad():
        whole = parser(Features({n: x.unsqueeze(0) for n, x in streams.items()}))
    assert torch.allclose(stitched.audio_segments, whole.audio_segments, atol=1e-6)
    assert torch.allclose(stitched.video, whole.video.unsqueeze(1).expand(-1, total, -1), atol=1e-6)


def test_windows_cover_every_segment_and_average_by_hand(ragged: tuple[Parser, FeatureTable]) -> None:
    parser, _ = ragged
    total, window = 8, 6
    streams, present = _streams(total), torch.ones(total, dtype=torch.bool)
    stitched = predict_windows(parser, streams, present, present, window, batch_size=1)
    with torch.no_grad():
        parts = {
            first: parser(Features({n: x[None, first : first + window] for n, x in streams.items()}))
            for first in (0, 2)
        }
    # Segment 3 is the fourth of the first window (weight 3) and the second of the last (weight 2).
    expected = (3 * parts[0].audio_segments[0, 3] + 2 * parts[2].audio_segments[0, 1]) / 5
    assert torch.allclose(stitched.audio_segments[0, 3], expected, atol=1e-6)
    gate = (3 * parts[0].video[0] + 2 * parts[2].video[0]) / 5
    assert torch.allclose(stitched.video[0, 3], gate, atol=1e-6)
    assert torch.allclose(stitched.visual_segments[0, 0], parts[0].visual_segments[0, 0], atol=1e-6)


@pytest.mark.parametrize("total", [7, 9, 100, 101])
def test_a_stretch_away_from_the_edges_does_not_know_the_rest(ragged: tuple[Parser, FeatureTable], total: int) -> None:
    parser, _ = ragged
    streams, present = _streams(total), torch.ones(total, dtype=torch.bool)
    once = predict_windows(parser, streams, present, present, window=6)
    assert once.audio_segments.shape == (1, total, 4)
    assert bool((once.audio_segments > 0).all())
    longer = {n: torch.cat((x, torch.randn(30, x.shape[-1]))) for n, x in streams.items()}
    more = torch.ones(total + 30, dtype=torch.bool)
    twice = predict_windows(parser, longer, more, more, window=6)
    safe = max(total - 2 * 6, 0)
    assert torch.allclose(once.audio_segments[:, :safe], twice.audio_segments[:, :safe], atol=1e-6)


@pytest.fixture(scope="module")
def attending(ragged: tuple[Parser, FeatureTable]) -> Parser:
    torch.manual_seed(1)
    return Parser(LEAP, ragged[0].spec).eval()


def test_attention_of_a_store(ragged: tuple[Parser, FeatureTable], attending: Parser) -> None:
    parser, table = ragged
    indices = table.store.select("train")
    assert predict(parser, table, indices).attention is None
    one, many = predict(attending, table, indices, batch_size=1), predict(attending, table, indices, batch_size=64)
    assert one.attention is not None
    assert many.attention is not None
    assert one.attention.shape == (2, *one.audio_segments.shape)
    assert torch.allclose(one.attention, many.attention, atol=1e-6)
    assert torch.allclose(many.attention.sum(dim=2), torch.ones(2, len(indices), 4), atol=1e-5)
    past = torch.arange(many.attention.shape[2]) >= torch.from_numpy(table.store.lengths[indices])[:, None]
    assert bool(past.any())
    assert float(many.attention[:, past].abs().max()) == 0


def test_attention_in_windows(ragged: tuple[Parser, FeatureTable], attending: Parser) -> None:
    streams, present = _streams(8), torch.ones(8, dtype=torch.bool)
    assert predict_windows(ragged[0], streams, present, present, window=6).attention is None
    stitched = predict_windows(attending, streams, present, ~present, window=6, batch_size=1)
    with torch.no_grad():
        parts = {
            first: attending(
                Features({n: x[None, first : first + 6] for n, x in streams.items()}, None, ~present[None, :6])
            )
            for first in (0, 2)
        }
    assert stitched.attention is not None
    assert stitched.attention.shape == (2, 1, 8, 4)
    assert torch.equal(stitched.attention[1], torch.zeros(1, 8, 4))  # there is no picture
    expected = (3 * parts[0].attention[0, 0, 3] + 2 * parts[2].attention[0, 0, 1]) / 5
    assert torch.allclose(stitched.attention[0, 0, 3], expected, atol=1e-6)
    short = {n: x[:5] for n, x in streams.items()}
    whole = predict_windows(attending, short, present[:5], present[:5], window=6).attention
    assert whole is not None
    assert torch.allclose(whole.sum(dim=2), torch.ones(2, 1, 4), atol=1e-5)


def test_absent_sound_stays_absent_in_windows(ragged: tuple[Parser, FeatureTable]) -> None:
    parser, _ = ragged
    silent = torch.zeros(20, dtype=torch.bool)
    output = predict_windows(parser, _streams(20), silent, ~silent, window=6)
    assert float(output.audio_segments.abs().max()) == 0
    audio, _ = DecodingRule(segment_threshold=0.0, audio_gate_threshold=0.0).decide(output)
    assert not audio.any()


def test_scoring_without_truth_is_refused(ragged: tuple[Parser, FeatureTable]) -> None:
    parser, table = ragged
    indices = table.store.select("test")
    kept = table.store.annotated.copy()
    table.store.annotated[indices[0]] = False
    try:
        with pytest.raises(UserError, match=r"1 of \d+ test videos have no dense truth \(such as 'toy"):
            score_split(parser, table, indices, DecodingRule())
    finally:
        table.store.annotated[:] = kept
