"""Every mistake in the hooks of a plugin has its own message, which names the plugin and has a hint."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from plugin_files import POWERNORM, normalizer, write

import ffprobe
from ffprobe.errors import PluginError
from ffprobe.hookspecs import HOOK_VERSION, OBSERVERS
from ffprobe.plugin.discovery import build_manager, register
from ffprobe.plugin.hook_mistakes import HOOKS, hook_mistake
from ffprobe.plugin.registry import Registry

OK = "\n@ffprobe.hookimpl\ndef ffprobe_components(): return []\n"
PROBE = """
import ffprobe
class Mine(ffprobe.{base}):
    name = "mine"
    def analyze(self, runs): ...
    def __call__(self, *a): ...
    {hook}
@ffprobe.hookimpl
def ffprobe_components(): return [Mine]
"""


def hook(text: str, marker: str = "@ffprobe.hookimpl") -> str:
    return f"import ffprobe, pluggy\n{marker}\n{text}\n{OK}"


def in_class(base: str, text: str, marker: str = "@ffprobe.hookimpl") -> str:
    return PROBE.format(base=base, hook=f"{marker}\n    {text}")


MISTAKES = {
    "misspelt": (
        hook("def ffprobe_after_stepp(context): pass"),
        r"implements the hook ffprobe_after_stepp, which does not exist.*'ffprobe_after_step'",
    ),
    "misspelt without prefix": (hook("def after_step(context): pass"), r"hook after_step, .*'ffprobe_after_step'"),
    "wrong argument": (
        hook("def ffprobe_after_step(state): pass"),
        r"ffprobe_after_step with the argument 'state', but the hook has the argument 'context'"
        r".*def ffprobe_after_step\(context\)",
    ),
    "one argument too many": (hook("def ffprobe_after_step(context, run): pass"), r"argument 'run', but .*'context'"),
    "argument where there is none": (
        "import ffprobe\n@ffprobe.hookimpl\ndef ffprobe_components(registry): return []",
        r"argument 'registry', but the hook has no argument.*def ffprobe_components\(\)",
    ),
    "marker of another project": (
        hook("def ffprobe_after_step(context): pass", '@pluggy.HookimplMarker("pytest")'),
        r"marks ffprobe_after_step for the project 'pytest'.*@ffprobe\.hookimpl",
    ),
    "marker of another project, misspelt": (
        hook("def ffprobe_after_stp(context): pass", '@pluggy.HookimplMarker("pytest")'),
        r"marks ffprobe_after_stp for the project 'pytest'",
    ),
    "no marker": (
        hook("def ffprobe_after_step(context): pass", ""),
        r"does not mark ffprobe_after_step as a hook, so it is never called.*@ffprobe\.hookimpl",
    ),
    "no marker and misspelt": (
        hook("def ffprobe_aftr_step(context): pass", ""),
        r"has a function ffprobe_aftr_step, which looks like a misspelt hook.*'ffprobe_after_step'",
    ),
    "default argument": (
        hook("def ffprobe_after_step(context=None): pass"),
        r"gives the argument 'context' of ffprobe_after_step a default value.*def ffprobe_after_step\(context\)",
    ),
    "default argument of another name": (hook("def ffprobe_after_step(state=None): pass"), r"'state' of ffprobe_after"),
    "star": (hook("def ffprobe_after_step(*args): pass"), r"with \*args, which never receives an argument"),
    "two stars": (hook("def ffprobe_after_step(**given): pass"), r"with \*\*given, which never receives"),
    "async": (hook("async def ffprobe_after_step(context): pass"), r"async function, which is never awaited"),
    "in a probe, misspelt": (in_class("Probe", "def ffprobe_after_stp(self, context): ..."), "hook ffprobe_after_stp"),
    "in a probe, no marker": (in_class("Probe", "def ffprobe_after_step(self, context): ...", ""), "does not mark"),
    "in a probe, no self": (
        in_class("Probe", "def ffprobe_after_step(self, state): ..."),
        r"argument 'state'.*def ffprobe_after_step\(self, context\)",
    ),
    "in another kind": (
        in_class("Loss", "def ffprobe_after_step(self, context): ..."),
        r"has the hook ffprobe_after_step in the loss Mine, where it is never called.*module, or in an ffprobe\.Probe",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_each_mistake_has_its_own_message(tmp_path: Path, case: str) -> None:
    text, sentence = MISTAKES[case]
    with pytest.raises(PluginError, match=sentence) as caught:
        Registry().load(write(tmp_path, text))
    assert "The plugin 'mine'" in caught.value.what
    assert caught.value.where == str(tmp_path / "mine.py")
    assert caught.value.hint
    assert caught.value.exit_code == 3


RIGHT = {
    "plain": "@ffprobe.hookimpl\ndef ffprobe_after_step(context): pass",
    "fewer arguments": "@ffprobe.hookimpl\ndef ffprobe_after_run(): pass",
    "a constant beside the argument": "@ffprobe.hookimpl\ndef ffprobe_after_step(context, every=3): pass",
    "stars beside the argument": "@ffprobe.hookimpl\ndef ffprobe_after_step(context, *rest): pass",
    "by another name": "@ffprobe.hookimpl(specname='ffprobe_after_step')\ndef hear(context): pass",
    "of a later version, optional": "@ffprobe.hookimpl(optionalhook=True)\ndef ffprobe_after_nap(context): pass",
    "a function of its own": "def ffprobe_version_of_mine(): pass",
    "a helper from elsewhere": "from json import loads as ffprobe_after_steps",
}


@pytest.mark.parametrize("case", RIGHT)
def test_valid_hooks_are_accepted(tmp_path: Path, case: str) -> None:
    assert Registry().load(write(tmp_path, f"import ffprobe\n{RIGHT[case]}\n{OK}")) == []


def test_hooks_and_their_arguments_are_those_of_the_specifications() -> None:
    assert set(OBSERVERS) < set(HOOKS)
    assert HOOKS["ffprobe_commands"] == ("app",)
    assert all(HOOKS[name] == ("context",) for name in OBSERVERS)


def test_static_methods_methods_and_properties_are_distinguished() -> None:
    class Watcher:
        @staticmethod
        @ffprobe.hookimpl
        def ffprobe_after_step(context): ...  # type: ignore[no-untyped-def]

        @ffprobe.hookimpl
        def ffprobe_after_epoch(self, context): ...  # type: ignore[no-untyped-def]

        @property
        def broken(self) -> None:
            raise RuntimeError("a property is not to be asked")

    assert hook_mistake(Watcher()) is None
    assert inspect.isclass(Watcher)
    assert hook_mistake(Watcher) is None
    register(build_manager(), Watcher(), "watcher", "here")


OFFERS = {
    "forgotten return": (
        "    [PowerNorm]",
        r"returned None, not a list.*Is the return statement missing\? Write return \[YourClass\]",
    ),
    "an instance": (
        "    return [PowerNorm()]",
        r"provides an instance of PowerNorm, not the class.*without the parentheses",
    ),
    "no list": (
        "    return PowerNorm",
        r"returned the class PowerNorm, not a list.*Put it into a list: return \[PowerNorm\]",
    ),
    "a generator": ("    yield PowerNorm", r"returned generator, not a list.*Write return \[YourClass\]"),
    "a text": ("    return ['powernorm']", r"provides 'powernorm', which is not a component class.*Derive a class"),
    "leaves": ("    raise SystemExit(3)", r"ffprobe_components of the plugin 'mine' failed: SystemExit: 3"),
    "twice": (
        "    return [PowerNorm, type('Other', (PowerNorm,), {})]",
        r"provides two normalizer components named 'powernorm': PowerNorm and Other.*Rename one",
    ),
}


@pytest.mark.parametrize("case", OFFERS)
def test_each_invalid_return_value_has_its_own_message(tmp_path: Path, case: str) -> None:
    end, sentence = OFFERS[case]
    with pytest.raises(PluginError, match=sentence) as caught:
        Registry().load(write(tmp_path, POWERNORM.replace("    return [PowerNorm]", end)))
    assert "mine.py" in caught.value.where


class TestHookVersion:
    @pytest.mark.parametrize(
        ("line", "sentence"),
        [
            (
                f"hook_version = {HOOK_VERSION + 1}",
                r"needs version 2 of the hooks, .* has version 1.*--upgrade ffprobe-nn",
            ),
            ("hook_version = 0", r"needs version 0 of the hooks, .* has version 1.*newer release of the plugin"),
            ("hook_version = '1'", r"declares hook_version = '1', which is not an integer.*hook_version = 1"),
            ("hook_version = True", "not an integer"),
            ("hook_version = 1 + 1", "needs version 2"),
        ],
    )
    def test_another_version_is_refused(self, tmp_path: Path, line: str, sentence: str) -> None:
        with pytest.raises(PluginError, match=sentence) as caught:
            Registry().load(write(tmp_path, f"{line}\n{normalizer()}"))
        assert "The plugin 'mine'" in caught.value.what

    def test_it_is_checked_before_the_plugin_is_imported(self, tmp_path: Path) -> None:
        text = "hook_version = 2\nimport ffprobe\nffprobe.WhatOnlyVersionTwoHas"
        with pytest.raises(PluginError, match="needs version 2"):
            Registry().load(write(tmp_path, text))

    def test_this_version_and_none_are_accepted(self, tmp_path: Path) -> None:
        assert Registry().load(write(tmp_path, f"hook_version = {HOOK_VERSION}\n{normalizer()}", "a.py"))
        assert Registry().load(write(tmp_path, normalizer(), "b.py"))
