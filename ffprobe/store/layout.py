"""Creates everything that a schema declares in an empty HDF5 file; after SWMR begins nothing can be created."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np

from ffprobe.errors import UsageError
from ffprobe.store.abandon import abandon
from ffprobe.store.attributes import OWN_TO_HDF5, clean, storable, write_attributes
from ffprobe.store.caps import MAX_GROWING, MAX_OBJECTS
from ffprobe.store.schema import Dimension, Schema, Variable, groups_of

LOCKING = "best-effort"
"""The locking mode for every opening of a file: within a process HDF5 refuses to open a file with two modes."""

FILL: Mapping[str, float | int] = {"f4": math.nan, "f8": math.nan, "i4": -1, "i8": -1, "u1": 0}
"""The value of an element that was never written, by dtype."""

LARGEST_CHUNK = 1 << 20
SMALL_CHUNK = 1 << 15
LONGEST_CHUNK = 1024


def new_file(path: Path, schema: Schema) -> h5py.File:
    """Create (or truncate) the file and create everything in the schema, which must have been checked.

    The file format is that of HDF5 1.10, the oldest with SWMR: netCDF cannot read a newer one.

    Raises:
        OSError: any error of HDF5.
    """
    # the cache is per dataset, and a row of a compressed array is written in one piece, so one chunk is enough
    file = h5py.File(path, "w", libver=("v110", "v110"), locking=LOCKING, rdcc_nbytes=LARGEST_CHUNK)
    try:
        lay_out(file, schema)
    except BaseException:
        abandon(file)
        raise
    return file


def lay_out(file: h5py.File, schema: Schema) -> None:
    """Create every group, scale, variable and attribute."""
    write_attributes(file, schema.attributes)
    for path in sorted(groups_of(schema.paths()) | set(schema.groups)):
        write_attributes(file.require_group(path), schema.groups.get(path, {}))
    scales = {d.path: _create_scale(file, d) for d in schema.dimensions}
    declared = {d.path: d for d in schema.dimensions}
    for variable in schema.variables:
        dimensions = [declared[f"{variable.group}/{name}"] for name in variable.dims]
        dataset = _create_variable(file, variable, dimensions)
        for axis, dimension in enumerate(dimensions):
            dataset.dims[axis].attach_scale(scales[dimension.path])


def room_for(schema: Schema) -> int:
    """The approximate size in bytes of all arrays of fixed size and of the metadata of all arrays."""
    sizes = {d.path: d.size for d in schema.dimensions}
    total = sum((d.size or 0) * 8 for d in schema.dimensions)
    for v in schema.variables:
        lengths = [sizes[f"{v.group}/{name}"] for name in v.dims]
        if None not in lengths:
            total += math.prod(n or 0 for n in lengths) * np.dtype(v.dtype).itemsize
    return total + 1024 * len(schema.paths())


def check_schema(schema: Schema) -> None:
    """Check that a schema can be created in a file.

    Raises:
        ValueError: a path is declared twice or is also a group, a dimension is missing, a growing dimension is not the
            first one, a dimension of a growing array is empty, text is not a label, or an attribute cannot be stored.
        UsageError: the file would have more groups, arrays or growing dimensions than a reader accepts.
    """
    dimensions = {d.path: d for d in schema.dimensions}
    paths = sorted([d.path for d in schema.dimensions] + [v.path for v in schema.variables])
    for path, following in pairwise(paths):
        if path == following:
            raise ValueError(f"{path} is declared twice.")
    groups = groups_of(paths)
    objects, growing_count = len(paths) + len(groups), sum(d.size is None for d in schema.dimensions)
    if objects > MAX_OBJECTS or growing_count > MAX_GROWING:
        raise UsageError(
            f"The run file would have {objects:,} groups and arrays and {growing_count:,} growing dimensions; readers"
            f" accept {MAX_OBJECTS:,} and {MAX_GROWING:,}.",
            hint="Record fewer layers or stages, or use fewer probes.",
        )
    for path in paths:
        if "/" not in path or not all(part not in ("", ".", "..") for part in path.split("/")):
            raise ValueError(f"{path!r} must have the form GROUP/NAME.")
        if path in groups:
            raise ValueError(f"{path} is declared both as an array and as a group.")
    for d in schema.dimensions:
        if d.dtype == "str" and (d.size is None or d.values is None):
            raise ValueError(f"{d.path}: text labels must be known before the run, since HDF5 cannot append them.")
        if d.values is not None and d.size is not None and len(d.values) != d.size:
            raise ValueError(f"{d.path} has {len(d.values)} labels for a length of {d.size}.")
    growing: dict[str, str] = {}
    for d in schema.dimensions:
        if d.size is None and growing.setdefault(d.group, d.path) != d.path:
            raise ValueError(f"{growing[d.group]} and {d.path} both grow; only one dimension of a group may grow.")
    for v in schema.variables:
        _check_variable(v, dimensions)


def _check_variable(v: Variable, dimensions: Mapping[str, Dimension]) -> None:
    if v.dtype == "str":
        raise ValueError(f"{v.path}: only the labels of a dimension may be text; record numbers or bytes (u1).")
    for axis, name in enumerate(v.dims):
        d = dimensions.get(f"{v.group}/{name}")
        if d is None:
            raise ValueError(f"{v.path}: its dimension {name!r} is not declared as {v.group}/{name}.")
        if d.size is None and axis:
            raise ValueError(f"{v.path}: only its first dimension may grow, not {name!r}.")
        if d.size == 0 and dimensions[f"{v.group}/{v.dims[0]}"].size is None:
            raise ValueError(f"{v.path}: {name!r} has length 0; such an array cannot grow in HDF5.")
    for name, value in v.attributes.items():
        if name in OWN_TO_HDF5 | {"units", "long_name"}:
            raise ValueError(f"{v.path}: the attribute {name!r} is written by the store itself.")
        storable(name, value)


def _create_scale(file: h5py.File, d: Dimension) -> h5py.Dataset:
    if d.size is None:
        options = {"maxshape": (None,), "chunks": (LONGEST_CHUNK,), "fillvalue": FILL[d.dtype]}
        scale = file.create_dataset(d.path, (0,), d.dtype, **options)
    elif d.dtype == "str":
        labels = np.array([clean(str(value)) for value in d.values or ()], dtype=h5py.string_dtype())
        scale = file.create_dataset(d.path, data=labels, dtype=h5py.string_dtype())
    else:
        labels = np.arange(d.size) if d.values is None else np.array(d.values)
        scale = file.create_dataset(d.path, data=labels.astype(d.dtype), dtype=d.dtype)
    scale.make_scale(d.name)
    write_attributes(scale, {"units": d.units, "long_name": d.long_name})
    return scale


def _create_variable(file: h5py.File, v: Variable, dimensions: list[Dimension]) -> h5py.Dataset:
    shape = tuple(d.size or 0 for d in dimensions)
    grows = bool(dimensions) and dimensions[0].size is None
    options: dict[str, object] = {"fillvalue": FILL[v.dtype]}
    if grows:
        options["maxshape"] = (None, *shape[1:])
        options["chunks"] = chunk(shape[1:], np.dtype(v.dtype).itemsize, v.compress)
    elif v.compress and 0 not in shape and shape:
        options["chunks"] = _block(shape, np.dtype(v.dtype).itemsize)
    else:
        # disk space is allocated now: a run on a full disk fails at its start, not at its end
        early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        options["dcpl"] = early
    if v.compress and "chunks" in options:
        options |= {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    dataset = file.create_dataset(v.path, shape, v.dtype, **options)
    write_attributes(dataset, {"units": v.units, "long_name": v.long_name, **v.attributes})
    return dataset


def chunk(row: tuple[int, ...], itemsize: int, compress: bool) -> tuple[int, ...]:
    """The chunk shape of an array that grows by rows of shape ``row``.

    A compressed chunk holds at most one row: adding to it later would leave its old copy in the file as waste.
    """
    size = math.prod(row) * itemsize
    rows = 1 if compress else max(1, min(LONGEST_CHUNK, SMALL_CHUNK // max(size, 1)))
    return (rows, *_block(row, itemsize))


def _block(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """The shape of a block of at most 1 MiB, found by halving the slowest axes first."""
    block = list(shape)
    for axis in range(len(block)):
        while block[axis] > 1 and math.prod(block) * itemsize > LARGEST_CHUNK:
            block[axis] = -(-block[axis] // 2)
    return tuple(block)
