"""A broken third-party package affects only commands that name it, and their errors name the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli.program import ffprobe
from plugin_files import POWERNORM, normalizer
from toy import WORDS

from ffprobe.hookspecs import HOOK_VERSION


def install(site: Path, name: str, source: str | bytes | None, entry: str = "", metadata: str | None = None) -> None:
    """A distribution ``name`` with one module, as pip would leave it in a folder on the path."""
    module = name.replace("-", "_")
    if source is not None:
        text = source.encode() if isinstance(source, str) else source
        (site / f"{module}.py").write_bytes(text)
    info = site / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_text(entry or f"[ffprobe]\n{name} = {module}\n")
    if metadata is None:
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    if metadata:
        (info / "METADATA").write_text(metadata)


COMMANDS = "import ffprobe\n@ffprobe.hookimpl\ndef ffprobe_commands(app):\n    {}\n"
BROKEN: dict[str, tuple[Any, ...]] = {
    "raises-at-import": ("raise OSError('no such library')",),
    "exits-at-import": ("raise SystemExit('bye')",),
    "syntax-error": ("class PowerNorm(:",),
    "not-utf8": (b"\xff\xfe name = 3",),
    "null-bytes": (b"x = 1\0",),
    "nests-deeply": ("x = " + "-" * 100_000 + "1",),
    "odd-escape": ('import ffprobe\nclass A(ffprobe.Loss):\n    """\\d"""\n    name = "odd"\n',),
    "odd-aliases": ("import ffprobe\nclass A(ffprobe.Loss):\n    name = 'odd-aliases'\n    aliases = 5\n",),
    "odd-name": ("import ffprobe\nclass A(ffprobe.Loss):\n    name = {[]: 1}\n",),
    "no-module": (None,),
    "odd-target": (None, "[ffprobe]\nodd-target = !! not a module\n"),
    "with-extra": (normalizer(name="with-extra"), "[ffprobe]\nwith-extra = with_extra [fast]\n"),
    "no-metadata": ("x = 1", "", ""),
    "no-name": ("x = 1", "", "Metadata-Version: 2.1\n"),
    "commands-raise": (COMMANDS.format("1 / 0"),),
    "commands-exit": (COMMANDS.format("raise SystemExit(3)"),),
    "commands-misspelt": (COMMANDS.replace("(app)", "(application)").format("pass"),),
    "commands-at-import": ("# ffprobe_commands\nraise SystemExit(3)",),
    "newer-hooks": (f"hook_version = {HOOK_VERSION + 1}\nimport ffprobe\nffprobe.NotYetThere",),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    for name, parts in BROKEN.items():
        install(folder, name, *parts)
    return folder


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Entry points of which not even the text can be read; torch itself does not import beside them."""
    folder = tmp_path_factory.mktemp("damaged")
    install(folder, "damaged-entries", "x = 1", "[ffprobe]\nthis line has no sign\n")
    install(folder, "no-text", "x = 1")
    (folder / "no_text-1.0.dist-info" / "entry_points.txt").write_bytes(b"\xff\xfe[ffprobe]")
    return folder


def say(site: Path, *words: str, cwd: Path) -> Any:
    return ffprobe(*words, cwd=cwd, env={"PYTHONPATH": str(site)}, cold=True)


def test_help_and_version_answer(site: Path, tmp_path: Path) -> None:
    for words in (["--help"], ["run", "--help"], ["analyze", "--help"], ["--version"]):
        done = say(site, *words, cwd=tmp_path)
        assert done.code == 0, done.err
        assert done.out
    assert "commands-raise" in done.err or "commands-raise" in say(site, "--help", cwd=tmp_path).err


