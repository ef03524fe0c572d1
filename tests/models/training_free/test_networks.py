"""Networks that judge without a run, on tiny random weights in the real files: the same mapping as the teachers'."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from avparse.foundation.errors import UserError
from avparse.foundation.files import sha256_of
from avparse.media.extractors import make_cards
from avparse.models.training_free.at_hand import parser_at_hand
from avparse.models.training_free.networks import NETWORKS
from tests.audio_tagger import random_tagger
from tests.pe_av import audio_config, random_network
from tests.tokenizers import byte_tokenizer
from tests.weights import offer_weights, released_silero

transformers = pytest.importorskip("transformers")

CLASSES = ("Dog", "Speech", "Zither")


def test_an_audio_tagger_judges_what_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random_tagger(transformers, tmp_path)
    monkeypatch.setenv("AVPARSE_AUDIOSET", str(tmp_path))
    network = NETWORKS["audioset"]()
    assert network.missing("audio") == ""
    assert network.missing("visual") == "the audio tagger sees nothing"
    own = tmp_path / "map.yaml"
    own.write_text("Zither: {audioset: [Banjo, Cello]}\n")
    scorer = network.judge("audio", CLASSES, own).scorer
    names = list(transformers.ASTConfig.from_pretrained(tmp_path).id2label.values())
    outputs = torch.randn(5, len(names), generator=torch.Generator().manual_seed(0))
    logits = scorer.logits(outputs)
    np.testing.assert_allclose(logits[:, :2], outputs[:, [names.index("Dog"), names.index("Speech")]], atol=1e-6)
    none = (1 - outputs[:, [names.index("Banjo"), names.index("Cello")]].sigmoid()).prod(dim=1)
    np.testing.assert_allclose(logits[:, 2].sigmoid(), 1 - none, atol=1e-6)
    assert (scorer.modality, scorer.extractor, scorer.stream) == ("audio", "audioset", "tags")
    assert make_cards("audioset", 1.0)["tags"].weights_sha256 == sha256_of(tmp_path / "model.safetensors")
    parser = parser_at_hand(("Dog", "Speech", "Frying_(food)"), "audioset")
    assert (parser.unjudged("audio"), len(parser.unjudged("visual"))) == ((), 3)
    with pytest.raises(UserError, match=r"'Speach': no name that AudioSet tagger .* knows; did you mean 'Speech'"):
        parser_at_hand(("Dog", "Speach"), "audioset")


def test_the_small_networks_hear_speech_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVPARSE_CACHE", str(tmp_path))
    assert NETWORKS["compact"]().missing("audio") == "a small one for speech: avparse weights fetch silero-vad"
    offer_weights({"silero-vad": released_silero()}, tmp_path, monkeypatch)
    scorer = NETWORKS["compact"]().judge("audio", CLASSES).scorer
    assert scorer.judges.tolist() == [False, True, False]
    logits = scorer.logits(torch.tensor([[1.5], [-2.0]]))
    np.testing.assert_allclose(logits[:, 1], [1.5, -2])
    assert logits[:, [0, 2]].isnan().all()
    assert parser_at_hand(("Dog", "Speech"), "compact").unjudged("audio") == ("Dog",)
    with pytest.raises(UserError, match="judges none of Dog"):
        parser_at_hand(("Dog",), "compact")


def test_pe_av_is_asked_by_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random_network(transformers, "PeAudioFrameLevelModel", audio_config(transformers), tmp_path)
    byte_tokenizer(transformers, "clap", tmp_path)
    monkeypatch.setenv("AVPARSE_PE_AUDIO", str(tmp_path))
    monkeypatch.setenv("AVPARSE_PE_VIDEO", str(tmp_path / "none"))
    network = NETWORKS["pe-av"]()
    assert network.missing("audio") == ""
    assert network.missing("visual")
    scorer = network.judge("audio", CLASSES).scorer
    assert scorer.judges.all()
    features = torch.randn(4, scorer.dimension, generator=torch.Generator().manual_seed(0))
    silence = scorer.logits(torch.zeros(1, scorer.dimension))
    np.testing.assert_allclose(silence, np.full(silence.shape, -1.25))  # the bias
    products = (scorer.logits(features) + 1.25) / 2.5
    np.testing.assert_allclose(scorer.logits(2 * features), 2.5 * 2 * products - 1.25, rtol=1e-4)
    assert products.shape[1] > len(CLASSES)  # other things compete
