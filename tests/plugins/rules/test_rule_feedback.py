"""Feedback alignment, direct feedback alignment and PEPITA beyond what recorded trajectories cover."""

from __future__ import annotations

import copy
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from toy import toy_config

import ffprobe
from ffprobe.errors import Interrupted
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import Experiment, build
from ffprobe.training.session import Session

CLASS = ("no-label", "linear-head", "cross-entropy", "whole")
CONV = {"normalizer": {"name": "batchnorm", "position": "preactivation"}}
FULL = {"network": {"name": "fcn", "width": 0.01, "depth": 3}, "normalizer": {"name": "none"}}


def experiment(*plugins: str, **changes: Any) -> Experiment:
    registry = Registry()
    return build(toy_config(registry, *plugins, **{"precision": "fp64", **changes}), registry)


def gradients(made: Experiment, steps: int = 1) -> dict[str, torch.Tensor]:
    """Gradients of the first update."""
    made.network.train()
    x, labels = made.loader.preview()
    gradients = {}
    for _ in made.learner.step(x, labels, 0, 0):
        for name, parameter in made.network.named_parameters():
            if parameter.grad is not None:
                gradients[name] = parameter.grad.clone()
    return gradients


def test_feedback_equal_to_the_weights_is_backpropagation() -> None:
    exact, aligned = experiment(*CLASS, **CONV), experiment("feedback-alignment", *CLASS, **CONV)
    for module in aligned.network.modules():
        if hasattr(module, "feedback"):
            module.feedback.copy_(module.weight)
    expected, got = gradients(exact), gradients(aligned)
    assert set(expected) == set(got)
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, rtol=1e-9, atol=1e-12, msg=name)


def test_errors_propagate_through_the_feedback_of_a_convolution() -> None:
    made = experiment("feedback-alignment", *CLASS, **CONV)
    conv = made.network.layer(1).conv
    x = torch.randn(2, 8, 5, 5, dtype=torch.float64, requires_grad=True)
    z = conv(x)
    delta = torch.randn_like(z)
    z.backward(delta)
    torch.testing.assert_close(x.grad, functional.conv_transpose2d(delta, conv.feedback, padding=1))
    plain = functional.conv2d(x.detach(), conv.weight.requires_grad_(), padding=1)
    (expected,) = torch.autograd.grad(plain, conv.weight, delta)
    torch.testing.assert_close(conv.weight.grad, expected)


def test_only_the_first_layer_has_no_feedback() -> None:
    made = experiment("feedback-alignment", *CLASS, **CONV)
    names = {name for name in made.network.named_state() if "feedback" in name}
    assert names == {"1.conv.feedback", "2.conv.feedback", "2.goodness.linear.feedback"}
    greedy = experiment("feedback-alignment", "no-label", "linear-head", "cross-entropy", "greedy", **CONV)
    assert "0.goodness.linear.feedback" in greedy.network.named_state()


def test_building_again_keeps_the_matrices() -> None:
    for rule, changes in (("feedback-alignment", CONV), ("direct-feedback-alignment", CONV), ("pepita", FULL)):
        made = experiment(rule, *CLASS, **changes)
        before = {n: v.clone() for n, v in made.network.named_state().items() if "feedback" in n}
        assert before
        made.components["rule"].build(made.setup)  # type: ignore[attr-defined]
        after = made.network.named_state()
        assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_feedback_follows_the_groups_of_the_scheduler() -> None:
    made = experiment("feedback-alignment", "no-label", "linear-head", "cross-entropy", "olu", **CONV)
    made.network.train()
    updates = list(made.learner.step(*made.loader.preview(), 0, 0))
    assert [tuple(u.layers) for u in updates] == [(0, 1)]  # three layers: the last has no partner on even turns


def test_direct_feedback_is_the_error_through_a_fixed_matrix() -> None:
    made = experiment("direct-feedback-alignment", *CLASS, **CONV)
    twin = copy.deepcopy(made.network)
    got = gradients(made)
    x, labels = made.loader.preview()
    twin.train()
    inputs: dict[int, torch.Tensor] = {0: x}
    activations = []
    for i in range(twin.depth):
        activations.append(twin.layer(i)(inputs[i].detach()))
        inputs[i + 1] = activations[-1]
    logits = twin.layer(2).goodness(activations[-1].detach())
    error = (logits.softmax(1) - functional.one_hot(labels, 10)) / len(x)  # [B, K]
    for i, activation in enumerate(activations):
        objective = (activation.flatten(1) * (error.detach() @ twin.layer(i).feedback.T)).sum()
        names, parameters = zip(
            *((n, p) for n, p in twin.layer(i).named_parameters() if "goodness" not in n), strict=True
        )
        for name, value in zip(names, torch.autograd.grad(objective, parameters), strict=True):
            torch.testing.assert_close(got[f"layers.{i}.{name}"], value, msg=name)
    expected = error.T @ activations[-1].flatten(1)
    torch.testing.assert_close(got["layers.2.goodness.linear.weight"], expected.detach())


