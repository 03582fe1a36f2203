"""A warm call of ``ffprobe`` behaves as a cold one, and nothing of it stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli.program import ffprobe
from plugin_files import normalizer, write
from warm import start

pytestmark = pytest.mark.skipif(not start.AVAILABLE, reason="forking a warm process needs Linux")


@pytest.mark.parametrize("words", [["--version", "--json"], ["show", "none.h5"], ["wonder"], ["plugins", "list"]])
def test_a_warm_call_prints_and_returns_what_a_cold_one_does(words: list[str], tmp_path: Path) -> None:
    assert ffprobe(*words, cwd=tmp_path) == ffprobe(*words, cwd=tmp_path, cold=True)


def test_directory_and_environment_are_those_of_the_call(tmp_path: Path) -> None:
    for value in ("first", "second"):
        script = f"import os; print(os.environ['MARK'], os.getcwd())\n{normalizer()}"
        write(tmp_path, script)
        done = ffprobe("plugins", "info", "./mine.py", cwd=tmp_path, env={"MARK": value})
        assert done.code == 0, done.err
        assert f"{value} {tmp_path}" in done.out + done.err
    assert "MARK" not in os.environ


def test_streams_are_inherited_one_by_one(tmp_path: Path) -> None:
    with (tmp_path / "both").open("w") as file:
        words = [*start.program(), "show", "none.h5"]
        done = subprocess.run(words, cwd=tmp_path, stdout=file, stderr=subprocess.STDOUT)
    assert done.returncode == 4
    assert "no such run file" in (tmp_path / "both").read_text()


HANGS = 'import os, time\nopen("pid", "w").write(str(os.getpid()))\ntime.sleep(60)\n'


def hanging(tmp_path: Path) -> tuple[subprocess.Popen[str], int]:
    """A call that sleeps in a plugin, and the process that sleeps."""
    write(tmp_path, HANGS + normalizer())
    words = [*start.program(), "plugins", "info", "./mine.py"]
    process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not (tmp_path / "pid").exists() or not (text := (tmp_path / "pid").read_text()):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.01)
    return process, int(text)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_signal_is_passed_on(number: int, code: int, tmp_path: Path) -> None:
    process, _ = hanging(tmp_path)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (code, "")


def test_a_signal_that_is_ignored_outside_is_ignored_inside(tmp_path: Path) -> None:
    write(tmp_path, "import signal\nprint(signal.getsignal(signal.SIGINT))\n" + normalizer())
    words = [*start.program(), "plugins", "info", "./mine.py"]
    done = subprocess.run(
        words,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{signal.SIG_IGN}")


def test_a_killed_client_takes_its_call_with_it(tmp_path: Path) -> None:
    process, pid = hanging(tmp_path)
    process.kill()
    process.communicate()
    until = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_its_seconds_are_counted(tmp_path: Path) -> None:
    before = start.seconds()
    write(tmp_path, "import time\nwhile time.process_time() < 0.3: pass\n" + normalizer())
    assert ffprobe("plugins", "info", "./mine.py", cwd=tmp_path).code == 0
    assert 0.25 < start.seconds() - before < 5


def test_the_shell_finds_the_warm_program(tmp_path: Path) -> None:
    path = f"{start.programs()}{os.pathsep}{os.environ['PATH']}"
    script = "ffprobe --version; ff-probe --version; python -m ffprobe --version; python -c 'print(40 + 2)'"
    before = start.seconds()
    done = subprocess.run(["bash", "-euc", script], cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True)
    assert done.stdout.decode().count("ffprobe-nn") == 3
    assert done.stdout.decode().endswith("42\n")
    assert start.seconds() > before
    assert done.returncode == 0 and sys.executable in (start.programs() / "python").read_text()