def test_list_shows_all_that_can_be_read(site: Path, tmp_path: Path) -> None:
    done = say(site, "plugins", "list", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    rows = {row["plugin"]: row for row in done.json}
    assert "symba" in rows
    assert set(BROKEN) <= set(rows)
    assert rows["odd-aliases"]["kind"] == "loss"
    assert rows["with-extra"]["kind"] == "normalizer"
    assert rows["raises-at-import"] | {"summary": ""} == {
        "name": "raises-at-import", "kind": "", "summary": "", "plugin": "raises-at-import",
        "distribution": "raises-at-import", "version": "1.0", "module": "raises_at_import",
    }  # fmt: skip
    assert say(site, "plugins", "list", cwd=tmp_path).code == 0


def test_damaged_metadata_hides_no_other_plugin(damaged: Path, tmp_path: Path) -> None:
    assert say(damaged, "--help", cwd=tmp_path).code == 0
    done = say(damaged, "plugins", "list", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "symba" in {row["name"] for row in done.json}


def test_a_run_that_names_none_of_them_runs(site: Path, tmp_path: Path) -> None:
    done = say(site, "run", "--plugin", "symba", *WORDS, cwd=tmp_path)
    assert done.code == 0, done.err
    assert (tmp_path / "run.h5").exists()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("raises-at-import", "OSError: no such library"),
        ("exits-at-import", "SystemExit: bye"),
        ("syntax-error", "SyntaxError"),
        ("no-module", "ModuleNotFoundError"),
        ("newer-hooks", f"needs version {HOOK_VERSION + 1} of the hooks"),
        ("commands-misspelt", "with the argument 'application'"),
    ],
)
def test_naming_one_names_it_and_its_distribution(site: Path, tmp_path: Path, name: str, sentence: str) -> None:
    done = say(site, "plugins", "info", name, "--json", cwd=tmp_path)
    assert done.code == 3, done.err
    error = json.loads(done.err.splitlines()[-1])
    assert sentence in error["what"]
    assert f"The plugin {name!r}" in error["what"]
    assert error["where"] == f"plugin {name!r} of {name} 1.0"
    assert error["hint"]


class TestClash:
    """A distribution that takes names which ffprobe-nn has."""

    @pytest.fixture
    def taken(self, tmp_path: Path) -> Path:
        site = tmp_path / "site"
        site.mkdir()
        install(site, "taker", POWERNORM.replace("Normalizer", "Loss").replace('"powernorm"', '"symba"'))
        install(site, "other-kind", normalizer(name="olu"), "[ffprobe]\nolu = other_kind\n")
        return site

    def test_the_name_is_refused_naming_both_and_how_to_choose(self, taken: Path, tmp_path: Path) -> None:
        done = say(taken, "run", "--set", "loss=symba", "--dry-run", cwd=tmp_path)
        assert done.code == 3
        assert "Two distributions provide the loss 'symba': " in done.err
        assert "ffprobe-nn" in done.err
        assert "taker 1.0" in done.err
        assert "--plugin ffprobe_plugins.losses.symba:SymBa" in " ".join(done.err.split())

    def test_the_hint_works(self, taken: Path, tmp_path: Path) -> None:
        done = say(taken, "run", "--plugin", "ffprobe_plugins.losses.symba:SymBa", "--dry-run", "--json", cwd=tmp_path)
        assert done.code == 0, done.err
        assert done.json["loss"]["name"] == "symba"

    def test_a_name_of_another_kind_is_no_clash_where_the_kind_is_known(self, taken: Path, tmp_path: Path) -> None:
        done = say(
            taken, "run", "--set", "scheduler=olu", "--set", "normalizer=olu", "--dry-run", "--json", cwd=tmp_path
        )
        assert done.code == 0, done.err
        assert (done.json["scheduler"]["name"], done.json["normalizer"]["name"]) == ("olu", "olu")
        assert "alternate_every" in done.json["scheduler"]

    def test_and_is_one_where_it_is_not(self, taken: Path, tmp_path: Path) -> None:
        done = say(taken, "run", "--plugin", "olu", "--dry-run", cwd=tmp_path)
        assert done.code == 3
        assert "Two distributions provide the plugin name 'olu'" in done.err

    def test_a_run_that_names_neither_runs(self, taken: Path, tmp_path: Path) -> None:
        assert say(taken, "run", "--dry-run", cwd=tmp_path).code == 0
