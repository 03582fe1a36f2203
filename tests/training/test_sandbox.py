"""A sandbox is a copy of the run: it has the run's state, draws its own random numbers, and does not change the run."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from plugin_files import DROPOUT, write
from toy import toy_config

import ffprobe
from ffprobe.hookspecs import EpochContext, RunContext
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import Experiment, build
from ffprobe.training.resume import experiment_state
from ffprobe.training.sandbox import sandbox

OLU = ("olu", "batchnorm", "symba")


def experiment(*plugins: str, **changes: Any) -> Experiment:
    registry = Registry()
    return build(toy_config(registry, *plugins, **changes), registry)


def flat(state: Any, path: str = "") -> dict[str, Any]:
    if isinstance(state, dict | list | tuple):
        parts = state.items() if isinstance(state, dict) else enumerate(state)
        return {k: v for key, item in parts for k, v in flat(item, f"{path}/{key}").items()}
    return {path: state.clone() if isinstance(state, torch.Tensor) else state}


def assert_same(one: dict[str, Any], two: dict[str, Any]) -> None:
    assert set(one) == set(two)
    for key, value in one.items():
        assert torch.equal(value, two[key]) if isinstance(value, torch.Tensor) else value == two[key], key


def trained(made: Experiment, steps: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    made.learner.set_learning_rate(0.01)
    for step, (images, labels, _) in zip(range(steps), made.loader, strict=False):
        for _ in made.learner.step(images, labels, step, 0):
            pass
    return images, labels


@pytest.mark.parametrize("plugins", [OLU, ("greedy", "length")], ids=["olu", "greedy"])
def test_the_run_does_not_change(plugins: tuple[str, ...]) -> None:
    made = experiment(*plugins)
    batch = trained(made)
    before = flat(experiment_state(made))
    for _ in range(2):
        with sandbox(made, 3) as copy:
            torch.rand(3)
            for _ in copy.learner.step(*batch, 3, 0):
                for parameter in copy.network.parameters():
                    parameter.data.add_(1)
    assert_same(before, flat(experiment_state(made)))
    assert all(p.grad is None for p in made.network.parameters())


def test_a_loss_that_counts_and_dropout_do_not_change(tmp_path: Path) -> None:
    made = experiment(write(tmp_path, DROPOUT))
    batch = trained(made)
    before = flat(experiment_state(made))
    with sandbox(made, 3) as copy:
        list(copy.learner.step(*batch, 3, 0))
        assert copy.setup.loss.calls > made.components["loss"].calls > 0
    assert_same(before, flat(experiment_state(made)))


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_weights_of_the_copy_stay_and_gradients_appear(optimizer: str) -> None:
    made = experiment(*OLU, training={"optimizer": optimizer, "weight_decay": 0.1})
    batch = trained(made)
    with sandbox(made, 3) as copy:
        assert copy.network.training
        assert copy.network is copy.setup.network is not made.network
        assert all(p.grad is None for p in copy.network.parameters())
        for update in copy.learner.step(*batch, 3, 0):
            assert all(copy.network.layer(i).weight.grad.abs().sum() > 0 for i in update.layers)
        for one, two in zip(copy.network.parameters(), made.network.parameters(), strict=True):
            assert torch.equal(one, two)
            assert one.data_ptr() != two.data_ptr()


def test_its_gradient_is_that_of_the_loss_at_the_runs_weights() -> None:
    made = experiment("greedy", "length", "symba", precision="fp64")
    images, labels = trained(made)
    with sandbox(made, 3) as copy:
        found = {}
        for update in copy.learner.step(images, labels, 3, 0):
            found[update.loss_layer] = copy.network.layer(update.loss_layer).weight.grad.clone()
    with sandbox(made, 3) as copy:
        wrong = copy.setup.negatives(images, labels, 10, copy.setup.generator)
    x = made.network.encode(torch.cat([images, images]), torch.cat([labels, wrong])).detach()
    for index in range(made.network.depth):
        layer = made.network.layer(index)
        activation = layer(x)
        goodness = activation.flatten(1).square().mean(1)
        gap = goodness[: len(images)] - goodness[len(images) :]
        loss = torch.log1p(torch.exp(-4 * gap)).mean()
        (gradient,) = torch.autograd.grad(loss, layer.weight)
        torch.testing.assert_close(found[index], gradient)
        x = activation.detach()


def test_what_it_draws_depends_on_seed_and_step_alone() -> None:
    def draw(made: Experiment, step: int) -> tuple[list[int], list[float]]:
        with sandbox(made, step) as copy:
            own = torch.randint(1000, (8,), generator=copy.setup.generator)
            return own.tolist(), torch.rand(3).tolist()

    made = experiment()
    first = draw(made, 5)
    trained(made)
    torch.rand(100)
    assert draw(made, 5) == first
    assert draw(experiment(), 5) == first
    for other in (draw(made, 6), draw(experiment(seed=1), 5)):
        assert other[0] != first[0]
        assert other[1] != first[1]


def test_the_global_generator_is_as_it_was() -> None:
    made = experiment()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with suppress(ValueError), sandbox(made, 1):
        torch.rand(5)
        raise ValueError("a probe that fails in the sandbox")
    assert torch.equal(torch.get_rng_state(), before)


def test_there_is_no_sandbox_outside_of_a_run() -> None:
    context = RunContext({}, (), (), 1, 1)
    with pytest.raises(RuntimeError, match="does not belong to a run in progress"):
        context.sandbox()


@pytest.mark.parametrize(
    ("every", "epochs"), [(10, [3, 5]), (3, [1, 2, 3, 4, 5]), (7, [2, 4, 5]), (1000, [5])], ids=str
)
def test_a_measurement_is_due_every_n_steps(every: int, epochs: list[int]) -> None:
    run = RunContext({}, (), (), epochs=5, steps_per_epoch=4)
    # after 4, 8, 12, 16, 20 steps; always after the last
    assert [e + 1 for e in range(5) if EpochContext(run, e, 4 * (e + 1)).due(every)] == epochs


def test_a_probe_gets_the_last_batch_and_may_use_a_sandbox(tmp_path: Path) -> None:
    from ffprobe.training.session import Session

    records: list[Any] = []

    class Watcher:
        @ffprobe.hookimpl
        def ffprobe_after_step(self, context: Any) -> None:
            records.append((context.images.clone(), context.labels.clone()))

        @ffprobe.hookimpl
        def ffprobe_after_epoch(self, context: Any) -> None:
            assert torch.equal(context.images, records[-1][0])
            assert torch.equal(context.labels, records[-1][1])
            with context.run.sandbox() as copy:
                assert isinstance(copy, ffprobe.Sandbox)
                records.append(copy.setup.generator.initial_seed())
            with sandbox(made.experiment, context.step) as copy:
                assert records[-1] == copy.setup.generator.initial_seed()

    registry = Registry()
    made = Session.start(toy_config(registry, *OLU), registry, tmp_path / "run.h5", observers=[("watcher", Watcher())])
    made.run()
    with ffprobe.open(tmp_path / "run.h5") as run:
        assert run.messages() == []
    assert sum(isinstance(item, int) for item in records) == 2


def test_a_rule_that_draws_initial_weights_does_not_draw_them_again() -> None:
    made = experiment("no-label", "other-image", "soft-hebb", "one-pass")
    before = {name: value.clone() for name, value in made.network.state_dict().items()}
    with sandbox(made, 3) as copy:
        assert_same(copy.network.state_dict(), before)
