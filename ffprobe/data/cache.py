"""A cache between runs for arrays that take long to compute."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ffprobe.data.folders import cache_folder

if TYPE_CHECKING:
    import numpy as np

FORMAT = 2
"""Part of every key; increased when the meaning of the stored arrays changes."""

_NAMES = "names of the arrays"  # a zip with a damaged directory may silently lack some of them

_log = logging.getLogger("ffprobe")


def cached_arrays(
    folder: str, key: Sequence[object], build: Callable[[], Mapping[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """The arrays that ``build`` returns, from the cache if they were built before.

    An entry is one ``.npz`` file (without pickles), renamed into place in one step and checked by CRC when read. A
    damaged entry is built again; if the cache cannot be written, a warning is logged and the arrays are returned.

    Args:
        folder: folder within the cache, such as ``"images"``.
        key: everything that the arrays depend on; its ``repr`` is hashed.
        build: computes the arrays, by name; none may have dtype object.

    Returns:
        The arrays by name.

    Raises:
        ValueError: an array contains objects.
    """
    path = entry_of(folder, key)
    stored = _load(path)
    if stored is None:
        stored = dict(build())
        _store(path, stored)
    return stored


def entry_of(folder: str, key: Sequence[object], suffix: str = ".npz") -> Path:
    """The path of the entry with this key; it may not exist."""
    digest = hashlib.sha256(repr((FORMAT, *key)).encode("utf-8", "backslashreplace")).hexdigest()[:32]
    return cache_folder() / folder / f"{digest}{suffix}"


def _load(path: Path) -> dict[str, np.ndarray] | None:
    import numpy as np

    if not os.path.isfile(path):  # unlike Path.is_file, it is False for a folder without permission
        return None
    try:
        # numpy does not close a damaged file that it opened itself
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            names = [str(name) for name in archive[_NAMES]]
            return {name: archive[name] for name in names}
    except Exception as error:  # zipfile and numpy raise many kinds of exceptions for damaged bytes
        _log.warning("the cache entry %s is damaged (%s) and is built again", path, error)
        return None


def _store(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    import numpy as np

    if any(array.dtype.hasobject for array in arrays.values()):
        raise ValueError("arrays of dtype object would be stored as pickles")
    entry: dict[str, Any] = {_NAMES: np.array(list(arrays)), **arrays}
    unfinished = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.stem, suffix=".tmp", delete=False) as file:
            unfinished = Path(file.name)
            np.savez(file, **entry)
        os.replace(unfinished, path)
    except OSError as error:
        _log.warning("the cache %s cannot be written: %s", path.parent, error)
    finally:
        if unfinished is not None:
            unfinished.unlink(missing_ok=True)
