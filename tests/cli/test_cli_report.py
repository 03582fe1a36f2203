"""``ffprobe report``: from run files to the page."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli.program import ffprobe
from toy import TOY, toy_config

import ffprobe as library
from ffprobe.cli.report import report
from ffprobe.config.preset_files import read_preset
from ffprobe.errors import FileError, Interrupted, UsageError
from ffprobe.plugin.discovery import find, installed
from ffprobe.plugin.registry import Registry
from ffprobe.training.session import Session

PROBES = {
    "good": """return ffprobe.Result("good", "Is it good?", [ffprobe.Column("n", key=True)], [(len(runs),)])""",
    "broken": """return 1 / 0""",
    "missing": """raise ffprobe.FileError("Nothing was recorded.", where="x", hint="Train with --plugin missing.")""",
    "alone": """
        if len(runs) > 1:
            raise ffprobe.UsageError("One run at a time.")
        return ffprobe.Result("alone", "Is it alone?", [ffprobe.Column("run")], [(str(r.path),) for r in runs])""",
    "pair": """return ffprobe.Result("pair", "Are they alike?", [ffprobe.Column("n")], [(len(runs),)])""",
}
FILE = '''"""{name} asks something."""
import ffprobe
class Asks(ffprobe.Probe):
    name = "{name}"
    least_runs = {least}
    def analyze(self, runs):
        {body}
@ffprobe.hookimpl
def ffprobe_components(): return [Asks]
'''


def stop_in_second_epoch(session: Session) -> None:
    """As Ctrl-C does."""

    def fire(hook: str, context: Any) -> None:
        if hook == "ffprobe_before_epoch" and context.epoch == 1:
            session.trainer.stop_after_batch(signal.SIGINT)

    session.trainer.observers.fire = fire  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two finished toy runs, ``a.h5`` and ``b.h5``, and one that was stopped, ``c.h5.partial``."""
    folder = tmp_path_factory.mktemp("report")
    for name, preset in (("a", "trifecta"), ("b", ""), ("c", "")):
        registry = Registry()
        table = {**(read_preset(preset) if preset else {}), "preset": preset or "vanilla-ff", "network": TOY["network"]}
        config = toy_config(registry, **table, probes=[])
        session = Session.start(config, registry, folder / f"{name}.h5", command=f"ffprobe run --preset {preset}")
        if name == "c":
            stop_in_second_epoch(session)
            with pytest.raises(Interrupted):
                session.run()
        else:
            session.run()
    return folder


@pytest.fixture
def probes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """These five analyses, and one that would not load, are all that is installed."""
    plugins = []
    for name, body in PROBES.items():
        (tmp_path / f"{name}.py").write_text(FILE.format(name=name, body=body, least=2 if name == "pair" else 1))
        plugins.append(find(str(tmp_path / f"{name}.py")))
    (tmp_path / "unloadable.py").write_text(FILE.format(name="unloadable", body="pass", least=1) + "import nowhere\n")
    plugins.append(find(str(tmp_path / "unloadable.py")))
    monkeypatch.setattr("ffprobe.plugin.registry.installed", lambda: tuple(plugins))


def made(capsys: pytest.CaptureFixture[str], html: Path, runs: list[Path], **more: Any) -> tuple[Any, str]:
    """What ``report --json`` says, and the page."""
    report(runs, html=html, json=True, **more)
    return json.loads(capsys.readouterr().out), html.read_text(encoding="utf-8")


