"""The file of a real run matches its declared schema and opens in every supported reader."""

from __future__ import annotations

import h5py
import netCDF4
import numpy as np
import pytest
import xarray
from toy import toy_config

import ffprobe
from ffprobe.plugin.registry import Registry
from ffprobe.store.schema import run_schema
from ffprobe.store.schema_reader import differences, normal
from ffprobe.training.experiment import build
from ffprobe.training.session import Session


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    registry = Registry()
    made = Session.start(toy_config(registry, "olu", "batchnorm"), registry, tmp_path_factory.mktemp("run") / "run.h5")
    made.run()
    return made


def test_the_file_is_the_schema_in_both_directions(session: Session) -> None:
    assert session.prepared.metadata is not None
    declared = run_schema(session.prepared.metadata)
    with ffprobe.open(session._out) as run:
        assert set(run.paths()) == declared.paths()
        assert normal(run.schema) == normal(declared)
        assert list(differences(run.schema, declared)) == []


def test_every_number_has_a_unit_and_a_name(session: Session) -> None:
    with ffprobe.open(session._out) as run:
        for path in run.paths():
            variable = run.variable(path)
            assert variable.long_name or path.startswith("weights/"), path
            assert variable.units or variable.dtype.kind == "O", path


def test_everything_that_was_declared_is_recorded(session: Session) -> None:
    with ffprobe.open(session._out) as run:
        assert run.read("metrics/epoch").tolist() == [1, 2]
        assert run.read("steps/step").tolist() == list(range(8))
        loss = run.read("steps/loss")
        assert np.isnan(loss[0]).tolist() == [
            True,
            False,
            True,
        ]  # olu, step 0: layers 1 and 2 learn from layer 2's loss
        assert np.isnan(loss[1]).tolist() == [False, True, False]
        assert run.read("evaluation/goodness").shape[0] == 2
        assert np.isfinite(run.read("test/goodness")).all()
        accuracy = (run.read("test/goodness")[-1].argmax(1) == run.read("test/true_label")).mean()
        assert run.read("final/test_accuracy")[-1] == pytest.approx(accuracy)
        assert run.read("activations/0/pre/epoch").tolist() == [0, 2]
        assert run.attributes["test_set_read"] == "once, at the end"
        assert {"seed", "command", "torch_version", "plugins", "dataset_sha256", "device"} <= set(run.attributes)


def test_the_norms_of_the_untrained_weights_are_recorded(session: Session) -> None:
    config = session.experiment.config
    layers = build(config, session.experiment.registry).network  # untrained
    weights = [layers.layer(i).weight.detach().numpy() for i in range(layers.depth)]
    with ffprobe.open(session._out) as run:
        norms = [np.sqrt((w.astype(float) ** 2).sum()) for w in weights]
        np.testing.assert_allclose(run.read("initial/weight_norm"), norms, rtol=1e-6)
        np.testing.assert_array_equal(run.read("initial/weight_maximum"), [abs(w).max() for w in weights])
        assert (run.read("metrics/weight_norm")[0] != run.read("initial/weight_norm")).all()


def test_the_weights_rebuild_the_network(session: Session) -> None:
    import torch

    with ffprobe.open(session._out) as run:
        paths = [p for p in run.paths() if p.startswith("weights/") and ".axis" not in p]
        state = {p.removeprefix("weights/").replace("/", ".", 1): torch.as_tensor(run.read(p)) for p in paths}
    network = session.experiment.network
    assert set(state) == set(network.named_state())
    assert all(torch.equal(state[name], value) for name, value in network.named_state().items())


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_xarray_opens_every_group_with_named_dimensions(session: Session, engine: str) -> None:
    with h5py.File(session._out) as file:
        groups: list[str] = []
        file.visititems(lambda name, item: groups.append(name) if isinstance(item, h5py.Group) else None)
    for group in groups:
        with xarray.open_dataset(session._out, engine=engine, group=group) as data:
            assert not any(str(name).startswith("phony") for name in data.dims), group
    with xarray.open_dataset(session._out, engine=engine, group="metrics") as data:
        assert data["loss"].sel(layer="0").shape == (2,)
        assert data["loss"].attrs["long_name"]


def test_netcdf4_opens_it(session: Session) -> None:
    with netCDF4.Dataset(session._out) as data:
        assert data["metrics/loss"].dimensions == ("epoch", "layer")
        assert data["activations/0/pre/activation"].dimensions == ("epoch", "sample", "unit")
