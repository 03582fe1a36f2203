"""The entry point: builds the command line, runs it, and turns exceptions into messages and exit codes."""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback

from ffprobe.cli.console import State, print_error, stderr
from ffprobe.errors import FfprobeError


def main() -> None:
    """Run ``ffprobe`` with the arguments of the process and exit with the documented exit code."""
    State.verbose = "--verbose" in sys.argv or bool(os.environ.get("FFPROBE_VERBOSE"))
    State.json = "--json" in sys.argv
    logging.basicConfig(level=logging.DEBUG if State.verbose else logging.WARNING, format="%(message)s", force=True)
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    logging.captureWarnings(True)
    if not State.verbose:
        logging.getLogger("py.warnings").setLevel(logging.ERROR)
    sys.exit(_run())


def _run() -> int:
    from ffprobe.cli.app import build_app

    try:
        build_app(sys.argv)(prog_name="ffprobe")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(bool(done.code))
    except FfprobeError as error:
        _report(error)
        return error.exit_code
    except BrokenPipeError:  # the reader of the pipe closed it, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        stderr().print("Interrupted.", markup=False)
        return 130
    except Exception as error:
        wrapped = FfprobeError(
            f"ffprobe failed unexpectedly: {type(error).__name__}: {error}.",
            hint="This is a bug; `--verbose` shows the traceback.",
        )
        wrapped.__cause__ = error
        _report(wrapped)
        return 1
    return 0


def _report(error: FfprobeError) -> None:
    if State.verbose:
        traceback.print_exception(error)
    if State.json:
        sys.stderr.write(json.dumps(error.to_dict()) + "\n")
        return
    print_error(error)
