"""The cache beside a run file: what it is keyed by, and what is never cached."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import ffprobe
from ffprobe.analysis.runs import source_hash as source
from ffprobe.analysis.runs.cache import cached
from ffprobe.store.content_hash import content_hash

RECORDED = Path(__file__).parents[2] / "recorded"
PLUGIN = """
calls = []
def compute():
    calls.append(1)
    return {"x": [len(calls), FACTOR]}
"""


class Setting:
    """A run file in a folder of its own, and a plugin file that computes."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack, self.calls = folder, stack, 0
        self.path = folder / "run.h5"
        shutil.copy(RECORDED / "trifecta-0.1.0.h5", self.path)
        self.edit("FACTOR = 2")

    def edit(self, line: str) -> None:
        """Write the plugin with this line, and import it as a new process would."""
        file = self.folder / "plugins" / "my_probe.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(line + PLUGIN)
        spec = importlib.util.spec_from_file_location("my_probe_of_this_test", file)
        assert spec and spec.loader
        self.plugin: ModuleType = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = self.plugin
        spec.loader.exec_module(self.plugin)

    def ask(self, path: Path | None = None, settings: dict[str, object] | None = None, name: str = "demo") -> bool:
        """Whether the numbers were computed, not read."""
        with ffprobe.open(path or self.path) as run:
            before = len(self.plugin.calls)
            cached(name, [run], settings or {}, {"x": (2,)}, self.plugin.compute)
            return len(self.plugin.calls) > before


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Setting]:
    monkeypatch.setattr(source, "_LOADED", float("inf"))  # the plugin is newer than this process
    with ExitStack() as stack:
        yield Setting(tmp_path, stack)
    sys.modules.pop("my_probe_of_this_test", None)


def test_it_is_computed_once(setting: Setting) -> None:
    assert setting.ask()
    assert not setting.ask()
    files = sorted(path.name for path in (setting.folder / "run.h5.cache").iterdir())
    assert files[:2] == [".gitignore", "CACHEDIR.TAG"] and files[2].startswith("demo-") and len(files) == 3


def change_one_byte(setting: Setting) -> None:
    """As a tool would that keeps size and time: neither is the content."""
    before = setting.path.stat()
    content = bytearray(setting.path.read_bytes())
    content[-1] ^= 1
    setting.path.write_bytes(content)
    os.utime(setting.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (setting.path.stat().st_size, setting.path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


@pytest.mark.parametrize(
    "change",
    [
        lambda setting: setting.edit("FACTOR = 3"),
        lambda setting: (setting.folder / "plugins" / "imported_by_it.py").write_text("x = 1"),
        lambda setting: shutil.rmtree(setting.folder / "run.h5.cache"),
        lambda setting: [p.write_bytes(b"damaged") for p in setting.folder.glob("run.h5.cache/*.npz")],
    ],
)
def test_a_change_makes_it_compute_again(setting: Setting, change: Callable[[Setting], object]) -> None:
    setting.ask()
    change(setting)
    assert setting.ask()
    assert not setting.ask()


def test_the_key_is_the_content_not_size_and_time(setting: Setting) -> None:
    with ffprobe.open(setting.path) as run:
        before = content_hash(run)
    change_one_byte(setting)
    with ffprobe.open(setting.path) as run:
        assert content_hash(run) != before


def test_the_hash_is_that_of_the_open_file(setting: Setting) -> None:
    with ffprobe.open(setting.path) as run:
        os.replace(shutil.copy(setting.path, setting.folder / "new.h5"), setting.path)
        change_one_byte(setting)
        old = content_hash(run)
    with ffprobe.open(setting.path) as run:
        assert content_hash(run) != old


def test_settings_and_names_have_entries_of_their_own(setting: Setting) -> None:
    assert setting.ask(settings={"l2": 1.0, "seed": 0})
    assert not setting.ask(settings={"seed": 0, "l2": 1.0})
    assert setting.ask(settings={"l2": 2.0, "seed": 0})
    assert setting.ask(name="../../evil", settings={"l2": 1.0})
    assert not (setting.folder.parent / "evil").exists()
    assert not setting.ask(settings={"l2": 1.0, "seed": 0})


def test_a_copy_of_folder_and_file_is_still_valid(setting: Setting) -> None:
    setting.ask()
    shutil.copy(setting.path, setting.folder / "moved.h5")
    shutil.copytree(setting.folder / "run.h5.cache", setting.folder / "moved.h5.cache")
    assert not setting.ask(setting.folder / "moved.h5")


def test_new_code_replaces_the_old_entry(setting: Setting) -> None:
    for line in ("FACTOR = 1", "FACTOR = 2", "FACTOR = 3"):
        setting.edit(line)
        setting.ask()
    assert len(list(setting.folder.glob("run.h5.cache/*.npz"))) == 1


def test_code_that_changed_after_it_was_loaded_is_not_cached(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_LOADED", 0.0)
    assert setting.ask()
    assert setting.ask()
    assert not (setting.folder / "run.h5.cache").exists()


def test_without_cache_nothing_is_read_or_written(setting: Setting) -> None:
    with ffprobe.without_cache():
        assert setting.ask()
    assert not (setting.folder / "run.h5.cache").exists()
    setting.ask()
    with ffprobe.without_cache():
        assert setting.ask()


def test_an_unfinished_run_is_not_cached(setting: Setting) -> None:
    partial = setting.folder / "mono.h5.partial"
    shutil.copy(RECORDED / "mono-forward-0.1.0.h5.partial", partial)
    assert setting.ask(partial)
    assert setting.ask(partial)
    assert not list(setting.folder.glob("mono*.cache"))


def test_a_folder_that_cannot_be_written_is_no_error(setting: Setting) -> None:
    (setting.folder / "run.h5.cache").write_text("in the way")  # root may write to a read-only folder
    assert setting.ask()
    assert (setting.folder / "run.h5.cache").read_text() == "in the way"


def test_wrong_shapes_are_the_mistake_of_the_caller(setting: Setting) -> None:
    with ffprobe.open(setting.path) as run, pytest.raises(ValueError, match="shapes"):
        cached("demo", [run], {}, {"x": (3,)}, setting.plugin.compute)


def test_code_without_a_source_file_is_not_cached(setting: Setting) -> None:
    namespace: dict[str, object] = {"__name__": "nowhere", "np": np}
    exec("def compute(): return {'x': np.zeros(2)}", namespace)
    assert source.source_hash(namespace["compute"]) == ""
    assert source.source_hash(len) == ""