def test_the_last_map_can_get_the_exact_gradient() -> None:
    exact = experiment(*CLASS, **CONV)
    direct = experiment("direct-feedback-alignment:feedback_to_last=false", *CLASS, **CONV)
    assert "2.feedback" not in direct.network.named_state()
    expected, got = gradients(exact), gradients(direct)
    for name in ("layers.2.conv.weight", "layers.2.goodness.linear.weight"):
        torch.testing.assert_close(got[name], expected[name], rtol=1e-9, atol=1e-12)
    assert not torch.allclose(got["layers.0.conv.weight"], expected["layers.0.conv.weight"])


def test_pepita_draws_one_mask_for_both_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    made = experiment("pepita:dropout=0.5", *CLASS, **FULL)
    rule: Any = made.components["rule"]
    like = torch.zeros(1, dtype=torch.float64)
    (mask,) = rule.masks(400, [50], like)
    assert set(mask.unique().tolist()) == {0.0, 2.0}
    assert mask.dtype == torch.float64
    assert abs(float(mask.mean()) - 1) < 0.03
    alone = torch.zeros(20, dtype=torch.float64)
    alone[7] = 2.0
    monkeypatch.setattr(rule, "masks", lambda batch, hidden, like: [torch.ones(20), torch.ones(20), alone])
    activations: list[torch.Tensor] = []
    made.network.layer(2).goodness.register_forward_hook(lambda module, given, out: activations.append(given[0]))
    gradients(made)
    assert len(activations) == 2
    for activation in activations:
        assert activation[:, :7].abs().max() == 0 and activation[:, 8:].abs().max() == 0
        assert activation[:, 7].abs().max() > 0


@pytest.mark.parametrize("rule", ["feedback-alignment", "direct-feedback-alignment", "pepita"])
def test_rules_lower_their_loss_with_every_map_moving(rule: str) -> None:
    # PEPITA is made for one hidden layer; three of 20 units learn, but slowly
    one = {"network": {"name": "fcn", "width": 0.1, "depth": 1}, "normalizer": {"name": "none"}}
    changes = one if rule == "pepita" else CONV
    training = {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.1} if rule == "pepita" else {}
    made = experiment(rule, *CLASS, **changes, training={"learning_rate": 0.01, **training})
    before = {n: v.clone() for n, v in made.network.named_state().items()}
    made.network.train()
    losses = []
    x, labels = made.loader.preview()
    for step in range(60):
        losses += [float(update.loss) for update in made.learner.step(x, labels, step, 0)]
    assert losses[-1] < 0.5 * losses[0]
    for name, value in made.network.named_state().items():
        assert torch.equal(value, before[name]) == ("feedback" in name), name


@pytest.mark.parametrize(
    ("plugins", "advice"),
    [
        (("direct-feedback-alignment", "no-label", "linear-head", "cross-entropy"), "--plugin whole"),
        (("direct-feedback-alignment", "whole"), "--plugin linear-head"),
        (("pepita", *CLASS), "--plugin fcn"),
        (("pepita", "fcn:width=0.01", "linear-head", "cross-entropy", "greedy"), "--plugin whole"),
    ],
)
def test_unsupported_settings_are_refused_with_advice(plugins: tuple[str, ...], advice: str) -> None:
    with pytest.raises(ffprobe.UsageError) as refused:
        experiment(*plugins)
    assert advice in refused.value.hint


class StopAt:
    """Asks the run to stop after a step."""

    def __init__(self, step: int) -> None:
        self.step, self.session = step, None

    @ffprobe.hookimpl
    def ffprobe_after_step(self, context: Any) -> None:
        if context.step == self.step and self.session is not None:
            self.session.trainer.stop_after_batch(signal.SIGTERM)


@pytest.mark.parametrize("rule", ["feedback-alignment", "direct-feedback-alignment", "pepita:dropout=0.2"])
def test_the_matrices_are_in_the_run_file_and_survive_an_interruption(tmp_path: Path, rule: str) -> None:
    changes: dict[str, Any] = FULL if "pepita" in rule else CONV

    def session(name: str, stop: int = -1, resume: bool = False) -> Session:
        registry, watcher = Registry(), StopAt(stop)
        config = toy_config(registry, rule, *CLASS, **changes)
        made = Session.start(config, registry, tmp_path / name, resume=resume, observers=[("stop", watcher)])
        watcher.session = made
        return made

    session("whole.h5").run()
    with pytest.raises(Interrupted):
        session("broken.h5", stop=5).run()
    session("broken.h5", resume=True).run()
    with ffprobe.open(tmp_path / "whole.h5") as one, ffprobe.open(tmp_path / "broken.h5") as two:
        weights = [path for path in one.paths() if path.startswith("weights/")]
        assert any("feedback" in path for path in weights)
        for path in [*weights, "steps/loss", "evaluation/goodness"]:
            np.testing.assert_array_equal(one.read(path), two.read(path), err_msg=path)
