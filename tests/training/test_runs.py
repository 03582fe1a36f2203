"""Whole toy runs: determinism, observers, failing plugins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plugin_files import DROPOUT, normalizer, write
from toy import toy_config

import ffprobe
from ffprobe.errors import FfprobeError, PluginError
from ffprobe.plugin.registry import Registry
from ffprobe.training.session import Session

OLU = ("olu", "batchnorm", "symba")


def session(out: Path, *plugins: str, observers: Any = (), **changes: Any) -> Session:
    registry = Registry()
    return Session.start(toy_config(registry, *plugins, **changes), registry, out, observers=observers)


def state(made: Session) -> dict[str, torch.Tensor]:
    experiment = made.experiment
    found = dict(experiment.network.state_dict())
    for group, optimizer in experiment.learner.state_dict().items():
        for index, moments in optimizer["state"].items():
            found |= {f"{group}/{index}/{k}": v for k, v in moments.items()}
    return found | {f"stream/{k}": v.get_state() for k, v in experiment.streams.items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return set(first) == set(second) and all(torch.equal(first[k], second[k]) for k in first)


class Watcher:
    def __init__(self) -> None:
        self.calls: list[str] = []

    @ffprobe.hookimpl
    def ffprobe_after_update(self, context: Any) -> None:
        self.calls.append("update")
        torch.rand(1)  # must not change the run's streams: the plugin below draws from the same generator

    @ffprobe.hookimpl
    def ffprobe_after_step(self, context: Any) -> None:
        self.calls.append("step")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Session:
    made = session(tmp_path_factory.mktemp("plain") / "run.h5", *OLU, probes=[])
    made.run()
    return made


def test_two_runs_of_one_seed_are_bit_identical(tmp_path: Path, plain: Session) -> None:
    again = session(tmp_path / "run.h5", *OLU, probes=[])
    again.run()
    assert same(state(plain), state(again))


def test_two_files_of_one_seed_differ_only_in_times(tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        session(tmp_path / name, *OLU).run()
    with ffprobe.open(tmp_path / "a.h5") as one, ffprobe.open(tmp_path / "b.h5") as two:
        assert one.paths() == two.paths()
        for path in one.paths():
            if not any(part in path for part in ("wall_time", "images_per_second", "peak_memory")):
                np.testing.assert_array_equal(one.read(path), two.read(path), err_msg=path)
        first, second = dict(one.attributes), dict(two.attributes)
        for attributes in (first, second):
            attributes.pop("created_utc")
        assert first == second


def test_observers_change_nothing(tmp_path: Path, plain: Session) -> None:
    watcher = Watcher()
    watched = session(tmp_path / "run.h5", *OLU, "probes", "layers", observers=[("watcher", watcher)])
    watched.run()
    assert {"update", "step"} == set(watcher.calls)
    assert same(state(plain), state(watched))


SANDBOX_PROBES = (
    "gradients:sandbox_every=1",
    "scaling:sandbox_every=1",
    "negatives:sandbox_every=1",
    "locality:every=1",
)


@pytest.mark.parametrize("plugins", [OLU, ("drop.py",)], ids=["olu", "dropout"])
def test_no_registered_probe_changes_a_number(tmp_path: Path, plugins: tuple[str, ...]) -> None:
    if plugins != OLU:
        plugins = (write(tmp_path, DROPOUT, "drop.py"),)
    eager = {spec.partition(":")[0]: spec for spec in SANDBOX_PROBES}
    probes = [eager.get(name, name) for name in ffprobe.registered("probe")]
    assert {"layers", "probes", *eager} <= {spec.partition(":")[0] for spec in probes}
    # the activations that a probe needs are recorded in both runs
    changes: Any = {"recording": {"activations": True}}
    alone = session(tmp_path / "a.h5", *plugins, probes=[], **changes)
    watched = session(tmp_path / "b.h5", *plugins, *probes, **changes)
    alone.run()
    watched.run()
    assert same(state(alone), state(watched))
    first, second = alone.experiment.components["loss"], watched.experiment.components["loss"]
    assert first.state_dict() == second.state_dict()
    with ffprobe.open(tmp_path / "a.h5") as one, ffprobe.open(tmp_path / "b.h5") as two:
        assert two.messages() == []
        assert len({p.split("/")[1] for p in two.paths() if p.startswith("probes/")}) >= 4
        for path in one.paths():
            if not any(part in path for part in ("wall_time", "images_per_second", "peak_memory", "commit/")):
                np.testing.assert_array_equal(one.read(path), two.read(path), err_msg=path)


def test_observers_change_no_random_stream(tmp_path: Path) -> None:
    plugin = write(tmp_path, DROPOUT)
    alone = session(tmp_path / "a.h5", plugin, probes=[])
    watched = session(tmp_path / "b.h5", plugin, observers=[("watcher", Watcher())])
    alone.run()
    watched.run()
    assert same(state(alone), state(watched))


def test_another_seed_is_another_run(tmp_path: Path, plain: Session) -> None:
    other = session(tmp_path / "run.h5", *OLU, probes=[], seed=1)
    assert not same(state(plain), state(other))


def test_under_olu_a_layer_belongs_to_two_optimizers(plain: Session) -> None:
    groups = plain.experiment.learner.state_dict()
    assert set(groups) == {"0-1", "0-2", "1-3"}
    encoder = plain.experiment.network.encoder.embedding
    assert encoder.requires_grad  # learned, since groups overlap
    assert not torch.equal(groups["0-1"]["state"][0]["exp_avg"], groups["0-2"]["state"][0]["exp_avg"])


def test_a_greedy_run_leaves_the_embedding_at_its_random_start(tmp_path: Path) -> None:
    made = session(tmp_path / "run.h5", "symba", "batchnorm", probes=[])
    before = made.experiment.network.encoder.embedding.clone()
    made.run()
    assert torch.equal(before, made.experiment.network.encoder.embedding)


def test_a_failing_observer_is_switched_off_and_logged_in_the_file(tmp_path: Path) -> None:
    class Bad:
        @ffprobe.hookimpl
        def ffprobe_after_step(self, context: Any) -> None:
            raise RuntimeError("out of paper")

    session(tmp_path / "run.h5", observers=[("printer", Bad())]).run()
    with ffprobe.open(tmp_path / "run.h5") as run:
        ((step, message),) = run.messages()
    assert step == 0
    assert message == "printer failed in ffprobe_after_step at step 0 and was switched off: RuntimeError: out of paper"


def test_an_observer_that_returns_something_is_switched_off(tmp_path: Path) -> None:
    class Chatty:
        @ffprobe.hookimpl
        def ffprobe_after_epoch(self, context: Any) -> int:
            return 3

    session(tmp_path / "run.h5", observers=[("chatty", Chatty())]).run()
    with ffprobe.open(tmp_path / "run.h5") as run:
        assert "observers must return nothing" in run.messages()[0][1]


def test_a_component_that_fails_in_build_is_named(tmp_path: Path) -> None:
    plugin = write(tmp_path, normalizer(build="raise ValueError('odd shape')"))
    with pytest.raises(PluginError, match=r"'mine' failed while building the network: ValueError: odd shape.*mine\.py"):
        session(tmp_path / "run.h5", plugin)
    assert not (tmp_path / "run.h5.partial").exists()


def test_a_component_that_fails_in_forward_is_named(tmp_path: Path) -> None:
    body = "self.calls = getattr(self, 'calls', 0) + self.training\n"
    body += "                assert self.calls < 3, 'too long'\n                return x"
    plugin = write(tmp_path, normalizer(body))
    with pytest.raises(FfprobeError, match="'mine' failed while training: AssertionError: too long") as caught:
        session(tmp_path / "run.h5", plugin).run()
    assert caught.value.exit_code == 1
    assert not (tmp_path / "run.h5").exists()
    assert (tmp_path / "run.h5.partial").exists()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("assert not (self.training and x.shape[0] > 2), 'too long'", "'mine' failed while trying the first batch"),
        ("pass", "'mine' breaks its contract on the first batch: layer 1's normalized value is NoneType"),
    ],
    ids=["raises", "returns-nothing"],
)
def test_a_component_that_fails_the_sanity_check_is_named_and_leaves_no_file(
    tmp_path: Path, body: str, message: str
) -> None:
    plugin = write(tmp_path, normalizer(body if body == "pass" else f"{body}\n                return x"))
    with pytest.raises(FfprobeError, match=message):
        session(tmp_path / "run.h5", plugin)
    assert not list(tmp_path.glob("run.h5*"))


def test_a_loss_that_is_not_finite_stops_the_run_with_layer_and_step(tmp_path: Path) -> None:
    body = "self.calls = getattr(self, 'calls', 0) + self.training\n"
    body += "                return x * (float('nan') if self.calls > 5 else 1)"
    with pytest.raises(FfprobeError, match=r"not finite.*layer 1, step 5, epoch 2.*last good epoch is 1"):
        session(tmp_path / "run.h5", write(tmp_path, normalizer(body)), "greedy").run()
    with ffprobe.open(tmp_path / "run.h5.partial") as run:
        assert run.epochs == 1


def test_a_class_form_loss_trains_in_one_pass(tmp_path: Path) -> None:
    text = """
