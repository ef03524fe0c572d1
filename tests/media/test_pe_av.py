"""PE-AV: tiny random networks in the published files, against what the library itself makes of the same inputs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avparse.foundation.errors import UserError
from avparse.foundation.files import sha256_of
from avparse.media.decoding.chunks import read_chunks
from avparse.media.extractors import make_cards
from avparse.media.extractors.pe_av import PeAvExtractor
from avparse.media.pipeline import extract_video
from avparse.media.towers.pe_av import PeAvHearing, PeAvSeeing, seen_frames
from tests.clips import colours, tone, write_clip
from tests.pe_av import audio_config, joint_config, plain_vision, random_network
from tests.tokenizers import byte_tokenizer

transformers = pytest.importorskip("transformers")
pytest.importorskip("transformers.models.pe_audio")

PROMPTS = ("a dog", "somebody who speaks for a long time")


@pytest.fixture(scope="module")
def whole() -> Any:
    """The joint network, with a network for pictures that needs no ``timm``."""
    return random_network(transformers, "PeAudioVideoModel", joint_config(transformers, plain_vision(transformers)))


@pytest.fixture(scope="module")
def models(whole: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    random_network(transformers, "PeAudioFrameLevelModel", audio_config(transformers), folder / "heard")
    whole.save_pretrained(folder / "joint")
    for name in ("heard", "joint"):
        byte_tokenizer(transformers, "clap", folder / name)
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mkv"
    write_clip(path, sound=lambda t: tone(700, 0.2)(t) * np.sin(9 * t), picture=colours, seconds=2.5, fps=8)
    return path


def tokens(folder: Path) -> dict[str, Any]:
    made = transformers.AutoTokenizer.from_pretrained(folder)(list(PROMPTS), padding=True, return_tensors="pt")
    return {name: made[name] for name in ("input_ids", "attention_mask")}


def test_what_is_heard_is_the_mean_of_the_librarys_logits_over_the_frames_of_a_segment(
    models: Path, clip: Path
) -> None:
    tower = PeAvHearing(str(models / "heard"), device="cpu", batch_size=2)
    (chunk,) = read_chunks(clip, [tower.view])
    ours = tower.embed(tower.piece(chunk)) @ tower.texts(PROMPTS).T * tower.logit_scale + tower.logit_bias
    model = transformers.PeAudioFrameLevelModel.from_pretrained(models / "heard").eval()
    ear = transformers.PeAudioFeatureExtractor()
    for segment, logits in enumerate(ours):
        sound = chunk.sounds[tower.view][segment, 0]  # type: ignore[index]
        sound = np.tile(sound[:24000], 2) if segment == 2 else sound  # the last segment ends after half a second
        heard = ear([sound], sampling_rate=48000, return_tensors="pt")["input_values"]
        with torch.no_grad():
            expected = model(input_values=heard, **tokens(models / "heard")).logits_audio_text
        assert expected.shape == (1, 2, 25)
        np.testing.assert_allclose(logits, expected.mean(dim=2)[0], atol=1e-4)
    assert np.abs(ours[0] - ours[2]).max() > 1e-3
    assert (tower.logit_scale, tower.logit_bias, tower.unit_length) == (2.5, -1.25, False)


def test_what_is_seen_is_calibrated_apart_frame_by_frame(models: Path, whole: Any) -> None:
    model = whole.video_model
    pictures = torch.randn(2, 4, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        frames = seen_frames(model, pictures)
        assert frames.shape == (2, 4, 16)
        pooled = model.video_head(model.video_encoder(pixel_values_videos=pictures).pooler_output)
        said = model(pixel_values_videos=pictures, **tokens(models / "heard"))
        np.testing.assert_allclose(pooled, said.video_embeds, atol=1e-6)
        texts = said.text_video_embeds
        assert (frames.mean(dim=1) @ texts.T - pooled @ texts.T).abs().max() > 1e-4


def test_the_joint_network_hears_as_the_library_does(models: Path, whole: Any, clip: Path) -> None:
    """Without ``timm``, because nothing of the network that sees is built."""
    tower = PeAvHearing(str(models / "joint"), device="cpu")
    (chunk,) = read_chunks(clip, [tower.view])
    sound = torch.from_numpy(chunk.sounds[tower.view][:1])  # type: ignore[index]
    with torch.no_grad():
        states = whole.audio_model.audio_encoder(input_values=sound).last_hidden_state
        expected = whole.audio_model.audio_head(states).mean(dim=1)
        said = whole.audio_model(input_values=sound, **tokens(models / "joint"))
    np.testing.assert_allclose(tower.embed(tower.piece(chunk))[:1], expected, atol=1e-5)
    np.testing.assert_allclose(tower.texts(PROMPTS), said.text_audio_embeds, atol=1e-5)


def test_methods_of_the_library_that_are_broken_are_still_broken(models: Path, whole: Any) -> None:
    """Once this fails, the library was mended: then its own methods and its own loading may be used."""
    ids, pictures = tokens(models / "joint"), torch.zeros(1, 2, 3, 28, 28)
    with torch.no_grad():
        with pytest.raises(TypeError):
            whole.audio_model.get_text_audio_embeds(**ids)
        with pytest.raises(AttributeError):
            whole.get_text_audio_embeds(**ids)
        with pytest.raises(AttributeError):
            whole.get_text_video_embeds(**ids)
        with pytest.raises(AttributeError):
            whole.get_video_embeds(pictures)
        with pytest.raises((AttributeError, TypeError)):
            whole(pixel_values_videos=pictures, **ids)


def test_the_joint_network_in_the_published_files_sees(
    models: Path, tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("timm")
    whole = random_network(transformers, "PeAudioVideoModel", joint_config(transformers), tmp_path)
    byte_tokenizer(transformers, "clap", tmp_path)
    tower = PeAvSeeing(str(tmp_path), device="cpu")
    assert tower.view.size == (32, 32)  # type: ignore[union-attr]
    assert (tower.logit_scale, tower.logit_bias) == (2.5, -0.75)
    (chunk,) = read_chunks(clip, [tower.view])
    pictures = torch.from_numpy(chunk.pictures[tower.view]).movedim(-1, 2).float() / 127.5 - 1  # type: ignore[index]
    with torch.no_grad():
        expected = seen_frames(whole.video_model, pictures).mean(dim=1)
        said = whole.video_model(pixel_values_videos=pictures, **tokens(tmp_path))
    np.testing.assert_allclose(tower.embed(tower.piece(chunk)), expected, atol=1e-5)
    np.testing.assert_allclose(tower.texts(PROMPTS), said.text_video_embeds, atol=1e-5)
    with pytest.raises(UserError, match="a model of type 'pe_audio', not 'pe_video' or 'pe_audio_video'"):
        PeAvSeeing(str(models / "heard"))
    monkeypatch.setenv("AVPARSE_PE_AUDIO", str(models / "heard"))
    monkeypatch.setenv("AVPARSE_PE_VIDEO", str(tmp_path))
    streams = PeAvExtractor().streams
    assert {name: stream.dimension for name, stream in streams.items()} == {"heard": 16, "seen": 16}
    weights = {"heard": models / "heard", "seen": tmp_path}
    for name, card in make_cards("pe-av", 1.0).items():
        assert card.weights_sha256 == sha256_of(weights[name] / "model.safetensors")
    found = extract_video(clip, streams)
    np.testing.assert_allclose(found.streams["seen"], expected, atol=1e-5)


def test_without_timm_one_line_says_so(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match=r"pictures of PE-AV need 'timm': pip install 'avparse\[teachers\]'"):
        PeAvSeeing(str(models / "joint"))
