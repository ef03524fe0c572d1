"""The light extractor: the log-mel front end, and features that tell sounds and pictures apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from avparse.foundation.errors import UserError
from avparse.media.decoding.chunks import Chunk, read_chunks
from avparse.media.extractors import EXTRACTORS
from avparse.media.extractors.light import LightExtractor
from avparse.media.extractors.light_picture import appearance_features, motion_features
from avparse.media.extractors.light_sound import sound_features
from avparse.media.extractors.mel import log_mel
from tests.clips import click, colours, tone, write_clip
from tests.decoded import read_whole

T = np.arange(16000) / 16000
LIGHT = LightExtractor()
VIEWS = [stream.view for stream in LIGHT.streams.values()]


def features_of(extractor: LightExtractor, chunk: Chunk) -> dict[str, np.ndarray]:
    return {name: stream.features(chunk) for name, stream in extractor.streams.items()}


def chunk_of(sounds: list[np.ndarray], pictures: np.ndarray) -> Chunk:
    """A chunk of one-second segments from samples and frames ``[S, F, H, W, 3]``."""
    n = len(sounds)
    everywhere = np.ones(n, dtype=bool)
    return Chunk(
        start_s=0.0,
        end_s=float(n),
        segments=n,
        segment_seconds=1.0,
        sounds={LIGHT.streams["audio"].view: np.stack(sounds)[:, None].astype(np.float32)},
        pictures={LIGHT.streams["frames"].view: pictures},
        audio_present=everywhere,
        visual_present=everywhere,
    )


def independent_log_mel(samples: np.ndarray) -> np.ndarray:
    """The same front end by torch.stft and triangles built band by band, in float64."""
    window = torch.zeros(512, dtype=torch.float64)
    window[:400] = torch.hann_window(400, periodic=True, dtype=torch.float64)
    padded = torch.nn.functional.pad(torch.from_numpy(samples.astype(np.float64)), (0, 112))
    spectra = torch.stft(padded, 512, 160, 512, window, center=False, return_complex=True).abs().T.numpy()

    def mel(hertz: float) -> float:
        return 2595.0 * float(np.log10(1 + hertz / 700.0))

    low, high = mel(125.0), mel(7500.0)
    filters = np.zeros((257, 64))
    for band in range(64):
        left, centre, right = (low + (high - low) * (band + i) / 65 for i in range(3))
        for k in range(1, 257):
            m = mel(k * 31.25)
            if left < m <= centre:
                filters[k, band] = (m - left) / (centre - left)
            elif centre < m < right:
                filters[k, band] = (right - m) / (right - centre)
    return np.log(spectra @ filters + 0.01)


def test_log_mel_equals_an_independent_computation(shared: Path) -> None:
    rng = np.random.default_rng(0)
    clip = read_whole(shared / "data" / "llp" / "BjCEufrlXm4.mp4", frame_size=(8, 8))
    for samples in (rng.uniform(-1, 1, 16000).astype(np.float32), np.float32(np.sin(5000 * T)), clip.audio):
        ours = log_mel(samples)
        assert ours.shape == ((len(samples) - 400) // 160 + 1, 64)
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, independent_log_mel(samples), atol=1e-4)


def noise(seed: int) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(16000)


def harmonic(hertz: float) -> np.ndarray:
    return sum(0.2 / k * np.sin(2 * np.pi * hertz * k * T) for k in range(1, 6))


def pulses(rate: float, seed: int) -> np.ndarray:
    return noise(seed) * 4 * np.exp(-((T * rate) % 1.0) * 20)


SOUNDS = {
    "noise": lambda i: noise(i) * 10 ** (-i / 8),
    "harmonic": lambda i: harmonic(150 + 40 * i) * 10 ** (-i / 8),
    "pulses": lambda i: pulses(3 + i / 2, i) * 10 ** (-i / 8),
}


def test_kinds_of_sound_are_told_apart_whatever_level_and_pitch() -> None:
    """Nearest centroid on standardised features names the kind of examples not used for the centroids."""
    kinds = list(SOUNDS)
    made = np.array([[sound_features(SOUNDS[kind](i).astype(np.float32)) for i in range(6)] for kind in kinds])
    seen, unseen = made[:, ::2], made[:, 1::2]
    mean, deviation = seen.mean(axis=(0, 1)), seen.std(axis=(0, 1)) + 1e-3
    centroids = ((seen - mean) / deviation).mean(axis=1)
    for kind, examples in enumerate((unseen - mean) / deviation):
        distance = np.linalg.norm(examples[:, None] - centroids, axis=-1)
        assert (distance.argmin(axis=1) == kind).all(), kinds[kind]


def test_pitch_and_rhythm_are_measured() -> None:
    # The last seven features: strength (mean, deviation, maximum), voiced share, octaves over 80 Hz, spread, glide.
    for hertz in (110, 220, 440):
        strength, _, _, voiced, octaves, spread, _ = sound_features(harmonic(hertz).astype(np.float32))[-7:]
        assert strength > 0.9
        assert voiced == 1
        assert octaves == pytest.approx(np.log2(hertz / 80), abs=0.05)
        assert spread < 0.05
    assert sound_features(noise(0).astype(np.float32))[-7] < 0.5
    # After 4 x 64 bands and 5 x 8 modulations: onsets (mean, deviation, maximum, peakedness), rhythm strength and rate.
    beat = sound_features(pulses(5, 0).astype(np.float32))[296:302]
    hum = sound_features(harmonic(200).astype(np.float32))[296:302]
    assert beat[4] > 0.5 > hum[4] + 0.2
    assert 2 ** beat[5] == pytest.approx(5, rel=0.06)


def moving_square(dx: float, dy: float) -> np.ndarray:
    """Eight frames of a soft bright blob that moves (dx, dy) pixels a frame, [F, H, W, 3]."""
    y, x = np.mgrid[:72, :96]
    frames = [np.exp(-((x - 48 - dx * i) ** 2 + (y - 36 - dy * i) ** 2) / 200) for i in np.arange(8) - 3.5]
    return np.repeat((np.array(frames) * 230).astype(np.uint8)[..., None], 3, axis=-1)


def test_motion_has_the_direction_and_speed_of_the_picture() -> None:
    for dx, dy in ((1.5, 0.0), (-1.5, 0.0), (0.0, 1.0), (0.0, -1.0)):
        flow = motion_features(moving_square(dx, dy))[87 : 87 + 6 * 16].reshape(6, 4, 4)
        u, v = flow[0, 1:3, 1:3].mean(), flow[1, 1:3, 1:3].mean()
        assert u == pytest.approx(dx, abs=0.45)
        assert v == pytest.approx(dy, abs=0.45)
    still = motion_features(moving_square(0, 0))
    assert np.abs(still[: 5 * 16]).max() == 0


def test_appearance_says_what_is_where() -> None:
    red_left = np.zeros((8, 72, 96, 3), dtype=np.uint8)
    red_left[:, :, :48, 0] = 255
    mean = appearance_features(red_left)[:48].reshape(4, 4, 3)
    np.testing.assert_allclose(mean[:, :2], np.broadcast_to([1, 0, 0], (4, 2, 3)))
    assert not mean[:, 2:].any()


def test_streams_are_declared_finite_and_scaled(shared: Path) -> None:
    extractor = EXTRACTORS["light"]()
    assert extractor.name == "light"
    (chunk,) = read_chunks(shared / "data" / "llp" / "BjCEufrlXm4.mp4", VIEWS)
    features = features_of(extractor, chunk)
    assert {name: values.shape for name, values in features.items()} == {
        name: (10, stream.dimension) for name, stream in extractor.streams.items()
    }
    for values in features.values():
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
        assert np.abs(values).max() < 50
        assert values.std(axis=0).max() > 0.1
    again = features_of(EXTRACTORS["light"](), chunk)
    assert all(np.array_equal(again[name], features[name]) for name in features)
    assert sum(stream.dimension for stream in extractor.streams.values()) < 1000


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(["silence", "constant", "impulse", "square", "tiny"]),
    level=st.integers(0, 255),
    spot=st.booleans(),
)
def test_extremes_stay_finite(kind: str, level: int, spot: bool) -> None:
    sound = {
        "silence": np.zeros(16000),
        "constant": np.ones(16000),
        "impulse": np.eye(1, 16000, 5000)[0],
        "square": np.sign(np.sin(3000 * T)),
        "tiny": 1e-7 * np.sin(3000 * T),
    }[kind]
    pictures = np.full((1, 8, 72, 96, 3), level, dtype=np.uint8)
    if spot:
        pictures[0, 4:] = 255 - level
    for values in features_of(LightExtractor(), chunk_of([sound], pictures)).values():
        assert np.isfinite(values).all()
        assert np.abs(values).max() < 100


@pytest.mark.parametrize("segment_seconds", [1.0, 0.48, 0.7])
def test_features_do_not_depend_on_chunks(tmp_path: Path, segment_seconds: float) -> None:
    path = write_clip(tmp_path / "a.mp4", sound=[tone(), click(3.0)], picture=colours, seconds=7.3, sample_rate=44100)
    extractor = LightExtractor()
    joined = [
        [
            features_of(extractor, chunk)
            for chunk in read_chunks(path, VIEWS, segment_seconds=segment_seconds, chunk_segments=size)
        ]
        for size in (60, 3, 1)
    ]
    for name in extractor.streams:
        whole, threes, ones = (np.concatenate([part[name] for part in parts]) for parts in joined)
        np.testing.assert_array_equal(whole, threes)
        np.testing.assert_array_equal(whole, ones)


def test_an_absent_modality_is_zero(tmp_path: Path) -> None:
    extractor = LightExtractor()
    silent = write_clip(tmp_path / "silent.mp4", picture=colours)
    (chunk,) = read_chunks(silent, VIEWS)
    features = features_of(extractor, chunk)
    assert not features["audio"].any()
    assert features["frames"].any(axis=1).all()


def test_segments_too_short_for_the_front_end_are_refused(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", sound=tone(), picture=colours)
    extractor = LightExtractor()
    chunk = next(iter(read_chunks(path, VIEWS, segment_seconds=0.02)))
    with pytest.raises(UserError, match="too short"):
        features_of(extractor, chunk)
