"""What the worker can be asked, and its answers; both are plain values that travel between the processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ffprobe.errors import FfprobeError, UsageError, describe
from ffprobe.view.payload.plain_values import json_bytes, plain

Show = Callable[[str], None]


def answer(request: Mapping[str, Any], show: Show) -> tuple[int, bytes]:
    """Answer one request.

    Args:
        request: ``kind`` and its arguments, see ``_KINDS``.
        show: called with what is being done.

    Returns:
        HTTP status and a JSON document; an error has ``error`` and ``hint``.
    """
    from ffprobe.analysis.runs.cache import read_only_cache
    from ffprobe.analysis.runs.progress import progress_shown_by

    try:
        with progress_shown_by(show), read_only_cache():
            arguments = {name: value for name, value in request.items() if name != "kind"}
            return 200, json_bytes(_kinds()[request["kind"]](**arguments))
    except FfprobeError as error:
        return 422, json_bytes(plain({"error": error.what, "hint": error.hint}))
    except Exception as error:  # a plugin's analysis may raise anything
        return 500, json_bytes(plain({"error": f"It failed: {describe(error)}.", "hint": ""}))


def _kinds() -> dict[str, Callable[..., Any]]:
    return {"question": _question, "evaluators": _evaluators, "map": _map, "neighbours": _neighbours}


def _question(name: str, paths: list[str]) -> dict[str, Any]:
    import shlex
    from contextlib import ExitStack

    from ffprobe.api import analyze
    from ffprobe.store.reader import open_run
    from ffprobe.view.payload.questions import answer_document, registry

    known = {o.name for plugin in registry().plugins for o in plugin.offers if o.kind == "probe"}
    if name not in known:  # a name may also be a file of code for ``analyze``, which no page may choose
        raise UsageError(f"There is no analysis {name!r}.", hint="Choose one of the list.")
    with ExitStack() as stack:
        files = [stack.enter_context(open_run(path)) for path in paths]
        result = analyze(name, *files, registry=registry())
        source = registry().component("probe", name).source
        return answer_document(result, source, shlex.join(["ffprobe", "analyze", name, *paths]))


def _evaluators(path: str, part: str) -> dict[str, Any]:
    from ffprobe.view.worker.evaluators import evaluators_document

    return evaluators_document(path, part)


def _map(path: str, part: str, index: int, layer: int, label: int | None, map_kind: str) -> dict[str, Any]:
    from ffprobe.view.worker.maps import map_document

    return map_document(path, part, index, layer, label, map_kind)


def _neighbours(path: str, key: str, part: str, index: int) -> dict[str, Any]:
    from ffprobe.view.worker.image_neighbours import neighbours_document

    return neighbours_document(path, key, part, index)
