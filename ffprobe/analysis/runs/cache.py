"""A cache of expensive numbers, in a folder beside the run file that they were computed from."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ffprobe.analysis.runs.array_file import Shapes, canonical, read_arrays, write_arrays
from ffprobe.analysis.runs.source_hash import source_hash
from ffprobe.store.content_hash import content_hash

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

log = logging.getLogger("ffprobe")
SUFFIX = ".cache"
"""``run.h5`` has the folder ``run.h5.cache``."""
FILES = {
    # the standard tag by which backup programs skip a cache (https://bford.info/cachedir)
    "CACHEDIR.TAG": "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# Numbers that ffprobe computed from the run file of the same name. It is safe to delete this folder.\n",
    ".gitignore": "*\n",
}
_use: ContextVar[Literal["write", "read", "no"]] = ContextVar("use", default="write")


def cached(
    name: str,
    runs: Sequence[RunFile],
    settings: Mapping[str, Any],
    shapes: Shapes,
    compute: Callable[[], Mapping[str, np.ndarray]],
) -> dict[str, np.ndarray]:
    """Return arrays from the cache of these runs, or compute them and write them to the cache.

    The arrays must depend on nothing but the run files, the settings and the code. A cached array is used only if all
    bytes of the run files, the settings, the source text of ffprobe and of the plugin that defines ``compute``, and the
    versions of numpy, scipy, scikit-learn, torch, h5py and Python are the same. Everything else, such as a damaged
    file, is computed again. Unfinished runs are not cached, and nothing is written to a folder that is read-only.

    Args:
        name: name of the numbers, such as that of the analysis; it is part of the file name.
        runs: the open run files; the cache is beside the first one.
        settings: everything else that the numbers depend on, plain values.
        shapes: the shape of each array.
        compute: a function that returns float64 arrays of these shapes by name.

    Raises:
        ValueError: ``compute`` returned other names or shapes.
    """
    path, key = _entry(name, runs, settings, compute) if _use.get() != "no" else (None, "")
    if path and (found := read_arrays(path, key, shapes)) is not None:
        return found
    arrays = {key: np.asarray(array, float) for key, array in compute().items()}
    if {key: array.shape for key, array in arrays.items()} != dict(shapes):
        raise ValueError(f"{name}: the computed arrays do not have the shapes {dict(shapes)}.")
    if path and _use.get() == "write":
        try:
            _make(path.parent)
            write_arrays(path, key, arrays)
        except OSError as error:  # read-only, a full disk: the numbers are right without a cache
            log.debug("%s was not cached: %s", name, error)
    return arrays


@contextmanager
def without_cache() -> Iterator[None]:
    """Compute everything inside the block: no cache is read or written."""
    token = _use.set("no")
    try:
        yield
    finally:
        _use.reset(token)


@contextmanager
def read_only_cache() -> Iterator[None]:
    """Write nothing inside the block: what is in a cache is used, and everything else is computed."""
    token = _use.set("read")
    try:
        yield
    finally:
        _use.reset(token)


def _entry(name: str, runs: Sequence[RunFile], settings: Mapping[str, Any], compute: object) -> tuple[Path | None, str]:
    """The file of an entry and its key; None if the numbers cannot be cached.

    The name depends on the settings and the number of runs, so that new code or a new run replaces the old entry.
    """
    code, contents = source_hash(compute), [content_hash(run) for run in runs] or [""]
    if not code or "" in contents:
        return None, ""
    choice = canonical([name, settings, [path.name for path in (Path(run.path) for run in runs[1:])]])
    short = hashlib.sha256(choice.encode(errors="surrogateescape")).hexdigest()[:12]
    plain = re.sub(r"[^A-Za-z0-9_-]", "-", name)[:40]
    first = Path(runs[0].path)
    key = canonical({"name": name, "settings": settings, "runs": contents, "code": code})
    return first.with_name(first.name + SUFFIX) / f"{plain}-{short}.npz", key


def _make(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir()
    for name, text in FILES.items():
        with suppress(FileExistsError), (folder / name).open("x") as file:  # "x" does not follow a link
            file.write(text)
