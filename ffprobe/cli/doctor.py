"""``ffprobe doctor``: checks the installation, the device and the output directory."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ffprobe.cli.console import Json, Verbose, print_json, stdout
from ffprobe.cli.version import versions


def doctor(
    directory: Annotated[Path, typer.Argument(help="Directory for run files.")] = Path("."),
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Check the installation, the device and the output directory before a long run."""
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
    path = shutil.which("ffprobe")
    ours = bool(path) and Path(str(path)).parent == Path(sys.executable).parent
    other = "another program (perhaps FFmpeg's); use ff-probe or python -m ffprobe"
    return {
        "ffprobe on the PATH": path or "not found; use python -m ffprobe",
        "provided by": "ffprobe-nn" if ours else other if path else "",
        "python": sys.executable,
    }


def _device() -> dict[str, Any]:
    import torch

    from ffprobe.runtime.allocator import preloaded_allocator
    from ffprobe.runtime.precision import choose_device, choose_precision

    device = choose_device("auto")
    default = "system default"
    if device.type == "cpu" and sys.platform == "linux":
        default = "C library; tcmalloc may be faster (docs/performance.md)"
    return {
        "auto": str(device),
        "precision auto": choose_precision("auto", device),
        "threads": torch.get_num_threads(),
        "allocator": preloaded_allocator() or default,
    }


def _directory(directory: Path) -> dict[str, Any]:
    from ffprobe.store.suitability import check_folder

    return dict(check_folder(directory))
