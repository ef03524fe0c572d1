"""Segment labels: at rest, as batches, as targets, and in the losses that read them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from avparse.data.batching import FeatureTable
from avparse.data.features import Batch, Features, Step
from avparse.data.store import FeatureStore
from avparse.foundation.errors import UserError
from avparse.labels.segments import SegmentLabels, SegmentTable, from_padded
from avparse.labels.table import RefinedLabels
from avparse.labels.target_sources import RefinedSource, SegmentSource, WeakLabels
from avparse.labels.targets import Targets
from avparse.losses import LOSSES, Loss
from avparse.models.output import ParserOutput
from tests.toy import toy_store

STEP = Step(0, 0, 1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy_store(tmp_path_factory.mktemp("data") / "toy", videos=30, ragged=True)


def labels_of(store: FeatureStore, indices: np.ndarray, seed: int = 0) -> SegmentLabels:
    rng = np.random.default_rng(seed)
    shape = (int(store.lengths[indices].sum()), len(store.vocabulary))
    sides = (rng.random(shape).astype(np.float16) for _ in range(2))
    return SegmentLabels(
        tuple(store.videos[i] for i in indices), store.vocabulary.names, store.lengths[indices], *sides
    )


def test_a_file_holds_what_was_written(store: FeatureStore, tmp_path: Path) -> None:
    whole = labels_of(store, store.select("train"))
    for labels in (whole, replace(whole, audio=None), replace(whole, visual=None)):
        labels.save(tmp_path / "labels.safetensors")
        found = SegmentLabels.load(tmp_path / "labels.safetensors")
        assert (found.videos, found.classes) == (labels.videos, labels.classes)
        assert (found.lengths == labels.lengths).all()
        for modality in ("audio", "visual"):
            ours, theirs = labels.side(modality), found.side(modality)
            assert (theirs is None) if ours is None else np.array_equal(ours, theirs)


def test_other_files_are_refused(tmp_path: Path) -> None:
    for content in (b"", b"not tensors at all"):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(UserError, match="cannot be read as segment labels"):
            SegmentLabels.load(tmp_path / "x")
    from safetensors.numpy import save_file

    save_file({"lengths": np.ones(1)}, tmp_path / "y")
    with pytest.raises(UserError, match="not a file of segment labels"):
        SegmentLabels.load(tmp_path / "y")


def test_wrong_shapes_and_values_are_refused(store: FeatureStore) -> None:
    labels = labels_of(store, store.select("train"))
    assert labels.audio is not None
    with pytest.raises(UserError, match="'audio' has shape"):
        replace(labels, audio=labels.audio[1:])
    for bad in (1.5, -0.1, np.inf):
        broken = labels.audio.copy()
        broken[3, 1] = bad
        with pytest.raises(UserError, match=r"outside \[0, 1\]"):
            replace(labels, audio=broken)


def test_batches_are_padded_and_unlabelled_videos_are_zero(store: FeatureStore) -> None:
    train = store.select("train")
    labels = labels_of(store, train)
    assert labels.audio is not None
    table = SegmentTable(labels, store)
    index = np.array([train[4], store.select("val")[0], train[0]])
    audio, visual = table(torch.from_numpy(index))
    assert audio is not None
    assert visual is not None
    assert audio.shape == (3, store.lengths[index].max(), len(store.vocabulary))
    starts = np.cumsum(labels.lengths) - labels.lengths
    for row, video in ((0, 4), (2, 0)):
        length = labels.lengths[video]
        expected = labels.audio[starts[video] : starts[video] + length]
        np.testing.assert_array_equal(audio[row, :length].numpy(), expected.astype(np.float32))
        assert (audio[row, length:] == 0).all()
    assert (audio[1] == 0).all()
    assert SegmentTable(replace(labels, visual=None), store)(torch.from_numpy(index))[1] is None


def test_padded_targets_come_back(store: FeatureStore) -> None:
    train = store.select("train")
    labels = labels_of(store, train)
    audio, visual = SegmentTable(labels, store)(torch.from_numpy(train))
    again = from_padded(store, train, audio, visual)
    assert again.videos == labels.videos
    np.testing.assert_array_equal(again.audio, labels.audio)
    np.testing.assert_array_equal(again.visual, labels.visual)
    assert from_padded(store, train, None, visual).audio is None


def test_labels_of_other_data_are_refused(store: FeatureStore, tmp_path: Path) -> None:
    labels = labels_of(store, store.select("train"))
    with pytest.raises(UserError, match="other classes"):
        SegmentTable(replace(labels, classes=tuple(reversed(labels.classes))), store)
    with pytest.raises(UserError, match="no video 'elsewhere'"):
        SegmentTable(replace(labels, videos=("elsewhere", *labels.videos[1:])), store)
    other = toy_store(tmp_path / "other", videos=30, segments=9, ragged=True, seed=5)
    with pytest.raises(UserError, match=r"has \d segments, in the data \d"):
        SegmentTable(labels, other)


def test_what_refinement_drops_is_dropped_in_every_segment(store: FeatureStore) -> None:
    train = store.select("train")
    labels = labels_of(store, train)
    rng, given = np.random.default_rng(1), store.weak[train]
    keep = [(given & (rng.random(given.shape) < 0.5)).astype(np.float32) for _ in range(2)]
    ones, none = np.ones(given.shape, np.float32), np.full(given.shape, "")
    refined = RefinedLabels(labels.videos, labels.classes, given, *keep, ones, ones, none, none)
    masked = labels.masked(refined)
    start = 0
    for row, length in enumerate(labels.lengths):
        for side, targets, expected in zip(
            keep, (masked.audio, masked.visual), (labels.audio, labels.visual), strict=True
        ):
            assert targets is not None
            assert expected is not None
            kept = np.where(given[row], side[row], 1)  # labels outside the given ones are no refinement's business
            np.testing.assert_array_equal(targets[start : start + length], expected[start : start + length] * kept)
        start += length
    fewer = RefinedLabels(
        labels.videos[1:], labels.classes, given[1:], keep[0][1:], keep[1][1:], ones[1:], ones[1:], none[1:], none[1:]
    )
    with pytest.raises(UserError, match=f"no video '{labels.videos[0]}'"):
        labels.masked(fewer)


def test_a_refined_label_without_a_segment_is_no_target_of_the_video(store: FeatureStore) -> None:
    train = store.select("train")
    given = store.weak[train]
    sparse = np.repeat(given, store.lengths[train], axis=0)
    sparse &= np.random.default_rng(0).random(sparse.shape) < 0.3
    labels = replace(labels_of(store, train), audio=None, visual=sparse.astype(np.float16))
    ones, none = np.ones(given.shape, np.float32), np.full(given.shape, "")
    refined = RefinedLabels(
        labels.videos, labels.classes, given, *[given.astype(np.float32)] * 2, ones, ones, none, none
    )
    bound = labels.bound(refined)
    highest = labels.video_level("visual")
    assert highest is not None
    assert (given & (highest == 0)).any()
    np.testing.assert_array_equal(bound.audio, refined.audio)  # no segment labels: as it was
    np.testing.assert_array_equal(bound.visual, np.where(given, highest, 0))
    source = RefinedSource(bound, store.videos, store.weak, WeakLabels.Config(keep_visual=0.9))
    targets = SegmentSource(source, SegmentTable(labels, store), video_level=False)(FeatureTable(store).batch(train))
    seen = targets.visual_segments
    assert seen is not None
    assert ((targets.visual > 0.5) == (seen.amax(dim=1) > 0.5)).all()


def test_the_highest_segment_is_the_target_of_the_video(store: FeatureStore) -> None:
    train = store.select("train")
    labels = replace(labels_of(store, train), audio=None)
    table = SegmentTable(labels, store)
    batch = FeatureTable(store).batch(train[:5])
    base = WeakLabels(WeakLabels.Config(keep_visual=0.9))
    plain, source = base(batch), SegmentSource(base, table, video_level=True)
    targets = source(batch)
    highest = labels.video_level("visual")
    assert highest is not None
    np.testing.assert_array_equal(targets.visual.numpy(), highest[:5])
    assert torch.equal(targets.audio, plain.audio)  # no segment labels of this modality: the base's stay
    assert torch.equal(targets.video, plain.video)
    beside = SegmentSource(base, table, video_level=False)(batch)
    assert torch.equal(beside.visual, plain.visual)
    assert beside.visual_segments is not None
    assert beside.audio_segments is None
    assert labels.video_level("audio") is None


def _random(seed: int, mask: torch.Tensor | None) -> tuple[ParserOutput, Targets, Batch]:
    generator = torch.Generator().manual_seed(seed)
    logits = [torch.randn(3, 5, 4, generator=generator) for _ in range(2)]
    segments = [x.sigmoid() if mask is None else x.sigmoid() * mask.unsqueeze(-1) for x in logits]
    pooled = [x.mean(dim=1) for x in segments]
    output = ParserOutput(*segments, *pooled, pooled[0], *logits)
    labels = [torch.rand(3, 5, 4, generator=generator).round() for _ in range(2)]
    weak = torch.ones(3, 4)
    batch = Batch(torch.arange(3), Features({"audio": torch.zeros(3, 5, 1)}, mask, mask), weak)
    return output, Targets(weak, weak, weak, *labels), batch


def loss(name: str, of: str, **settings: object) -> Loss:
    part = LOSSES[name]
    return part(part.Config.read({"name": name, "of": of, **settings}, "test"))  # type: ignore[attr-defined]


MASK = torch.tensor([[True] * 5, [True, True, False, False, False], [False] * 5])


@pytest.mark.parametrize("of", ["audio", "visual"])
def test_segment_cross_entropy_is_the_mean_over_real_segments(of: str) -> None:
    output, targets, batch = _random(0, None)
    ours = loss("segment_bce", of)(output, targets, batch, STEP)
    expected = functional.binary_cross_entropy(getattr(output, f"{of}_segments"), getattr(targets, f"{of}_segments"))
    assert ours == pytest.approx(float(expected), rel=1e-5)
    output, targets, batch = _random(1, MASK)
    for shown in (output, replace(output, audio_logits=None, visual_logits=None)):
        ours = loss("segment_bce", of)(shown, targets, batch, STEP)
        p, y = getattr(output, f"{of}_segments")[MASK], getattr(targets, f"{of}_segments")[MASK]
        assert ours == pytest.approx(float(functional.binary_cross_entropy(p, y)), rel=1e-5)


def _plain_richness(p: np.ndarray, y: np.ndarray, mask: np.ndarray, distance: str) -> float:
    def apart(a: float, b: float) -> float:
        return -(b * np.log(a) + (1 - b) * np.log(1 - a)) if distance == "bce" else (a - b) ** 2

    segments, classes = [], []
    for video in range(len(p)):
        real = [t for t in range(p.shape[1]) if mask[video, t]]
        segments += [apart(p[video, t].mean(), y[video, t].mean()) for t in real]
        if real:
            classes += [apart(p[video, real, c].mean(), y[video, real, c].mean()) for c in range(p.shape[2])]
    return float(np.mean(segments) + np.mean(classes))


@pytest.mark.parametrize("distance", ["bce", "mse"])
@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
def test_richness_is_what_a_plain_loop_says(distance: str, mask: torch.Tensor | None) -> None:
    output, targets, batch = _random(2, mask)
    real = np.ones((3, 5), bool) if mask is None else mask.numpy()
    for of in ("audio", "visual"):
        p, y = getattr(output, f"{of}_segments").double().numpy(), getattr(targets, f"{of}_segments").double().numpy()
        ours = loss("richness", of, distance=distance)(output, targets, batch, STEP)
        assert float(ours) == pytest.approx(_plain_richness(p, y, real, distance), rel=1e-4)


def test_losses_on_segments_ask_for_labels() -> None:
    output, targets, batch = _random(3, None)
    bare = replace(targets, audio_segments=None)
    for name in ("segment_bce", "richness"):
        with pytest.raises(UserError, match="segment labels, but there are none"):
            loss(name, "audio")(output, bare, batch, STEP)
    nothing = torch.zeros_like(MASK)
    features = replace(batch.features, audio_mask=nothing)
    for name in ("segment_bce", "richness"):
        assert loss(name, "audio")(output, targets, replace(batch, features=features), STEP) == 0
