"""Arrays with their labels for xarray, pandas, a terminal and a notebook, compared with what h5py and xarray read."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from rich.console import Console

from ffprobe.errors import FileError, UsageError
from ffprobe.store.reader import RunFile, open_run
from ffprobe.store.recorded import RecordedArray


@pytest.fixture
def run(finished: Path) -> Iterator[RunFile]:
    with open_run(finished) as file:
        yield file


def printed(thing: object, width: int = 80) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(thing)
    return capture.get()


def test_a_run_is_a_mapping_of_its_arrays(run: RunFile) -> None:
    assert list(run) == run.paths() == run._ipython_key_completions_()
    assert "metrics/loss" in run and "metrics/los" not in run and 3 not in run
    np.testing.assert_array_equal(run["metrics/loss"][...], run.read("metrics/loss"))
    with pytest.raises(FileError, match="no 'metrics/los'"):
        run["metrics/los"]


def test_coordinates_are_the_labels_of_each_axis_in_the_file(run: RunFile, finished: Path) -> None:
    array = run["evaluation/goodness"]
    assert list(array.coordinates) == list(array.dims) == ["epoch", "layer", "sample", "label"]
    assert array.coordinates["label"][...].tolist() == ["cat", "dog", "Füchse"]
    with h5py.File(finished) as file:
        np.testing.assert_array_equal(array.coordinates["epoch"][...], file["evaluation/epoch"][:])
    scale = run["evaluation/label"]
    assert scale.coordinates == {"label": scale}


@pytest.mark.parametrize("group", ["metrics", "evaluation", "test", "activations/first/pre"])
def test_a_group_equals_what_xarray_reads_from_the_file(run: RunFile, finished: Path, group: str) -> None:
    theirs = xr.open_dataset(finished, group=group, engine="h5netcdf", mask_and_scale=False)
    ours = run.to_xarray(group)
    assert set(ours.variables) == set(theirs.variables)
    for name, variable in theirs.variables.items():
        assert ours[name].dims == variable.dims
        np.testing.assert_array_equal(ours[name].values, variable.values)
        assert ours[name].attrs.get("long_name") == variable.attrs.get("long_name")
    theirs.close()


def test_xarray_selects_by_label_and_reads_no_more(run: RunFile, monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[object] = []
    read = RecordedArray.__getitem__
    array = run["evaluation/goodness"]
    lazy = array.to_xarray()

    def record_key(self: RecordedArray, key: object) -> object:
        keys.append(key)
        return read(self, key)

    monkeypatch.setattr(RecordedArray, "__getitem__", record_key)
    cats = lazy.sel(label="cat", epoch=lazy.epoch[-1]).isel(sample=[1, 5])
    assert keys == []
    np.testing.assert_array_equal(cats.values, read(array, (-1, slice(None), [1, 5], 0)))
    assert [np.size(read(array, key)) for key in keys] == [cats.size]
    whole = read(array, ...)
    np.testing.assert_array_equal(lazy.where(lazy.label == "dog", drop=True).values, whole[..., 1:2])
    np.testing.assert_array_equal((lazy.copy(deep=True) * 2).values, whole * 2)
    assert lazy.name == "goodness"
    assert lazy.attrs["long_name"] == array.long_name


def test_pandas_has_the_labels_on_every_axis(run: RunFile) -> None:
    frame = run["metrics/loss"].to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert (frame.index.name, frame.columns.name) == ("epoch", "layer")
    assert list(frame.index) == [1, 2, 3] and list(frame.columns) == ["first", "zweite Schicht"]
    np.testing.assert_array_equal(frame.to_numpy(), run.read("metrics/loss"))
    series = run["evaluation/goodness"].to_pandas()
    whole = run.read("evaluation/goodness")
    assert series.index.names == ["epoch", "layer", "sample", "label"]
    epoch = run["evaluation/epoch"][-1]
    assert series.loc[epoch, "zweite Schicht", 7, "dog"] == whole[-1, 1, 7, 1]
    assert len(run["metrics/wall_time"].to_pandas()) == 3
    assert run["final/model_test_accuracy"].to_pandas().tolist() == [0.75]


@pytest.mark.parametrize("library", ["xarray", "pandas"])
def test_a_missing_library_is_named_with_its_extra(run: RunFile, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError) as error:
        getattr(run["metrics/loss"], f"to_{library}")()
    assert f"pip install 'ffprobe-nn[{library}]'" in error.value.hint


def test_a_broken_library_is_not_reported_as_missing(
    run: RunFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    cases = (("import no_such_part", "pandas requires no_such_part"), ("from os import no_name", "cannot be imported"))
    for body, message in cases:
        (tmp_path / "pandas.py").write_text(body)
        monkeypatch.delitem(sys.modules, "pandas", raising=False)
        importlib.invalidate_caches()
        with pytest.raises(UsageError, match=message):
            run["metrics/loss"].to_pandas()


def test_a_missing_group_is_named(run: RunFile) -> None:
    with pytest.raises(FileError, match="no arrays in the group 'metric'") as error:
        run.to_xarray("metric")
    assert "metrics" in error.value.hint


def test_a_closed_run_is_reported_as_closed_not_damaged(finished: Path) -> None:
    with open_run(finished) as run:
        array = run["metrics/loss"]
        run.paths()
    for ask in (lambda: array[0], lambda: run["metrics/loss"], lambda: run.read("steps/loss")):
        with pytest.raises(UsageError, match="was closed"):
            ask()
    assert "closed" in repr(run) and "closed" in printed(run)
    assert run._repr_html_() is None
    assert "loss" in repr(array) and "loss" in printed(array) and "loss" in array._repr_html_()


def test_the_view_of_a_run_shows_its_state_arrays_and_layers(run: RunFile) -> None:
    for text in (printed(run), run._repr_html_() or ""):
        assert f"{run.path.name}: finished, 3 epochs" in " ".join(text.replace(str(run.path.parent) + "/", "").split())
        assert "goodness(3, 2, 20, 3)" in " ".join(text.split())
        assert "zweite Schicht" in text


def test_the_view_of_an_array_shows_its_axes_and_their_first_and_last_labels(run: RunFile) -> None:
    array = run["evaluation/goodness"]
    for text in (printed(array), array._repr_html_()):
        assert "evaluation/goodness" in text and "float32" in text
        assert "cat, dog, Füchse" in text
        assert "0, 1, 2 … 19" in text
