"""A report as the view in one file: the built front end and its data, inside the static page."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from ffprobe.analysis.result.interactive import Interactive
from ffprobe.analysis.runs.listing import list_run
from ffprobe.errors import FfprobeError
from ffprobe.view.payload.catalog import CatalogEntry, run_id
from ffprobe.view.payload.curves import curves_document
from ffprobe.view.payload.images import png, recorded_images, recorded_pixels
from ffprobe.view.payload.layers import layer_document
from ffprobe.view.payload.overview import overview_document
from ffprobe.view.payload.plain_values import json_bytes, plain
from ffprobe.view.payload.questions import answer_document
from ffprobe.view.payload.runs import run_row, runs_document, unique_labels
from ffprobe.view.payload.samples import image_url, sample_document, samples_document

if TYPE_CHECKING:
    from ffprobe.analysis.result.report import Answer
    from ffprobe.store.reader import RunFile

PAGE = Path(__file__).parent / "page"
BUDGET = 5 << 20
"""Bytes of a report of two runs; one of more runs gets half of it for each."""
MOST = 20 << 20
"""Bytes of any report."""
FULL = 20_000
"""When fewer bytes of the budget are left and a document does not fit, no more are made."""
MAX_FIGURE = 400_000
"""Bytes of the numbers of one figure; a larger one is a picture in a report."""
ERRORS = 60
"""Wrongly classified images of each run about which a report has everything."""
RIGHT = 12
"""Correctly classified ones."""
UNITS = 16
IMAGES_EACH = 4
BOOT = (
    'const page = document.getElementById("static"); page.id = "printed";'
    'document.getElementById("static-style").media = "print";'
    'document.getElementById("app-style").media = "screen";'
)
"""Makes the static page what is printed, before the front end starts."""


def inlined(
    runs: Sequence[RunFile],
    title: str,
    together: Sequence[Answer],
    alone: Mapping[str, Sequence[Answer]],
    findings: Sequence[str],
    *,
    taken: int = 0,
    page: Path = PAGE,
) -> Interactive | None:
    """The front end with its data; None if the front end was not built.

    What is needed first is put in first, and what would exceed the budget is left out: ``ffprobe view`` shows it.

    Args:
        runs: the open run files.
        title: title of the page.
        together: answers of analyses of all runs together.
        alone: answers of analyses of one run, by the path of the run file.
        findings: the main findings, sentences.
        taken: bytes of the rest of the page.
        page: directory of the built front end.
    """
    script, style = page / "app.js", page / "app.css"
    if not script.is_file() or not style.is_file():
        return None
    code, look = script.read_text(encoding="utf-8"), style.read_text(encoding="utf-8")
    for opening in ("</script", "<script", "<!--"):  # in texts of the code, where the escape means the same
        code = code.replace(opening, "\\x3c" + opening[1:])
    left = min(max(BUDGET, BUDGET // 2 * len(runs)), MOST) - taken - len(code.encode()) - len(look.encode()) - 1000
    answers: list[bytes] = []
    for address, document in _documents(runs, title, together, alone, findings):
        # ASCII, and without "<": nothing in it can end the element
        entry = (json_bytes(address) + b":" + json_bytes(document)).replace(b"<", b"\\u003c")
        if len(entry) + 1 <= left:
            answers.append(entry)
            left -= len(entry) + 1
        elif left < FULL:
            break
    data = b'{"answers":{' + b",".join(answers) + b"}}"
    return Interactive(look.replace("</style", "<\\/style"), code, BOOT, data.decode("ascii"))


def _documents(
    runs: Sequence[RunFile],
    title: str,
    together: Sequence[Answer],
    alone: Mapping[str, Sequence[Answer]],
    findings: Sequence[str],
) -> Iterator[tuple[str, Any]]:
    """The addresses of the page and what the server would answer, the most important first."""
    entries = [_entry(run) for run in runs]
    labels = unique_labels([entry.listed.path for entry in entries])
    yield "/api/runs", {**runs_document(entries, title), "findings": plain(list(findings)), "report": True}
    for run, entry, label in zip(runs, entries, labels, strict=True):
        yield from _tried(f"/api/runs/{entry.id}", partial(_overview, run, entry, label))
    for run, entry in zip(runs, entries, strict=True):
        yield from _tried(f"/api/runs/{entry.id}/curves", partial(curves_document, run))
    if len(runs) > 1:
        yield from _questions(together, [entry.id for entry in entries])
    for run, entry in zip(runs, entries, strict=True):
        asked = [*alone.get(str(run.path), ()), *([] if len(runs) > 1 else together)]
        yield from _questions(asked, [entry.id])
    for run, entry in zip(runs, entries, strict=True):
        yield from _layers(run, entry.id)
    for run, entry in zip(runs, entries, strict=True):
        yield from _samples(run, entry.id)


def _entry(run: RunFile) -> CatalogEntry:
    return CatalogEntry(run_id(Path(run.path)), list_run(run.path), "report")


def _overview(run: RunFile, entry: CatalogEntry, label: str) -> dict[str, Any]:
    return {"row": run_row(entry, label), **overview_document(run)}


def _sample(run: RunFile, key: str, part: str, index: int) -> dict[str, Any]:
    return {**sample_document(run, key, part, index), "neighbours": None}


def _tried(address: str, make: Callable[[], Any]) -> Iterator[tuple[str, Any]]:
    """A document, or nothing if the file does not allow it."""
    try:
        yield address, make()
    except (FfprobeError, ValueError, IndexError, TypeError, KeyError):
        return


def _questions(answers: Sequence[Answer], ids: Sequence[str]) -> Iterator[tuple[str, Any]]:
    query = urlencode([("run", key) for key in ids])
    yield f"/api/questions?{query}", plain([
        {"name": one.name, "question": one.result.question if one.result else one.summary, "source": one.source,
         "least_runs": 1, "possible": one.result is not None, "why": one.missing or one.failure}
        for one in answers
    ])  # fmt: skip
    for one in answers:
        if one.result is None:
            continue
        document = answer_document(one.result, one.source, one.command, draw=one.figure)
        large = document["figure"] is not None and len(json_bytes(document["figure"])) > MAX_FIGURE
        if large:
            document["figure"] = None
        if document["figure"] is not None:
            document["svg"] = None
        yield f"/api/questions/{one.name}?{query}", document


def _layers(run: RunFile, key: str) -> Iterator[tuple[str, Any]]:
    count = run.variable("metrics/layer").shape[0] if run.has("metrics/layer") else 0
    for index in range(count):
        for address, document in _tried(f"/api/runs/{key}/layers/{index}", partial(layer_document, run, key, index)):
            document["units"] = [
                {**unit, "strongest": unit["strongest"][:IMAGES_EACH]} for unit in document["units"][:UNITS]
            ]
            shown = [image for unit in document["units"] for image in unit["strongest"]]
            yield from _images(run, key, [(image["part"], image["sample"]) for image in shown if image["image"]])
            yield address, document


def _samples(run: RunFile, key: str) -> Iterator[tuple[str, Any]]:
    """The predictions for all images, and everything about some of them."""
    for address, document in _tried(f"/api/runs/{key}/samples", partial(samples_document, run)):
        part, last = document["part"], f"layer {document['layers'][-1]}" if document["layers"] else ""
        pairs = enumerate(zip(document["true"], document["predicted"].get(last, []), strict=False))
        pictured = set(document["images"])
        wrong: list[int] = []
        right: list[int] = []
        for index, (true, predicted) in pairs:
            (right if true == predicted else wrong).append(index)
        chosen = sorted(wrong, key=lambda index: index not in pictured)[:ERRORS]
        chosen += sorted(right, key=lambda index: index not in pictured)[:RIGHT]
        document["images"] = sorted(pictured & set(chosen))
        yield address, document
        yield f"{address}?part={part}", document
        yield from _images(run, key, [(part, index) for index in document["images"]])
        for index in chosen:
            yield from _tried(f"/api/runs/{key}/samples/{part}/{index}", partial(_sample, run, key, part, index))


def _images(run: RunFile, key: str, images: Sequence[tuple[str, int]]) -> Iterator[tuple[str, Any]]:
    """Images by their address, each as a ``data:`` URL."""
    known = {part: recorded_images(run, part) for part in {part for part, _ in images}}
    for part, index in dict.fromkeys(images):
        if index in known[part]:
            picture = base64.b64encode(png(recorded_pixels(run, part, index))).decode("ascii")
            yield image_url(key, part, index), f"data:image/png;base64,{picture}"


def main_findings(runs: Sequence[RunFile], labels: Sequence[str], answers: Sequence[Answer]) -> list[str]:
    """The three main findings of a report: how accurate the runs are, what looks broken, and what papers claim.

    Args:
        runs: the open run files.
        labels: short label of each.
        answers: all answers of the report.
    """
    from ffprobe.analysis.runs.diagnosis import diagnose
    from ffprobe.analysis.runs.summary import summarize

    summaries = [summarize(run) for run in runs]
    known = [
        (s.test if math.isfinite(s.test) else s.validation, label, s)
        for s, label in zip(summaries, labels, strict=True)
    ]
    known = sorted((one for one in known if math.isfinite(one[0])), key=lambda one: -one[0])
    findings = []
    if known:
        best, label, summary = known[0]
        part = "test" if math.isfinite(summary.test) else "validation"
        if len(runs) == 1:
            findings.append(f"The run classifies {best:.2f} % of the {part} images correctly.")
        else:
            worst, other, _ = known[-1]
            findings.append(
                f"{label} is the most accurate run ({best:.2f} % of the {part} images),"
                f" {other} the least ({worst:.2f} %)."
            )
    broken = []
    for run, label in zip(runs, labels, strict=True):
        try:
            found = diagnose(run)[:1]
        except (FfprobeError, ValueError, IndexError, TypeError):
            continue
        broken += [f"{label}: {one.what}" if len(runs) > 1 else one.what for one in found]
    findings.append(broken[0] if broken else "Nothing in the run files looks broken.")
    if len(broken) > 1:
        findings[-1] += f" {len(broken) - 1} more of the runs {'has' if len(broken) == 2 else 'have'} a warning."
    if known:
        findings += _best_layer(
            *next((run, label) for run, label in zip(runs, labels, strict=True) if label == known[0][1])
        )
    claims = [claim for answer in answers if answer.result for claim in answer.result.claims]
    if claims:
        agree, differ = (sum(claim.agrees is verdict for claim in claims) for verdict in (True, False))
        agrees, differs = (f"{n} {word}{'s' * (n == 1)}" for n, word in ((agree, "agree"), (differ, "differ")))
        findings.append(f"Of {len(claims)} claims of papers, {agrees} with these runs and {differs}.")
    return findings[:2] + findings[-1:] if len(findings) > 3 else findings


def _best_layer(run: RunFile, label: str) -> list[str]:
    """Which layer alone predicts best; nothing where no layer was measured."""
    import numpy as np

    for part in ("test", "validation"):
        path = f"final/{part}_accuracy"
        values = np.asarray(run.read(path), float) if run.complete and run.has(path) else np.zeros(0)
        if values.ndim == 1 and np.isfinite(values).any():
            best = int(np.nanargmax(values))
            text = f"layer {best + 1} of {len(values)} alone classifies {100 * values[best]:.2f} % of the {part} images"
            return [f"In {label}, {text} correctly, more than any other layer."]
    return []
