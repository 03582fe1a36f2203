"""The entry point: builds the command line, runs it, and turns exceptions into messages and exit codes."""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from typing import Any

from ffprobe.cli.console import PlainFormatter, State, print_error
from ffprobe.display import plain_text
from ffprobe.errors import FfprobeError, FileError, Interrupted, UsageError, describe, out_of_memory


def main() -> None:
    """Run ``ffprobe`` with the arguments of the process and exit with the documented exit code."""
    State.verbose = "--verbose" in sys.argv or bool(os.environ.get("FFPROBE_VERBOSE"))
    State.json = "--json" in sys.argv
    _open_missing_streams()
    if State.json and not {"--help", "-h"} & set(sys.argv):
        _keep_stdout_for_results()
    logging.basicConfig(level=logging.DEBUG if State.verbose else logging.WARNING, force=True)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(PlainFormatter("%(message)s"))
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    logging.captureWarnings(True)
    if not State.verbose:
        logging.getLogger("py.warnings").setLevel(logging.ERROR)
    code = _run()
    sys.exit(_flushed(code))


def _open_missing_streams() -> None:
    """Open /dev/null for each closed standard stream; otherwise a file of the run would get its number, and output."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one


def _keep_stdout_for_results() -> None:
    """Send to stderr what plugins, and libraries in C, print; only ``print_json`` writes to stdout."""
    if sys.stdout is None or sys.stderr is None:
        return
    sys.stdout.flush()
    State.results = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="surrogateescape")
    os.dup2(2, 1)


def _run() -> int:
    from ffprobe.cli.app import build_app

    # with --json, errors of the command line are documents like all others, so the parser must not print them itself
    how: dict[str, Any] = {"standalone_mode": False} if State.json else {}
    try:
        code = build_app(sys.argv)(prog_name="ffprobe", **how)
        if code == 130:  # what the parser returns after Ctrl-C
            raise Interrupted("Interrupted.", signal_number=2)
        return code if isinstance(code, int) else 0
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(bool(done.code))
    except BrokenPipeError:  # the reader of the pipe closed it, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except KeyboardInterrupt:
        error: FfprobeError = Interrupted("Interrupted.", signal_number=2)
    except Exception as raised:
        error = _as_error(raised)
    _report(error)
    return error.exit_code


def _as_error(error: Exception) -> FfprobeError:
    """Any exception as an error of ffprobe; what has an ordinary cause is not called a bug."""
    if isinstance(error, FfprobeError):
        return error
    wrapped: FfprobeError
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # of the command line's parser
        wrapped = UsageError(_sentence(error.format_message()), hint="`--help` lists the options of a command.")
    elif exhausted := out_of_memory(error):
        wrapped = exhausted
    elif isinstance(error, OSError) and error.errno is not None and error.filename is None:
        wrapped = FfprobeError(f"Standard output, or a temporary file, could not be written: {error.strerror}.")
    elif isinstance(error, OSError) and error.errno is not None:
        name = error.filename
        name = os.fsdecode(name) if isinstance(name, str | bytes) else str(name)
        wrapped = FileError(f"A file could not be read or written: {error.strerror}.", where=name)
    else:
        what = f"ffprobe failed unexpectedly: {describe(error)}."
        wrapped = FfprobeError(what, hint="This is a bug; `--verbose` shows the traceback.")
    wrapped.__cause__ = error
    return wrapped


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _flushed(code: int) -> int:
    """The exit code after the last output is written: 1 if standard output is full."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except BrokenPipeError:
        failed = code
    except OSError as error:
        _report(FfprobeError(f"The result could not be written to standard output: {error.strerror}."))
        failed = code or 1
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the interpreter flushes again at its end
    return failed


def _report(error: FfprobeError) -> None:
    if State.verbose:
        sys.stderr.write(plain_text("".join(traceback.format_exception(error))))
    if not State.json:
        print_error(error)
    elif sys.stderr is not None:
        sys.stderr.write(json.dumps(error.to_dict()) + "\n")
