"""The view follows runs: commits reach every page within a second, from files that nobody holds open."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from analysis.runs.listed_files import begin
from toy import WORDS

from ffprobe.view.payload.catalog import Catalog
from ffprobe.view.server.events import LOOK, MAX_WAITING, Events

PROGRAM = [sys.executable, "-m", "ffprobe"]


def test_the_files_are_looked_at_often_enough_to_tell_of_a_commit_within_a_second() -> None:
    assert LOOK <= 0.5


async def next_event(stream: AsyncIterator[bytes]) -> tuple[str, Any]:
    while True:
        message = (await asyncio.wait_for(anext(stream), 20)).decode()
        if message.startswith("event: "):
            name, data = message.strip().split("\n")
            return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def test_a_commit_reaches_all_pages(tmp_path: Path) -> None:
    async def follow() -> None:
        catalog = Catalog([tmp_path])
        catalog.refresh()
        events = Events(catalog)
        pages = [events.stream(), events.stream()]
        for page in pages:
            assert (await anext(page)).startswith(b"retry: ")
        with begin(tmp_path / "run.h5", measured=(0.1,)) as writer:
            began = [await next_event(page) for page in pages]
            (key,) = began[0][1]
            assert began[0] == began[1] == ("runs", {key: catalog.entry(key).revision})
            assert catalog.entry(key).listed.state == "running"
            for epoch in (2, 3):
                writer.append("metrics", {"epoch": epoch, "model_validation_accuracy": 0.5})
                writer.commit()
                committed = time.monotonic()
                received = [await next_event(page) for page in pages]
                assert time.monotonic() - committed < 5  # LOOK and the time to read; more on a busy machine
                assert received[0] == received[1]
                assert catalog.entry(key).listed.epochs == epoch
        await next_event(pages[0])  # the writer is gone: the run is interrupted
        assert catalog.entry(key).listed.state == "interrupted"
        events.close()
        for page in pages:
            with suppress(StopAsyncIteration):
                while True:
                    await asyncio.wait_for(anext(page), 5)

    asyncio.run(follow())


def test_a_page_that_reads_nothing_is_let_go(tmp_path: Path) -> None:
    async def flood() -> None:
        events = Events(Catalog([tmp_path]))
        slow = events.stream()
        await anext(slow)
        for number in range(MAX_WAITING + 1):
            events.send("runs", {"a": str(number)})
        received = [message async for message in slow]
        assert len(received) == MAX_WAITING - 1  # and then the end, so that it connects again
        events.close()

    asyncio.run(flood())


class View:
    """A server in a process of its own."""

    def __init__(self, *paths: Path) -> None:
        words = ["view", *map(str, paths), "--json", "--no-browser"]
        self.process = subprocess.Popen([*PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        text = ""
        while not text.endswith("}\n"):
            line = self.process.stdout.readline()
            assert line, self.process.communicate()[1]
            text += line
        self.document = json.loads(text)
        self.port = self.document["port"]
        token = urlsplit(self.document["url"]).query.removeprefix("token=")
        self._connections: list[HTTPConnection] = []
        self.headers = {"Cookie": f"ffprobe_view_{self.port}={token}"}

    def connect(self, address: str) -> Any:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        self._connections.append(connection)
        connection.request("GET", address, headers=self.headers)
        return connection.getresponse()

    def get(self, address: str) -> Any:
        with self.connect(address) as reply:
            document = json.loads(reply.read())
        self._connections.pop().close()
        return document

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        code = self.process.wait(20)
        self.close()
        return code

    def close(self) -> None:
        for connection in self._connections:
            connection.close()
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def view(tmp_path: Path) -> Iterator[View]:
    server = View(tmp_path)
    yield server
    server.close()


def test_a_run_that_trains_in_another_process_is_followed_to_its_end(view: View, tmp_path: Path) -> None:
    streams = [view.connect("/events") for _ in range(2)]
    run = subprocess.Popen(
        [*PROGRAM, "run", "-d", "digits", *WORDS, "--out", str(tmp_path / "run.h5")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    states, curves = [], None
    while "finished" not in states:
        line = streams[0].readline()
        assert line, "the stream ended"
        if not line.startswith(b"data: "):
            continue
        (row,) = view.get("/api/runs")["runs"]
        if row["state"] == "running" and row["epochs"] and curves is None:
            curves = view.get(f"/api/runs/{row['id']}/curves")  # while the writer has the file open
        states.append(row["state"])
    assert run.wait(20) == 0
    assert {row["id"] for row in view.get("/api/runs")["runs"]} == {row["id"]}
    assert states[0] in ("running", "interrupted", "finished")
    assert any(line == b"event: runs\n" for line in iter(streams[1].readline, b""))  # the second page is notified, too
    if curves is not None:
        assert curves["epoch"][0] == 1
    assert view.stop() == 130  # with two streams open
    for stream in streams:
        stream.close()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_server_and_its_worker(number: int, code: int, folder: Path) -> None:
    view = View(folder)
    (row,) = view.get("/api/runs")["runs"]
    asked = view.get(f"/api/questions/layers?run={row['id']}")
    assert asked["status"] == "working"
    time.sleep(1)
    workers = _children(view.process.pid)
    assert workers
    assert view.stop(number) == code
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_server_starts_without_torch() -> None:
    code = """
import sys, time
began = time.process_time()
from ffprobe.cli.app import build_app
build_app(["view"])
import ffprobe.view.server.serve
from ffprobe.view.payload.catalog import Catalog
Catalog([]).refresh()
assert "torch" not in sys.modules and "matplotlib" not in sys.modules
print(time.process_time() - began)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 2  # seconds of the processor; 0.7 when written


def test_a_port_in_use_and_a_missing_directory_are_errors(view: View, tmp_path: Path) -> None:
    for words, code, says in (
        (["view", str(tmp_path), "--port", str(view.port), "--no-browser"], 1, "cannot be used"),
        (["view", str(tmp_path / "nothing"), "--no-browser"], 4, "There is no such file or directory."),
    ):
        done = subprocess.run([*PROGRAM, *words], capture_output=True, text=True)
        assert (done.returncode, says in done.stderr) == (code, True)


def test_the_address_is_on_stdout_for_a_person(tmp_path: Path) -> None:
    server = subprocess.Popen(
        [*PROGRAM, "view", str(tmp_path), "--no-browser"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    assert server.stdout.readline().startswith("http://127.0.0.1:")
    server.send_signal(signal.SIGINT)
    assert "Ctrl-C" in server.communicate(timeout=20)[1]
    assert server.returncode == 130


def _children(process: int) -> list[int]:
    path = Path(f"/proc/{process}/task/{process}/children")
    if not path.exists():
        pytest.skip("needs the list of child processes of Linux")
    return [int(number) for number in path.read_text().split()] or _of_threads(process)


def _of_threads(process: int) -> list[int]:
    """The children that other threads of the process started."""
    return [
        int(child) for task in os.listdir(f"/proc/{process}/task")
        for child in Path(f"/proc/{process}/task/{task}/children").read_text().split()
    ]  # fmt: skip