import torch
from torch import nn
import ffprobe

class GroupSquare(ffprobe.Goodness):
    name = "group-square"
    form = "class"
    def build(self, shape, classes):
        class Module(nn.Module):
            def forward(self, h):
                parts = h.flatten(1).float().square().tensor_split(classes, dim=1)
                return torch.stack([p.mean(dim=1) for p in parts], dim=1)
        return Module()

class Cross(ffprobe.Loss):
    name = "cross"
    form = "class"
    def __call__(self, goodness, labels, context):
        return nn.functional.cross_entropy(goodness, labels)

@ffprobe.hookimpl
def ffprobe_components(): return [GroupSquare, Cross]
"""
    made = session(tmp_path / "run.h5", write(tmp_path, text), "batchnorm", training={"epochs": 3})
    made.run()
    with ffprobe.open(tmp_path / "run.h5") as run:
        assert run.read("evaluation/goodness").shape[-1] == 10
        assert run.read("metrics/loss")[-1].mean() < run.read("metrics/loss")[0].mean()


def test_a_probe_records_variables_of_its_own(tmp_path: Path) -> None:
    text = '''
import ffprobe

class Norms(ffprobe.Probe):
    """Weight norms."""
    name = "norms"
    def variables(self, run):
        dims = (ffprobe.Dimension("step", None), ffprobe.Dimension("layer", len(run.layers)))
        return [ffprobe.Variable("norm", ("step", "layer"), dimensions=dims), ffprobe.Variable("first", ())]
    @ffprobe.hookimpl
    def ffprobe_before_run(self, context):
        context.record("first", 7.0)
    @ffprobe.hookimpl
    def ffprobe_after_step(self, context):
        stack = context.run.network
        context.record("norm", [float(stack.layer(i).weight.detach().norm()) for i in range(stack.depth)])
    def analyze(self, runs): return None

@ffprobe.hookimpl
def ffprobe_components(): return [Norms]
'''
    session(tmp_path / "run.h5", write(tmp_path, text)).run()
    with ffprobe.open(tmp_path / "run.h5") as run:
        assert run.messages() == []
        assert run.read("probes/norms/norm").shape == (8, 3)
        assert run.read("probes/norms/first") == 7
