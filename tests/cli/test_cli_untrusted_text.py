"""Text from files reaches a terminal, a page and a table as text: no escape sequence, no markup, no formula."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
import rich.console
from cli.program import ffprobe
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from ffprobe.analysis.result.column import Column
from ffprobe.analysis.result.latex import latex
from ffprobe.analysis.result.report import Answer, render_report
from ffprobe.analysis.result.result import Result
from ffprobe.cli import console as consoles
from ffprobe.cli.console import PlainConsole, PlainFormatter, print_error, print_json, stderr, stdout
from ffprobe.display import HtmlTable, csv_cell, html_view, plain_text
from ffprobe.errors import FileError
from ffprobe.store.reader import open_run

EVIL = "\x1b]0;owned\x07\x1b[31mred\x9b1m[red][/foo]:bug:<script>alert(1)</script>\u202egnp.exe\udcff"
SHOWN = r"\x1b]0;owned\x07\x1b[31mred\x9b1m[red][/foo]:bug:<script>alert(1)</script>\u202egnp.exe\xff"
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is written to a wide terminal on stdout and stderr from now on."""
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    for name, value in (("COLUMNS", "4000"), ("NO_COLOR", "1"), ("TERM", "xterm"), ("FORCE_COLOR", "")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setattr(sys, "stdout", stream)  # pytest replaces them too, between a fixture and its test
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def assert_plain(stream: io.StringIO, times: int = 1) -> None:
    text = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())  # rich's own styles and cursor moves
    assert not CONTROL.search(text.replace("\r", "")), text
    assert text.count(SHOWN) == times, text


def test_plain_text() -> None:
    assert plain_text(EVIL) == SHOWN
    assert plain_text("Füchse 日本 a\tb\nc é") == "Füchse 日本 a\tb\nc é"
    assert plain_text("a\tb\nc\r", one_line=True) == r"a\tb\nc\x0d"


@pytest.mark.parametrize("console", [stdout, stderr])
def test_everything_that_a_console_prints_is_plain(
    console: Callable[[], PlainConsole], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = terminal(monkeypatch)
    table = Table(EVIL, title=EVIL)
    table.add_row(EVIL)
    console().print(EVIL)
    console().print(EVIL, style="red")
    console().print(table)
    console().print(Text(EVIL))  # rich itself removes the bell from a Text
    with Progress(console=console(), transient=False) as bar:
        bar.console.print(EVIL)
    assert_plain(stream, 6)
    assert stream.getvalue().count(SHOWN.replace(r"\x07", "")) == 1


def test_the_commands_use_only_the_plain_console() -> None:
    folder = Path(consoles.__file__).parent
    other = {path.name for path in folder.rglob("*.py") if re.search(r"(?<!Plain)\bConsole\(", path.read_text())}
    assert other == set()
    assert isinstance(stdout(), PlainConsole)


def test_errors_warnings_and_json(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = terminal(monkeypatch)
    print_error(FileError(EVIL, where=EVIL, hint=EVIL))
    record = logging.LogRecord("x", logging.WARNING, "", 0, "The plugin says %s", (EVIL,), None)
    stream.write(PlainFormatter("%(message)s").format(record))
    assert_plain(stream, 4)
    stream.seek(0)
    stream.truncate()
    print_json({EVIL: [EVIL]})
    assert json.loads(stream.getvalue()) == {EVIL: [EVIL]}
    assert not CONTROL.search(stream.getvalue())


def result(name: str = EVIL) -> Result:
    columns = [Column("class", key=True), Column(name, unit=name), Column("count"), Column("share")]
    return Result(EVIL, EVIL, columns, [(name, "=1+1", -3, -0.5), ("b", "@x", 4, 0.5)], notes=[EVIL, "a\n\\input{x}"])


def test_results_on_any_console_as_a_page_and_as_latex() -> None:
    stream = io.StringIO()  # rich's own console, as in rich.print(result)
    rich.console.Console(file=stream, width=4000, force_terminal=True, color_system=None).print(result().table())
    assert_plain(stream, 5)
    for page in (result()._repr_html_(), html_view(EVIL, [HtmlTable((EVIL,), [(EVIL,)], caption=EVIL)], [EVIL])):
        assert "<script" not in page
        assert not CONTROL.search(page)
        assert "&lt;script&gt;" in page
    page = render_report(EVIL, [], [Answer(EVIL, EVIL, EVIL, result(), source=EVIL)], command=EVIL, version=EVIL)
    assert "<script>alert" not in page
    assert not CONTROL.search(page)
    assert all(line.startswith(("%", "\\", "class")) or "&" in line or not line for line in latex(result()).split("\n"))


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1", "'+1"),
        ("-cat", "'-cat"),
        ("@sum", "'@sum"),
        ("\t=1", "'\t=1"),
        (" =1", "' =1"),
        ("\uff1d1", "'\uff1d1"),
        ("cat=1", "cat=1"),
        ("", ""),
        (-1.5, -1.5),
        (-3, -3),
        (None, None),
    ],
)
def test_a_cell_that_begins_like_a_formula_is_text(cell: object, written: object) -> None:
    assert csv_cell(cell) == written


