"""What an HDF5 file holds, found without leaving the file and without trusting it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import h5py

from ffprobe.store.schema import DType

_DTYPES: dict[tuple[str, int], DType] = {
    ("f", 4): "f4",
    ("f", 8): "f8",
    ("i", 4): "i4",
    ("i", 8): "i8",
    ("u", 1): "u1",
}
_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
LARGEST_CHUNK = 1 << 28
DEEPEST = 16


@dataclass
class Contents:
    """Everything in a file, by path.

    Attributes:
        groups: every group but the root.
        datasets: every dataset that may be read.
        refused: what may not be read, and why, as the end of a sentence that begins with its path.
    """

    groups: dict[str, h5py.Group] = field(default_factory=dict)
    datasets: dict[str, h5py.Dataset] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def contents(file: h5py.File, part: str | None = None) -> Contents:
    """Find every group and dataset of a file, or of one of its top groups alone.

    Soft and external links, arrays whose numbers lie in another file, types that a run file never has and filters that
    HDF5 would have to load code for are listed as refused, not opened further.
    """
    found = Contents()
    seen: set[int] = set()

    def enter(group: h5py.Group, prefix: str, depth: int) -> None:
        seen.add(h5py.h5o.get_info(group.id).addr)
        names = group if depth or part is None else [part] if part in group else []
        for name in names:
            path = f"{prefix}{name}"
            try:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    found.refused[path] = "is a link to another place, which is not followed"
                    continue
                info = h5py.h5o.get_info(group.id, name.encode("utf-8", "surrogateescape"))
                if info.type == h5py.h5o.TYPE_GROUP:
                    if info.addr in seen or depth >= DEEPEST:
                        found.refused[path] = "is a group inside itself, or too deep"
                        continue
                    found.groups[path] = group[name]
                    enter(found.groups[path], f"{path}/", depth + 1)
                elif info.type == h5py.h5o.TYPE_DATASET:
                    dataset = group[name]
                    if reason := _refusal(dataset):
                        found.refused[path] = reason
                    else:
                        found.datasets[path] = dataset
            except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
                found.refused[path] = f"cannot be opened ({str(error)[:80]})"

    enter(file["/"], "", 0)
    return found


def dtype_name(dataset: h5py.Dataset) -> DType | None:
    """The dataset's type as schemas name it; None when it has none of those."""
    text = h5py.check_string_dtype(dataset.dtype)
    if text is not None:
        return "str" if text.length is None else None
    if dataset.dtype.subdtype is not None or dataset.dtype.names is not None:
        return None
    return _DTYPES.get((dataset.dtype.kind, dataset.dtype.itemsize))


def _refusal(dataset: h5py.Dataset) -> str | None:
    if dataset.is_virtual or dataset.external:
        return "keeps its numbers in another file, which is not read"
    if dataset.shape is None or dtype_name(dataset) is None:
        return "has a type that a run file never has"
    plist = dataset.id.get_create_plist()
    if any(plist.get_filter(i)[0] not in _FILTERS for i in range(plist.get_nfilters())):
        return "is compressed in a way that a run file never is"
    if dataset.chunks and math.prod(dataset.chunks) * dataset.dtype.itemsize > LARGEST_CHUNK:
        return "has chunks that are too large to be true"
    return None
