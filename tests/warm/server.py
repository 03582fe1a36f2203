"""A program that has imported everything already, and forks itself for each call of ``ffprobe``.

``python -m ffprobe`` spends three to four seconds of CPU on imports (torch, torch's compiler, scikit-learn), and the
tests call it some hundred times. This server imports them once. A call is then a fork: still a process of its own, with
its own working directory, environment, standard streams, signals and exit code, so nothing of it can leak into the next
call or into the tests. What differs from a cold start is only that the imports are done; ``cli/test_cli_processes.py``
starts every command cold.

One connection to the socket is one call (``client.py`` makes it)::

    client -> server   the descriptors 0, 1 and 2, and a JSON object behind its length
    client -> server   one byte for each signal that the client received; the end of the stream, when it was killed
    server -> client   the wait status, four bytes, when the call has ended

Usage: ``python -P server.py FOLDER``. The socket is ``FOLDER/socket``. Each call that has ended adds a line with its
CPU seconds to ``FOLDER/seconds``. The server ends when its standard input ends: with the process that started it.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import NoReturn

PRELOADED = (
    *("torch", "torch._dynamo", "torchvision.transforms.functional", "numpy", "h5py", "pandas", "scipy.stats"),
    *("sklearn.linear_model", "sklearn.feature_selection", "sklearn.neural_network", "sklearn.datasets"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "PIL.PngImagePlugin"),
    *("jinja2", "pydantic", "typer", "typer.rich_utils", "rich.live", "rich.padding", "rich.progress", "rich.table"),
)
"""What ffprobe's commands import when they are used."""


def preload() -> None:
    """Import the libraries and every module of ffprobe; plugins are found and imported by each call, as always."""
    for name in PRELOADED:
        importlib.import_module(name)
    import ffprobe

    for module in pkgutil.walk_packages(ffprobe.__path__, "ffprobe."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def serve(folder: Path) -> None:
    """Fork for each connection, until standard input ends."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        listener.listen()
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([listener, 0], [], [], 1)
            if 0 in ready:
                return
            if ready:
                connection, _ = listener.accept()
                if not os.fork():
                    listener.close()
                    watch(connection, folder)
                connection.close()
            reap()


def reap() -> None:
    """Collect the watchers that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def watch(connection: socket.socket, folder: Path) -> NoReturn:
    """Fork the call itself, pass signals on to it, and report how it ended."""
    size, descriptors, _, _ = socket.recv_fds(connection, 8, 3)
    request = b""
    while len(request) < int.from_bytes(size):
        request += connection.recv(1 << 20)
    pid = os.fork()
    if not pid:
        connection.close()
        call(descriptors, folder / "bin", **json.loads(request))
    for descriptor in descriptors:
        os.close(descriptor)
    ended, talking = os.pidfd_open(pid), True
    while ended not in (ready := select.select([ended, connection] if talking else [ended], [], [])[0]):
        if ready:
            received = connection.recv(1)
            talking = bool(received)
            os.kill(pid, received[0] if received else signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    with (folder / "seconds").open("a") as file:
        file.write(f"{usage.ru_utime + usage.ru_stime:.3f}\n")
    with contextlib.suppress(OSError):  # the client is gone
        connection.sendall(status.to_bytes(4))
    os._exit(0)


def call(
    descriptors: list[int], programs: Path, argv: list[str], cwd: str, env: dict[str, str], ignored: list[int]
) -> NoReturn:
    """Be the program: ``argv`` as the shell gives it to ``ffprobe``."""
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
        os.close(descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.stdin = sys.__stdin__ = os.fdopen(0, closefd=False)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", buffering=1 if os.isatty(1) else -1, closefd=False)
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    sys.argv = argv
    sys.path.insert(0, cwd)  # as `python -m` does
    sys.executable = str(programs / "python")  # `sys.executable -m ffprobe`, which a sweep starts, is a call, too
    code = 1
    try:
        importlib.import_module("ffprobe.cli.main").main()
        code = 0
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else int(done.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    # as the interpreter ends, but without taking a large heap apart
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of pytest; clients pass it on
    preload()
    gc.freeze()  # a collection in a fork does not copy what the server holds
    serve(Path(sys.argv[1]))