@pytest.mark.usefixtures("probes")
def test_one_run_is_asked_everything_that_takes_one(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document, text = made(capsys, tmp_path / "r.html", [runs / "a.h5"])
    assert document["answered"] == ["alone", "good"]
    assert document["not_answered"] == [
        {"name": "missing", "what": "Nothing was recorded.", "hint": "Train with --plugin missing."}
    ]
    assert [one["name"] for one in document["failed"]] == ["broken", "unloadable"]
    assert "ZeroDivisionError" in document["failed"][0]["why"]
    assert document["bytes"] == len(text.encode()) < 500_000
    assert "<title>digits, trifecta+tiny</title>" in text
    assert "Are they alike?" not in text
    for part in ("broken</code>: ZeroDivisionError", "Train with --plugin missing.", "missing asks something"):
        assert part in text
    for part in ("olu (alternate_every=step", "seed", "once, at the end", "torch", "ffprobe run --preset trifecta"):
        assert part in text


@pytest.mark.usefixtures("probes")
def test_several_runs_are_asked_together_and_alone_what_only_one_can_answer(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document, text = made(capsys, tmp_path / "r.html", [runs / "a.h5", runs / "b.h5"], title="My <title>")
    with library.open(runs / "a.h5") as a, library.open(runs / "b.h5") as b:
        labels = library.run_labels([a, b])
    assert document["answered"] == ["pair", "good", *(f"alone, {label}" for label in labels)]
    assert [one["name"] for one in document["not_answered"]] == [f"missing, {label}" for label in labels]
    assert "<h1>My &lt;title&gt;</h1>" in text
    assert text.count("Is it good?</h3>") == 1
    assert text.count("Is it alone?</h3>") == 2
    assert text.index("Are they alike?</h3>") < text.index("Is it good?</h3>") < text.index("Is it alone?</h3>")


@pytest.mark.usefixtures("probes")
def test_an_unfinished_run_has_a_page_that_says_so(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document, text = made(capsys, tmp_path / "r.html", [runs / "c.h5.partial"])
    assert "good" in document["answered"]
    assert "This run is unfinished: 1 of 2 epochs are in the file" in text
    assert ">not evaluated<" in text


@pytest.mark.usefixtures("probes")
def test_analyses_can_be_left_out(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = {"without": ["broken", "good", "unloadable"]}
    document, _ = made(capsys, tmp_path / "r.html", [runs / "a.h5"], **words)
    assert (document["answered"], document["failed"]) == (["alone"], [])
    with pytest.raises(UsageError, match=r"no analysis 'god'.*Did you mean 'good'"):
        report([runs / "a.h5"], html=tmp_path / "r.html", without=["god"])


@pytest.mark.usefixtures("probes")
def test_bad_targets_are_refused_before_any_work(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ffprobe.cli.report.opened", lambda paths: pytest.fail("a run was opened"))
    for name, error, says in (
        ("r.pdf", UsageError, "ends in .html"),
        ("report", UsageError, "ends in .html"),
        ("nowhere/r.html", FileError, "no such directory"),
    ):
        with pytest.raises(error, match=says):
            report([runs / "a.h5"], html=tmp_path / name)
    (tmp_path / "d.html").mkdir()
    with pytest.raises(FileError, match="cannot replace a directory"):
        report([runs / "a.h5"], html=tmp_path / "d.html")


@pytest.mark.usefixtures("probes")
def test_a_page_that_cannot_be_written_leaves_the_old_one(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    html = tmp_path / "r.html"
    html.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(FileError, match="no space is left"):
        report([runs / "a.h5"], html=html)
    assert html.read_text() == "old"
    assert [path.name for path in tmp_path.glob(".r.html*")] == []


def test_the_program_writes_the_page_of_installed_analyses(runs: Path) -> None:
    names = {offer.name for plugin in installed() for offer in plugin.offers if offer.kind == "probe"}
    left_out = [word for name in sorted(names - {"layers", "compare"}) for word in ("--without", name)]
    done = ffprobe("report", "a.h5", "b.h5", "--html", "ab.html", *left_out, cwd=runs)
    assert (done.code, done.out) == (0, "")
    assert "Wrote ab.html: 2 analyses, 0 not possible." in done.err
    text = (runs / "ab.html").read_text(encoding="utf-8")
    assert text.count('<img src="data:image/svg+xml;base64,') == 3  # that of layers is at the top, too
    assert "ffprobe analyze compare a.h5 b.h5 --plot compare.png" in text


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([], 2, "Missing argument"),
        (["nowhere.h5"], 4, "There is no such run file."),
        (["a.h5", "--html", "r.txt"], 2, "ends in .html"),
        (["c.h5"], 4, "has not finished"),
    ],
)
def test_bad_input_ends_with_the_planned_code(runs: Path, words: list[str], code: int, says: str) -> None:
    done = ffprobe("report", *words, cwd=runs)
    assert done.code == code
    assert says in done.err
    assert "Traceback" not in done.err


def test_more_runs_than_the_system_allows_files_at_first(runs: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path; from ffprobe.cli.opened import opened\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 4096))\n"
        "with opened([Path('a.h5')] * 100) as files: print(len({id(f) for f in files}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=runs, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("100\n", "")
