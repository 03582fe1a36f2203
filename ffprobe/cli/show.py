"""``ffprobe show RUN|DIR``: the summary of a run file, or a list of the runs in a directory."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ffprobe.cli.completion import complete_run_file
from ffprobe.cli.console import Json, Verbose, finite, print_json, stderr, stdout
from ffprobe.cli.slow import shown_if_slow


def show(
    run: Annotated[
        Path,
        typer.Argument(help="A run file, finished or not, or a directory of runs.", autocompletion=complete_run_file),
    ],
    watch: Annotated[bool, typer.Option("--watch", help="Follow a run in progress until it ends.")] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Print the settings, the progress, the results of each layer, and the contents of the file.

    Of a directory: its only run, with --watch the only one in progress; the list of its runs, as `ffprobe ls` prints
    it, if there are several.

    With --watch: a live table on a terminal, one line per epoch in a log, one JSON document per line with --json.
    """
    from ffprobe.analysis.runs.diagnosis import diagnose
    from ffprobe.cli.findings import print_findings
    from ffprobe.store.caps import VIEW_LIMIT
    from ffprobe.store.overview import overview, terminal_view
    from ffprobe.store.reader import open_run

    if os.path.isdir(run):
        files = _in_directory(run, watch)
        if len(files) > 1:
            _list(run, json)
            return
        run = files[0]
    if watch:
        from ffprobe.cli.watch import watch as follow

        follow(run, json)
        return
    with open_run(run, limit=VIEW_LIMIT) as file:
        document, findings = overview(file), diagnose(file)
    if json:
        print_json(finite({**document, "findings": [finding.to_dict() for finding in findings]}))
    else:
        stdout().print(terminal_view(document))
        print_findings(stdout(), findings)


def _in_directory(directory: Path, watch: bool) -> Sequence[Path]:
    """The run files in a directory; to watch, the only one that is being written.

    Raises:
        FileError: there is none.
        UsageError: none or several are being written, and one is to be watched.
    """
    from ffprobe.analysis.runs.find import find_runs
    from ffprobe.errors import FileError, UsageError
    from ffprobe.store.file_lock import is_held
    from ffprobe.store.names import is_partial

    with shown_if_slow(f"Searching {directory} for runs"):
        files = find_runs(directory)
    if not files:
        hint = "Name a file or a directory that `ffprobe run` or `ffprobe sweep` wrote."
        raise FileError("There is no run file in this directory.", where=str(directory), hint=hint)
    if not watch:
        return files
    live = [path for path in files if is_partial(path) and is_held(path)]
    if len(live) != 1:
        hint = f"ffprobe show {shlex.quote(str(live[0]))} --watch" if live else f"ffprobe ls {directory}"
        count = f"{len(live)} runs are" if live else "No run is"
        what = f"{count} in progress in this directory; --watch follows one."
        raise UsageError(what, where=str(directory), hint=hint)
    return live


def _list(directory: Path, json: bool) -> None:
    from ffprobe.cli.ls import print_listed, read_runs

    listed = read_runs([directory])
    if json:
        print_json({"runs": [run.to_dict() for run in listed]})
        return
    print_listed([directory], listed)
    if example := next((run.path for run in listed if run.readable), None):
        stderr().print(f"Show one: ffprobe show {shlex.quote(str(example))}", markup=False, soft_wrap=True)
