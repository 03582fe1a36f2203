"""``ffprobe --version``."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version

import typer

import ffprobe
from ffprobe.cli.console import print_json

LIBRARIES = ("torch", "torchvision", "numpy", "h5py", "pluggy", "typer", "scikit-learn", "matplotlib")


def versions() -> dict[str, str]:
    """ffprobe, Python and the libraries it stands on, by name; read without importing them."""
    found = {"ffprobe-nn": ffprobe.__version__, "python": sys.version.split()[0]}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "not installed"
    return found


def show(asked: bool) -> None:
    """Print versions and exit, when asked."""
    if not asked:
        return
    found = versions()
    if "--json" in sys.argv:
        print_json(found)
    else:
        print(f"ffprobe {found.pop('ffprobe-nn')} (ffprobe-nn, not FFmpeg's)")
        print(", ".join(f"{name} {number}" for name, number in found.items()))
    raise typer.Exit
