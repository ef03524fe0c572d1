"""'avparse review' as a program: it ends cleanly, refuses in one line, and loses no decision when it is killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from avparse.app.review.exporting import export
from avparse.app.review.opening import Given, open_review
from avparse.app.review.server.routes import PageFacts, make_app
from avparse.app.review.server.serving import Server
from avparse.data.store import FeatureStore
from avparse.foundation import extras
from tests.app.review.reviews import write_labels, write_timeline
from tests.conftest import Command


@contextmanager
def program(*arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], int, str]]:
    """Run the command; yield process, port and token once it listens."""
    words = [sys.executable, "-m", "avparse", "review", *map(str, arguments), "--no-browser"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        first = process.stdout.readline()
        found = re.fullmatch(r"review: http://127\.0\.0\.1:(\d+)/\?token=(\S+)\n", first)
        assert found, first + process.communicate(timeout=10)[1]
        yield process, int(found[1]), found[2]
    finally:
        process.kill()
        process.communicate(timeout=20)


@contextmanager
def forked(given: Given) -> Iterator[tuple[Any, int, str]]:
    """Serve a review in a process that is a copy of this one, which has loaded everything; yield it, port and token."""
    context = multiprocessing.get_context("fork")
    reader, writer = context.Pipe(duplex=False)

    def serve() -> None:
        opened = open_review(given)
        server = Server(make_app(opened.review, PageFacts()))
        writer.send(server.address)
        server.run()

    process = context.Process(target=serve, daemon=True)
    process.start()
    try:
        assert reader.poll(60)
        address = urlsplit(reader.recv())
        yield process, address.port or 0, address.query.removeprefix("token=")
    finally:
        process.kill()
        process.join(20)


def ask(port: int, token: str, path: str, **values: Any) -> Any:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    body = json.dumps({"author": "Ann", "tab": "t", **values})
    headers = {"X-Avparse-Token": token, "Content-Type": "application/json"}
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        content = json.loads(answer.read())
        assert answer.status == 200, content
        return content
    finally:
        connection.close()


@pytest.mark.slow
def test_ctrl_c_ends_it_cleanly_with_what_to_do_next(tmp_path: Path) -> None:
    write_timeline(tmp_path / "out" / "a.json")
    with program(tmp_path / "out") as (process, port, token):
        item = ask(port, token, "/api/next")["item"]
        ask(port, token, "/api/decide", key=item["key"], verdict="keep")
        process.send_signal(signal.SIGINT)
        told, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in errors
    database = tmp_path / "out" / "events.review.sqlite"
    assert told.endswith(f"1 of 3 decided; write them with: avparse review export {database} --events events.csv\n")
    assert not database.with_name("events.review.sqlite-wal").exists()


def test_refusals_are_one_line(
    tmp_path: Path, store: FeatureStore, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: str | Path, message: str) -> None:
        code, _, errors = command("review", *arguments)
        assert code == 2
        assert message in errors.strip().splitlines()[-1]
        assert "Traceback" not in errors

    write_timeline(tmp_path / "a.json")
    write_labels(store, tmp_path / "labels.parquet")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused(tmp_path / "a.json", "--port", port, message=f"--port {port}: is in use")
    refused(tmp_path / "none", message="no such file or folder")
    refused(store.path, message="give its labels, too")
    refused(tmp_path / "a.json", "--labels", tmp_path / "labels.parquet", message="a.json")
    refused(tmp_path / "a.json", "--author", "\x1b[2J", message="--author: a reviewer's name has 1 to 80")
    refused(tmp_path / "a.json", "--media", tmp_path / "none", message="give the folder of the videos")
    refused("export", tmp_path / "a.json", "-o", tmp_path / "l.parquet", message="damaged, or no database")
    code, told, _ = command("review", "--help")
    assert code == 0
    assert "export" in told
    monkeypatch.setattr(extras.importlib, "import_module", lambda name: exec("raise ImportError"))
    refused(tmp_path / "a.json", message="reviews need 'fastapi': pip install 'avparse[review]'")


@pytest.mark.slow
def test_no_decision_is_lost_when_the_program_is_killed(store: FeatureStore, tmp_path: Path) -> None:
    """It is killed at 30 random moments while decisions come; whatever it confirmed is in the file afterwards."""
    write_labels(store, tmp_path / "labels.parquet")
    confirmed: list[tuple[str, str]] = []
    undone = 0
    draw = random.Random(0)
    for _ in range(30):
        with forked(Given([store.path], tmp_path / "labels.parquet")) as (process, port, token):
            killer = threading.Timer(draw.uniform(0.02, 0.4), process.kill)
            killer.start()
            try:
                while True:
                    item = ask(port, token, "/api/next")["item"]
                    if item is None or draw.random() < 0.1:
                        if confirmed and ask(port, token, "/api/undo")["item"] is not None:
                            undone += 1
                        continue
                    verdict = draw.choice(["keep", "remove"])
                    ask(port, token, "/api/decide", key=item["key"], verdict=verdict)
                    confirmed.append((item["key"], verdict))
            except (OSError, HTTPException):
                process.join(20)
                assert process.exitcode == -signal.SIGKILL
            killer.join()
    with sqlite3.connect(tmp_path / "labels.review.sqlite") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = connection.execute("SELECT key, action FROM log WHERE action <> 'undo' ORDER BY number").fetchall()
        undos = connection.execute("SELECT count(*) FROM log WHERE action = 'undo'").fetchone()[0]
    connection.close()
    assert len(confirmed) > 30
    rest = iter(rows)  # one that was stored and not confirmed any more may be in between
    assert all(one in rest for one in confirmed)
    assert len(rows) - len(confirmed) <= 30
    assert undone <= undos <= undone + 30
    assert export([tmp_path], tmp_path / "reviewed.parquet")


@pytest.mark.slow
def test_two_programs_on_one_file_lose_nothing(store: FeatureStore, tmp_path: Path) -> None:
    write_labels(store, tmp_path / "labels.parquet")
    given = Given([store.path], tmp_path / "labels.parquet")
    done: dict[str, list[str]] = {"Ann": [], "Bo": []}
    with forked(given) as (_, one, first), forked(given) as (_, other, second):

        def work(author: str, port: int, token: str) -> None:
            deadline = time.monotonic() + 60
            while len(done[author]) < 15 and time.monotonic() < deadline:
                item = ask(port, token, "/api/next", author=author)["item"]
                ask(port, token, "/api/decide", author=author, key=item["key"], verdict="keep")
                done[author].append(item["key"])

        threads = [threading.Thread(target=work, args=a) for a in (("Ann", one, first), ("Bo", other, second))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)
    with sqlite3.connect(tmp_path / "labels.review.sqlite") as connection:
        rows = connection.execute("SELECT author, key FROM log ORDER BY number").fetchall()
    connection.close()
    assert sorted(rows) == sorted((author, key) for author, keys in done.items() for key in keys)
    assert len(rows) == 30
    assert len({key for _, key in rows}) == 30
    assert os.path.getsize(tmp_path / "labels.review.sqlite") > 0
