"""What every request must show before anything reads it: the token, this server's own name, and a small body.

A page of somebody else, open in the same browser, can send requests to this server. It does not know the token, its
requests say from where they come, and a name of its own that it lets point here (DNS rebinding) is not this server's.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qs

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

MOST_BYTES = 64 * 1024  # of a body
TOKEN_HEADER = b"x-avparse-token"
_METHODS = {"GET", "POST"}
_NAMES = {"127.0.0.1", "localhost"}
_OWN_SITE = {b"same-origin", b"none"}  # none: an address that a person has typed or followed from a terminal
_HEADERS = {
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    b"media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
}


class Guard:
    """Lets requests through that may be answered, and adds headers that bind the browser to every answer.

    Args:
        app: application behind it.
        token: secret of this server.
        port: port that it listens on, which names its cookie, because browsers share cookies among ports.
    """

    def __init__(self, app: App, token: str, port: int) -> None:
        self._app, self._token = app, token.encode("ascii")
        self._cookie = f"avparse-review-{port}".encode("ascii")

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [(name, value) for name, value in message["headers"] if name.lower() not in _HEADERS]
                message["headers"] = [*kept, *_HEADERS.items()]
            await send(message)

        headers = _by_name(scope["headers"])
        problem = _problem(scope["method"], headers)
        if problem is not None:
            await _refuse(sealed, *problem)
        elif scope["path"] == "/" and b"token=" in scope["query_string"]:
            await self._admit(scope["query_string"], sealed)
        elif not self._knows_token(headers):
            await _refuse(sealed, 403, "open the address that avparse printed; it holds this review's token")
        else:
            body = await _body(headers, receive)
            if body is None:
                await _refuse(sealed, 413, f"a request may have {MOST_BYTES} bytes")
            else:
                await self._app(scope, _replayed(body, receive), sealed)

    async def _admit(self, query: bytes, send: Send) -> None:
        """Put the token of the address into a cookie, and lead to the address without it."""
        given = parse_qs(query, max_num_fields=4).get(b"token", [b""])[0] if query.count(b"&") < 4 else b""
        if not hmac.compare_digest(given, self._token):
            await _refuse(send, 403, "the token is not that of this review; open the address that avparse printed")
            return
        cookie = self._cookie + b"=" + self._token + b"; Path=/; HttpOnly; SameSite=Strict"
        await _answer(send, 303, b"", {b"location": b"/", b"set-cookie": cookie})

    def _knows_token(self, headers: Mapping[bytes, list[bytes]]) -> bool:
        given = list(headers.get(TOKEN_HEADER, []))
        for line in headers.get(b"cookie", []):
            pairs = (part.strip().partition(b"=") for part in line.split(b";"))
            given += [value for name, _, value in pairs if name == self._cookie]
        return any(hmac.compare_digest(one, self._token) for one in given)


def _problem(method: str, headers: Mapping[bytes, list[bytes]]) -> tuple[int, str] | None:
    """Return status and reason where a request is not one of this server's own page."""
    if method not in _METHODS:
        return 405, "only GET and POST"
    hosts = headers.get(b"host", [])
    name = hosts[0].decode("latin-1").rpartition(":")[0] if len(hosts) == 1 else ""
    if name not in _NAMES:
        return 403, "this server answers to 127.0.0.1 and localhost only"
    origins = headers.get(b"origin", [])
    if any(origin != b"http://" + hosts[0] for origin in origins):
        return 403, "the request comes from another page"
    if any(site not in _OWN_SITE for site in headers.get(b"sec-fetch-site", [])):
        return 403, "the request comes from another page"
    return None


async def _body(headers: Mapping[bytes, list[bytes]], receive: Receive) -> bytes | None:
    """Return the body of a request; None where it is too large, before more of it is read."""
    stated = headers.get(b"content-length", [b"0"])[0]
    if not stated.isdigit() or int(stated[:20]) > MOST_BYTES:
        return None
    if stated == b"0" and b"transfer-encoding" not in headers:
        return b""
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b""  # the browser has gone
        body += message.get("body", b"")
        if len(body) > MOST_BYTES:
            return None
        if not message.get("more_body", False):
            return body


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a source of messages that gives a body once, and then what comes."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


async def _refuse(send: Send, status: int, reason: str) -> None:
    content = json.dumps({"error": reason}).encode()
    await _answer(send, status, content, {b"content-type": b"application/json", b"connection": b"close"})


async def _answer(send: Send, status: int, content: bytes, headers: Mapping[bytes, bytes]) -> None:
    length = {b"content-length": str(len(content)).encode("ascii")}
    await send({"type": "http.response.start", "status": status, "headers": list({**headers, **length}.items())})
    await send({"type": "http.response.body", "body": content})


def _by_name(headers: list[tuple[bytes, bytes]]) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(value)
    return found