def test_a_result_writes_formulas_as_text_and_numbers_as_numbers(tmp_path: Path) -> None:
    name = "=HYPERLINK(1)"
    with result(name).write_csv(tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["class", f"'{name}", "count", "share"],
        [f"'{name}", "'=1+1", "-3", "-0.5"],
        ["b", "'@x", "4", "0.5"],
    ]


def evil_run(path: Path) -> None:
    """Replace the names, settings, attributes and messages of a run by text that a terminal would obey."""
    text = EVIL.replace("\udcff", "")
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["config_json"])
        config["loss"] = {"name": text, "plugin": text, text: text}
        file.attrs["config_json"] = json.dumps(config)
        for name in ("title", "command", "device"):
            file.attrs[name] = text
        for scale in ("metrics/layer", "final/layer"):
            file[scale][0] = text
        file["log/message"].resize(1, axis=0)
        file["log/message"][0] = 0
        raw = text.encode()
        file["log/message"][0, : len(raw)] = list(raw)


@pytest.mark.parametrize("command", [("show",), ("show", "--json"), ("show", "--watch"), ("analyze", "layers")])
def test_a_hostile_run_file_on_a_terminal(command: tuple[str, ...], recorded_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "evil.h5"
    path.write_bytes(recorded_run.read_bytes())
    evil_run(path)
    done = ffprobe(*command, str(path), cwd=tmp_path)
    assert done.code == 0, done.err
    assert not CONTROL.search(done.out + done.err)
    with open_run(path) as run:
        assert not CONTROL.search(run._repr_html_() or "")
        assert "<script>" not in (run._repr_html_() or "")
        assert not CONTROL.search(run["metrics/layer"]._repr_html_())


@pytest.fixture(scope="module")
def recorded_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    words = ("--epochs", "1", "--set", "network.width=0.1", "--set", "training.max_images=64")
    done = ffprobe("run", *words, "--out", "run.h5", cwd=folder)
    assert done.code == 0, done.err
    return folder / "run.h5"


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
@pytest.mark.parametrize("command", ["show", "show --json", "show --watch", "analyze layers --json --plot", "compare"])
def test_a_file_name_that_is_not_utf8(command: str, recorded_run: Path, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"r\xff.h5")
    path.write_bytes(recorded_run.read_bytes())
    words = command.split()
    words += [os.fsdecode(b"p\xfe.png")] if "--plot" in words else []
    done = ffprobe(*words, str(path), cwd=tmp_path)
    assert done.code == 0, done.err
    assert not CONTROL.search(done.out + done.err)
    if "--json" in words:
        assert os.path.basename(str(done.json.get("path") or done.json["runs"][0])) == path.name
