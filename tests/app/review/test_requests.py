"""Requests that are not the page's own, against the server that really listens: refused, and nothing is changed."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from avparse.app.review.opening import Given
from avparse.app.review.server.guard import MOST_BYTES
from avparse.app.review.server.serving import Server
from avparse.data.store import FeatureStore
from avparse.foundation.errors import UserError
from tests.app.review.reviews import Client, served, write_labels
from tests.invented import NASTY

CONTENT = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def client(store: FeatureStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("served")
    labels = write_labels(store, folder / "labels.parquet")
    media = folder / "media"
    (media / "nested").mkdir(parents=True)
    (folder / "secret.mp4").write_bytes(b"secret")
    (media / f"{labels.videos[0]}.mp4").write_bytes(CONTENT)
    (media / f"{labels.videos[1]}.mp4").symlink_to(folder / "secret.mp4")  # leads out
    (media / "nested" / f"{labels.videos[2]}.odd").write_text("<script>alert(1)</script>")
    (media / f"{labels.videos[3]}.mp4").symlink_to(media / f"{labels.videos[0]}.mp4")  # stays inside
    with served(Given([store.path], folder / "labels.parquet", media=[media])) as found:
        yield found


def status_of(client: Client, text: bytes) -> str:
    """Send bytes as they are, and return the status of the answer; "closed" where the server hangs up on them."""
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as connection:
        try:
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(65536).split()
        except OSError:
            return "closed"
    return answer[1].decode() if answer else "closed"


def test_only_who_knows_the_token_gets_anything(client: Client) -> None:
    paths = ("/", "/page/review.js", "/api/start", "/media/0", "/nowhere", "/docs", "/openapi.json")
    wrong = ("", "x", client.token[:-1], client.token + "x", client.token.swapcase(), "é")
    for path in paths:
        assert client.raw("GET", path)[0] == 403
        for token in wrong:
            assert client.raw("GET", path, X_Avparse_Token=token.encode().decode("latin-1"))[0] == 403
            assert (
                client.raw("GET", path, Cookie=f"avparse-review-{client.port}={token}".encode().decode("latin-1"))[0]
                == 403
            )
            if path == "/" and token.isascii():
                assert client.raw("GET", f"/?token={token}")[0] == 403
        assert client.raw("GET", path, Cookie=f"avparse-review-1={client.token}")[0] == 403  # of another port
    assert client.raw("GET", f"/api/start?token={client.token}")[0] == 403  # the address of the page alone
    assert client.raw("GET", "/?token=a&" + "&".join(["token=b"] * 5000))[0] == 403
    for path in ("/nowhere", "/docs", "/openapi.json", "/redoc"):
        assert client.get(path)[0] == 404


def test_the_token_becomes_a_cookie_that_scripts_and_other_sites_do_not_get(client: Client) -> None:
    status, headers, _ = client.raw("GET", f"/?token={client.token}")
    assert (status, headers["location"]) == (303, "/")
    cookie = headers["set-cookie"]
    assert cookie == f"avparse-review-{client.port}={client.token}; Path=/; HttpOnly; SameSite=Strict"
    status, headers, content = client.raw("GET", "/", Cookie=f"a=b; {cookie.partition(';')[0]}; c")
    assert status == 200
    assert b'<script type="module"' in content
    assert client.token.encode() not in content
    for path in ("/", "/page/review.js", "/media/0", "/api/start", "/nowhere"):
        status, headers, _ = client.get(path)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["server"] is None
        assert headers["access-control-allow-origin"] is None


def test_other_names_other_pages_and_other_methods_are_refused(client: Client) -> None:
    own, known = f"127.0.0.1:{client.port}", {"X_Avparse_Token": client.token}
    for host in (
        "evil.example",
        f"evil.example:{client.port}",
        "127.0.0.1.evil.example:80",
        "[::1]:80",
        "0.0.0.0:80",
        "",
    ):
        assert client.raw("GET", "/api/start", Host=host, **known)[0] == 403, host
    for host in (own, f"localhost:{client.port}"):
        assert client.raw("GET", "/api/start", Host=host, **known)[0] == 200
        assert client.raw("GET", "/api/start", Host=host, Origin=f"http://{host}", **known)[0] == 200
    for origin in ("http://evil.example", "null", f"https://{own}", "http://127.0.0.1:1", f"http://{own}.evil.example"):
        assert client.raw("GET", "/api/start", Origin=origin, **known)[0] == 403, origin
        assert client.raw("POST", "/api/undo", b"{}", Origin=origin, **known)[0] == 403, origin
    for site in ("cross-site", "same-site", "x"):
        assert client.raw("GET", "/api/start", Sec_Fetch_Site=site, **known)[0] == 403
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "CONNECT", "EVIL"):
        assert client.raw(method, "/api/start", **known)[0] == 405, method
    for path in ("/api/decide", "/api/next"):
        assert client.get(path)[0] == 405
    two = f"GET /api/start HTTP/1.1\r\nHost: {own}\r\nHost: evil.example\r\nX-Avparse-Token: {client.token}\r\n\r\n"
    assert status_of(client, two.encode()) in ("400", "403")
    none = f"GET /api/start HTTP/1.0\r\nX-Avparse-Token: {client.token}\r\n\r\n"
    assert status_of(client, none.encode()) == "403"


def test_nothing_is_read_but_the_files_of_videos_by_number(client: Client) -> None:
    status, headers, content = client.get("/media/0")
    assert (status, headers["content-type"], content) == (200, "video/mp4", CONTENT)
    assert client.get("/media/3")[2] == CONTENT
    assert client.get("/media/1")[0] == 404  # its file lies elsewhere
    status, headers, _ = client.get("/media/2")
    assert (status, headers["content-type"]) == (200, "application/octet-stream")
    for number in ("4", "-1", "99999", "1e3", "0x0", "%00", "..%2f..%2fetc%2fpasswd", "../../../etc/passwd", "%D9%A0"):
        assert client.get(f"/media/{number}")[0] in (404, 422), number
    for name in (
        "../session.py",
        "..%2fsession.py",
        "%2e%2e/session.py",
        "/etc/passwd",
        "//etc/passwd",
        "index.html%00",
    ):
        assert client.get(f"/page/{name}")[0] == 404, name


def test_a_link_that_leads_out_later_is_refused_then(client: Client, tmp_path: Path) -> None:
    first = client.opened.review.media.path(next(iter(client.opened.review.source.videos)))
    assert first is not None
    aside = first.rename(first.with_suffix(".aside"))
    (tmp_path / "secret").write_text("secret")
    try:
        first.symlink_to(tmp_path / "secret")
        assert client.get("/media/0")[0] == 404
    finally:
        first.unlink()
        aside.rename(first)


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-9", 206, CONTENT[:10]),
        ("bytes=10000-", 206, CONTENT[10000:]),
        ("bytes=-5", 206, CONTENT[-5:]),
        ("bytes=0-99999999", 206, CONTENT),
        ("bytes=99999-", 416, b""),
        ("bytes=5-2", 400, None),
        ("lines=1-2", 400, None),
        ("bytes=", 400, None),
        ("bytes=a-b", 400, None),
        ("bytes=-" + "9" * 400, 206, CONTENT),
        ("bytes=" + ",".join(["0-"] * 3000), 200, CONTENT),
        ("bytes=1-1,3-3", 206, None),
    ],
)
def test_ranges(client: Client, asked: str, status: int, part: bytes | None) -> None:
    found, headers, content = client.get("/media/0", Range=asked)
    assert found == status
    assert part is None or content == part
    assert headers["content-security-policy"]


def test_bodies_that_no_page_sends(client: Client) -> None:
    before = client.progress()
    key = client.opened.review.source.rows[0].item.key
    good = {"author": "Ann", "tab": "t", "key": key, "verdict": "keep"}
    known = {"X_Avparse_Token": client.token, "Content_Type": "application/json"}
    bad: list[dict[str, Any]] = [
        *(
            {**good, "author": name}
            for name in ("", "  ", "a" * 81, "a\x00b", "a\nb", "a\u202eb", "\ud800", 5, None, [], {})
        ),
        *({**good, "verdict": verdict} for verdict in ("", "undo", "skip", "KEEP", "keep'; DROP TABLE log; --", 1)),
        *({**good, "tab": tab} for tab in ("", "a b", "é", "x" * 65, 7)),
        *({**good, "key": other} for other in ("", "x", key + " ", '["a","b","audio"]', "k" * 5000, "\ud800", 7)),
        *({**good, "onset": onset} for onset in (-1, 1.0, "1", float("nan"), float("inf"), 1e400, True, [1])),
        {**good, "note": "x" * 1001},
        {**good, "note": "\x07"},
        {**good, "note": "\ud800"},
        {**good, "more": 1},
        {k: v for k, v in good.items() if k != "author"},
    ]
    bodies = [json.dumps(one).encode() for one in bad]
    bodies += [b"", b"{", b"[]", b"null", b"\xff\xfe", b"{}" * 2, b'{"a":' * 5000, b"[" * 60000, b"NaN", b"9" * 60000]
    for body in bodies:
        status, _, content = client.raw("POST", "/api/decide", body, **known)
        assert status in (400, 409, 422), body[:80]
        assert len(content) < 2000
        assert b"Traceback" not in content
    assert client.raw("POST", "/api/decide", json.dumps(good).encode(), X_Avparse_Token=client.token)[0] == 422
    ask = {"author": "Ann", "tab": "t"}
    for wrong in ({"held": ["x"] * 17}, {"held": "x"}, {"modality": "smell"}, {"order": "random"}, {"held": [1]}):
        assert client.post("/api/next", **ask, **wrong)[0] == 422
    assert client.progress()["decided"] == before["decided"]


def test_large_bodies_are_refused_before_they_are_read(client: Client) -> None:
    head = f"POST /api/decide HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\nX-Avparse-Token: {client.token}\r\n"
    head += "Content-Type: application/json\r\n"
    stated = f"{head}Content-Length: {10**12}\r\n\r\n".encode()
    assert status_of(client, stated) == "413"
    piece = b"400\r\n" + b" " * 1024 + b"\r\n"
    pieces = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + piece * (MOST_BYTES // 1024 + 2)
    assert status_of(client, pieces) in ("413", "closed")
    for length in ("-1", "x", "1, 2", "9" * 5000):
        assert status_of(client, f"{head}Content-Length: {length}\r\n\r\n".encode()) in ("400", "413"), length
    assert status_of(client, b"GET / HTTP/9.9\r\n\r\n") == "403"
    assert status_of(client, b"\x16\x03\x01\x00\xa5") == "400"
    assert status_of(client, b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n") in ("400", "closed")
    assert client.get("/api/start")[0] == 200


def test_names_are_kept_as_they_are(client: Client) -> None:
    item = client.next("'; DROP TABLE log; -- " + NASTY[:40])
    assert item is not None
    client.decide(item["key"], "keep", "'; DROP TABLE log; -- " + NASTY[:40], note=NASTY)
    assert "'; DROP TABLE log; -- " + NASTY[:40] in client.progress()["reviewers"]


def test_a_port_in_use_is_one_line() -> None:
    async def nothing(*_: object) -> None:
        raise AssertionError

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"--port {port}: is in use; give another"):
            Server(nothing, port)
