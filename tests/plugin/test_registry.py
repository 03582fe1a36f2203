"""Finding components by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from plugin_files import normalizer, write

from ffprobe.errors import PluginError
from ffprobe.plugin.discovery import find, installed
from ffprobe.plugin.registry import Registry, registered


@pytest.mark.parametrize("plugin", [p.name for p in installed() if p.distribution == "ffprobe-nn"])
def test_every_first_party_plugin_loads_and_is_documented(plugin: str) -> None:
    (component,) = Registry().load(plugin)
    assert component.name == plugin
    assert (component.__doc__ or "").strip()
    assert component.source or component.kind in ("dataset", "probe", "executor")
    for name, field in component.Params.model_fields.items():
        assert field.description, f"{plugin}: the setting {name} has no description"


def test_names_of_another_kind_are_explained() -> None:
    with pytest.raises(PluginError, match=r"'olu' is a scheduler"):
        Registry().component("loss", "olu")


def test_aliases_find_components_without_loading_them() -> None:
    registry = Registry()
    assert registry.by_alias("normalizer", "torch_layernorm") == "layernorm"
    assert registry.by_alias("normalizer", "wonder") is None
    assert registry.loaded == ()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = 1", "implements no hook"),
        ("import ffprobe\n@ffprobe.hookimpl\ndef ffprobe_components(): pass", "returned None"),
        ("import ffprobe\n@ffprobe.hookimpl\ndef ffprobe_components(): return 3", "returned int"),
        ("import ffprobe\n@ffprobe.hookimpl\ndef ffprobe_components(): return ['a']", "not a component class"),
        ("import ffprobe\n@ffprobe.hookimpl\ndef ffprobe_components(): return [ffprobe.Loss]", "no name"),
        (
            "import ffprobe\nclass A(ffprobe.Loss):\n  name='a'\n"
            "@ffprobe.hookimpl\ndef ffprobe_components(): return [A]",
            "lacks __call__",
        ),
        ("import ffprobe\n@ffprobe.hookimpl\ndef ffprobe_components(): 1/0", "ZeroDivisionError"),
        ("import ffprobe\ndef ffprobe_components(): return []", "hookimpl"),
    ],
)
def test_broken_plugins_are_named(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(PluginError, match=sentence) as caught:
        Registry().load(write(tmp_path, text))
    assert "mine" in str(caught.value)


def test_two_plugins_with_one_component_are_both_named(tmp_path: Path) -> None:
    registry = Registry()
    registry.load(write(tmp_path, normalizer(name="twin"), "first.py"))
    with pytest.raises(PluginError, match=r"first\.py.*second\.py"):
        registry.load(write(tmp_path, normalizer(name="twin"), "second.py"))


def test_an_observer_without_components_is_fine(tmp_path: Path) -> None:
    text = "import ffprobe\n@ffprobe.hookimpl\ndef ffprobe_after_step(context): pass"
    assert Registry().load(write(tmp_path, text)) == []


def test_registered_gives_the_components_of_one_kind() -> None:
    losses = registered("loss")
    assert {"symba", "fixed-threshold"} <= set(losses)
    assert list(losses) == sorted(losses)
    assert all(loss.kind == "loss" and loss.name == name for name, loss in losses.items())
    with pytest.raises(ValueError, match="no kind 'lost'"):
        registered("lost")


def test_registered_skips_plugins_that_cannot_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    text = "import ffprobe\nclass Torn(ffprobe.Loss):\n  name = 'torn'\nraise ImportError('no such library')\n"
    torn = find(write(tmp_path, text, "torn.py"))
    monkeypatch.setattr("ffprobe.plugin.registry.installed", lambda: (*installed(), torn))
    assert "symba" in registered("loss")
    assert "torn" not in registered("loss")
    assert "no such library" in caplog.text
