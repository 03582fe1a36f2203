"""``ffprobe show --watch`` beside a writer that follows commands."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from ffprobe.cli import watch
from ffprobe.cli.live_table import LoggedEpoch, RunState, live_table, log_line, read_log_line
from ffprobe.cli.watch import follow, look
from ffprobe.errors import FileError

TESTS = Path(__file__).parents[1]
WRITER = """
import sys, json, small_run
from ffprobe.store.schema import run_schema
from ffprobe.store.writer import RunWriter
facts = small_run.facts(attributes={"config_json": json.dumps({"training": {"epochs": 3}}), "title": "digits, tiny"})
with RunWriter.create(sys.argv[1], run_schema(facts)) as writer:
    for epoch, word in enumerate(sys.stdin):
        if word == "finish\\n":
            writer.finish()
        elif word == "epoch\\n":
            small_run.write_epoch(writer, epoch)
        print(word, end="", flush=True)
"""


class Writer:
    """A process that writes ``run.h5`` one epoch at a time."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "run.h5"
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(self.path)],
            env={**os.environ, "PYTHONPATH": str(TESTS / "store")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, *words: str) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        for word in words:
            self.process.stdin.write(f"{word}\n")
            self.process.stdin.flush()
            assert self.process.stdout.readline() == f"{word}\n"

    def stop(self) -> None:
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        self.process.wait()


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    one = Writer(tmp_path)
    yield one
    one.stop()


def watcher(folder: Path, *words: str, name: str = "run.h5") -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "ffprobe", "show", name, "--watch", *words],
        cwd=folder,
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "PYTHONUNBUFFERED": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a suite that was started in the background ignores Ctrl-C, and hands that down
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    late = threading.Timer(60, process.kill)  # a line that never comes must fail, not block
    late.daemon = True
    late.start()
    return process


def test_a_json_line_is_printed_for_each_epoch_and_one_at_the_end(writer: Writer, tmp_path: Path) -> None:
    writer.tell("epoch", "epoch")
    watching = watcher(tmp_path, "--json")
    assert watching.stdout is not None
    lines = [json.loads(watching.stdout.readline()) for _ in range(2)]
    writer.tell("epoch")
    lines.append(json.loads(watching.stdout.readline()))
    assert [(line["event"], line["epoch"], line["epochs_planned"]) for line in lines] == [
        ("epoch", i, 3) for i in (1, 2, 3)
    ]
    assert len(lines[0]["loss"]) == 2
    assert lines[0]["validation_accuracy"] == [None, None]  # not measured, and JSON has no NaN
    writer.tell("finish")
    out, err = watching.communicate(timeout=60)
    assert json.loads(out) == {"event": "finished", "path": "run.h5", "epoch": 3}
    assert (watching.returncode, err) == (0, "")


def test_a_log_gets_a_line_for_each_epoch(writer: Writer, tmp_path: Path) -> None:
    writer.tell("epoch", "epoch", "epoch", "finish")
    out, _ = watcher(tmp_path, name="run.h5.partial").communicate(timeout=60)
    assert [line.split(":")[0] for line in out.splitlines()[:3]] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert out.splitlines()[3:] == ["run.h5 is finished."]


@pytest.mark.parametrize("how", ["killed", "closed"])
def test_a_writer_that_ends_early_is_reported_with_a_hint(writer: Writer, tmp_path: Path, how: str) -> None:
    writer.tell("epoch")
    watching = watcher(tmp_path)
    assert watching.stdout is not None
    assert watching.stdout.readline().startswith("epoch 1/3")
    if how == "killed":
        writer.process.kill()
    else:
        writer.process.stdin.close()  # type: ignore[union-attr]
    _, err = watching.communicate(timeout=60)
    assert watching.returncode == 4
    assert "The run ended early: no process is writing it, and 1 of 3 epochs are committed" in " ".join(err.split())
    assert "ffprobe run --resume --out run.h5" in err


def test_control_c_leaves_cleanly(writer: Writer, tmp_path: Path) -> None:
    writer.tell("epoch")
    watching = watcher(tmp_path)
    assert watching.stdout is not None
    watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    _, err = watching.communicate(timeout=60)
    assert watching.returncode == 130
    assert "Traceback" not in err


def test_on_a_terminal_a_table_renews_itself(writer: Writer, tmp_path: Path) -> None:
    writer.tell("epoch", "epoch")
    main, side = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "LINES": "30", "TERM": "xterm"}
    command = [sys.executable, "-m", "ffprobe", "show", "run.h5", "--watch"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=side, stderr=side) as watching:
        os.close(side)
        seen, asked = b"", False
        while True:
            try:
                part = os.read(main, 4096)
            except OSError:  # Linux's way to say that the other side is closed
                break
            seen += part
            if b"epoch 2/3" in seen and not asked:
                asked = True
                writer.tell("epoch", "finish")
            if not part:
                break
        watching.wait(60)
    os.close(main)
    text = seen.decode()
    assert watching.returncode == 0
    assert "epoch 3/3" in text
    assert "zweite Schicht" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor comes back
    assert "run.h5 is finished." in text


