"""What reviewers do: decisions are durable at once, undone, skipped, shared among reviewers and counted."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from avparse.app.review.database import Database
from avparse.app.review.evidence import against_event, against_label
from avparse.app.review.log import Standing, read_since
from avparse.app.review.opening import Given, open_review
from avparse.app.review.queue import LEASE_S, Queue, Wish
from avparse.app.review.resolving import resolve
from avparse.app.review.source import shown_classes
from avparse.data.store import FeatureStore
from avparse.data.timeline import Event
from avparse.foundation.errors import UserError
from avparse.labels.reviewing.item import ReviewItem
from tests.app.review.reviews import served, write_labels, write_timeline
from tests.toy import toy_store


@pytest.fixture
def given(store: FeatureStore, tmp_path: Path) -> Given:
    write_labels(store, tmp_path / "labels.parquet")
    return Given([store.path], tmp_path / "labels.parquet")


def standing(path: Path) -> Standing:
    """What another program reads of a database, now."""
    with Database.open(path) as database, database.reading() as connection:
        return Standing.of(read_since(connection, 0))


def test_a_decision_is_in_the_file_before_it_is_answered_and_can_be_taken_back_many_times(given: Given) -> None:
    file = given.labels.with_name("labels.review.sqlite")  # type: ignore[union-attr]
    with served(given) as client:
        keys = []
        for verdict in ("keep", "remove", "other_modality"):
            item = client.next()
            assert item is not None
            keys.append(item["key"])
            client.decide(item["key"], verdict, note=f"said {verdict}")
            last = standing(file).verdicts[-1]
            assert (last.key, last.action, last.author, last.note) == (item["key"], verdict, "Ann", f"said {verdict}")
        assert len(set(keys)) == 3
        assert client.undo("Bo") == {"item": None}
        for key in reversed(keys):
            found = client.undo()
            assert found["item"]["key"] == key
            assert standing(file).verdicts == [v for v in standing(file).verdicts if v.key != key]
        assert client.undo() == {"item": None}
        assert client.progress()["decided"] == 0
        client.decide(keys[0], "remove")
    assert [v.action for v in standing(file).verdicts] == ["remove"]
    with served(given) as client:  # goes on where it was
        assert client.progress()["mine"] == 1
        assert client.undo()["item"]["key"] == keys[0]


def test_two_reviewers_at_once_get_different_items_and_lose_nothing(given: Given) -> None:
    """Two servers on one file, each with two reviewers who decide as fast as they can."""
    done: dict[str, list[str]] = {name: [] for name in ("Ann", "Bo", "Cy", "Di")}
    with served(given) as one, served(given) as other:

        def work(author: str) -> None:
            client = one if author in ("Ann", "Bo") else other
            for _ in range(8):
                item = client.next(author)
                assert item is not None
                client.decide(item["key"], "keep", author)
                done[author].append(item["key"])

        threads = [threading.Thread(target=work, args=(author,)) for author in done]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        counts = one.progress()["reviewers"]
    assert counts == dict.fromkeys(done, 8)
    assert max(Counter(key for keys in done.values() for key in keys).values()) == 1
    found = standing(given.labels.with_name("labels.review.sqlite"))  # type: ignore[union-attr]
    assert {(v.author, v.key) for v in found.verdicts} == {(a, k) for a, keys in done.items() for k in keys}


def test_a_share_goes_to_two_reviewers_whose_agreement_is_told(given: Given) -> None:
    with served(given, overlap=1.0) as client:
        for n in range(6):
            item = client.next("Ann")
            assert item is not None
            client.decide(item["key"], "keep" if n % 2 else "remove", "Ann")
        for n in range(6):
            item = client.next("Bo")
            assert item is not None
            client.decide(item["key"], "keep" if n % 2 else "remove", "Bo")
        found = client.progress()
    assert found["decided"] == 6
    assert found["agreement"]["pairs"] == 6
    assert found["agreement"]["observed"] == 1.0
    assert found["agreement"]["kappa"] == pytest.approx(1.0)
    assert sum(group["pairs"] for group in found["agreement"]["groups"]) == 6


def items_of(count: int) -> list[ReviewItem]:
    return [ReviewItem(f"v{n}", "Dog", "audio" if n % 2 else "visual", (n + 0.5) / count) for n in range(count)]


def test_the_queue_hands_out_what_is_wished_and_what_was_passed_over_at_the_end(tmp_path: Path) -> None:
    write_timeline(tmp_path / "a.json")
    opened = open_review(Given([tmp_path / "a.json"]))
    queue, items = Queue(items_of(10)), items_of(10)

    def ask(wish: Wish, now: float = 0.0) -> str | None:
        with opened.database.writing() as connection:
            found = queue.next(connection, wish, now)
        return None if found is None else found.video

    wrong = Wish("Ann", "1", order="wrong")
    assert ask(wrong) == "v0"
    assert ask(wrong) == "v0"  # the page was loaded again, and what it held is free
    assert ask(Wish("Ann", "1", order="wrong", held=(items[0].key,))) == "v1"
    assert ask(Wish("Bo", "2", order="wrong")) == "v2"
    assert ask(Wish("Bo", "2", "audio", "wrong", held=(items[2].key,))) == "v3"
    assert ask(Wish("Cy", "3", order="wrong"), LEASE_S + 1) == "v0"  # nobody decided about it for long
    opened.database.close()


def test_what_is_skipped_comes_again_at_the_end(tmp_path: Path) -> None:
    write_timeline(tmp_path / "a.json")
    with served(Given([tmp_path])) as client:
        first = client.next()
        assert first is not None
        assert client.post("/api/skip", author="Ann", tab="tab", key=first["key"])[0] == 200
        other = client.next("Bo")
        assert other is not None
        assert other["key"] == first["key"]  # passed over by Ann alone
        client.decide(client.next()["key"])  # type: ignore[index]
        client.decide(client.next()["key"])  # type: ignore[index]
        assert client.next() is None  # in the hands of Bo
        client.post("/api/skip", author="Bo", tab="tab", key=first["key"])
        assert client.next()["key"] == first["key"]  # type: ignore[index]
        assert client.undo()["taken_back"]["action"] == "keep"
        assert client.undo()["taken_back"]["action"] == "keep"
        assert client.undo()["taken_back"]["action"] == "skip"


def test_only_events_have_edges_and_they_stay_in_the_video(given: Given, tmp_path: Path) -> None:
    with served(given) as client:
        item = client.next()
        assert item is not None
        sent = {"author": "Ann", "tab": "t", "key": item["key"], "verdict": "keep"}
        assert client.post("/api/decide", **sent, onset=1.0)[0] == 409
    folder = tmp_path / "out"
    write_timeline(folder / "a.json")
    with served(Given([folder])) as client:
        item = client.next(order="wrong")
        assert item is not None
        assert (item["class"], item["onset"], item["offset"], item["probability"]) == ("Dog", 4.0, 6.0, 0.3)
        assert all(4 <= a < b <= 6 for a, b in item["against"])
        assert [lane["class"] for lane in item["lanes"]] == ["Dog", "Speech"]
        assert len(item["lanes"][0]["audio"]) == 8
        for edges in ({"onset": 6.0}, {"offset": 8.5}, {"onset": 5.0, "offset": 5.0}):
            assert client.post("/api/decide", **{**sent, "key": item["key"]}, **edges)[0] == 409
        client.decide(item["key"], "keep", onset=3.6, offset=7.9)
    last = standing(folder / "events.review.sqlite").verdicts[-1]
    assert (last.onset, last.offset) == (3.6, 7.9)


def test_what_argues_against_a_label_or_an_event() -> None:
    here, there = np.array([0.1, 0.9, 0.2, 0.1]), np.array([0.9, 0.8, 0.1, 0.0])
    assert against_label(True, here, there, 1.0) == ((0.0, 1.0),)  # seen, and not heard
    assert against_label(False, here, there, 0.5) == ((0.5, 1.0),)  # heard after all
    assert against_label(True, here, None, 1.0) == ((0.0, 1.0), (2.0, 4.0))
    assert against_label(False, np.zeros(4), there, 1.0) == ()
    assert against_label(True, None, there, 1.0) == ()
    assert against_event(Event("Dog", "audio", 1.0, 2.5), here, 1.0) == ((2.0, 2.5),)
    assert against_event(Event("Dog", "audio", 1.0, 2.5), np.full(4, np.nan), 1.0) == ()  # not judged
    ((first, last),) = against_label(False, np.linspace(0.9, 1, 600), None, 1.0)
    assert (last, last - first) == (600.0, 8.0)
    assert shown_classes([], "Dog") == ["Dog"]


def test_what_a_review_cannot_go_on_with_is_one_line(store: FeatureStore, given: Given, tmp_path: Path) -> None:
    open_review(given).database.close()
    file = given.labels.with_name("labels.review.sqlite")  # type: ignore[union-attr]
    write_labels(store, given.labels, seed=5)  # type: ignore[arg-type]
    open_review(given).database.close()  # other suggestions for the same labels
    other = toy_store(tmp_path / "other", videos=40, seed=3)
    write_labels(other, tmp_path / "o.parquet")
    with pytest.raises(UserError, match="are not those that it reviews"):
        open_review(Given([other.path], tmp_path / "o.parquet", database=file))
    with pytest.raises(UserError, match="differ in the data"):
        open_review(Given([other.path], given.labels))
    (tmp_path / "out").mkdir()
    write_timeline(tmp_path / "out" / "a.json")
    with pytest.raises(UserError, match="reviews labels, not timelines"):
        open_review(Given([tmp_path / "out"], database=file))
    open_review(Given([tmp_path / "out"])).database.close()
    write_timeline(tmp_path / "b.json", "other.mp4")
    events = tmp_path / "out" / "events.review.sqlite"
    with pytest.raises(UserError, match="reviews other timelines"):
        open_review(Given([tmp_path / "b.json"], database=events))
    open_review(Given([tmp_path / "out", tmp_path / "b.json"])).database.close()  # more videos
    write_timeline(tmp_path / "out" / "a.json", events=[Event("Dog", "audio", 0.0, 1.0)])
    with pytest.raises(UserError, match=r"the timelines of video 'clip\.mp4'"):
        open_review(Given([tmp_path / "out"]))
    with pytest.raises(UserError, match="give its labels, too"):
        open_review(Given([store.path]))
    (tmp_path / "b.json").unlink()
    with pytest.raises(UserError, match="neither a feature store nor"):
        open_review(Given([tmp_path]))


def test_a_file_that_is_no_review_is_refused_and_left_as_it_is(given: Given, tmp_path: Path) -> None:
    def refused(file: Path, match: str) -> None:
        before = file.read_bytes() if file.is_file() else None
        with pytest.raises(UserError, match=match) as error:
            open_review(Given(given.paths, given.labels, database=file))
        assert "\n" not in str(error.value)
        assert str(file) in str(error.value)
        assert before is None or file.read_bytes() == before

    (tmp_path / "text.sqlite").write_text("no database" * 200)
    refused(tmp_path / "text.sqlite", "damaged, or no database")
    with sqlite3.connect(tmp_path / "theirs.sqlite") as theirs:
        theirs.execute("CREATE TABLE songs (name TEXT)")
    refused(tmp_path / "theirs.sqlite", "not one of a review")
    file = tmp_path / "mine.sqlite"
    open_review(Given(given.paths, given.labels, database=file)).database.close()
    content = bytearray(file.read_bytes())
    content[4096 : 4096 + 3000] = bytes(3000)
    (tmp_path / "holes.sqlite").write_bytes(content)
    refused(tmp_path / "holes.sqlite", "damaged")
    with sqlite3.connect(file) as spoilt:
        spoilt.execute("CREATE TRIGGER evil AFTER INSERT ON log BEGIN DELETE FROM log; END")
    spoilt.close()
    refused(file, "changed by another program")
    refused(tmp_path, "cannot be opened or made")
    refused(Path("/proc/labels.review.sqlite"), "cannot be opened or made")


def test_disagreements_are_resolved_by_the_rule_that_is_asked_for(given: Given) -> None:
    with served(given) as client:
        item = client.next()
        assert item is not None
        for author, verdict in (("Ann", "keep"), ("Bo", "keep"), ("Cy", "remove")):
            client.decide(item["key"], verdict, author)
    found = standing(given.labels.with_name("labels.review.sqlite")).verdicts  # type: ignore[union-attr]
    assert resolve(found).actions[item["key"]].action == "remove"
    assert resolve(found, "majority").actions[item["key"]].action == "keep"
    assert resolve(found[1:], "majority").actions[item["key"]].action == "remove"  # as many: the latest
    assert (resolve(found).several, resolve(found).differ) == (1, 1)
