"""Documents for the page: plain values only, text without control characters, None for what is not a number."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ffprobe.display import plain_text
from ffprobe.errors import FileError

DIGITS = 6
"""Significant digits of numbers from arrays: float32 has 7, and a chart shows 4."""
MAX_NUMBERS = 4_000_000
"""Numbers of one array in a document: about 40 MB of JSON, which a browser still parses."""
MAX_TEXT = 20_000
"""Characters of one text in a document; a resolved config has 3,000."""


def plain(value: Any) -> Any:
    """A copy of nested values that JSON can express and that is safe to show.

    Args:
        value: None, bool, numbers, text, paths, numpy scalars and arrays, and mappings and sequences of these. NaN and
            infinities become None; numbers of arrays have 6 significant digits; control characters in text become
            visible escapes; a very long text is cut.

    Raises:
        FileError: an array is too large for a browser.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, Mapping):
        return {_text(str(key)): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    return _text(str(value))


def json_bytes(document: Any) -> bytes:
    """A document as compact ASCII JSON; call ``plain`` first."""
    return json.dumps(document, allow_nan=False, separators=(",", ":")).encode("ascii")


def _text(text: str) -> str:
    shown = plain_text(text[:MAX_TEXT])
    return shown if len(text) <= MAX_TEXT else f"{shown}… ({len(text):,} characters)"


def _array(array: np.ndarray) -> Any:
    if array.size > MAX_NUMBERS:
        raise FileError(f"An array of {array.size:,} numbers is too large for the page.", hint="Read it in Python.")
    if array.dtype.kind in "biu":
        return array.tolist()
    if array.dtype.kind != "f":
        return [plain(inner) for inner in array.tolist()] if array.ndim else plain(array.item())
    if not array.ndim:
        return plain(_rounded(float(array)))
    flat = [_rounded(number) for number in array.ravel().tolist()]
    return _shaped(flat, array.shape)


def _rounded(number: float) -> float | None:
    return float(f"{number:.{DIGITS}g}") if math.isfinite(number) else None


def _shaped(flat: list[Any], shape: tuple[int, ...]) -> list[Any]:
    for length in reversed(shape[1:]):
        if not length:
            return [[] for _ in range(shape[0])]
        flat = [flat[start : start + length] for start in range(0, len(flat), length)]
    return flat
