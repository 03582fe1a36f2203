"""``ffprobe plugins new``: what it writes works as it stands, for every kind."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from cli.program import ffprobe

from ffprobe.cli.plugins_new import ADVICE, distribution
from ffprobe.components.kinds import KINDS
from ffprobe.plugin.discovery import Plugin
from ffprobe.testing import check_plugin, toy_run

ROOT = Path(__file__).parents[2]


def write(kind: str, folder: Path, name: str = "") -> Path:
    """A generated distribution, and the path of its module."""
    files = distribution(name or f"toy-{kind}", kind)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return next(folder.glob("ffprobe_*.py"))


@pytest.mark.parametrize("kind", ADVICE)
def test_the_files_of_every_kind(kind: str) -> None:
    files = distribution("my-own", kind)
    module = "ffprobe_my_own"
    assert sorted(files) == sorted(
        [".gitignore", "LICENSE", "README.md", f"{module}.py", "pyproject.toml", f"tests/test_{module}.py"]
    )
    project = tomllib.loads(files["pyproject.toml"])
    assert project["project"]["entry-points"]["ffprobe"] == {"my-own": module}
    assert project["project"]["name"] == "ffprobe-my-own"
    for path, text in files.items():
        assert text.endswith("\n") and "{{" not in text and "{%" not in text, path
        if path.endswith(".py"):
            compile(text, path, "exec")
    summary = ast.get_docstring(ast.parse(files[f"{module}.py"]))
    assert summary and "\n" not in summary
    assert project["project"]["description"] == summary.removesuffix(".")
    assert any(f"--{option} my-own" in files["README.md"] for option in ("plugin", "dataset", "executor"))


def test_every_kind_can_be_begun() -> None:
    # a peer repeats somebody's recorded trajectory; without that file there is nothing that could work
    assert [*ADVICE] == [kind for kind in KINDS if kind != "peer"]


@pytest.mark.parametrize("kind", ADVICE)
def test_every_kind_is_seen_without_importing_it(kind: str, tmp_path: Path) -> None:
    path = write(kind, tmp_path)
    (offer,) = Plugin(path.stem, "file", "", str(path)).offers
    assert (offer.kind, offer.name) == (kind, f"toy-{kind}")
    assert offer.summary


@pytest.mark.usefixtures("warm_python")
@pytest.mark.parametrize("kind", ADVICE)
def test_every_kind_keeps_its_contract_and_trains(kind: str, tmp_path: Path) -> None:
    path = write(kind, tmp_path)
    report = check_plugin(path)
    assert report.passed, str(report)
    if kind == "executor":  # it starts runs and is part of none; its contract has started some
        return
    run = toy_run(str(path), out=tmp_path / "run.h5")
    assert run.messages == ()
    assert run.outcome.test_accuracy


def test_what_is_written_is_clean_under_ruff(tmp_path: Path) -> None:
    for kind in ADVICE:
        write(kind, tmp_path / kind)
    rules = ["--config", str(ROOT / "pyproject.toml")]
    for words in (["check", *rules], ["format", "--check", *rules]):
        done = subprocess.run([sys.executable, "-m", "ruff", *words, "."], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_it_says_the_next_commands(tmp_path: Path) -> None:
    done = ffprobe("plugins", "new", "power-norm", "--kind", "normalizer", cwd=tmp_path)
    assert done.code == 0, done.err
    assert [line.strip() for line in done.out.splitlines()[1:]] == [
        "pip install -e './ffprobe-power-norm[test]'",
        "pytest ffprobe-power-norm",
        "ffprobe run --plugin power-norm --set network=tiny --epochs 5",
    ]
    assert (tmp_path / "ffprobe-power-norm" / "ffprobe_power_norm.py").is_file()
    assert done.err == ""


def test_json_and_out(tmp_path: Path) -> None:
    words = ["plugins", "new", "gap", "--kind", "probe", "--out", "deep/er", "--json"]
    document = ffprobe(*words, cwd=tmp_path).json
    assert document["folder"] == "deep/er"
    assert all((tmp_path / "deep/er" / name).is_file() for name in document["files"])
    assert document["next"][-1] == "ffprobe analyze gap run.h5 --plot gap.png"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["PowerNorm", "--kind", "loss"], "Try 'power-norm'"),
        (["power_norm", "--kind", "loss"], "Try 'power-norm'"),
        (["3rd", "--kind", "loss"], "Try 'rd'"),
        (["-", "--kind", "loss"], "kebab-case"),
        (["../up", "--kind", "loss"], "kebab-case"),
        (["none", "--kind", "loss"], "is a Python keyword"),
        (["is-not", "--kind", "los"], "Did you mean 'loss'"),
        (["class", "--kind", "loss"], "is a Python keyword"),
        (["ffprobe-norm", "--kind", "loss"], "Remove it: 'norm'"),
        (["norm"], "one of dataset, network"),
        (["norm", "--kind", "loss", "--out", "taken"], "taken already exists"),
    ],
)
def test_refusals(words: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    done = ffprobe("plugins", "new", *words, cwd=tmp_path)
    assert done.code == 2
    assert message in " ".join(done.err.split())
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["taken"]


def test_a_taken_name_is_a_warning(tmp_path: Path) -> None:
    done = ffprobe("plugins", "new", "rms", "--kind", "normalizer", cwd=tmp_path)
    assert done.code == 0
    assert "already has a plugin 'rms'" in " ".join(done.err.split())


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = ffprobe("plugins", "new", "norm", "--kind", "loss", "--out", "file/in", cwd=tmp_path)
    assert done.code == 4
    assert "could not be written" in done.err
