"""Ordinary causes end in a sentence and a documented exit code, never in "This is a bug"."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import pytest
from cli.program import ffprobe
from plugin_files import normalizer, write
from toy import WORDS
from warm import start

LONG = "x" * 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run."""
    folder = tmp_path_factory.mktemp("runs")
    done = ffprobe("run", *WORDS, "--set", "probes=[]", cwd=folder)
    assert done.code == 0, done.err
    return folder


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("run --sed 3", "No such option: --sed"),
        ("run --seed x", "Invalid value for '--seed'"),
        ("analyze", "Missing argument"),
        ("runn", "No such command 'runn'"),
        ("run --set seed=x", "The setting 'seed'"),
        ("run --set training=3", "'training' cannot be 3; it is a table"),
    ],
)
def test_usage_errors_are_json_with_json(words: str, sentence: str, tmp_path: Path) -> None:
    done = ffprobe(*words.split(), "--json", cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    document = json.loads(done.err)
    assert document["error"] == "UsageError" and document["exit_code"] == 2
    assert sentence in document["what"] and document["what"].endswith((".", "?"))


def test_help_stays_on_stdout_with_json(tmp_path: Path) -> None:
    assert "Usage:" in ffprobe("run", "--help", "--json", cwd=tmp_path).out


def test_what_a_plugin_prints_does_not_spoil_json(tmp_path: Path) -> None:
    text = "import os\nprint('from Python')\nos.system('echo from C')\n"
    plugin = write(tmp_path, text + normalizer("print('in forward'); return x"))
    done = ffprobe("run", *WORDS, "--set", "probes=[]", "--plugin", plugin, "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.json["out"] == str(tmp_path / "run.h5")  # stdout is one document
    assert all(text in done.err for text in ("from Python", "from C", "in forward"))


def to(output: str, words: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """``ffprobe`` with its stdout redirected by a shell."""
    command = f'"$@" {output}'
    env = {**os.environ, "COLUMNS": "120"}
    return subprocess.run(
        ["bash", "-c", command, "bash", *start.COLD, *words], cwd=cwd, env=env, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
@pytest.mark.parametrize(
    ("output", "reason"),
    [(">/dev/full", "No space left"), (">&-", "it is closed"), ("| true; exit ${PIPESTATUS[0]}", "pipe")],
)
def test_a_full_or_closed_stdout_with_json(output: str, reason: str, folder: Path) -> None:
    done = to(output, ["show", "run.h5", "--json"], folder)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()  # also no message of the interpreter at its end
    what = json.loads(line)["what"]
    assert what.startswith("The result could not be written to standard output") and reason in what


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_a_full_stdout_without_json(folder: Path) -> None:
    done = to(">/dev/full", ["show", "run.h5"], folder)
    assert done.returncode == 1
    assert "No space left" in done.stderr and "bug" not in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["compare", LONG],
        ["show", LONG],
        ["repair", f"{LONG}.h5.partial"],
        ["predict", LONG],
        ["predict", "run.h5", "--out", LONG],
        ["analyze", "layers", "run.h5", "--csv", LONG],
        ["analyze", "layers", "run.h5", "--plot", f"{LONG}.png"],
        ["report", "run.h5", "--html", f"{LONG}.html"],
        ["run", "--from", LONG, "--dry-run"],
        ["run", "--config", LONG, "--dry-run"],
        ["run", "--out", LONG],
        ["run", "--plugin", f"./{LONG}.py", "--dry-run"],
        ["sweep", LONG],
        ["plugins", "check", f"./{LONG}.py"],
    ],
    ids=lambda words: " ".join(word[:12] for word in words),
)
def test_names_that_are_too_long(words: list[str], folder: Path) -> None:
    done = ffprobe(*words, cwd=folder)
    assert done.code in (2, 4), done.err
    assert "bug" not in done.err and "Traceback" not in done.err


GRID = '[each]\nset = {probes = []}\n[axes.n]\n"NAME" = {}\n'


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_a_sweep_whose_directory_is_a_file(out: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    (tmp_path / "grid.toml").write_text(GRID.replace("NAME", "a"))
    done = ffprobe("sweep", "grid.toml", "--out", out, cwd=tmp_path)
    assert done.code in (2, 4) and "output directory" in done.err
    assert (tmp_path / "file").read_text() == "precious"


def test_a_sweep_with_a_name_that_is_too_long(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(GRID.replace("NAME", "本" * 90), encoding="utf-8")  # 270 bytes
    done = ffprobe("sweep", "grid.toml", "--dry-run", cwd=tmp_path)
    assert done.code == 2 and "too long" in done.err


def test_a_run_of_a_sweep_that_cannot_start_fails_alone(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(GRID.replace("NAME", "a"))
    (tmp_path / "grid" / "logs" / "a.log").mkdir(parents=True)
    done = ffprobe("sweep", "grid.toml", cwd=tmp_path)
    assert done.code == 1
    assert "a failed (could not be started: Is a directory)" in done.err and "bug" not in done.err


def test_a_run_that_needs_too_much_memory(tmp_path: Path) -> None:
    plugin = write(tmp_path, normalizer("torch.empty(1 << 60); return x"))
    done = ffprobe("run", *WORDS, "--plugin", plugin, cwd=tmp_path)
    assert done.code == 1
    assert "Out of memory while" in done.err and "--batch-size" in done.err and "bug" not in done.err


def test_an_array_with_other_dimensions_than_a_run_has(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "scalar.h5"
    path.write_bytes((folder / "run.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        del file["metrics/layer"]
        file["metrics/layer"] = 3
    for words in (["show"], ["analyze", "layers"], ["report"]):
        done = ffprobe(*words, "scalar.h5", cwd=tmp_path)
        assert done.code == 4, done.err
        assert "metrics/layer has 0 dimensions; in a run file it has 1." in done.err


def test_two_plugin_files_of_one_name(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        text = (
            f"import ffprobe\n@ffprobe.hookimpl\ndef ffprobe_before_run(context):\n    raise RuntimeError('{name}')\n"
        )
        write(tmp_path / name, text)
    done = ffprobe("run", *WORDS, "--plugin", "a/mine.py", "--plugin", "b/mine.py", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "RuntimeError: a" in done.err and "RuntimeError: b" in done.err
    write(tmp_path / "a", normalizer())
    write(tmp_path / "b", normalizer())
    done = ffprobe("run", "--plugin", "a/mine.py", "--plugin", "b/mine.py", "--dry-run", cwd=tmp_path)
    assert done.code == 3 and "Two plugins provide the normalizer 'mine'" in done.err


def test_an_exception_whose_message_cannot_be_read(tmp_path: Path) -> None:
    text = "\nclass Mute(Exception):\n    def __str__(self): raise ValueError\n"
    plugin = write(tmp_path, text + normalizer("raise Mute"))
    for words in ([], ["--verbose"]):
        done = ffprobe("run", *WORDS, "--plugin", plugin, *words, cwd=tmp_path)
        assert done.code == 1 and "Mute (its message cannot be read" in done.err, done.err


STUBBORN = """
import contextlib, os, signal, sys, time
from ffprobe.cli.signals import interrupted_by_signals, stopping_on_signals
manager = interrupted_by_signals() if sys.argv[1] == "sweep" else stopping_on_signals(lambda number: None)
with manager:
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            print("ready", flush=True)
            time.sleep(60)
"""


@pytest.mark.parametrize("command", ["run", "sweep"])
def test_a_third_interrupt_ends_the_process_whatever_it_does(command: str) -> None:
    words = [sys.executable, "-c", STUBBORN, command]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130


def test_doctor_fails_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    good: dict[str, Any] = {"FFPROBE_CACHE_DIR": str(tmp_path / "new" / "cache")}
    assert ffprobe("doctor", ".", cwd=tmp_path, env=good).code == 0
    assert not (tmp_path / "new").exists()
    for directory, env in (("missing", good), (".", {"FFPROBE_CACHE_DIR": str(tmp_path / "file")})):
        done = ffprobe("doctor", directory, "--json", cwd=tmp_path, env=env)
        assert done.code == 1
        assert done.json["versions"]  # the report is printed all the same
        assert json.loads(done.err)["what"].startswith("Writing fails")


def test_a_foreign_file_in_a_folder_is_skipped_with_a_line(folder: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "a.h5").write_bytes((folder / "run.h5").read_bytes())
    with h5py.File(runs / "foreign.h5", "w") as file:
        file["x"] = 3
    (runs / "text.h5").write_text("hello")
    done = ffprobe("compare", "runs", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.json["name"] == "compare"
    assert "runs/foreign.h5: skipped; This HDF5 file was not written by ffprobe." in done.err
    assert "runs/text.h5: skipped; " in done.err
    (runs / "a.h5").unlink()
    assert ffprobe("compare", "runs", cwd=tmp_path).code == 4
    assert ffprobe("compare", "runs/foreign.h5", cwd=tmp_path).code == 4  # named: an error
