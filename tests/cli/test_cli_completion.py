"""What a shell gets when the user presses Tab, by the protocol of environment variables that typer's scripts use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
import typer
from plugin_files import POWERNORM, write
from typer.testing import CliRunner

from ffprobe.cli import completion
from ffprobe.cli.app import build_app
from ffprobe.components.base import Params
from ffprobe.components.kinds import SINGLE_SLOTS
from ffprobe.config.preset_files import preset_names
from ffprobe.config.settings import RunSettings
from ffprobe.plugin.discovery import Plugin, installed
from ffprobe.plugin.registry import Registry

Words = list[str]


def run(
    preset: Annotated[str, typer.Option(autocompletion=completion.complete_preset)] = "",
    plugin: Annotated[Words | None, typer.Option("--plugin", autocompletion=completion.complete_plugin)] = None,
    set_: Annotated[Words | None, typer.Option("--set", autocompletion=completion.complete_setting)] = None,
    dataset: Annotated[str, typer.Option(autocompletion=completion.complete_dataset)] = "",
    evaluator: Annotated[str, typer.Option(autocompletion=completion.complete_evaluator)] = "",
    executor: Annotated[str, typer.Option(autocompletion=completion.complete_executor)] = "",
    kind: Annotated[str, typer.Option(autocompletion=completion.complete_kind)] = "",
) -> None:
    """The options of all commands that complete values."""


def completed(words: str, app: typer.Typer | None = None) -> list[str]:
    """The candidates for ``ffprobe WORDS``; the last word is incomplete, or empty after a space."""
    if app is None:
        app = typer.Typer()
        app.command()(run)
    *before, last = words.split(" ")
    given = {"COMP_WORDS": "\n".join(["ffprobe", *before, last]), "COMP_CWORD": str(1 + len(before))}
    done = CliRunner().invoke(app, [], prog_name="ffprobe", env={"_FFPROBE_COMPLETE": "complete_bash", **given})
    assert done.exit_code == 0, done.output
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "candidates"),
    [
        ("--preset trif", ["trifecta", "trifecta-group"]),
        ("--preset ", preset_names()),
        ("--plugin olu", ["olu"]),
        ("--plugin batchn", ["batchnorm"]),
        ("--plugin peer-", []),  # a peer is no part of a run
        ("--dataset cifar", ["cifar10", "cifar100"]),
        ("--evaluator e", ["early-exit"]),
        ("--executor s", ["slurm"]),
        ("--kind n", ["network", "normalizer", "negatives"]),
        ("--set training.ep", ["training.epochs="]),
        ("--set network.r", ["network.residual="]),
        ("--preset scff --set evaluator.l", ["evaluator.l2=", "evaluator.layers="]),
        ("--plugin symba --set loss.a", ["loss.alpha="]),
        ("--set loss=symba --set loss.a", ["loss.alpha="]),
        ("--set loss.a", []),  # the fixed threshold has none
    ],
)
def test_an_option_completes_its_values(words: str, candidates: list[str]) -> None:
    assert completed(words) == candidates


def test_after_a_slot_its_components_complete() -> None:
    class Context:
        params: dict[str, object] = {}

    rows = completion.complete_setting(Context(), "network=t")  # type: ignore[arg-type]
    assert dict(rows).keys() == {"network=tff-s", "network=tff-d", "network=tiny"}
    assert completion.complete_setting(Context(), "training.optimizer=") == []  # type: ignore[arg-type]


def test_commands_complete_questions_plugins_and_presets() -> None:
    questions = {offer.name for plugin in installed() for offer in plugin.offers if offer.kind == "probe"}
    assert set(completed("analyze ", build_app())) == questions
    assert completed("plugins info trif", build_app()) == ["trifecta", "trifecta-group"]
    assert completed("plugins info peer-l", build_app()) == ["peer-local-loss", "peer-loewe"]


def test_run_files_complete_through_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep" / "runs").mkdir(parents=True)
    for name in ("one.h5", "two.h5.partial", "notes.txt", "sp ace.h5", "$(touch x).h5", 'a\\";x.h5', ".hidden.h5"):
        (tmp_path / "deep" / "runs" / name).touch()
    found = ["deep/runs/one.h5", "deep/runs/two.h5.partial"]
    assert completed("analyze layers ", build_app()) == found, "the only directory, in which the only directory is"
    assert completed("analyze layers deep/runs/o", build_app()) == found[:1]
    (tmp_path / "other").mkdir()
    assert completed("analyze layers ", build_app()) == ["deep/", "other/"]
    assert completion.complete_partial_file("deep/runs/") == found[1:]
    assert completed("analyze layers missing/", build_app()) == []
    (tmp_path / "$(touch x)").mkdir()
    (tmp_path / "$(touch x)" / "one.h5").touch()
    assert completion.complete_run_file("$(touch x)/") == []


def test_settings_of_every_component_are_those_of_its_class() -> None:
    registry = Registry()
    for plugin in registry.plugins:
        for component in registry.take(plugin):
            inherited = component.Params.__module__ != component.__module__ and component.Params is not Params
            if component.kind in SINGLE_SLOTS and not inherited:  # what another file declares is not read
                read = completion._component_settings(plugin, component.kind)
                own = [f"{component.kind}.{key}" for key in component.Params.model_fields]
                assert sorted(read) == sorted(own), component
                assert all(read.values()) or component.name == "hcl", component


def test_settings_of_the_run_are_those_of_its_class() -> None:
    keys: list[str] = []
    for key, field in RunSettings.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        keys += [f"{key}.{name}" for name in inner] if inner else [key]
    assert list(completion._run_settings()) == keys


def test_a_plugin_of_several_components_offers_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two = POWERNORM + "\n\nclass Other(ffprobe.Normalizer):\n    name = 'othernorm'\n"
    path = write(tmp_path, two, "norms.py")
    plugin = Plugin("norms", "file", "", str(path))
    assert completion._kinds(plugin) == ["normalizer", "normalizer"]
    assert [name for name, _ in completion._names(plugin, ["normalizer"] * 2)] == [o.name for o in plugin.offers]
    broken = Plugin("broken", "file", "", str(write(tmp_path, "class A(ffprobe.Loss):\n  class Params(\n", "b.py")))
    assert completion._component_settings(broken, "loss") == {}


@pytest.mark.parametrize("shell", ["zsh", "fish", "powershell"])
def test_descriptions_are_one_line_without_special_characters(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = '"; touch x; `touch y` $(touch z) \\ [/bold] \x1b[31m\nline'
    monkeypatch.setattr("ffprobe.config.preset_files.preset_summary", lambda name: hostile)
    app = typer.Typer()
    app.command()(run)
    env = {"_FFPROBE_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": "ffprobe --preset trifecta-"}
    env |= {"_TYPER_COMPLETE_FISH_ACTION": "get-args", "_TYPER_COMPLETE_WORD_TO_COMPLETE": "trifecta-"}
    done = CliRunner().invoke(app, [], prog_name="ffprobe", env=env)
    assert "trifecta-group" in done.stdout
    assert len(done.stdout.strip().splitlines()) == 1
    assert not {"`", "$", "\\", "\x1b"} & set(done.stdout.partition("touch x")[2])


def test_completion_loads_nothing_heavy() -> None:
    code = (
        "import os, sys\n"
        "from ffprobe.cli.app import build_app\n"
        "os.environ |= {'_FFPROBE_COMPLETE': 'complete_zsh', '_TYPER_COMPLETE_ARGS': sys.argv[1]}\n"
        "try: build_app()(prog_name='ffprobe')\n"
        "except SystemExit: pass\n"
        "from ffprobe.cli import completion as c\n"
        "class Context: params = {'plugin': ['vgg8b'], 'preset': 'scff'}\n"
        "rows = [c.complete_plugin(''), c.complete_preset(''), c.complete_setting(Context, '')]\n"
        "assert all(rows) and c.complete_dataset('') and c.complete_question('')\n"
        "heavy = {'torch', 'h5py', 'matplotlib', 'sklearn', 'numpy', 'ffprobe_plugins'}\n"
        "print('LOADED', sorted(heavy & set(sys.modules)))"
    )
    words = [sys.executable, "-c", code, "ffprobe analyze "]
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[-1] == "LOADED []"
    assert any("calibration" in line for line in lines)
