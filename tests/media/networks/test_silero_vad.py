"""The speech detector: against a plain computation on random weights, and on the real clip where weights are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from avparse.data.scores import load_scores
from avparse.data.teachers.tagger_teacher import SpeechTeacher
from avparse.foundation.errors import UserError
from avparse.media.decoding.chunks import read_chunks
from avparse.media.extractors.speech import SpeechExtractor
from avparse.media.networks.silero_vad import load_silero_vad
from avparse.media.weights import find_weights
from tests.clips import tone, write_clip
from tests.toy import toy_store
from tests.weights import offer_weights, real_weights, released_silero


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    offer_weights({"silero-vad": released_silero()}, tmp_path / "cache", monkeypatch)
    return find_weights("silero-vad")


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _convolved(maps: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int) -> np.ndarray:
    padded = np.pad(maps, ((0, 0), (1, 1)))
    columns = [padded[:, i : i + 3] for i in range(0, maps.shape[1], stride)]
    return np.maximum(0, np.stack([np.einsum("oik,ik->o", weight, c) + bias for c in columns], axis=1))


def _frame_by_frame(sound: np.ndarray) -> list[float]:
    """As a stream of frames of 512 samples, each with the 64 before it, through one LSTM cell."""
    w = {name: tensor.double().numpy() for name, tensor in released_silero().items()}
    hidden = cell = np.zeros(128)
    context, logits = np.zeros(64), []
    for first in range(0, len(sound), 512):
        frame = np.pad(sound[first : first + 512], (0, max(0, first + 512 - len(sound))))
        heard = np.pad(np.concatenate([context, frame]), (0, 64), mode="reflect")
        context = frame[-64:]
        waves = np.stack([w["stft_conv.weight"][:, 0] @ heard[i : i + 256] for i in range(0, 385, 128)], axis=1)
        maps = np.sqrt(waves[:129] ** 2 + waves[129:] ** 2)
        for number, stride in enumerate((1, 2, 2, 1), 1):
            maps = _convolved(maps, w[f"conv{number}.weight"], w[f"conv{number}.bias"], stride)
        gates = w["lstm_cell.weight_ih"] @ maps[:, 0] + w["lstm_cell.bias_ih"]
        gates += w["lstm_cell.weight_hh"] @ hidden + w["lstm_cell.bias_hh"]
        enter, keep, new, leave = np.split(gates, 4)
        cell = _sigmoid(keep) * cell + _sigmoid(enter) * np.tanh(new)
        hidden = _sigmoid(leave) * np.tanh(cell)
        logits.append(float((w["final_conv.weight"][0, :, 0] @ np.maximum(0, hidden) + w["final_conv.bias"])[0]))
    return logits


def test_the_network_is_the_released_one(weights: Path, tmp_path: Path) -> None:
    sounds = 0.3 * np.random.default_rng(0).standard_normal((2, 3000)).astype(np.float32)
    with torch.inference_mode():
        ours = load_silero_vad(weights)(torch.from_numpy(sounds))
    assert ours.shape == (2, 6)
    np.testing.assert_allclose(ours, [_frame_by_frame(sound.astype(float)) for sound in sounds], atol=2e-5)
    (tmp_path / "cut.safetensors").write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UserError, match="damaged"):
        load_silero_vad(tmp_path / "cut.safetensors")


def test_the_stream_is_the_share_of_speech_in_a_segment_whatever_the_chunk(weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    write_clip(path, sound=lambda t: tone(700, 0.2)(t) * np.sin(3 * t), seconds=4.5)
    stream = SpeechExtractor().streams["speech"]
    made = [
        np.concatenate([stream.features(chunk) for chunk in read_chunks(path, [stream.view], chunk_segments=size)])
        for size in (2, 60)
    ]
    np.testing.assert_allclose(*made, atol=1e-5)
    assert made[0].shape == (5, 1)
    (chunk,) = read_chunks(path, [stream.view])
    window = chunk.sounds[stream.view][3, 0]  # type: ignore[index]  # seconds 0 to 4
    frames = _sigmoid(np.array(_frame_by_frame(window.astype(float))))
    share = frames[94:].mean()  # the middle of frame 94 is the first after 3 s
    np.testing.assert_allclose(made[0][3, 0], np.log(share / (1 - share)), atol=1e-4)
    last = _sigmoid(np.array(_frame_by_frame(chunk.sounds[stream.view][4, 0].astype(float))))  # type: ignore[index]
    share = last[94:109].mean()  # of half a second
    np.testing.assert_allclose(made[0][4, 0], np.log(share / (1 - share)), atol=1e-4)


def test_the_teacher_judges_speech_and_nothing_else(weights: Path, tmp_path: Path) -> None:
    store = toy_store(tmp_path / "store", classes=("Speech", "Bell", "Engine", "Song"))
    with pytest.raises(UserError, match=r"names its videos without their folder|no file of video"):
        list(SpeechTeacher(SpeechTeacher.Config())(store))
    with pytest.raises(UserError, match="no teacher 'speech' of audio"):
        load_scores(store, "speech", "audio")


def test_the_real_weights_hear_who_talks_in_the_real_clip(shared: Path) -> None:
    real_weights("silero-vad")
    stream = SpeechExtractor().streams["speech"]
    (chunk,) = read_chunks(shared / "data" / "llp" / "BjCEufrlXm4.mp4", [stream.view])
    share = _sigmoid(stream.features(chunk)[:, 0])
    streamed = [0.02, 0.01, 0.78, 0.15, 0.52, 0.88, 0.91, 0.66, 0.71, 0.50]  # by one pass over the whole clip
    np.testing.assert_allclose(share, streamed, atol=0.2)
