"""``ffprobe --version``."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version

import typer

import ffprobe
from ffprobe.cli.console import print_json

LIBRARIES = ("torch", "torchvision", "numpy", "h5py", "pluggy", "typer", "scikit-learn", "matplotlib")


def versions() -> dict[str, str]:
    """The versions of ffprobe, Python and the main dependencies by name; the libraries are not imported."""
    numbers = {"ffprobe-nn": ffprobe.__version__, "python": sys.version.split()[0]}
    for library in LIBRARIES:
        try:
            numbers[library] = version(library)
        except PackageNotFoundError:
            numbers[library] = "not installed"
    return numbers


def show(requested: bool) -> None:
    """Print the versions and exit if ``--version`` was given."""
    if not requested:
        return
    numbers = versions()
    if "--json" in sys.argv:
        print_json(numbers)
    else:
        print(f"ffprobe {numbers.pop('ffprobe-nn')} (ffprobe-nn, not FFmpeg's)")
        print(", ".join(f"{name} {number}" for name, number in numbers.items()))
    raise typer.Exit
