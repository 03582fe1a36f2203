"""Code and downloads that only a file names: nothing is imported or fetched until the user names it or trusts it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli.program import ffprobe
from plugin_files import normalizer, write
from toy import TOY, WORDS

import ffprobe as library
from ffprobe.api import configure
from ffprobe.config.options import RunOptions
from ffprobe.config.settings import RunConfig
from ffprobe.config.trust import check_code, code_in, code_of, without_observers
from ffprobe.errors import UsageError
from ffprobe.plugin.registry import Registry

MARK = "import pathlib\npathlib.Path({!r}).touch()\n"
"""The code of a plugin that shows that it has run."""


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """A file that exists once the plugin's code has run."""
    return tmp_path / "ran"


@pytest.fixture
def plugin(tmp_path: Path, ran: Path) -> Path:
    """A plugin file in a folder of another person."""
    (tmp_path / "theirs").mkdir()
    path = Path(write(tmp_path / "theirs", MARK.format(str(ran)) + normalizer(), "evil.py"))
    return path


@pytest.fixture
def theirs(tmp_path: Path, plugin: Path, ran: Path) -> Path:
    """A run file that names the plugin, trained in another process, where the user named it."""
    done = ffprobe("run", *WORDS, "--plugin", str(plugin), "--out", "theirs.h5", cwd=tmp_path)
    assert done.code == 0, done.err
    ran.unlink()
    return tmp_path / "theirs.h5"


def refused(message: str, plugin: Path, ran: Path) -> None:
    assert str(plugin) in message
    assert "--trust" in message and "sha256" in message
    assert not ran.exists()


def test_a_run_file_names_code(theirs: Path, plugin: Path, ran: Path, tmp_path: Path) -> None:
    for words in (
        ["run", "--from", "theirs.h5", "--dry-run"],
        ["run", "--from", "theirs.h5", "--out", "b.h5"],
        ["run", "--resume", "--dry-run", "--out", "theirs.h5"],
        ["run", "--resume", "--out", "theirs.h5"],
        ["predict", "theirs.h5"],
    ):
        done = ffprobe(*words, cwd=tmp_path)
        assert done.code == 2, done.err
        refused(" ".join(done.err.split()), plugin, ran)
        assert "as recorded" in " ".join(done.err.split())
    with library.open(theirs) as run, pytest.raises(UsageError, match="names code that you did not"):
        run.network()
    with pytest.raises(UsageError, match="names code that you did not"):
        library.predict(theirs, run_images())
    assert not ran.exists()


def run_images() -> Any:
    import numpy as np

    return np.zeros((1, 1, 8, 8), dtype="uint8")


def test_naming_it_or_trusting_the_file_is_enough(theirs: Path, plugin: Path, ran: Path, tmp_path: Path) -> None:
    done = ffprobe("run", "--from", "theirs.h5", "--plugin", "theirs/evil.py", "--dry-run", cwd=tmp_path)
    assert done.code == 0, done.err
    done = ffprobe("run", "--from", "theirs.h5", "--trust", "--dry-run", cwd=tmp_path)
    assert done.code == 0, done.err
    assert f"Trusted: the plugin {plugin} (sha256 " in " ".join(done.err.split())
    ran.unlink()
    plugin.write_text(plugin.read_text() + "\n# changed\n")
    done = ffprobe("run", "--from", "theirs.h5", "--dry-run", cwd=tmp_path)
    assert done.code == 2 and "changed since the run" in " ".join(done.err.split())
    assert not ran.exists()
    assert ffprobe("predict", "theirs.h5", "--trust", cwd=tmp_path).code == 0
    assert ran.exists()


def test_a_plugin_that_the_command_line_replaces_is_not_needed(theirs: Path, ran: Path, tmp_path: Path) -> None:
    done = ffprobe("run", "--from", "theirs.h5", "--plugin", "batchnorm", "--dry-run", cwd=tmp_path)
    assert done.code == 0, done.err
    assert not ran.exists()


@pytest.mark.parametrize("key", ["slot", "probe", "observer", "option"])
def test_a_config_file_names_code(key: str, plugin: Path, ran: Path, tmp_path: Path) -> None:
    lines = {
        "slot": f'[normalizer]\nname = "mine"\nplugin = "{plugin}"\n',
        "probe": f'[[probes]]\nname = "mine"\nplugin = "{plugin}"\n',
        "observer": f'observers = ["{plugin}"]\n',
        "option": f'plugin = "{plugin}"\n',
    }
    (tmp_path / "c.toml").write_text(lines[key])
    done = ffprobe("run", "--config", "c.toml", "--dry-run", cwd=tmp_path)
    assert done.code == 2
    refused(" ".join(done.err.split()), plugin, ran)


