"""Finding plugins without importing them."""

from __future__ import annotations

import inspect
import os
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest
from plugin_files import POWERNORM, write

import ffprobe
from ffprobe.components.base import Component
from ffprobe.components.kinds import FURTHER_BASES, KINDS
from ffprobe.errors import PluginError, UsageError
from ffprobe.plugin.discovery import BASES, Plugin, build_manager, find, installed, is_imported, register


def test_the_base_class_in_the_source_determines_the_kind() -> None:
    assert {kind: base for base, kind in BASES.items() if base not in FURTHER_BASES} == KINDS


def test_a_public_subclass_of_a_base_class_stands_for_the_same_kind(tmp_path: Path) -> None:
    public = {name: kind for name in ffprobe.__all__ if (kind := further_base(getattr(ffprobe, name)))}
    assert public == FURTHER_BASES
    for base, kind in FURTHER_BASES.items():
        source = f"import ffprobe\n\nclass Mine(ffprobe.{base}):\n    name = 'mine'\n"
        plugin = find(write(tmp_path, source, f"{base.lower()}.py"))
        assert [(o.kind, o.name, o.class_name) for o in plugin.offers] == [(kind, "mine", "Mine")]


def further_base(public: object) -> str:
    """The kind of an abstract public component class that is not the base class of its kind."""
    if not (inspect.isclass(public) and issubclass(public, Component) and inspect.isabstract(public)):
        return ""
    return "" if KINDS.get(public.kind) == public.__name__ else public.kind


def test_every_installed_plugin_declares_its_component_in_its_source() -> None:
    ours = [p for p in installed() if p.distribution == "ffprobe-nn"]
    assert len(ours) >= 29
    for plugin in ours:
        assert [o.name for o in plugin.offers] == [plugin.name], plugin
        assert plugin.offers[0].summary, plugin


def test_listing_imports_no_plugin() -> None:
    code = (
        "import sys; from ffprobe.plugin.discovery import installed; [p.offers for p in installed()];"
        "print([m for m in sys.modules if m.startswith('ffprobe_plugins') or m == 'torch'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_file_is_a_plugin(tmp_path: Path) -> None:
    plugin = find(write(tmp_path, POWERNORM, "powernorm.py"))
    assert [(o.kind, o.name) for o in plugin.offers] == [("normalizer", "powernorm")]
    assert plugin.load().PowerNorm.name == "powernorm"


def test_two_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    first = find(write(tmp_path, "value = 1", "norm.py")).load()
    second = find(write(tmp_path / "other", "value = 2", "norm.py")).load()
    assert (first.value, second.value) == (1, 2)


def test_an_edited_file_is_imported_again_even_if_its_size_and_time_stay_the_same(tmp_path: Path) -> None:
    path = Path(write(tmp_path, "value = 1", "edited.py"))
    first = find(str(path))
    assert first.load().value == 1
    before = path.stat()
    path.write_text("value = 2")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    second = find(str(path))
    assert not is_imported(second)
    assert second.load().value == 2
    assert is_imported(second)
    assert second.load() is find(str(path)).load()


def test_a_file_is_not_taken_from_pythons_bytecode_cache(tmp_path: Path) -> None:
    # a cache written by another process for the same size and second
    path = Path(write(tmp_path, "value = 1", "compiled.py"))
    before = path.stat()
    py_compile.compile(str(path))
    path.write_text("value = 2")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert find(str(path)).load().value == 2


def test_module_and_attribute_is_a_plugin() -> None:
    assert find("ffprobe_plugins.losses.symba:SymBa").load().name == "symba"


def test_an_unknown_name_gets_suggestions() -> None:
    with pytest.raises(PluginError, match="'symba'"):
        find("simba")


def test_a_missing_file_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"no plugin file './none.py'"):
        find("./none.py")


def test_two_distributions_with_one_name_are_both_named() -> None:
    twins = [Plugin("norm", "alpha", "1", "a"), Plugin("norm", "beta", "2", "b")]
    with pytest.raises(PluginError, match="alpha 1 and beta 2"):
        find("norm", twins)


def test_a_plugin_that_raises_at_import_is_named_with_its_distribution(tmp_path: Path) -> None:
    (tmp_path / "broken_plugin.py").write_text("raise OSError('no such library')")
    sys.path.insert(0, str(tmp_path))
    try:
        with pytest.raises(PluginError, match=r"'broken' could not be loaded: OSError: no such library.*some-dist 3"):
            Plugin("broken", "some-dist", "3", "broken_plugin").load()
    finally:
        sys.path.remove(str(tmp_path))


def test_a_misspelt_hook_is_an_error(tmp_path: Path) -> None:
    module = find(write(tmp_path, "import ffprobe\n@ffprobe.hookimpl\ndef ffprobe_after_stepp(context): pass")).load()
    with pytest.raises(PluginError, match="ffprobe_after_stepp"):
        register(build_manager(), module, "mine", "here")


def test_a_wrong_argument_is_an_error(tmp_path: Path) -> None:
    module = find(write(tmp_path, "import ffprobe\n@ffprobe.hookimpl\ndef ffprobe_after_step(state): pass")).load()
    with pytest.raises(PluginError, match="state"):
        register(build_manager(), module, "mine", "here")
