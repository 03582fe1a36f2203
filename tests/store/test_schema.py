"""The file contains exactly what is declared, and other programs see the names and labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
import small_run
import xarray

from ffprobe.store.contents import contents
from ffprobe.store.layout import LARGEST_CHUNK, check_schema, chunk
from ffprobe.store.page import schema_page
from ffprobe.store.schema import Dimension, Schema, Variable, run_schema
from ffprobe.store.schema_reader import differences, normal, schema_of

GROUPS = sorted({v.group for v in small_run.schema().variables})


def test_the_file_contains_exactly_what_is_declared(finished: Path) -> None:
    declared = small_run.schema()
    with h5py.File(finished) as file:
        found = schema_of(file)
        assert set(contents(file).datasets) == declared.paths()
        assert not contents(file).refused
    assert found == normal(declared)
    assert differences(declared, found) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"layers": ("first",)},
        {"layers": ("first", "other")},
        {"test": 0},
        {"validation": 21},
        {"validation": 0},
        {"weights": {"first.weight": ((4, 3), "f8")}},
        {"activations": ()},
        {"probes": {}},
    ],
)
def test_differences_see_every_change_of_the_layout(changes: dict[str, object]) -> None:
    assert differences(run_schema(small_run.facts(**changes)), small_run.schema())


def test_differences_ignore_texts_and_attributes() -> None:
    assert differences(run_schema(small_run.facts(attributes={"seed": 8})), small_run.schema()) == []


def test_growing_dimensions_are_in_the_order_of_the_commit_record(finished: Path) -> None:
    with h5py.File(finished) as file:
        record = [name.decode() for name in file["commit/dimension"][:]]
        assert [d.path for d in schema_of(file).unlimited()] == record


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
@pytest.mark.parametrize("group", GROUPS)
def test_xarray_opens_every_group_with_names(finished: Path, group: str, engine: str) -> None:
    declared = {v.name: v for v in small_run.schema().variables if v.group == group}
    with xarray.open_dataset(finished, engine=engine, group=group) as data:
        assert set(data.data_vars) == set(declared)
        for name, variable in declared.items():
            assert data[name].dims == variable.dims
            assert data[name].attrs["units"] == variable.units
            assert data[name].attrs["long_name"] == variable.long_name
            data[name].load()
        if "layer" in data.dims:
            assert data["layer"].values.tolist() == list(small_run.LAYERS)


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_xarray_sees_the_numbers(finished: Path, engine: str) -> None:
    with xarray.open_dataset(finished, engine=engine, group="metrics") as data:
        loss = data["loss"].sel(layer="first", epoch=2).item()
        assert loss == small_run.epoch_rows(1)["metrics/loss"][0]
        assert np.isnan(data["learning_rate"]).all()
    with xarray.open_dataset(finished, engine=engine) as root:
        assert root.attrs["plugins"] == ["olu", "symba"]
        assert root.attrs["seed"] == 7


def test_netcdf4_reads_it(finished: Path) -> None:
    with netCDF4.Dataset(finished) as data:
        activation = data["activations/first/pre/activation"]
        assert activation.dimensions == ("epoch", "sample", "unit")
        assert data["activations/first/pre"].dimensions["epoch"].isunlimited()
        np.testing.assert_array_equal(activation[2], small_run.epoch_rows(2)["activations/first/pre/activation"])
        assert list(data["metrics/layer"][:]) == list(small_run.LAYERS)


def test_datatree_opens_all_at_once(finished: Path) -> None:
    with xarray.open_datatree(finished, engine="h5netcdf") as tree:
        assert tree["evaluation/goodness"].dims == ("epoch", "layer", "sample", "label")


def test_the_file_has_nothing_that_other_programs_cannot_read(finished: Path) -> None:
    with h5py.File(finished) as file:
        for path, dataset in contents(file).datasets.items():
            assert "units" in dataset.attrs, path
            assert dataset.compression in (None, "gzip"), path
            text = h5py.check_string_dtype(dataset.dtype)
            assert text is None or (text.length is None and text.encoding == "utf-8"), path
        assert file["activations/first/pre/activation"].shuffle
        assert file["activations/first/pre/activation"].compression_opts == 1


@pytest.mark.parametrize(
    ("dimensions", "variables", "says"),
    [
        ([Dimension("g/x", 2)], [Variable("g/v", ("y",))], "'y' is not declared as g/y"),
        ([Dimension("g/x", 2), Dimension("g/x", 3)], [], "g/x is declared twice"),
        ([Dimension("g/x", 2)], [Variable("g/x/v", ())], "as a group"),
        ([Dimension("g/x", None), Dimension("g/y", None)], [], "both grow"),
        ([Dimension("g/x", 2), Dimension("g/y", None)], [Variable("g/v", ("x", "y"))], "only its first"),
        ([Dimension("g/x", None), Dimension("g/y", 0)], [Variable("g/v", ("x", "y"))], "length 0"),
        ([Dimension("g/x", None, "str")], [], "must be known before"),
        ([Dimension("g/x", 2, "str", ("one",))], [], "1 labels for a length of 2"),
        ([], [Variable("g/v", (), "str")], "may be text"),
        ([], [Variable("g/v", (), attributes={"units": "m"})], "'units'"),
        ([], [Variable("g/v", (), attributes={"a": {}})], "flat list"),
        ([], [Variable("v", ())], "GROUP/NAME"),
    ],
)
def test_an_inconsistent_schema_is_refused(dimensions: list[Dimension], variables: list[Variable], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_schema(Schema(tuple(dimensions), tuple(variables)))


def test_probe_dimension_declared_twice_and_differently() -> None:
    two = [Variable(name, ("x",), dimensions=(Dimension("x", n),)) for n, name in enumerate("ab", 2)]
    with pytest.raises(ValueError, match="probes/p/x is declared twice"):
        run_schema(small_run.facts(probes={"p": two}))


@pytest.mark.parametrize("row", [(), (2,), (12,), (12, 5000, 10), (12000, 2000), (1, 1, 10_000_000)])
def test_chunks_are_neither_tiny_nor_huge(row: tuple[int, ...]) -> None:
    for compress in (False, True):
        found = chunk(row, 4, compress)
        assert 1 <= np.prod(found) * 4 <= LARGEST_CHUNK
        assert len(found) == len(row) + 1
        assert all(c <= n for c, n in zip(found[1:], row, strict=True))
    assert chunk(row, 4, True)[0] == 1
    if np.prod(row) * 4 < 64:
        assert 256 <= chunk(row, 4, False)[0] <= 1024


def test_page_names_every_array() -> None:
    page = schema_page(small_run.schema())
    for path in small_run.schema().paths():
        group, _, name = path.rpartition("/")
        section = page.split(f"## `/{group}`\n")[1].split("\n## ")[0]
        assert f"| `{name}` |" in section
    assert "epoch\\*, layer" in page


def test_store_loads_without_torch(child: Callable[..., object]) -> None:
    code = "import sys, ffprobe.store.writer, ffprobe.store.repair, ffprobe.store.page; print('torch' in sys.modules)"
    out, error = child("-c", code).communicate(timeout=60)  # type: ignore[attr-defined]
    assert (out.strip(), error) == ("False", "")
