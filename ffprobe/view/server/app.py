"""The routes of the page."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from ffprobe.analysis.runs.find import current_name
from ffprobe.errors import FfprobeError, UsageError
from ffprobe.view.payload.catalog import MAX_RUNS, Catalog, CatalogEntry, UnknownRun
from ffprobe.view.payload.curves import curves_document
from ffprobe.view.payload.images import png, recorded_pixels
from ffprobe.view.payload.layers import layer_document
from ffprobe.view.payload.overview import overview_document
from ffprobe.view.payload.plain_values import json_bytes, plain
from ffprobe.view.payload.questions import questions_document
from ffprobe.view.payload.recorded_goodness import PARTS
from ffprobe.view.payload.runs import run_row, runs_document
from ffprobe.view.payload.samples import sample_document, samples_document
from ffprobe.view.server.access import Access, refusal
from ffprobe.view.server.answers import Answers
from ffprobe.view.server.events import Events
from ffprobe.view.server.page_files import page_response
from ffprobe.view.worker.jobs import Jobs

log = logging.getLogger("ffprobe")
Endpoint = Callable[[Request], Response]


def build_app(
    catalog: Catalog, events: Events, jobs: Jobs, *, title: str, token: str, port: int, page: Path
) -> ASGIApp:
    """The application.

    Args:
        catalog: the runs.
        events: tells pages what changed.
        jobs: what needs the worker process.
        title: title of the page.
        token: what a browser must know.
        port: port of the server.
        page: directory of the built front end.
    """
    answers = Answers(catalog)

    def runs(request: Request) -> Response:
        catalog.refresh()
        return _json(runs_document(catalog.entries(), title))

    def one_run(request: Request) -> Response:
        key = request.path_params["id"]
        return answers.of_run(
            key, "overview", lambda run: {"row": run_row(catalog.entry(key)), **overview_document(run)}
        )

    def curves(request: Request) -> Response:
        return answers.of_run(request.path_params["id"], "curves", curves_document)

    def layer(request: Request) -> Response:
        key, index = request.path_params["id"], request.path_params["index"]
        return answers.of_run(key, f"layer {index}", lambda run: layer_document(run, key, index))

    def samples(request: Request) -> Response:
        part, epoch = _part(request), _number(request, "epoch")
        name = f"samples {part} {epoch}"
        return answers.of_run(request.path_params["id"], name, lambda run: samples_document(run, part, epoch))

    def sample(request: Request) -> Response:
        key, part, index = (request.path_params[name] for name in ("id", "part", "index"))
        epoch = _number(request, "epoch")
        name = f"sample {part} {index} {epoch}"
        return answers.of_run(key, name, lambda run: sample_document(run, key, part, index, epoch))

    def image(request: Request) -> Response:
        with catalog.opened(request.path_params["id"]) as run:
            pixels = recorded_pixels(run, request.path_params["part"], request.path_params["index"])
        return Response(png(pixels), media_type="image/png")

    def questions(request: Request) -> Response:
        return _json(questions_document(len(_runs(request, catalog))))

    def question(request: Request) -> Response:
        entries, name = _runs(request, catalog), request.path_params["name"]
        if not entries:
            raise UsageError("Name the runs of the question.")
        return _job(jobs, entries, {"kind": "question", "name": name, "paths": [_path(entry) for entry in entries]})

    def evaluators(request: Request) -> Response:
        entry, part = catalog.entry(request.path_params["id"]), request.path_params["part"]
        return _job(jobs, [entry], {"kind": "evaluators", "path": _path(entry), "part": part})

    def maps(request: Request) -> Response:
        entry = catalog.entry(request.path_params["id"])
        layer, label = (_number(request, name) for name in ("layer", "label"))
        kind = request.query_params.get("kind", "features")
        image = {name: request.path_params[name] for name in ("part", "index")}
        more = {"layer": layer or 0, "label": label, "map_kind": kind}
        return _job(jobs, [entry], {"kind": "map", "path": _path(entry), **image, **more})

    def near(request: Request) -> Response:
        entry = catalog.entry(request.path_params["id"])
        image = {name: request.path_params[name] for name in ("part", "index")}
        return _job(jobs, [entry], {"kind": "neighbours", "path": _path(entry), "key": entry.id, **image})

    async def follow(request: Request) -> Response:
        if events.full:
            return refusal(503, "Too many pages are open.", "Close some of them.")
        return StreamingResponse(events.stream(), media_type="text/event-stream")

    def static(request: Request) -> Response:
        return page_response(page, request.path_params.get("name", "") or "index.html")

    routes = [
        Route("/api/runs", _guarded(runs)),
        Route("/api/runs/{id}", _guarded(one_run)),
        Route("/api/runs/{id}/curves", _guarded(curves)),
        Route("/api/runs/{id}/layers/{index:int}", _guarded(layer)),
        Route("/api/runs/{id}/samples", _guarded(samples)),
        Route("/api/runs/{id}/samples/{part}/{index:int}", _guarded(sample)),
        Route("/api/runs/{id}/images/{part}/{index:int}.png", _guarded(image)),
        Route("/api/runs/{id}/evaluators/{part}", _guarded(evaluators)),
        Route("/api/runs/{id}/maps/{part}/{index:int}", _guarded(maps)),
        Route("/api/runs/{id}/neighbours/{part}/{index:int}", _guarded(near)),
        Route("/api/questions", _guarded(questions)),
        Route("/api/questions/{name}", _guarded(question)),
        Route("/events", follow),
        Route("/", _guarded(static)),
        Route("/{name}", _guarded(static)),
    ]
    application = Starlette(routes=routes, exception_handlers={404: _unknown_page, 500: _failed})
    return Access(application, token, port)


def _part(request: Request) -> str:
    part = request.query_params.get("part", "")
    if part not in ("", *PARTS):
        raise UsageError("There is no such part.", hint="The parts are test and validation.")
    return part


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name, "")
    if text and not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise UsageError(f"{name} must be a number.")
    return int(text) if text else None


def _runs(request: Request, catalog: Catalog) -> list[CatalogEntry]:
    """The runs that an address names, each once."""
    return [catalog.entry(key) for key in dict.fromkeys(request.query_params.getlist("run"))][:MAX_RUNS]


def _path(entry: CatalogEntry) -> str:
    return str(current_name(entry.listed.path))


def _job(jobs: Jobs, entries: Sequence[CatalogEntry], request: dict[str, Any]) -> Response:
    """The answer of the worker, or 202 while it works; a new revision of a run is a new job."""
    key = hashlib.sha256(repr((request, [entry.revision for entry in entries])).encode(errors="surrogateescape"))
    status, body = jobs.ask(key.hexdigest()[:16], request)
    return Response(body, status, media_type="application/json")


def _json(document: Any, status: int = 200) -> Response:
    return Response(json_bytes(document), status, media_type="application/json")


def _guarded(endpoint: Endpoint) -> Endpoint:
    """The endpoint with its errors as JSON: one bad file must not break the page."""

    def answer(request: Request) -> Response:
        try:
            return endpoint(request)
        except UnknownRun as error:
            return refusal(404, error.what, error.hint)
        except FfprobeError as error:
            return _json(plain({"error": error.what, "hint": error.hint}), 422)
        except Exception as error:  # what a hostile file causes is said, and the server goes on
            log.debug("%s failed", request.url.path, exc_info=True)
            return _json(plain({"error": f"This could not be read: {type(error).__name__}: {error}", "hint": ""}), 500)

    return answer


def _unknown_page(request: Request, error: Exception) -> Response:
    return refusal(404, "There is no such page.", "Begin at the list of runs.")


def _failed(request: Request, error: Exception) -> Response:
    return refusal(500, "The server failed.", "Start it with --verbose to see why.")
