"""``ffprobe doctor``: what this machine and this folder can do."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ffprobe.cli.console import Json, Verbose, print_json, stdout
from ffprobe.cli.version import versions


def doctor(
    directory: Annotated[Path, typer.Argument(help="Where run files will be written.")] = Path("."),
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Check the program, the device and the output folder before a long run."""
    document = {"versions": versions(), "program": _program(), "device": _device(), "directory": _directory(directory)}
    if json:
        print_json(document)
        return
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    for topic, facts in document.items():
        for index, (key, value) in enumerate(facts.items()):
            table.add_row(topic if index == 0 else "", key, str(value))
    stdout().print(table)


def _program() -> dict[str, Any]:
    found = shutil.which("ffprobe")
    ours = bool(found) and Path(str(found)).parent == Path(sys.executable).parent
    other = "another program (FFmpeg's?); use ff-probe or python -m ffprobe"
    return {
        "shell finds": found or "no ffprobe; use python -m ffprobe",
        "which is": "this program" if ours else other if found else "not on the PATH",
        "python": sys.executable,
    }


def _device() -> dict[str, Any]:
    import torch

    from ffprobe.runtime.allocator import preloaded_allocator
    from ffprobe.runtime.precision import choose_device, choose_precision

    device = choose_device("auto")
    usual = "the system's"
    if device.type == "cpu" and sys.platform == "linux":
        usual = "the C library's; tcmalloc may be faster (docs/performance.md)"
    return {
        "auto": str(device),
        "precision auto": choose_precision("auto", device),
        "threads": torch.get_num_threads(),
        "allocator": preloaded_allocator() or usual,
    }


def _directory(directory: Path) -> dict[str, Any]:
    from ffprobe.store.suitability import check_folder

    return dict(check_folder(directory))
