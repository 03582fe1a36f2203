"""The schema of an existing file, read from the file, and the differences between two schemas."""

from __future__ import annotations

import math
from collections.abc import Mapping

import h5py
import numpy as np

from ffprobe.errors import FileError
from ffprobe.store.attributes import plain, read_attributes, storable
from ffprobe.store.caps import MAX_LABELS, MAX_TEXT_LABELS
from ffprobe.store.commits import DIMENSION, grows
from ffprobe.store.contents import Contents, contents, dtype_name
from ffprobe.store.schema import Dimension, Schema, Variable
from ffprobe.store.text_labels import read_text


def schema_of(file: h5py.File, listed: Contents | None = None) -> Schema:
    """Reconstruct the schema of a file.

    Args:
        file: an open file written by :class:`ffprobe.store.writer.RunWriter`.
        listed: its contents, if they are already known.

    Returns:
        The schema in canonical order (see :func:`normal`); growing dimensions are in the order of the commit record's
        columns.

    Raises:
        FileError: an array has an axis without a scale in its own group, which ffprobe never writes.
    """
    listed = contents(file) if listed is None else listed
    dimensions, variables = [], []
    for path, dataset in listed.datasets.items():
        attributes = read_attributes(dataset)
        units, long_name = str(attributes.pop("units", "1")), str(attributes.pop("long_name", ""))
        dtype = dtype_name(dataset)
        assert dtype is not None  # contents() lists only known dtypes
        if dataset.is_scale:
            size = None if grows(dataset) else dataset.shape[0]
            dimensions.append(Dimension(path, size, dtype, _labels(path, dataset), units, long_name))
        else:
            compress = dataset.compression == "gzip"
            names = dims_of(path, dataset)
            variables.append(Variable(path, names, dtype, units, long_name, compress, attributes))
    groups = {path: attributes for path, group in listed.groups.items() if (attributes := read_attributes(group))}
    return normal(Schema(tuple(dimensions), tuple(variables), read_attributes(file), groups))


def dims_of(path: str, dataset: h5py.Dataset) -> tuple[str, ...]:
    """The names of a dataset's dimensions.

    Raises:
        FileError: an axis has no scale in the dataset's own group.
    """
    group, _, own = path.rpartition("/")
    if dataset.is_scale:
        return (own,)
    names = []
    for axis in range(dataset.ndim):
        scales = dataset.dims[axis]
        where, _, name = str(scales[0].name).strip("/").rpartition("/") if len(scales) else ("", "", "")
        if not name or where != group:
            raise FileError(
                f"Axis {axis} of {path} has no scale in its own group.", hint="ffprobe did not write this file."
            )
        names.append(name)
    return tuple(names)


def normal(schema: Schema) -> Schema:
    """The layout in canonical form, so that ``==`` compares what would be in the file.

    It is sorted by path, growing dimensions first and in the order of the commit record. Labels 0, 1, 2 ... become
    None; attributes have the types in which they are read; groups without attributes are omitted; variables of probes
    do not repeat their dimensions, which the schema lists itself.
    """
    record = next((d.values or () for d in schema.dimensions if d.path == DIMENSION), ())
    order = {str(path): column for column, path in enumerate(record)}

    def sort_key(d: Dimension) -> tuple[float, str]:
        return (order.get(d.path, len(order)) if d.size is None else math.inf, d.path)

    dimensions = [
        Dimension(d.path, d.size, d.dtype, _normal_labels(d), d.units, d.long_name)
        for d in sorted(schema.dimensions, key=sort_key)
    ]
    variables = [
        Variable(v.path, tuple(v.dims), v.dtype, v.units, v.long_name, v.compress, _normal_attributes(v.attributes))
        for v in sorted(schema.variables, key=lambda v: v.path)
    ]
    groups = {path: _normal_attributes(a) for path, a in sorted(schema.groups.items()) if a}
    return Schema(tuple(dimensions), tuple(variables), _normal_attributes(schema.attributes), groups)


def differences(declared: Schema, found: Schema) -> list[str]:
    """The differences between the arrays of two schemas, one sentence each; units, texts and attributes are ignored."""
    sentences = []
    expected, actual = _arrays(declared), _arrays(found)
    sentences += [f"{path} is not in the file" for path in sorted(expected.keys() - actual.keys())]
    sentences += [f"{path} is not declared" for path in sorted(actual.keys() - expected.keys())]
    for path in sorted(expected.keys() & actual.keys()):
        if expected[path] != actual[path]:
            sentences.append(f"{path} is {_short(actual[path])} in the file, declared as {_short(expected[path])}")
    return sentences


def _arrays(schema: Schema) -> dict[str, tuple[object, ...]]:
    schema = normal(schema)
    scales: dict[str, tuple[object, ...]] = {d.path: (d.size, d.dtype, d.values) for d in schema.dimensions}
    return scales | {v.path: (v.dims, v.dtype) for v in schema.variables}


def _short(array: tuple[object, ...]) -> str:
    text = " ".join(str(item) for item in array if item is not None)
    return text if len(text) < 120 else f"{text[:117]}..."


def _labels(path: str, dataset: h5py.Dataset) -> tuple[object, ...] | None:
    if grows(dataset):
        return None
    limit = MAX_TEXT_LABELS if dtype_name(dataset) == "str" else MAX_LABELS
    if dataset.ndim != 1 or dataset.shape[0] > limit:
        raise FileError(f"The scale {path} has shape {dataset.shape}.", hint="ffprobe did not write this file.")
    if dtype_name(dataset) == "str":
        return tuple(str(label) for label in read_text(path, dataset))
    return _counted(dataset[:])


def _counted(values: np.ndarray) -> tuple[object, ...] | None:
    """None for 0, 1, 2 ..., the labels of a dimension without given labels."""
    return None if np.array_equal(values, np.arange(len(values))) else tuple(values.tolist())


def _normal_labels(d: Dimension) -> tuple[object, ...] | None:
    if d.values is None or d.size is None:
        return None
    return tuple(str(value) for value in d.values) if d.dtype == "str" else _counted(np.array(d.values, d.dtype))


def _normal_attributes(attributes: Mapping[str, object]) -> dict[str, object]:
    return {name: plain(storable(name, value)) for name, value in sorted(attributes.items())}
