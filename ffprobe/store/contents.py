"""The groups and datasets of an untrusted HDF5 file, listed without opening anything outside the file."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import h5py

from ffprobe.errors import FileError
from ffprobe.store.caps import MAX_CHUNK, MAX_DEPTH, MAX_OBJECTS
from ffprobe.store.schema import DType

_DTYPES: dict[tuple[str, int], DType] = {
    ("f", 4): "f4",
    ("f", 8): "f8",
    ("i", 4): "i4",
    ("i", 8): "i8",
    ("u", 1): "u1",
}
_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}


@dataclass
class Contents:
    """The contents of a file, by path.

    Attributes:
        groups: every group except the root.
        datasets: every dataset that can be read.
        refused: every object that is not read, with the reason as the rest of a sentence that begins with the path.
    """

    groups: dict[str, h5py.Group] = field(default_factory=dict)
    datasets: dict[str, h5py.Dataset] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def contents(file: h5py.File, top: str | None = None) -> Contents:
    """List every group and dataset of a file, or of its top-level group ``top`` alone.

    Soft and external links, arrays stored in another file, types that a run file never has, and filters for which HDF5
    would have to load code are listed as refused and not opened.

    Raises:
        FileError: there are more than ``MAX_OBJECTS`` objects; none of the group that exceeds it is opened.
    """
    listed = Contents()
    seen: set[int] = set()
    count = 0

    def enter(group: h5py.Group, prefix: str, depth: int) -> None:
        seen.add(h5py.h5o.get_info(group.id).addr)
        nonlocal count
        names = group if depth or top is None else [top] if top in group else []
        count += len(names)
        if count > MAX_OBJECTS:
            raise FileError(
                f"The run file declares more than {MAX_OBJECTS:,} groups and arrays.",
                where=str(file.filename),
                hint="It was not written by ffprobe; open it with h5py.",
            )
        for name in names:
            path = f"{prefix}{name}"
            try:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    listed.refused[path] = "is a link, which is not followed"
                    continue
                info = h5py.h5o.get_info(group.id, name.encode("utf-8", "surrogateescape"))
                if info.type == h5py.h5o.TYPE_GROUP:
                    if info.addr in seen or depth >= MAX_DEPTH:
                        listed.refused[path] = "is a group inside itself, or nested too deeply"
                        continue
                    listed.groups[path] = group[name]
                    enter(listed.groups[path], f"{path}/", depth + 1)
                elif info.type == h5py.h5o.TYPE_DATASET:
                    dataset = group[name]
                    if reason := _refusal(dataset):
                        listed.refused[path] = reason
                    else:
                        listed.datasets[path] = dataset
            except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
                listed.refused[path] = f"cannot be opened ({str(error)[:80]})"

    enter(file["/"], "", 0)
    return listed


def dtype_name(dataset: h5py.Dataset) -> DType | None:
    """The name of the dataset's type in a schema; None if schemas have no such type."""
    text = h5py.check_string_dtype(dataset.dtype)
    if text is not None:
        return "str" if text.length is None else None
    if dataset.dtype.subdtype is not None or dataset.dtype.names is not None:
        return None
    return _DTYPES.get((dataset.dtype.kind, dataset.dtype.itemsize))


def _refusal(dataset: h5py.Dataset) -> str | None:
    if dataset.is_virtual or dataset.external:
        return "is stored in another file, which is not read"
    if dataset.shape is None or dtype_name(dataset) is None:
        return "has a type that a run file never has"
    plist = dataset.id.get_create_plist()
    if any(plist.get_filter(i)[0] not in _FILTERS for i in range(plist.get_nfilters())):
        return "has a compression filter that a run file never has"
    if dataset.chunks and math.prod(dataset.chunks) * dataset.dtype.itemsize > MAX_CHUNK:
        return f"has chunks larger than {MAX_CHUNK >> 20} MiB"
    return None
