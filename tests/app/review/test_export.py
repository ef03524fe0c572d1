"""What was decided as tables: training reads the labels, evaluation and relabelling the events."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from avparse.app.review.exporting import Choices, export
from avparse.app.review.opening import Given
from avparse.data.store import FeatureStore
from avparse.data.timeline import Event
from avparse.foundation.errors import UserError
from avparse.labels.reviewing.item import KeyParts
from avparse.labels.table import RefinedLabels
from avparse.training.run import Run
from tests.app.review.reviews import Client, served, write_labels, write_timeline
from tests.conftest import Command
from tests.toy import toy_store

SMALL = ["parser.stem.width=16", "parser.encoder.feedforward=16", "training.epochs=1"]


def decided(client: Client, verdicts: str) -> dict[str, str]:
    """Decide in the order of the queue; return the verdict by key."""
    words = {"k": "keep", "r": "remove", "o": "other_modality"}
    found = {}
    for letter in verdicts:
        item = client.next()
        assert item is not None
        client.decide(item["key"], words[letter], note="seen =1+1")
        found[item["key"]] = words[letter]
    return found


def at(labels: RefinedLabels, key: str) -> tuple[str, tuple[int, int]]:
    parts = KeyParts.of(key)
    return parts.modality, (labels.videos.index(parts.video), labels.classes.index(parts.class_name))


def check(labels: RefinedLabels, before: RefinedLabels, verdicts: dict[str, str], undecided: np.ndarray | None) -> None:
    """Decisions hold; everything else has the target ``undecided``, or as before."""
    targets = {m: (before.side(m)[0] if undecided is None else undecided).copy() for m in ("audio", "visual")}
    for key, verdict in verdicts.items():
        modality, place = at(before, key)
        targets[modality][place] = verdict == "keep"
        other = {"audio": "visual", "visual": "audio"}[modality]
        twin = key.replace(f'"{modality}"', f'"{other}"')
        if verdict == "other_modality" and twin not in verdicts:
            targets[other][place] = 1
    for modality, expected in targets.items():
        np.testing.assert_array_equal(labels.side(modality)[0], expected)


def test_decisions_take_the_place_of_suggestions(store: FeatureStore, tmp_path: Path, command: Command) -> None:
    before = write_labels(store, tmp_path / "labels.parquet")
    with served(Given([store.path], tmp_path / "labels.parquet")) as client:
        verdicts = decided(client, "krokkrro")
    file, out = tmp_path / "labels.review.sqlite", tmp_path / "reviewed.parquet"
    code, told, _ = command("review", "export", file, "-o", out)
    assert code == 0
    assert f"8 of {2 * before.given.sum()} labels have a decision" in told
    labels = RefinedLabels.load(out, store.vocabulary)
    check(labels, before, verdicts, None)
    np.testing.assert_array_equal(labels.given, before.given)
    key = next(key for key, verdict in verdicts.items() if verdict == "remove")
    modality, place = at(labels, key)
    assert labels.side(modality)[2][place] == "removed by Ann: seen =1+1"
    # Found by the table as well, and without suggestions, and with labels that follow the decisions.
    export([tmp_path / "labels.parquet"], tmp_path / "b.parquet", choices=Choices(only_decided=True))
    check(
        RefinedLabels.load(tmp_path / "b.parquet", store.vocabulary), before, verdicts, before.given.astype(np.float32)
    )
    export([tmp_path], tmp_path / "c.parquet", choices=Choices(propagate=True))
    assert RefinedLabels.load(tmp_path / "c.parquet", store.vocabulary).videos == before.videos
    with pytest.raises(UserError, match=r"give the table to write with -o labels\.parquet"):
        export([file], events=tmp_path / "e.csv")
    with pytest.raises(UserError, match=r"give it the ending \.parquet"):
        export([file], tmp_path / "l.csv")


def test_the_review_of_a_store_is_found_and_those_of_two_machines_are_merged(tmp_path: Path) -> None:
    data = toy_store(tmp_path / "toy", videos=20)
    write_labels(data, tmp_path / "labels.parquet")
    for name in ("one", "two"):
        given = Given([data.path], tmp_path / "labels.parquet", database=tmp_path / f"{name}.review.sqlite")
        with served(given) as client:
            item = client.next()
            assert item is not None
            client.decide(item["key"], "keep" if name == "one" else "remove", name)
    lines = export([data.path], tmp_path / "out.parquet")
    assert lines[1] == "1 have several reviewers, who differ about 1: the latest decision counts"
    modality, place = at(labels := RefinedLabels.load(tmp_path / "out.parquet", data.vocabulary), item["key"])
    assert labels.side(modality)[0][place] == 0
    other = toy_store(tmp_path / "other" / "toy", videos=20, seed=4)
    write_labels(other, tmp_path / "other" / "labels.parquet")
    with served(Given([other.path], tmp_path / "other" / "labels.parquet")):
        pass
    with pytest.raises(UserError, match="reviews something else than"):
        export([data.path, other.path], tmp_path / "x.parquet")
    (nothing := tmp_path / "nothing").mkdir()
    with pytest.raises(UserError, match="no review was found in"):
        export([nothing], tmp_path / "x.parquet")
    assert not (tmp_path / "x.parquet").exists()


def test_events_are_kept_moved_and_left_out(store: FeatureStore, tmp_path: Path, command: Command) -> None:
    video, other, gone = (store.videos[row] for row in store.select("test")[:3])
    folder = tmp_path / "out"
    for name, number in ((video, 0), (other, 1)):
        write_timeline(folder / f"{name}.json", f"{name}.mp4", number, segments=6)
    write_timeline(folder / f"{gone}.json", f"{gone}.mp4", segments=6, events=[Event("Dog", "audio", 0.0, 1.0, 0.5)])
    with served(Given([folder])) as client:
        while (item := client.next()) is not None:
            verdict = "remove" if item["video"].startswith(gone) else "keep"
            if item["video"].startswith(video) and item["class"] == "Speech":
                verdict = "other_modality"
            if item["video"].startswith(other):
                assert client.post("/api/skip", author="Ann", tab="tab", key=item["key"])[0] == 200
                if client.progress()["decided"] == 4:
                    break
                continue
            moved = {"onset": 0.5, "offset": 2.4} if (item["class"], item["onset"]) == ("Dog", 1.0) else {}
            client.decide(item["key"], verdict, **moved)
    code, told, _ = command("review", "export", folder, "--events", tmp_path / "events.csv", "--only-decided")
    assert code == 0
    assert "1 videos have events that nobody decided about and are left out" in told
    assert "1 videos have no event any more" in told
    with open(tmp_path / "events.csv", newline="") as file:
        rows = sorted(tuple(row.values()) for row in csv.DictReader(file))
    name = f"{video}.mp4"
    assert rows == [
        (name, "Dog", "audio", "0.500", "2.400"),
        (name, "Dog", "visual", "4.000", "6.000"),
        (name, "Speech", "visual", "2.000", "5.000"),
    ]
    assert command("review", "export", folder, "--events", tmp_path / "all.csv")[0] == 0
    with open(tmp_path / "all.csv", newline="") as file:
        assert [row["video"] for row in csv.DictReader(file)].count(f"{other}.mp4") == 3


@pytest.mark.slow
def test_training_evaluation_and_stores_read_what_was_decided(tmp_path: Path, command: Command) -> None:
    store = toy_store(tmp_path / "toy", videos=40)
    before = write_labels(store, tmp_path / "labels.parquet")
    with served(Given([store.path], tmp_path / "labels.parquet")) as client:
        verdicts = decided(client, "kror")
    assert command("review", "export", store.path, "-o", tmp_path / "reviewed.parquet")[0] == 0
    settings = [part for change in SMALL for part in ("--set", change)]
    train = ("train", "han", "--data", store.path, "--labels", tmp_path / "reviewed.parquet", "-o", tmp_path / "run")
    assert command(*train, "--device", "cpu", *settings)[0] == 0
    learned = RefinedLabels.load(Run.open(tmp_path / "run").path / "labels.parquet", store.vocabulary)
    check(learned, before, verdicts, None)
    # Events of a test video, under the names of the toy store's classes.
    video = store.videos[store.select("test")[0]]
    events = [Event("Bark", "audio", 1.0, 3.0, 0.9), Event("Voice", "audio", 2.0, 5.0, 0.5)]
    write_timeline(
        tmp_path / "out" / "a.json", f"{video}.mp4", segments=6, events=events, classes=store.vocabulary.names
    )
    with served(Given([tmp_path / "out"])) as client:
        while (item := client.next()) is not None:
            client.decide(item["key"], "other_modality" if item["class"] == "Bark" else "keep")
    truth = tmp_path / "events.csv"
    assert command("review", "export", tmp_path / "out", "--events", truth)[0] == 0
    score = ("evaluate", "--run", tmp_path / "run", "--data", store.path, "--events", truth, "--device", "cpu")
    code, told, _ = command(*score)
    assert code == 0
    assert "1 test videos of" in told
    (tmp_path / "labels.csv").write_text(f"video,labels,split\n{video},Bark|Voice,test\n")
    assert command("data", "relabel", store.path, "--labels", tmp_path / "labels.csv", "--events", truth)[0] == 0
    found = FeatureStore.open(store.path)
    assert found.annotated.tolist() == [True]
    audio, visual, _ = found.dense_truth(np.array([0]))
    assert visual[0, :, found.vocabulary.index("Bark")].tolist() == [False, True, True, False, False, False]
    assert audio[0, :, found.vocabulary.index("Voice")].tolist() == [False, False, True, True, True, False]
