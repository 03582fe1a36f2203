"""The HTML report: one self-contained page with the settings, results and commands of one run or several."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ffprobe.analysis.result.cells import shown_columns
from ffprobe.analysis.result.claim import NOT_COMPARABLE
from ffprobe.analysis.runs.labels import SLOTS
from ffprobe.analysis.runs.summary import RunSummary, summarize
from ffprobe.display import duration, finalize

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ffprobe.analysis.result.interactive import Interactive
    from ffprobe.analysis.result.result import Result
    from ffprobe.store.reader import RunFile

MAX_ROWS = 200
"""A longer table is truncated in the page, but not in its CSV file."""
MAX_OPEN_ROWS = 20
"""A longer table is collapsed until the reader opens it."""

MAX_WIDTH_BESIDE_NOTES = 4.0
"""The notes of a wider figure, in inches, are placed below it."""
LEAD = "layers"
"""The analysis whose figure is at the top of the page."""
NUMBERS_BELOW = "The numbers are in the table below."


@dataclass
class Answer:
    """The outcome of one analysis: exactly one of ``result``, ``missing`` and ``failure`` is set.

    Attributes:
        name: name of the analysis.
        summary: its question as one phrase.
        command: the command line that gives the same result.
        result: the result.
        missing: why the analysis is not possible for these runs.
        hint: what would make it possible.
        failure: the unexpected error.
        source: the publication that the analysis follows.
        of: suffix of the analysis's name where several sections contain the same analysis.
        anchor: id in the page, set by ``render_report``.
        no_figure: why the figure could not be drawn; set by ``image``.
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
    _figure: Figure | None = field(default=None, init=False, repr=False)

    @cached_property
    def image(self) -> dict[str, str] | None:
        """The figure as the ``src`` and ``alt`` of an ``<img>``; None without a figure.

        If drawing fails, the error message is stored in ``no_figure``.
        """
        from ffprobe.analysis.plots.svg_image import svg_data_url

        if self.result is None or self.result.draw is None:
            return None
        try:
            figure = self.figure()
            labels = [f"{axes.get_ylabel()} against {axes.get_xlabel()}" for axes in figure.axes if axes.get_xlabel()]
            sentences = [self.result.question, f"Axes: {'; '.join(labels)}." if labels else "", NUMBERS_BELOW]
            return {"src": svg_data_url(figure), "alt": " ".join(filter(None, sentences))}
        except Exception as error:  # a figure that cannot be drawn must not remove the numbers
            self.no_figure = f"The figure could not be drawn: {type(error).__name__}: {error}"
            return None

    def figure(self) -> Figure:
        """The figure of the result, drawn once."""
        assert self.result is not None
        if self._figure is None:
            self._figure = self.result.figure()
        return self._figure

    @property
    def width(self) -> float:
        """Maximum width of the figure, in rem, chosen so that the text of all figures has one size."""
        return 8 * self.result.size[0] if self.result else 0

    @property
    def wide(self) -> bool:
        """Whether the figure is too wide to be placed beside its notes."""
        return self.result is not None and self.result.size[0] > MAX_WIDTH_BESIDE_NOTES

    @cached_property
    def table(self) -> dict[str, Any]:
        """The rows as text, each spread and interval next to its value."""
        assert self.result is not None
        columns = shown_columns(self.result.columns, self.result.rows[:MAX_ROWS])
        heads = [
            {
                "name": shown.column.name.replace("_", " "),
                "unit": "" if shown.column.unit in ("", "1") else shown.column.unit,
                "key": shown.column.key,
                "text": shown.text,
            }
            for shown in columns
        ]
        cells = zip(*(shown.cells for shown in columns), strict=True)
        rows = [list(zip(heads, row, strict=True)) for row in cells]
        count = len(self.result.rows)
        return {"columns": heads, "rows": rows, "omitted": count - len(rows), "collapsed": count > MAX_OPEN_ROWS}


