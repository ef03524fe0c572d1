"""Cards of streams: stores keep them, different ones never mix, and what earlier versions wrote stays what it was."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from avparse.app.extracting import extract_store
from avparse.app.parsing import parse_videos
from avparse.data.batching import task_spec
from avparse.data.datasets.annotations import AnnotatedVideo, Annotations
from avparse.data.features import TaskSpec
from avparse.data.store import FeatureStore
from avparse.data.store.format import StreamInfo
from avparse.data.store.info import describe
from avparse.data.store.writer import StoreWriter
from avparse.data.vocabulary import Vocabulary
from avparse.foundation.errors import UserError
from avparse.media.card import Card
from avparse.media.extractors import make_cards
from tests import store_blocks
from tests.clips import colours, tone, write_clip

CARD = Card(extractor="published", version="1", sample_rate=16000, window_s=0.96, libraries={"av": "1"})


def _store(path: Path, card: Card | None) -> Path:
    streams = {name: info.model_copy(update={"card": card}) for name, info in store_blocks.STREAMS.items()}
    with StoreWriter.create(
        path, vocabulary=store_blocks.VOCABULARY, streams=streams, segment_seconds=1.0, truth=True
    ) as writer:
        writer.append(store_blocks.block(0))
    return path


def test_a_store_keeps_the_cards_of_its_streams_and_tells_them(tmp_path: Path) -> None:
    store = FeatureStore.open(_store(tmp_path / "store", CARD))
    assert store.streams["audio"].card == CARD
    assert "card of 'audio': extractor published, version 1, sample_rate 16000, window_s 0.96" in describe(store)
    assert task_spec(store).cards == {"audio": CARD, "frames": CARD}


def test_without_a_card_a_store_is_written_as_by_earlier_versions(tmp_path: Path) -> None:
    info = StreamInfo(dimension=5, extractor="light")
    assert info.model_dump_json() == '{"dimension":5,"dtype":"float32","extractor":"light"}'
    manifest = json.loads((_store(tmp_path / "store", None) / "manifest.json").read_text())
    assert "card" not in manifest["streams"]["audio"]
    assert FeatureStore.open(tmp_path / "store").streams["audio"].card is None


def test_empty_fields_of_a_card_are_not_written() -> None:
    assert Card(extractor="x", version="1").model_dump(mode="json") == {"extractor": "x", "version": "1"}
    again = Card.read(CARD.model_dump(mode="json"), "card")
    assert again == CARD


def test_rows_of_another_card_are_not_appended(tmp_path: Path) -> None:
    path = _store(tmp_path / "store", CARD)
    other = {name: info.model_copy(update={"card": CARD}) for name, info in store_blocks.STREAMS.items()}
    StoreWriter.reopen(path, streams=other).close()
    other["audio"] = other["audio"].model_copy(update={"card": CARD.model_copy(update={"window_s": 1.0})})
    with pytest.raises(UserError, match=r"its 'streams' differs .*\('audio' with window_s 1 in place of 0.96\)"):
        StoreWriter.reopen(path, streams=other)


def test_a_store_of_an_earlier_version_is_continued(tmp_path: Path) -> None:
    path = _store(tmp_path / "store", None)
    known = {name: info.model_copy(update={"card": CARD}) for name, info in store_blocks.STREAMS.items()}
    with StoreWriter.reopen(path, streams=known) as writer:
        writer.append(store_blocks.block(1))
    assert FeatureStore.open(path).streams["audio"].card is None


def test_libraries_and_licences_are_told_and_not_compared() -> None:
    assert not CARD.differences(CARD.model_copy(update={"libraries": {"av": "2"}, "licence": "MIT"}))


def test_a_parser_refuses_features_with_another_card() -> None:
    spec = TaskSpec(classes=("a",), streams={"audio": 5}, segments=3, cards={"audio": CARD})
    other = spec.model_copy(update={"cards": {"audio": CARD.model_copy(update={"weights_sha256": "ab"})}})
    assert spec.differences(other) == ["stream 'audio' with weights_sha256 ab in place of nothing"]
    assert not spec.differences(spec.model_copy(update={"cards": {}}))
    assert not TaskSpec.read(spec.model_dump(mode="json", exclude={"cards"}), "run.json").differences(spec)


@dataclass(frozen=True)
class Source:
    """What parsing reads of a parser before it loads it."""

    spec: TaskSpec
    origin: str = "runs/mine"


def test_parsing_refuses_a_parser_that_learned_from_other_features(tmp_path: Path) -> None:
    cards = make_cards("light", 1.0)
    cards["audio"] = cards["audio"].model_copy(update={"version": "0"})
    spec = TaskSpec(
        classes=("a",),
        streams=dict.fromkeys(cards, 3),
        segments=3,
        extractors=dict.fromkeys(cards, "light"),
        cards=cards,
    )
    with pytest.raises(UserError, match=r"runs/mine: .* \(stream 'audio' with version 1 in place of 0\)"):
        parse_videos([tmp_path / "a.mp4"], Source(spec))  # type: ignore[arg-type]


def test_extraction_writes_the_card_of_its_extractor(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    write_clip(tmp_path / "v" / "a.mp4", sound=tone(), picture=colours, seconds=1.0)
    labels = Annotations(Vocabulary(("Dog",)), {"a": AnnotatedVideo("train", np.ones(1, bool), None, "a")})
    extract_store(tmp_path / "v", labels, tmp_path / "store", segment_seconds=0.5, workers=0, progress=None)
    card = FeatureStore.open(tmp_path / "store").streams["frames"].card
    assert card is not None
    assert (card.extractor, card.frame_rate, card.size, card.picked) == ("light", 16.0, (96, 72), "centres")