def test_a_run_that_is_not_there_is_waited_for_and_then_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "START", 0.0)
    with pytest.raises(FileError, match="no such run file"):
        next(follow(tmp_path / "run.h5"))
    monkeypatch.setattr(watch, "START", 60.0)
    started: list[Writer] = []

    def start() -> None:
        started.append(Writer(tmp_path))
        started[0].tell("epoch", "finish")

    late = threading.Timer(0.5, start)
    late.start()
    last = list(follow(tmp_path / "run.h5"))[-1]
    late.join()
    started[0].stop()
    assert last.complete


def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SECONDS", 0.01)
    (tmp_path / "run.h5.partial").write_bytes(b"no HDF5")
    with pytest.raises(FileError, match="cannot be read: it is not HDF5"):
        next(follow(tmp_path / "run.h5"))


def test_a_finished_run_beside_a_new_partial_is_the_old_one(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SECONDS", 0.01)
    writer.tell("epoch")
    writer.path.write_bytes(b"what --overwrite will replace")
    looks = follow(writer.path)
    assert not next(looks).complete
    writer.process.kill()
    writer.process.wait()
    with pytest.raises(FileError, match="ended early"):
        list(looks)


def state(depth: int = 12, epochs: int = 40) -> RunState:
    """A run of many layers, half done; odd epochs were not evaluated."""
    nan = float("nan")
    per_layer = {
        name: [[(i + 1) / (e + 1) for i in range(depth)] for e in range(epochs)]
        for name in ("loss", "goodness_positive", "goodness_negative")
    }
    accuracy = [[nan if e % 2 else 0.5 + i / 100 for i in range(depth)] for e in range(epochs)]
    times = {"wall_time": [60.0 * (e + 1) for e in range(epochs)], "images_per_second": [1234.5] * epochs}
    times |= {"model_validation_accuracy": [row[-1] for row in accuracy], "learning_rate": [0.01] * epochs}
    names = [str(i) for i in range(depth)]
    metrics = {**per_layer, "validation_accuracy": accuracy, **times}
    return RunState(
        Path("runs/" + "long-" * 30 + "run.h5.partial"), False, 80, "digits", names, list(range(1, epochs + 1)), metrics
    )


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_screen_fits_the_terminal(width: int) -> None:
    console = Console(width=width, record=True, file=open(os.devnull, "w"), legacy_windows=False)  # noqa: SIM115
    console.print(live_table(state(), width))
    console.file.close()
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= width
    if width >= 80:
        assert len(lines) == 3 + 1 + 12 + 1
        assert "epoch 40/80" in lines[1]
        assert "1,234 images/s, 0:40:00 elapsed, about 0:40:00 left" in lines[2]
        assert lines[3].split() == ["layer", "loss", "goodness", "gap", "accuracy", "loss", "over", "epochs"]
        assert [line.split()[0] for line in lines[4:]] == [*(str(i) for i in range(1, 13)), "model"]
        assert "61.00 %" in lines[-2]  # measured an epoch ago
        assert lines[-1].split() == ["model", "61.00", "%"]


def test_the_layers_fit_the_height_of_the_terminal() -> None:
    console = Console(width=80, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(live_table(state(depth=40), 80, 24))
    console.file.close()
    lines = console.export_text().splitlines()
    assert len(lines) <= 23
    numbers = [line.split()[0] for line in lines[4:-1]]
    assert numbers[0] == "1" and numbers[-1] == "40" and numbers.count("…") == 1


def test_a_line_of_a_log_names_its_numbers() -> None:
    assert log_line(state(depth=2), 38) == (
        "epoch 39/80: loss by layer 0.026 0.051, validation accuracy by layer 50.0 51.0 %, model 51.0 %,"
        " 1,234 images/s, 0:41:00 left"
    )


def test_the_screen_before_the_first_epoch() -> None:
    one = state(epochs=0)
    console = Console(width=80, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(live_table(one, 80))
    console.file.close()
    assert "no epoch is committed yet" in console.export_text()
    assert one.seconds_left() != one.seconds_left()


def test_a_look_holds_no_file(writer: Writer) -> None:
    writer.tell("epoch")
    assert look(writer.path.with_name("run.h5.partial")).epochs == [1]
    writer.tell("epoch", "finish")
    assert look(writer.path).epochs == [1, 2]


def test_a_sweep_reads_the_line_of_a_log_back() -> None:
    assert read_log_line(log_line(state(depth=2), 38)) == LoggedEpoch(39, 80, 51.0, 2460.0)
    assert read_log_line(log_line(state(depth=2), 39)) == LoggedEpoch(40, 80, None, 2400.0)
    done = RunState(**{**vars(state(depth=2)), "planned": 40})
    assert read_log_line(log_line(done)) == LoggedEpoch(40, 40, None, 0.0)
    for other in ("epoch 1/5: step 3 of 200", "Wrote run.h5 in 3 s.", ""):
        assert read_log_line(other) is None
