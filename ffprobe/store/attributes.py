"""Conversion between HDF5 attributes and plain Python values: str, int, float, and flat lists of one of them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import h5py
import numpy as np

from ffprobe.store.caps import MAX_ATTRIBUTE, MAX_TEXT_ATTRIBUTE

OWN_TO_HDF5 = frozenset({"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "DIMENSION_LABELS"})
"""Attributes of HDF5's dimension scales; a schema does not declare them, and they are not reported."""


def write_attributes(target: h5py.HLObject, attributes: Mapping[str, object]) -> None:
    """Write every attribute of a group or dataset.

    Raises:
        ValueError: a value is not a str, a number or a flat list of one of them; the message names it.
    """
    for name, value in attributes.items():
        target.attrs[name] = storable(name, value)


def storable(name: str, value: object) -> str | np.generic | np.ndarray:
    """The value in a form that h5py writes and netCDF4 reads: vlen UTF-8, int64, float64; bools become 0 or 1."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, (bool, int, np.bool_, np.integer)):
        return np.int64(value)
    if isinstance(value, (float, np.floating)):
        return np.float64(value)
    if isinstance(value, (list, tuple, np.ndarray)):
        items = list(value)
        if all(isinstance(item, str) for item in items):  # an empty list too
            return np.array([clean(item) for item in items], dtype=h5py.string_dtype())
        if all(isinstance(item, (bool, int, np.bool_, np.integer)) for item in items):
            return np.array(items, dtype="i8")
        if all(isinstance(item, (bool, int, float, np.bool_, np.integer, np.floating)) for item in items):
            return np.array(items, dtype="f8")
    raise ValueError(f"The attribute {name!r} must be a str, a number or a flat list of one of them, not {value!r}.")


def clean(text: str) -> str:
    """The text as valid UTF-8 without NUL; HDF5 and netCDF reject anything else."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0")


def read_attributes(source: h5py.HLObject) -> dict[str, object]:
    """Every attribute that is text or numbers, decoded.

    Attributes of HDF5 itself, of other types, or with more elements than any run writes are skipped.
    """
    values: dict[str, object] = {}
    attributes = source.attrs  # h5py creates a new object at each access
    for name in attributes:
        if name in OWN_TO_HDF5:
            continue
        try:
            handle = attributes.get_id(name)
            limit = MAX_TEXT_ATTRIBUTE if handle.dtype.kind == "O" else MAX_ATTRIBUTE
            if handle.dtype.kind not in "iufSO" or math.prod(handle.shape or ()) > limit:
                continue
            value = attributes[name]
        except (OSError, TypeError, KeyError, UnicodeDecodeError):
            continue
        if (simple := plain(value)) is not None:
            values[name] = simple
    return values


def plain(value: object) -> object | None:
    """A value read by h5py as str, int, float or list; None for any other type, such as a reference."""
    if isinstance(value, h5py.Empty):
        return []
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, (str, int, float)):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, (np.integer, np.floating)):
        return value.item()
    if isinstance(value, np.ndarray) and value.ndim <= 1:
        items = [plain(item) for item in value]
        return None if any(item is None for item in items) else items
    return None
