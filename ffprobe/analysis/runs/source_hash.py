"""The hash of the code that computes a number: a cached number is used only with the code that computed it."""

from __future__ import annotations

import hashlib
import sys
import time
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FunctionType

LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch", "h5py")
"""Libraries that compute; another version may give other digits."""
_LOADED = time.time()
"""Source files that are newer than this may not be the code that runs."""


def source_hash(function: object) -> str:
    """Return the SHA-256 of the source text behind a function, and of the versions of the libraries that compute.

    The source text is that of ffprobe and of the package that defines the function; for a single file, such as
    ``./my_probe.py``, that of all Python files in its folder, because it may import them.

    Args:
        function: a Python function.

    Returns:
        Empty if the code is unknown: the function has no source file (a notebook), or a file was changed after it may
        have been imported.
    """
    module = sys.modules.get(getattr(function, "__module__", "")) if isinstance(function, FunctionType) else None
    file, host = getattr(module, "__file__", None), sys.modules["ffprobe"].__file__
    if module is None or not file or not host:
        return ""
    package = _package(Path(file))
    places = {Path(host).parent: True, package or Path(file).parent: package is not None}
    hashes = [_folder(folder, recursive) for folder, recursive in sorted(places.items())]
    return "" if "" in hashes else hashlib.sha256(" ".join([*hashes, _versions()]).encode()).hexdigest()


def _package(file: Path) -> Path | None:
    """The outermost package folder of a module; None for a single file."""
    folder, top = file.parent, None
    while (folder / "__init__.py").exists():
        folder, top = folder.parent, folder
    return top


def _folder(folder: Path, recursive: bool) -> str:
    """The hash of the Python files in a folder; empty if one was changed after the code may have been loaded."""
    digest = hashlib.sha256()
    try:
        for path in sorted(folder.rglob("*.py") if recursive else folder.glob("*.py")):
            status, text = path.stat(), path.read_bytes()
            if max(status.st_mtime, status.st_ctime) > _LOADED:
                return ""
            digest.update(f"{path.relative_to(folder)} {len(text)} ".encode(errors="surrogateescape") + text)
    except OSError:
        return ""
    return digest.hexdigest()


@cache
def _versions() -> str:
    found = [f"python {sys.version_info[:2]}"]
    for name in LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} ?")
    return " ".join(found)
