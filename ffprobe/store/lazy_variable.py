"""An array of a run file as an ``xarray.Variable``, read on demand; imported only if xarray is installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray
from xarray.backends import BackendArray
from xarray.core import indexing

from ffprobe.store.recorded import RecordedArray


class _InFile(BackendArray):
    """xarray's interface of a backend: shape, dtype, and indexing with at most one list, as in ``RecordedArray``."""

    def __init__(self, array: RecordedArray) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __deepcopy__(self, memo: object) -> _InFile:
        return self  # the array in the file never changes, so a copy is not needed

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        one_list = indexing.IndexingSupport.OUTER_1VECTOR
        return np.asarray(indexing.explicit_indexing_adapter(key, self.shape, one_list, self.array.__getitem__))


def lazy_variable(array: RecordedArray, attributes: Mapping[str, object]) -> xarray.Variable:
    """The array with the names of its dimensions; the file must be open when the values are read."""
    data: Any = indexing.LazilyIndexedArray(_InFile(array))
    return xarray.Variable(array.dims, data, dict(attributes))
