"""Networks of fixed lists as teachers and as scorers, on tiny random weights in the real files."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from avparse.app.extracting import extract_store
from avparse.app.run_teacher import run_teacher
from avparse.data.datasets.annotations import AnnotatedVideo, Annotations
from avparse.data.scores import ScoreTable, load_scores
from avparse.data.store import FeatureStore
from avparse.data.taggers.audioset import AudiosetTagger
from avparse.data.teachers import segment_cache
from avparse.data.vocabulary import Vocabulary
from avparse.labels.pseudo import PseudoLabels
from avparse.media.decoding.chunks import read_chunks
from avparse.media.networks.efficientnet_lite0 import load_classifier
from avparse.media.towers.audio_tagger import AudioTagger
from avparse.media.weights import find_weights
from avparse.training.denoisers.plus_evidence import teacher_evidence
from avparse.training.recipe import load_recipe
from tests.audio_tagger import random_tagger
from tests.clips import colours, tone, write_clip
from tests.conftest import Command
from tests.weights import random_compact

transformers = pytest.importorskip("transformers")
pytest.importorskip("torchvision")

CLASSES = ("Dog", "Speech", "Violin_fiddle", "Zither")


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tagger")
    random_tagger(transformers, folder)
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    write_clip(folder / "both.mp4", sound=tone(700, 0.2), picture=colours, seconds=1, fps=8)
    write_clip(folder / "mute.mp4", picture=colours, seconds=1, fps=8)
    write_clip(folder / "dark.mkv", sound=tone(300, 0.2), seconds=1)
    return folder


@pytest.fixture
def store(clips: Path, tmp_path: Path) -> FeatureStore:
    weak = np.array([[1, 1, 0, 1], [0, 0, 1, 1], [1, 1, 1, 0]], dtype=bool)
    known = {v: AnnotatedVideo("train", row, (), v) for v, row in zip(("both", "mute", "dark"), weak, strict=True)}
    assert extract_store(clips, Annotations(Vocabulary(CLASSES), known), tmp_path / "store", workers=0) == []
    return FeatureStore.open(tmp_path / "store")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[torch.nn.Linear]:
    with pytest.MonkeyPatch.context() as patch:
        random_compact(tmp_path_factory.mktemp("cache"), patch)
        yield load_classifier(find_weights("efficientnet-lite0"))


def test_audioset_tags_are_the_librarys_logits(
    store: FeatureStore, tagger: Path, clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = tmp_path / "map.yaml"
    own.write_text("Dog: {audioset: [Dog, Bark]}\n")
    settings = {"checkpoint": str(tagger), "videos": str(clips), "class_map": str(own)}
    with caplog.at_level(logging.WARNING):
        run_teacher(store, "audioset", settings=settings)
    assert "cannot judge Zither; pseudo labels keep the weak label's word of them (list 'audioset': 'Zither' is" in (
        caplog.text
    )
    found = load_scores(store, "audioset", "audio")
    assert isinstance(found, ScoreTable)
    assert found.info.unjudged == ("Zither",)
    made = AudiosetTagger(str(tagger)).made()
    (chunk,) = read_chunks(clips / "both.mp4", [made.view])
    model = transformers.ASTForAudioClassification.from_pretrained(tagger).eval()
    ear = transformers.ASTFeatureExtractor.from_pretrained(tagger)
    sounds = list(chunk.sounds[made.view][:, 0])  # type: ignore[index]
    with torch.no_grad():
        said = model(**ear(sounds, sampling_rate=16000, return_tensors="pt")).logits
    names = list(model.config.id2label.values())
    logits = found.logits(found.rows(("both",)))
    np.testing.assert_allclose(logits[:, 1], said[:, names.index("Speech")], atol=1e-5)
    none = (1 - said[:, [names.index("Dog"), names.index("Bark")]].sigmoid()).prod(dim=1)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits[:, 0])), 1 - none, atol=1e-5)
    assert not found.known(found.rows(("mute",))).any()


def test_an_interrupted_teacher_goes_on_and_another_class_map_asks_anew(
    store: FeatureStore, tagger: Path, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_cache, "_COMMIT_VIDEOS", 1)
    settings = {"checkpoint": str(tagger), "videos": str(clips)}
    run_teacher(store, "audioset", settings=settings)
    first = load_scores(store, "audioset", "audio").per_segment
    asked: list[int] = []
    tags = AudioTagger.tags
    monkeypatch.setattr(AudioTagger, "tags", lambda self, x: asked.append(len(x)) or tags(self, x))
    run_teacher(store, "audioset", settings=settings)
    np.testing.assert_array_equal(load_scores(store, "audioset", "audio").per_segment, first)
    assert asked == []
    own = tmp_path / "map.yaml"
    own.write_text("Dog: {audioset: [Bark]}\n")
    run_teacher(store, "audioset", settings={**settings, "class_map": str(own)})
    assert asked == [1, 1]
    assert (load_scores(store, "audioset", "audio").per_segment[:, 0] != first[:, 0]).any()


def test_imagenet_judges_from_the_stores_own_stream_and_every_method_takes_it(
    classifier: torch.nn.Linear, clips: Path, tagger: Path, tmp_path: Path
) -> None:
    weak = np.array([[1, 1, 0, 1], [0, 0, 1, 1], [1, 1, 1, 0]], dtype=bool)
    known = {v: AnnotatedVideo("train", row, (), v) for v, row in zip(("both", "mute", "dark"), weak, strict=True)}
    labels = Annotations(Vocabulary(CLASSES), known)
    assert extract_store(clips, labels, tmp_path / "seen", workers=0, extractor="compact") == []
    store = FeatureStore.open(tmp_path / "seen")
    _, failures = run_teacher(store, "imagenet", ["teacher=stored"])  # no videos are given
    assert failures == []
    run_teacher(store, "audioset", settings={"checkpoint": str(tagger), "videos": str(clips)})
    seen = load_scores(store, "stored", "visual")
    assert seen.info.unjudged == ("Speech", "Zither")
    pooled = torch.from_numpy(np.array(store.stream("pictures")[store.first_row[0] :][:1], dtype=np.float32))
    shares = classifier(pooled).softmax(dim=1)
    dog = shares[:, 151:269].sum(dim=1)
    np.testing.assert_allclose(seen.logits(seen.rows(("both",)))[:, 0], (dog / (1 - dog)).log().detach(), atol=1e-4)
    run_teacher(store, "imagenet", ["teacher=watched"], {"videos": str(clips)})
    np.testing.assert_array_equal(load_scores(store, "watched", "visual").per_segment, seen.per_segment)
    changes = ["pseudo_labels.audio.teacher=audioset", "pseudo_labels.visual.teacher=stored"]
    zeros = ["pseudo_labels.audio.threshold=0", "pseudo_labels.visual.threshold=0"]
    videos = store.select("train")
    word = np.repeat(store.weak[videos], store.lengths[videos], axis=0) & store.present[:, 1:]
    for recipe, more in (("valor", zeros), ("vaplan", []), ("lsld", []), ("rlld-plus+valor", zeros)):
        config = load_recipe(recipe, [*changes, *more]).pseudo_labels
        assert isinstance(config, PseudoLabels.Config)
        made = PseudoLabels(config)(store, videos)
        assert made.visual is not None
        np.testing.assert_array_equal(made.visual[:, [1, 3]], word[:, [1, 3]], err_msg=recipe)
        assert np.isfinite(made.visual).all()
        evidence = teacher_evidence(config, store, videos)
        assert evidence.shape == (3, 4, 4)
        assert evidence[:, 1, 2:].isnan().all()


def test_a_list_that_has_none_of_the_classes_says_so(
    classifier: torch.nn.Linear, clips: Path, tmp_path: Path, command: Command
) -> None:
    known = {"both": AnnotatedVideo("train", np.array([True, False]), (), "both")}
    labels = Annotations(Vocabulary(("Speech", "Bajno")), known)
    extract_store(clips, labels, tmp_path / "store", workers=0)
    code, _, err = command("teach", tmp_path / "store", "--teacher", "imagenet", "--videos", clips)
    assert code == 2
    assert "teacher 'imagenet': can judge none of the classes; list 'imagenet': 'Bajno' is no name of it; near" in err
    assert "'banjo'" in err
    own = tmp_path / "map.yaml"
    own.write_text("Bajno: {imagenet: [bango]}\n")
    code, _, err = command("teach", tmp_path / "store", "--teacher", "imagenet", "--class-map", own)
    assert code == 2
    assert "map.yaml: Bajno: 'bango' is no name of the list 'imagenet'; near it: 'banjo'" in err