@dataclass
class RunSection:
    """The content of the page for one run.

    Attributes:
        label: short label that distinguishes the run from the others.
        path: path of the run file.
        unfinished: a sentence if the run is unfinished, else empty.
        command: the command line that started the run; may be empty.
        again: the command that repeats the run from its file.
        numbers: name, value and a short explanation.
        components: name and value.
        environment: name and value.
        config: the resolved config as JSON.
        messages: (steps done, text) from the log of the run file.
        answers: outcomes of the analyses of this run alone.
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
    """Describe a run from its file; an unfinished run by its committed epochs."""
    summary, attributes = summarize(run), run.attributes
    config = summary.config
    planned = _planned(config)
    unfinished = ""
    if not run.complete:
        unfinished = (
            f"This run is unfinished: {summary.epochs} of {planned} epochs are in the file, and the test set has not"
            " been evaluated. Numbers are from the last committed epoch."
        )
    return RunSection(
        label=label,
        path=str(run.path),
        unfinished=unfinished,
        command=str(attributes.get("command", "")),
        again=shlex.join(["ffprobe", "run", "--from", str(run.path), "--out", "again.h5"]),
        numbers=_numbers(run, summary, planned),
        components=[(slot, _component(config[slot])) for slot in SLOTS if config.get(slot)],
        environment=_environment(summary),
        config=json.dumps(config, indent=2, ensure_ascii=False),
        messages=run.messages(),
    )


def render_report(
    title: str, runs: Sequence[RunSection], together: Sequence[Answer] = (), *, command: str = "", version: str = "",
    findings: Sequence[str] = (), interactive: Interactive | None = None,
) -> str:  # fmt: skip
    """Render the page as HTML text; the same outcomes give the same text.

    Everything from files (names, labels, messages) is escaped; the page loads no other file, and runs no script
    but that of ``interactive``, which its content security policy names by hash.

    Args:
        title: title of the page.
        runs: one section for each run; may be empty.
        together: outcomes of analyses of all runs together.
        command: the command line that made the page.
        version: version of ffprobe.
        findings: the main findings, sentences, for the top of the page.
        interactive: a front end that replaces the static page on a screen, in a browser that runs scripts.
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
        answer.image  # noqa: B018  (drawn first, so that the page can report figures that failed)
    claims = [(answer, claim) for answer in everything if answer.result for claim in answer.result.claims]
    environment = Environment(
        loader=PackageLoader("ffprobe.analysis.result", "templates"),
        autoescape=True,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        title=title,
        runs=runs,
        several=len(runs) != 1,  # no run: a page of analyses only
        together=together,
        claims=claims,
        tally=_tally([claim.verdict for _, claim in claims]),
        command=command,
        version=version,
        findings=findings,
        lead=next((answer for answer in everything if answer.name == LEAD and answer.image), None),
        interactive=interactive and _Marked(interactive),
    )


class _Marked:
    """The parts of an interactive page as markup: they are no text, and must not be escaped."""

    def __init__(self, interactive: Interactive) -> None:
        from markupsafe import Markup

        self.style, self.script = Markup(interactive.style), Markup(interactive.script)
        self.boot, self.data = Markup(interactive.boot), Markup(interactive.data)
        self.policy = Markup(interactive.policy)


def _tally(verdicts: Sequence[str]) -> str:
    words = {"agrees": "agree", "differs": "differ", "inconclusive": "inconclusive", NOT_COMPARABLE: NOT_COMPARABLE}
    counts = [(word, verdicts.count(verdict)) for verdict, word in words.items()]
    text = ", ".join(f"{count} {word}" for word, count in counts if count)
    return f"Of {len(verdicts)} claims: {text}. Each verdict follows from a rule on the numbers of these runs."


def _anchor(name: str, taken: set[str]) -> str:
    """A unique id in the page for a name, whatever characters the name contains."""
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
    numbers = []

    def add(name: str, value: str, about: str = "") -> None:
        numbers.append({"name": name, "value": value, "about": about})

    for name, value, group in (("test", summary.test, "test"), ("validation", summary.validation, "evaluation")):
        path = f"{group}/true_label"
        images = f"{run.variable(path).shape[0]} images" if run.has(path) else ""
        if value == value:
            add(f"{name} accuracy", f"{value:.2f} %", f"by the run's evaluator{', ' if images else ''}{images}")
    if summary.test != summary.test:
        add("test accuracy", "not evaluated", str(summary.attributes.get("test_set_read", "")))
    add("epochs", f"{summary.epochs} of {planned}")
    if run.has("metrics/layer"):
        add("layers", str(run.variable("metrics/layer").shape[0]))
    if summary.seconds == summary.seconds:
        add("time", duration(summary.seconds), "evaluation included")
    for name, path, scale, unit in (
        ("speed", "metrics/images_per_second", 1, "images/s"),
        ("peak memory", "final/peak_memory", 1 / 2**20, "MiB"),
    ):
        if run.has(path) and (run.complete or not path.startswith("final")):
            values = run.read(path).reshape(-1)
            finite = values[values == values]
            if finite.size:
                add(name, f"{float(finite[-1]) * scale:,.0f}", unit)
    return numbers


def _environment(summary: RunSummary) -> list[tuple[str, str]]:
    attributes, training = summary.attributes, summary.config.get("training") or {}
    facts = [
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
        ("started", attributes.get("created_utc")),
        ("resumed", attributes.get("resumed")),
        ("changed on resume", attributes.get("changed_on_resume")),
    ]
    return [
        (name, ", ".join(map(str, v)) if isinstance(v, list) else str(v)) for name, v in facts if v not in (None, "")
    ]


def _versions(attributes: Mapping[str, object]) -> list[str]:
    names = ("ffprobe", "python", "torch", "numpy", "h5py")
    return [f"{name} {attributes[f'{name}_version']}" for name in names if f"{name}_version" in attributes]
