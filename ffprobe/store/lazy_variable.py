"""An array of a run file inside an ``xarray.Variable``, read when it is used; imported only where xarray is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray
from xarray.backends import BackendArray
from xarray.core import indexing

from ffprobe.store.recorded import RecordedArray


class _InFile(BackendArray):
    """What xarray asks of a backend: shape, dtype, and indexing by one list at a time, as ours does."""

    def __init__(self, array: RecordedArray) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __deepcopy__(self, memo: object) -> _InFile:
        return self  # xarray copies before it changes; what is in the file never changes

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        one_list = indexing.IndexingSupport.OUTER_1VECTOR
        return np.asarray(indexing.explicit_indexing_adapter(key, self.shape, one_list, self.array.__getitem__))


def lazy_variable(array: RecordedArray, attributes: Mapping[str, object]) -> xarray.Variable:
    """The array with its dimensions' names; the file must be open when its numbers are used."""
    data: Any = indexing.LazilyIndexedArray(_InFile(array))
    return xarray.Variable(array.dims, data, dict(attributes))
