"""``ffprobe doctor``: checks the installation, the device and the output directory."""

from __future__ import annotations

import os
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
    """Check the installation, the device, the output directory and the cache before a long run.

    Exit code 1 if the output directory or the cache cannot be written.
    """
    document = {
        "versions": versions(),
        "program": _program(),
        "device": _device(),
        "directory": _directory(directory),
        "cache": _cache(),
    }
    if json:
        print_json(document)
    else:
        _print(document)
    failed = [document[topic] for topic in ("directory", "cache") if document[topic]["writing"] != "ok"]
    if failed:
        from ffprobe.errors import FfprobeError

        hint = "Choose a directory that you can write; FFPROBE_CACHE_DIR sets the cache."
        raise FfprobeError(f"Writing fails: {failed[0]['writing']}.", where=failed[0]["path"], hint=hint)


def _print(document: dict[str, dict[str, Any]]) -> None:
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
        "precision auto": choose_precision("auto", device, keep=False),
        **_rates(device.type),
        "threads": torch.get_num_threads(),
        "allocator": preloaded_allocator() or default,
    }


def _rates(device: str) -> dict[str, Any]:
    from ffprobe.runtime.processor import processor_model, processor_rates

    if device != "cpu":
        return {}
    rates = processor_rates(keep=False)
    text = f"{rates.fp32:.0f} in fp32, {rates.bf16:.0f} in bf16 ({rates.speedup:.2f} times; auto takes bf16 from 1.2)"
    return {"processor": processor_model(), "10^9 operations/s": text}


def _directory(directory: Path) -> dict[str, Any]:
    from ffprobe.store.suitability import check_folder

    return dict(check_folder(directory))


def _cache() -> dict[str, Any]:
    import tempfile

    from ffprobe.data.folders import cache_folder

    folder = cache_folder()
    existing = next(path for path in (folder, *folder.parents) if os.path.exists(path))  # created when it is needed
    try:
        with tempfile.TemporaryFile(dir=existing):
            writing = "ok"
    except OSError as error:
        writing = f"not possible: {error.strerror}"
    return {"path": str(folder), "writing": writing}
