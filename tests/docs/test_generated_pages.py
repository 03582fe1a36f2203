"""The pages made from the code agree with the program itself: with its --help, and with the errors that it raises."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
import typer
from docs.page_blocks import ROOT

from ffprobe.cli.app import build_app
from ffprobe.errors import FfprobeError

sys.path.insert(0, str(ROOT / "docs"))
import generate
import generate_commands
import generate_errors

DOCS = ROOT / "docs"


def section(command: str) -> str:
    page = (DOCS / "command-line.md").read_text("utf-8")
    (found,) = re.findall(rf"^## {re.escape(command)}\n(.*?)(?=^## |\Z)", page, re.M | re.S)
    return found


def help_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit):
        build_app(words)([*words, "--help"])
    return capsys.readouterr().out


@pytest.mark.parametrize("command", ["run", "analyze", "predict", "plugins new", "replay"])
def test_every_option_of_a_commands_help_is_on_the_page(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = help_of(capsys, *command.split())
    options = set(re.findall(r"^ +(?:-[a-z], )?(--[a-z-]+)", said, re.M)) - {"--help"}
    assert "--verbose" in options and len(options) > 1
    listed = set(re.findall(r"^\| `(--[a-z-]+)", section(f"ffprobe {command}"), re.M))
    assert listed == options


def test_every_command_of_the_program_has_a_section(capsys: pytest.CaptureFixture[str]) -> None:
    said = help_of(capsys).partition("Commands:")[2]
    commands = set(re.findall(r"^  ([a-z]+) ", said, re.M)) - {"plugins"}
    page = (DOCS / "command-line.md").read_text("utf-8")
    assert commands | {"plugins"} == {w.split()[0] for w in re.findall(r"^## ffprobe (.+)$", page, re.M)}
    assert {f"plugins {name}" for name in ("list", "info", "check", "new")} < set(
        re.findall(r"^## ffprobe (.+)$", page, re.M)
    )


def test_defaults_choices_and_exit_codes_are_listed() -> None:
    assert "| `--out, -o PATH` | `run.h5` |" in section("ffprobe run")
    assert "| `--split {test,validation,train}` | `test` |" in section("ffprobe predict")
    assert "Exit code 5" in section("ffprobe replay") and "Exit code 5" not in section("ffprobe show")


def test_a_new_command_appears_by_itself_and_a_plugins_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer()

    @app.command("fly")
    def fly(height: int = 3) -> None:
        """Go up."""

    @app.command("greet")
    def greet() -> None:
        """Say hello."""

    fly.__module__ = "ffprobe.cli.show"
    monkeypatch.setattr(generate_commands, "build_app", lambda: app)
    page = generate_commands.command_page("")
    assert "## ffprobe fly\n" in page and "| `--height N` | `3` |" in page
    assert "greet" not in page


def templates(error: str) -> list[tuple[re.Pattern[str], str]]:
    """The messages of a page as patterns, each with the pattern of its hint."""
    text = (DOCS / "errors" / f"{error.removesuffix('Error').lower()}.md").read_text("utf-8")
    found = []
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| message"):
            what, hint, file = re.split(r"(?<!\\) \| ", line[2:].removesuffix(" |"))
            assert (ROOT / file.strip("`")).is_file()
            found.append((pattern(what), pattern(hint)))
    return found


def pattern(template: str) -> re.Pattern[str]:
    text = template.replace("&lt;", "<").replace(r"\*", "*")
    text = re.sub(r" (\{\w+\})$", r"\1", text)  # may be nothing
    ways = []
    for way in re.split(r" \\\| (?![^()]*\))", text):
        parts = re.split(r"(\{\w+\}|…|\([^()]* \\\| [^()]*\))", way)
        ways.append("".join(".*" if part.startswith(("{", "…")) or "|" in part else re.escape(part) for part in parts))
    return re.compile("|".join(f"(?:{way})" for way in ways), re.S)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["run", "--preset", "trifektaa"], "UsageError"),
        (["run", "--set", "network.widht=3"], "UsageError"),
        (["run", "--set", "nonsense"], "UsageError"),
        (["run", "--plugin", "symba", "--plugin", "fixed-threshold"], "UsageError"),
        (["run", "--plugin", "olo"], "PluginError"),
        (["run", "--plugin", "./there_is_none.py"], "UsageError"),
        (["run", "--plugin", "./misspelt.py"], "PluginError"),
        (["run", "--plugin", "./forgotten.py"], "PluginError"),
        (["analyze", "layer", "x.h5"], "PluginError"),
        (["analyze", "layers"], "UsageError"),
        (["show", "x.h5"], "FileError"),
        (["show", "text.h5"], "FileError"),
        (["report", "x.h5", "--html", "page.txt"], "UsageError"),
        (["run", "--dataset", "mnist", "--data-dir", "."], "FileError"),
        (["plugins", "check", "./raises.py"], "CheckFailed"),
    ],
)
def test_an_error_that_is_raised_is_on_its_page(
    words: list[str], error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.h5").write_text("text")
    hook = "import ffprobe\n@ffprobe.hookimpl\ndef {}(context): pass\n"
    (tmp_path / "misspelt.py").write_text(hook.format("ffprobe_after_stepp"))
    (tmp_path / "forgotten.py").write_text("import ffprobe\n@ffprobe.hookimpl\ndef ffprobe_components(): pass\n")
    (tmp_path / "raises.py").write_text(
        "import ffprobe\nclass Bad(ffprobe.Normalizer):\n    name = 'bad'\n    def build(self, shape): raise OSError\n"
        "@ffprobe.hookimpl\ndef ffprobe_components(): return [Bad]\n"
    )
    with pytest.raises(FfprobeError) as caught:
        build_app(words)(words)
    said = caught.value
    assert type(said).__name__ == error
    fits = [what.pattern for what, hint in templates(error) if what.fullmatch(said.what) and hint.fullmatch(said.hint)]
    assert [p for p in fits if len(p.replace(".*", "")) > 12], said


def read(source: str) -> list[tuple[str, str, str]]:
    found = generate_errors._Source(ast.parse(source), "ffprobe/errors.py").messages()
    return sorted((m.error, m.what, m.hint) for m in found)


def test_an_inserted_value_is_a_word_in_braces_and_every_alternative_is_listed() -> None:
    assert read("raise UsageError(f'no {self._path!r} of {len(x)}' + ' here', hint='a b' if c else 'd e')") == [
        ("UsageError", "no {path} of … here", r"a b \| d e")
    ]
    source = "raise UsageError(f\"it {'is one' if a else 'are two'}.\")"
    assert read(source) == [("UsageError", r"it (is one \| are two).", "")]
    assert read("return ffprobe.FileError('a | b <c> *')") == [("FileError", r"a \| b &lt;c> \*", "")]


def test_a_name_stands_for_the_texts_that_were_assigned_to_it() -> None:
    source = """
def one():
    hint = 'not this one'
    if a:
        hint = 'first way'
        raise FileError('one thing', hint=hint)
    if b:
        hint = 'second way'
    else:
        hint = 'third way'
    raise FileError('two things', hint=hint)
"""
    assert read(source) == [
        ("FileError", "one thing", "first way"),
        ("FileError", "two things", r"second way \| third way"),
    ]


def test_a_page_that_nothing_generates_any_more_is_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "DOCS", tmp_path)
    monkeypatch.setattr(generate, "pages", lambda: {"errors/file.md": "new", "a.md": "a"})
    (tmp_path / "errors").mkdir()
    (tmp_path / "errors" / "gone.md").write_text("")
    (tmp_path / "errors" / "file.md").write_text("old")
    (tmp_path / "a.md").write_text("a")
    assert generate.stale() == ["errors/file.md", "errors/gone.md"]
