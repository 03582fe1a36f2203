"""What ``ffprobe plugins new`` writes, installed and used as a user does, in an environment of its own."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from cli.test_plugins_new import write
from fresh_environment import call, call_all, fresh_environment

from ffprobe.cli.plugins_new import ADVICE

GRID = """
[each]
epochs = 1
network = "tiny"
training.max_images = 64
set = {probes = []}
[axes]
seed = [0, 1]
"""


@pytest.mark.slow
@pytest.mark.stress  # a minute; the worked examples are installed in a fresh environment by make test
def test_all_kinds_install_test_and_train_in_a_fresh_environment(tmp_path: Path) -> None:
    """``pip install -e . && pytest`` and ``ffprobe run`` as a user does, all kinds in one environment."""
    python = fresh_environment(tmp_path / "venv")
    folders = []
    for kind in ADVICE:
        folders.append(tmp_path / f"ffprobe-toy-{kind}")
        write(kind, folders[-1])
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    call(python, *install, "--no-build-isolation", *(word for f in folders for word in ("-e", str(f))), cwd=tmp_path)
    listed = json.loads(call(python, "-m", "ffprobe", "plugins", "list", "--json", cwd=tmp_path))
    assert {(row["kind"], row["name"]) for row in listed} >= {(kind, f"toy-{kind}") for kind in ADVICE}
    output = call(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, folders), cwd=tmp_path)
    assert " passed" in output
    (tmp_path / "grid.toml").write_text(GRID)
    commands: list[list[str]] = []
    for kind in ADVICE:  # the commands of the README, shorter
        readme = (tmp_path / f"ffprobe-toy-{kind}" / "README.md").read_text().splitlines()
        words = [shlex.split(line)[1:] for line in readme if line.startswith("ffprobe ")]
        if kind == "executor":
            commands.append(words[0])
            continue
        words[0] += ["--epochs", "1", "--set", "training.max_images=64", "--overwrite"]
        words[0] += [] if kind == "probe" else ["--set", "probes=[]"]
        commands += words
    call_all(python, commands, cwd=tmp_path)
    assert (tmp_path / "toy-probe.png").is_file()
    assert len(list((tmp_path / "grid").glob("*.h5"))) == 2
