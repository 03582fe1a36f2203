"""``ffprobe`` by way of the server: sends the call, passes signals on, ends as the call ended.

Usage: ``python -IS client.py FOLDER [WORDS...]``; it imports nothing that takes time.
"""

import json
import os
import signal
import socket
import sys

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def call(folder: str, argv: list[str]) -> int:
    """Have the server run ``argv`` on this process's streams, in its directory and environment; its wait status."""
    # a program that was started in the background ignores Ctrl-C until it asks for it
    ignored = [number for number in FORWARDED if signal.getsignal(number) == signal.SIG_IGN]
    request = {"argv": argv, "cwd": os.getcwd(), "env": dict(os.environ), "ignored": ignored}
    content = json.dumps(request).encode()
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)  # not into the middle of the request
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"{folder}/socket")
        for number in FORWARDED:
            signal.signal(number, lambda number, frame: connection.send(bytes([number])) and None)
        socket.send_fds(connection, [len(content).to_bytes(8)], [0, 1, 2])
        connection.sendall(content)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
        status = connection.recv(4)
    if len(status) != 4:
        sys.exit("the server of tests/warm ended during a call")
    return int.from_bytes(status)


if __name__ == "__main__":
    status = call(sys.argv[1], ["ffprobe", *sys.argv[2:]])
    if os.WIFSIGNALED(status):
        signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status))
