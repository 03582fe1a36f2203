"""Arrays of a run file as xarray and pandas objects, with their labels; both libraries are optional."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ffprobe.errors import FileError, UsageError

if TYPE_CHECKING:
    import pandas
    import xarray

    from ffprobe.store.reader import RunFile
    from ffprobe.store.recorded import RecordedArray


def library(name: str) -> Any:
    """Import an optional library.

    Raises:
        UsageError: the library is not installed or cannot be imported; the hint has the command that installs it.
    """
    hint = f"Install it with `pip install 'ffprobe-nn[{name}]'`."
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            raise UsageError(f"{name} is not installed.", hint=hint) from error
        raise UsageError(f"{name} requires {error.name}, which is not installed.", hint=hint) from error
    except ImportError as error:
        raise UsageError(f"{name} cannot be imported: {error}.", hint=hint) from error


def data_array(array: RecordedArray) -> xarray.DataArray:
    """The array as an xarray.DataArray: labels as coordinates, values read on demand."""
    xr = library("xarray")
    return xr.DataArray(_variable(array), _coordinates(array), name=array.path.rpartition("/")[2])


def data_set(run: RunFile, group: str) -> xarray.Dataset:
    """The arrays of one group as an xarray.Dataset; labels are read now, all other values on demand."""
    xr = library("xarray")
    group = group.strip("/")
    paths = [path for path in run.paths() if path.rpartition("/")[0] == group]
    if not paths:
        raise FileError(
            f"The run file has no arrays in the group {group!r}.",
            where=str(run.path),
            hint=f"It has these groups: {', '.join(sorted({path.rpartition('/')[0] for path in run.paths()}))}.",
        )
    names = {path.rpartition("/")[2]: run.variable(path) for path in paths}
    scales = {name for name, array in names.items() if array.dims == (name,)}
    coordinates = {name: _variable(array) for name, array in names.items() if name in scales}
    data = {name: _variable(array) for name, array in names.items() if name not in scales}
    return xr.Dataset(data, coordinates, run.group_attributes(group) if group else {})


def series_or_frame(array: RecordedArray) -> pandas.Series[Any] | pandas.DataFrame:
    """The array for pandas, read in full: a DataFrame for two axes, otherwise a Series."""
    pd = library("pandas")
    labels = [_labels(array, axis) for axis in range(array.ndim)]
    indexes = [pd.Index(values, name=name) for values, name in zip(labels, array.dims, strict=True)]
    name = array.path.rpartition("/")[2]
    result: Any
    if array.ndim == 2:
        result = pd.DataFrame(array[...], *indexes)
    elif array.ndim > 2:
        result = pd.Series(array[...].reshape(-1), pd.MultiIndex.from_product(indexes), name=name)
    else:
        result = pd.Series(array[...].reshape(-1), *indexes, name=name)
    result.attrs.update(_attributes(array))
    return result


def _variable(array: RecordedArray) -> xarray.Variable:
    from ffprobe.store.lazy_variable import lazy_variable

    return lazy_variable(array, _attributes(array))


def _coordinates(array: RecordedArray) -> dict[str, xarray.Variable]:
    return {name: _variable(scale) for name, scale in array.coordinates.items()}


def _labels(array: RecordedArray, axis: int) -> Any:
    scale = array.coordinates.get(array.dims[axis])
    return range(array.shape[axis]) if scale is None else scale[...]


def _attributes(array: RecordedArray) -> dict[str, object]:
    given = {"units": array.units, "long_name": array.long_name}
    return {**{name: text for name, text in given.items() if text}, **array.attributes}
