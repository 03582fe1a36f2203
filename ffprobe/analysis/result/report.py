"""One self-contained HTML page of one run or several: what was run, what was found, how to get it again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ffprobe.analysis.result.claim import WORDS
from ffprobe.analysis.result.table import cell
from ffprobe.analysis.runs.labels import SLOTS
from ffprobe.analysis.runs.summary import RunSummary, summarize

if TYPE_CHECKING:
    from markupsafe import Markup

    from ffprobe.analysis.result.result import Result
    from ffprobe.store.reader import RunFile

MOST_ROWS = 200
"""A longer table is cut in the page; its CSV is not."""
FOLDED_FROM = 20
"""A table of more rows is shown when asked for."""

BESIDE = 4.0
"""A wider figure, in inches, has its notes below."""


@dataclass
class Answer:
    """What became of one analysis: one of ``result``, ``missing`` and ``failure`` is set.

    Attributes:
        name: of the analysis.
        summary: its question in one phrase.
        command: the words that give the same answer on a command line.
        result: the answer.
        missing: why these runs cannot answer.
        do: what would let them.
        failure: what went wrong unexpectedly.
        source: what in the literature it follows.
        of: added to the analysis's name where several sections answer the same.
        anchor: id in the page, set by ``render_report``.
    """

    name: str
    summary: str
    command: str
    result: Result | None = None
    missing: str = ""
    hint: str = ""
    failure: str = ""
    source: str = ""
    of: str = ""
    anchor: str = ""
    no_figure: str = ""

    @cached_property
    def svg(self) -> Markup | None:
        """The figure as inline SVG; None where there is none. What goes wrong in drawing is left in ``no_figure``."""
        from markupsafe import Markup

        from ffprobe.analysis.plots.inline_svg import inline_svg

        if self.result is None or self.result.draw is None:
            return None
        about = "The numbers stand in the table that follows."
        try:
            figure = self.result.figure()
            labels = [f"{axes.get_xlabel()} against {axes.get_ylabel()}" for axes in figure.axes if axes.get_xlabel()]
            described = " ".join([f"Axes: {'; '.join(labels)}." if labels else "", about]).strip()
            # safe: matplotlib escapes what it writes, and ElementTree writes it again
            return Markup(inline_svg(figure, f"{self.anchor}-figure", self.result.question, described))
        except Exception as error:  # a figure that cannot be drawn must not take the numbers with it
            self.no_figure = f"The figure could not be drawn: {type(error).__name__}: {error}"
            return None

    @property
    def width(self) -> float:
        """How wide the figure may become, in rem, so that all figures have letters of one size."""
        return 8 * self.result.size[0] if self.result else 0

    @property
    def wide(self) -> bool:
        """Whether the figure is too wide to stand beside its notes."""
        return self.result is not None and self.result.size[0] > BESIDE

    @cached_property
    def table(self) -> dict[str, Any]:
        """The rows as text, a spread beside its value."""
        assert self.result is not None
        columns, rows = self.result.columns, self.result.rows
        names = [column.name for column in columns]
        spreads = {column.spread_of: i for i, column in enumerate(columns) if column.spread_of in names}
        heads = [
            {
                "name": column.name.replace("_", " "),
                "unit": "" if column.unit in ("", "1") else column.unit,
                "key": column.key,
                "text": any(isinstance(row[i], str) for row in rows),
            }
            for i, column in enumerate(columns)
            if column.spread_of not in names
        ]
        shown = []
        for row in rows[:MOST_ROWS]:
            cells = []
            for i, column in enumerate(columns):
                if column.spread_of in names:
                    continue
                text = cell(row[i], column)
                if (j := spreads.get(column.name)) is not None and (spread := cell(row[j], columns[j])) != "-":
                    text = f"{text} ± {spread}"
                cells.append(text)
            shown.append(list(zip(heads, cells, strict=True)))
        left_out = max(0, len(rows) - MOST_ROWS)
        return {"columns": heads, "rows": shown, "left_out": left_out, "folded": len(rows) > FOLDED_FROM}


@dataclass
class RunSection:
    """What the page says of one run.

    Attributes:
        label: what tells it from the others.
        path: of the file.
        unfinished: a sentence where the run is not finished, else empty.
        command: as it was typed; may be empty.
        again: the command that repeats the run from its file.
        numbers: name, value and a word about it.
        components: name and value.
        environment: name and value.
        config: all of it as JSON.
        messages: (steps done, text) of the file's log.
        answers: of this run alone.
        anchor: id in the page.
    """

    label: str
    path: str
    unfinished: str
    command: str
    again: str
    numbers: list[dict[str, str]]
    components: list[tuple[str, str]]
    environment: list[tuple[str, str]]
    config: str
    messages: list[tuple[int, str]]
    answers: Sequence[Answer] = field(default_factory=list)
    anchor: str = ""


def run_section(run: RunFile, label: str) -> RunSection:
    """Describe a run from its file; an unfinished one by what is committed."""
    summary, attributes = summarize(run), run.attributes
    config = summary.config
    planned = _planned(config)
    unfinished = ""
    if not run.complete:
        unfinished = (
            f"This run is unfinished: {summary.epochs} of {planned} epochs are in the file, and the test set has not"
            " been read. Numbers are those of the last commit."
        )
    return RunSection(
        label=label,
        path=str(run.path),
        unfinished=unfinished,
        command=str(attributes.get("command", "")),
        again=shlex.join(["ffprobe", "run", "--from", str(run.path), "--out", "again.h5"]),
        numbers=_numbers(run, summary, planned),
        components=[(slot, _component(config[slot])) for slot in SLOTS if config.get(slot)],
        environment=_circumstances(summary),
        config=json.dumps(config, indent=2, ensure_ascii=False),
        messages=run.messages(),
    )


def render_report(
    title: str, runs: Sequence[RunSection], together: Sequence[Answer] = (), *, command: str = "", version: str = ""
) -> str:
    """The page as HTML text; the same answers give the same text.

    Everything from files (names, labels, messages) is escaped; the page loads nothing and runs no script.

    Args:
        title: of the page.
        runs: a section each; may be empty.
        together: answers about all runs at once.
        command: that made the page.
        version: of ffprobe.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    taken: set[str] = set()
    for answer in together:
        answer.anchor = _anchor(f"all-{answer.name}", taken)
    for number, run in enumerate(runs, 1):
        run.anchor = f"run-{number}"
        for answer in run.answers:
            answer.anchor = _anchor(f"{run.anchor}-{answer.name}" if len(runs) > 1 else answer.name, taken)
            answer.of = f", {run.label}" if len(runs) > 1 else ""
    everything = [*together, *(answer for run in runs for answer in run.answers)]
    for answer in everything:
        answer.svg  # noqa: B018  (drawn first, so that the page can say what was not)
    claims = [(answer, claim) for answer in everything if answer.result for claim in answer.result.claims]
    environment = Environment(
        loader=PackageLoader("ffprobe.analysis.result", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        title=title,
        runs=runs,
        several=len(runs) != 1,  # none: a page of answers alone
        together=together,
        claims=claims,
        tally=_tally([claim.agrees for _, claim in claims]),
        words=WORDS,
        command=command,
        version=version,
    )


def _tally(verdicts: Sequence[bool | None]) -> str:
    words = {True: "agree", False: "differ", None: "cannot be told"}
    counts = [(word, sum(v is verdict for v in verdicts)) for verdict, word in words.items()]
    told = ", ".join(f"{count} {word}" for word, count in counts if count)
    return f"Of {len(verdicts)} statements: {told}. Each is decided by a rule on these runs' numbers."


def _anchor(name: str, taken: set[str]) -> str:
    """A name as an id that no other part of the page has, whatever the plugin's author called it."""
    plain = "answer-" + "".join(c if c.isascii() and c.isalnum() else "-" for c in name)
    anchor = next(a for a in (plain, *(f"{plain}-{i}" for i in range(2, len(taken) + 3))) if a not in taken)
    taken.add(anchor)
    return anchor


def _planned(config: Mapping[str, Any]) -> str:
    return str((config.get("training") or {}).get("epochs", "?"))


def _component(table: Any) -> str:
    if not isinstance(table, Mapping):
        return str(table)
    rest = ", ".join(f"{key}={value}" for key, value in table.items() if key not in ("name", "plugin"))
    return f"{table.get('name', '?')} ({rest})" if rest else str(table.get("name", "?"))


def _numbers(run: RunFile, summary: RunSummary, planned: str) -> list[dict[str, str]]:
    found = []

    def add(name: str, value: str, about: str = "") -> None:
        found.append({"name": name, "value": value, "about": about})

    for name, value, group in (("test", summary.test, "test"), ("validation", summary.validation, "evaluation")):
        path = f"{group}/true_label"
        images = f"{run.variable(path).shape[0]} images" if run.has(path) else ""
        if value == value:
            add(f"{name} accuracy", f"{value:.2f} %", f"by the run's evaluator{', ' if images else ''}{images}")
    if summary.test != summary.test:
        add("test accuracy", "not read", str(summary.attributes.get("test_set_read", "")))
    add("epochs", f"{summary.epochs} of {planned}")
    if run.has("metrics/layer"):
        add("layers", str(run.variable("metrics/layer").shape[0]))
    if summary.seconds == summary.seconds:
        add("time", _duration(summary.seconds), "evaluation included")
    for name, path, scale, unit in (
        ("speed", "metrics/images_per_second", 1, "images/s"),
        ("peak memory", "final/peak_memory", 1 / 2**20, "MiB"),
    ):
        if run.has(path) and (run.complete or not path.startswith("final")):
            values = run.read(path).reshape(-1)
            finite = values[values == values]
            if finite.size:
                add(name, f"{float(finite[-1]) * scale:,.0f}", unit)
    return found


def _circumstances(summary: RunSummary) -> list[tuple[str, str]]:
    attributes, training = summary.attributes, summary.config.get("training") or {}
    found = [
        ("seed", summary.config.get("seed")),
        *((name, attributes.get(name)) for name in ("device", "precision", "threads")),
        ("training", ", ".join(f"{key}={value}" for key, value in training.items())),
        *((name.replace("_", " "), attributes.get(name)) for name in ("training_images", "test_set_read")),
        *(
            (f"{name.removesuffix('_sha256')} SHA-256", attributes.get(name))
            for name in ("dataset_sha256", "validation_sha256", "test_sha256")
        ),
        ("versions", ", ".join(_versions(attributes))),
        ("platform", attributes.get("platform")),
        ("begun", attributes.get("created_utc")),
        ("resumed", attributes.get("resumed")),
        ("changed on resume", attributes.get("changed_on_resume")),
    ]
    return [
        (name, ", ".join(map(str, v)) if isinstance(v, list) else str(v)) for name, v in found if v not in (None, "")
    ]


def _versions(attributes: Mapping[str, object]) -> list[str]:
    names = ("ffprobe", "python", "torch", "numpy", "h5py")
    return [f"{name} {attributes[f'{name}_version']}" for name in names if f"{name}_version" in attributes]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{seconds:.1f} s"
