"""``ffprobe view RUN|DIR...``: a local page in a browser, live while a run trains."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ffprobe.cli.completion import complete_run_file
from ffprobe.cli.console import Json, Verbose, print_json, stderr
from ffprobe.cli.slow import shown_if_slow

if TYPE_CHECKING:
    from ffprobe.view.server.serve import Address


def view(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Run files, finished or not, and directories that are searched; the current directory by default.",
            autocompletion=complete_run_file,
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page (0: a free one).")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address, and start no browser.")] = False,
    title: Annotated[str, typer.Option(help="Title of the page; the paths by default.")] = "",
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Show runs in a browser: curves, layers, samples and analyses, live while a run trains.

    The page is served on this machine only, at an address with a secret token, until Ctrl-C. Nothing is written and no
    network is needed. With --json, the address is printed as a JSON document.
    """
    from ffprobe.analysis.runs.find import find_runs
    from ffprobe.view.server.serve import serve

    paths = runs or [Path()]
    with shown_if_slow("Searching for runs"):
        count = len(find_runs(*paths))  # a mistyped path is an error before the server starts

    def ready(address: Address) -> None:
        if json:
            print_json({"url": address.url, "port": address.port, "runs": count, "process": os.getpid()})
        else:
            shown = f"{count} run{'s' * (count != 1)}"
            stderr().print(f"Showing {shown} at", markup=False)
            print(address.url, flush=True)
            stderr().print("Press Ctrl-C to stop.", markup=False)
        if not no_browser and not json:
            _open(address.url)

    serve(
        [Path(os.path.abspath(path)) for path in paths],
        title=title or " ".join(map(str, paths)),
        port=port,
        ready=ready,
    )


def _open(url: str) -> None:
    """Open the address in the user's browser, without waiting for it."""
    import threading
    import webbrowser

    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
