"""Small reviews for the tests: labels of a toy store, invented timelines, and a server that really listens."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from avparse.app.review.opening import Given, Opened, open_review
from avparse.app.review.server.routes import PageFacts, make_app
from avparse.app.review.server.serving import Server
from avparse.data.store import FeatureStore
from avparse.data.timeline import Event, Timeline
from avparse.labels.table import RefinedLabels

CLASSES = ("Dog", "Frying_(food)", "Speech")


def write_labels(store: FeatureStore, path: Path, seed: int = 0) -> RefinedLabels:
    """Write labels of the training videos as a denoiser would, with random scores."""
    rows = store.select("train")
    given, random = store.weak[rows], np.random.default_rng(seed)
    quality = [random.random(given.shape).astype(np.float32) for _ in range(2)]
    target = [(given & (score >= 0.3)).astype(np.float32) for score in quality]
    reason = [np.where(given & (score < 0.3), "unlikely", "").astype(object) for score in quality]
    videos = tuple(store.videos[row] for row in rows)
    labels = RefinedLabels(videos, store.vocabulary.names, given, *target, *quality, *reason)
    labels.save(path)
    return labels


def write_timeline(path: Path, video: str = "clip.mp4", seed: int = 0, segments: int = 8, **values: Any) -> Timeline:
    """Write an invented timeline with three events."""
    random = np.random.default_rng(seed)
    classes = values.pop("classes", CLASSES)
    shape = (segments, len(classes))
    sides: dict[str, Any] = {m: random.random(shape).astype(np.float32) for m in ("audio", "visual")}
    events = [
        Event("Dog", "audio", 1.0, 3.0, 0.9),
        Event("Speech", "audio", 2.0, 5.0, 0.55),
        Event("Dog", "visual", 4.0, 6.0, 0.3),
    ]
    timeline = Timeline(video, float(segments), 1.0, classes, sides, values.pop("events", events), **values)
    timeline.save(path)
    return timeline


@dataclass
class Client:
    """A reviewer's program: it knows the token and speaks HTTP to a running server."""

    port: int
    token: str
    opened: Opened

    def raw(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any, bytes]:
        """Send a request as it is; return status, headers and content."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> tuple[int, Any, bytes]:
        return self.raw("GET", path, **{"X_Avparse_Token": self.token, **headers})

    def post(self, path: str, **values: Any) -> tuple[int, Any]:
        """Send JSON; return status and JSON."""
        body = json.dumps(values).encode()
        headers = {"X_Avparse_Token": self.token, "Content_Type": "application/json"}
        status, _, content = self.raw("POST", path, body, **headers)
        return status, json.loads(content)

    def next(self, author: str = "Ann", **wish: Any) -> dict[str, Any] | None:
        status, found = self.post("/api/next", author=author, tab="tab", **wish)
        assert status == 200, found
        item: dict[str, Any] | None = found["item"]
        return item

    def decide(self, key: str, verdict: str = "keep", author: str = "Ann", **more: Any) -> None:
        status, found = self.post("/api/decide", author=author, tab="tab", key=key, verdict=verdict, **more)
        assert status == 200, found
        assert found == {"saved": True}

    def undo(self, author: str = "Ann") -> dict[str, Any]:
        status, found = self.post("/api/undo", author=author, tab="tab")
        assert status == 200
        return found

    def progress(self, author: str = "Ann") -> dict[str, Any]:
        status, found = self.post("/api/progress", author=author, tab="tab")
        assert status == 200, found
        return found


@contextmanager
def served(given: Given, overlap: float = 0.0, author: str = "Ann") -> Iterator[Client]:
    """Serve a review in a thread."""
    opened = open_review(given, overlap)
    server = Server(make_app(opened.review, PageFacts(author, opened.warning, opened.media_note)))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    address = urlsplit(server.address)
    assert address.port is not None
    client = Client(address.port, address.query.removeprefix("token="), opened)
    deadline = time.monotonic() + 20
    while True:
        try:
            client.get("/api/start")
            break
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    try:
        yield client
    finally:
        server.stop()
        thread.join(20)
        opened.database.close()