def test_a_module_with_an_attribute_is_code_too(tmp_path: Path, ran: Path) -> None:
    write(tmp_path, MARK.format(str(ran)) + normalizer(), "evilmodule.py")
    (tmp_path / "c.toml").write_text('[normalizer]\nname = "mine"\nplugin = "evilmodule:Mine"\n')
    env = {"PYTHONPATH": str(tmp_path)}
    done = ffprobe("run", "--config", "c.toml", "--dry-run", cwd=tmp_path, env=env, cold=True)
    assert done.code == 2 and not ran.exists()
    assert "evilmodule:Mine" in done.err
    done = ffprobe("run", "--config", "c.toml", "--trust", "--dry-run", cwd=tmp_path, env=env, cold=True)
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    "grid",
    [
        '[axes.n]\na = {plugin = "PATH"}\n',
        '[each]\nplugin = ["PATH"]\n[axes]\nseed = [0]\n',
        '[each]\nset = {"normalizer.name" = "mine", "normalizer.plugin" = "PATH"}\n[axes]\nseed = [0]\n',
        '[each]\nset = {observers = ["PATH"]}\n[axes]\nseed = [0]\n',
        '[each]\nconfig = "c.toml"\n[axes]\nseed = [0]\n',
    ],
)
def test_a_grid_names_code(grid: str, plugin: Path, ran: Path, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(f'[normalizer]\nname = "mine"\nplugin = "{plugin}"\n')
    (tmp_path / "grid.toml").write_text(grid.replace("PATH", str(plugin)))
    done = ffprobe("sweep", "grid.toml", "--dry-run", cwd=tmp_path)
    assert done.code == 2, done.err
    refused(" ".join(done.err.split()), plugin, ran)
    if "observers" not in grid:
        done = ffprobe("sweep", "grid.toml", "--dry-run", "--trust", cwd=tmp_path)
        assert done.code == 0, done.err
        assert "--trust" in done.out


def test_a_grid_cannot_trust_itself(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text("[each]\ntrust = true\n[axes]\nseed = [0]\n")
    done = ffprobe("sweep", "grid.toml", "--dry-run", cwd=tmp_path)
    assert done.code == 2 and "cannot set 'trust'" in done.err


def config_of(tmp_path: Path, options: RunOptions) -> RunConfig:
    return configure(Registry(), options, {"precision": "fp32"})


def test_a_run_file_does_not_decide_about_downloads(tmp_path: Path) -> None:
    table = {**TOY, "data": {"download": True}, "probes": []}
    library.run(tmp_path / "a.h5", settings=table).close()
    out = tmp_path / "a.h5"
    assert not config_of(tmp_path, RunOptions(from_=out)).settings.data.download
    assert config_of(tmp_path, RunOptions(from_=out, trust=True)).settings.data.download
    assert config_of(tmp_path, RunOptions(from_=out, download=True)).settings.data.download


def test_predict_reads_no_folder_and_downloads_nothing_by_the_word_of_the_file(tmp_path: Path) -> None:
    table = {**TOY, "data": {"download": True, "dir": str(tmp_path)}, "probes": []}
    library.run(tmp_path / "a.h5", settings=table).close()
    done = ffprobe("predict", "a.h5", "--json", cwd=tmp_path)
    assert done.code == 2
    assert f"--data-dir {tmp_path}" in json.loads(done.err)["hint"]
    for words in (["--data-dir", str(tmp_path)], ["--trust"], ["--dataset", "digits"]):
        assert ffprobe("predict", "a.h5", *words, cwd=tmp_path).code == 0
    from ffprobe.inference.loaded_predictor import load_predictor

    with library.open(tmp_path / "a.h5") as run:
        assert not load_predictor(run, Registry(), trust=True).config.settings.data.download
        assert load_predictor(run, Registry(), download=True).config.settings.data.download


def test_the_trackers_of_a_run_file_are_not_repeated(caplog: pytest.LogCaptureFixture) -> None:
    table = {"observers": [{"name": "wandb", "project": "theirs"}, "./mine.py", {"name": "x", "plugin": "./x.py"}]}
    assert without_observers(table, "a.h5") == {"observers": ["./mine.py", {"name": "x", "plugin": "./x.py"}]}
    assert "a.h5 are not repeated" in caplog.text and "--plugin wandb, or --trust" in caplog.text
    assert without_observers({"seed": 1}, "a.h5") == {"seed": 1}


def test_a_setting_code_names_a_class_as_code(tmp_path: Path, ran: Path) -> None:
    write(tmp_path, MARK.format(str(ran)), "evilset.py")
    (tmp_path / "c.toml").write_text('[dataset]\nname = "torch-dataset"\ncode = "evilset.Set"\n')
    env = {"PYTHONPATH": str(tmp_path)}
    words = ["run", *WORDS, "--config", "c.toml", "--out", "a.h5"]
    done = ffprobe(*words, cwd=tmp_path, env=env, cold=True)
    message = " ".join(done.err.split())
    assert done.code == 2 and "names code that you did not: the class evilset.Set (sha256 " in message
    assert "Then add --trust, or name it yourself: code=evilset.Set." in message
    assert not ran.exists()
    done = ffprobe(*words, "--set", "dataset.code=evilset.Set", cwd=tmp_path, env=env, cold=True)
    assert done.code == 2 and "evilset.Set is no class of a map-style torch data set" in " ".join(done.err.split())
    assert ran.exists()  # the user named it, so it was imported


def test_code_is_the_same_however_it_is_named() -> None:
    named = {"code=evil.set.Mine": "evil.set:Mine"}
    assert code_of(["torch-dataset:code=evil.set.Mine,test_fraction=0.5"]) == named
    assert code_in({"dataset": {"name": "torch-dataset", "code": "evil.set.Mine"}}) == named
    assert code_in({"dataset": {"name": "csv", "code": "no class"}, "network": {"name": "x", "code": 3}}) == {}


@pytest.mark.parametrize("code", ["evil.py", "evil.py.Set", "evil.set.py"])
def test_no_name_of_a_class_passes_for_a_file(code: str) -> None:
    with pytest.raises(UsageError, match=f"the class {code} .source not found"):
        check_code(code_in({"dataset": {"name": "torch-dataset", "code": code}}), (), trust=False, where="a.h5")
