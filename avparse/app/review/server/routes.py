"""What the server answers: the page and its parts, items, decisions, the progress, and files of videos."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response

from avparse.app.review.log import SKIP, Action
from avparse.app.review.server.messages import Ask, Decide, Progress, Skip, Undo
from avparse.app.review.session import Review
from avparse.foundation.errors import UserError

_KINDS = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css"}


@dataclass(frozen=True)
class PageFacts:
    """What the page says of the review as a whole.

    Attributes:
        author: name of the reviewer, if the command was given one; otherwise the page asks.
        warning: sentence on data that a program made; empty for real data.
        media_note: why there are no videos; empty where there are.
    """

    author: str = ""
    warning: str = ""
    media_note: str = ""


def make_app(review: Review, facts: PageFacts) -> FastAPI:
    """Return the application of a review; :class:`Guard` belongs before it."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    _add_page(app, review, facts)
    _add_actions(app, review)
    videos = list(review.source.videos)

    @app.get("/media/{number}")
    def media(number: int) -> Response:
        path = review.media.path(videos[number]) if 0 <= number < len(videos) else None
        if path is None:
            return _error(404, "there is no file of this video")
        return FileResponse(path, media_type=review.media.kind(videos[number]))

    @app.exception_handler(RequestValidationError)
    def refused(request: Request, error: RequestValidationError) -> Response:
        found = error.errors()[0]
        return _error(422, f"{'.'.join(map(str, found['loc'][1:]))}: {found['msg']}"[:200])

    @app.exception_handler(UserError)
    def told(request: Request, error: UserError) -> Response:
        return _error(409, str(error))

    return app


def _add_page(app: FastAPI, review: Review, facts: PageFacts) -> None:
    folder = files("avparse.app.review").joinpath("page")
    parts = {part.name: part.read_bytes() for part in folder.iterdir() if part.name.endswith(tuple(_KINDS))}

    @app.get("/")
    def page() -> Response:
        return Response(parts["index.html"], media_type=_KINDS[".html"])

    @app.get("/page/{name}")
    def part(name: str) -> Response:
        if name not in parts:
            return _error(404, "the page has no such part")
        return Response(parts[name], media_type=_KINDS[name[name.rindex(".") :]])

    @app.get("/api/start")
    def start() -> dict[str, Any]:
        source = review.source
        return {
            "kind": source.kind,
            "where": source.where,
            "author": facts.author,
            "warning": facts.warning,
            "notes": [note for note in (facts.media_note, source.lane_note) if note],
        }


def _add_actions(app: FastAPI, review: Review) -> None:
    @app.post("/api/next")
    def hand_out(ask: Ask) -> dict[str, Any]:
        return review.next(ask.wish())

    @app.post("/api/decide")
    def decide(sent: Decide) -> dict[str, Any]:
        action = Action(0, 0.0, sent.author, sent.key, sent.verdict, sent.onset, sent.offset, sent.note)
        review.act(sent.tab, action)
        return {"saved": True}

    @app.post("/api/skip")
    def skip(sent: Skip) -> dict[str, Any]:
        review.act(sent.tab, Action(0, 0.0, sent.author, sent.key, SKIP, note=sent.note))
        return {"saved": True}

    @app.post("/api/undo")
    def undo(sent: Undo) -> dict[str, Any]:
        return review.undo(sent.author)

    @app.post("/api/progress")
    def progress(sent: Progress) -> dict[str, Any]:
        return review.progress(sent.author)


def _error(status: int, reason: str) -> Response:
    return JSONResponse({"error": reason}, status)
