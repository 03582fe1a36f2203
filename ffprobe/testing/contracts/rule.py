"""The contract of a learning rule."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import torch

from ffprobe.components.loss import Loss, LossContext
from ffprobe.components.negatives import Negatives
from ffprobe.components.rule import Learner, Update
from ffprobe.config.resolve import resolve
from ffprobe.errors import UsageError
from ffprobe.plugin.registry import Registry
from ffprobe.testing.contract import check, expect
from ffprobe.testing.contracts.component import ComponentContract
from ffprobe.testing.materials import describe, is_finite
from ffprobe.testing.randomness import global_states, moved, undisturbed
from ffprobe.testing.toy import registry_for, toy_config, word_for
from ffprobe.training.checkpoint import read_checkpoint, write_checkpoint
from ffprobe.training.experiment import Experiment, build
from ffprobe.training.resume import experiment_state, restore
from ffprobe.training.split import Split, load_split

FORMS: dict[str, dict[str, Any]] = {
    "pair": {"goodness": {"name": "mean-square"}, "loss": {"name": "fixed-threshold"}},
    "class": {"goodness": {"name": "linear-head"}, "loss": {"name": "cross-entropy"}},
}
"""A goodness and a loss of each form."""
RATE = 0.003
STEPS = 60
"""Number of steps on two alternating batches of 32 digits; enough for any rule to lower its loss."""


class RuleContract(ComponentContract):
    """The checks of a rule, on three small convolutions and 64 digits."""

    kind = "rule"

    @cached_property
    def _chosen(self) -> tuple[Any, Any, Split]:
        """Registry, config and images of a toy run that the rule accepts."""
        registry = registry_for(self.subject.plugin)
        settings: dict[str, Any] = {"rule": {**self._named(), **self._plain()}, "training": {"learning_rate": RATE}}
        beside: list[str] = []
        for _ in range(3):
            config = toy_config(registry, beside, settings)
            split = load_split(config, registry)
            try:
                build(config, registry, split)
            except UsageError as refusal:
                # a refusal must have a hint, and following the hint must work
                advice = [word for word in re.findall(r"--plugin ([\w:=,.-]*[\w])", refusal.hint) if word not in beside]
                expect(advice, "a learner, or UsageError with a hint --plugin NAME", str(refusal))
                beside += advice
                settings |= _narrow(registry, beside, settings)
                continue
            return registry, config, split
        expect(False, "a learner with the plugins of its hints", f"UsageError again, with {' '.join(beside)}")
        raise AssertionError

    def _named(self) -> dict[str, str]:
        word = word_for(self.subject.plugin)
        return {"name": self.subject.component.name, "plugin": word}

    def experiment(self) -> Experiment:
        """A new toy experiment, the same every time."""
        registry, config, split = self._chosen
        with undisturbed():
            return build(config, registry, split)

    def batches(self, experiment: Experiment, count: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """``count`` batches of images and labels."""
        loaded = [(images, labels) for images, labels, _ in experiment.loader]
        for step in range(count):
            yield loaded[step % len(loaded)]

    def learn(self, experiment: Experiment, first: int, count: int, rate: float = RATE) -> list[list[Update]]:
        """Run ``count`` steps and return the updates of each."""
        experiment.network.train()
        done = []
        with undisturbed(first):
            for step, (images, labels) in enumerate(self.batches(experiment, count), first):
                experiment.learner.set_learning_rate(rate)
                done.append(list(experiment.learner.step(images, labels, step, 0)))
        return done

    @check("The trainer steps, saves and resumes a run through the learner.")
    def builds_a_learner(self) -> None:
        """build(setup) returns an ffprobe.Learner."""
        learner = self.experiment().learner
        expect(isinstance(learner, Learner), "an ffprobe.Learner", describe(learner))

    @check("Negatives may be chosen by goodness, which the rule must compute for them.")
    def gives_negatives_the_goodness_that_they_need(self) -> None:
        """A step passes negatives the goodness for every label: the last layer's [B, K], or every layer's [L, B, K]."""
        self._gives_goodness(_HighestWrong())
        self._gives_goodness(_HighestWrongInAnyLayer())

    def _gives_goodness(self, negatives: _HighestWrong) -> None:
        experiment = self.experiment()
        setup = replace(experiment.setup, negatives=negatives)
        learner = experiment.components["rule"].build(setup)  # type: ignore[attr-defined]
        images, labels = next(self.batches(experiment, 1))
        learner.set_learning_rate(RATE)
        experiment.network.train()
        with undisturbed():
            list(learner.step(images, labels, 0, 0))
        shape: tuple[int, ...] = (len(labels), setup.classes)
        if negatives.needs_goodness == "all":
            shape = (experiment.network.depth, *shape)
        for goodness in negatives.received:
            good = isinstance(goodness, torch.Tensor) and tuple(goodness.shape) == shape
            expect(good, f"goodness of shape {list(shape)}", describe(goodness))
            expect(not goodness.requires_grad, "goodness without a graph", "goodness with a graph")

    @check("A goodness of the other form can be chosen with any rule, and must not end in a traceback.")
    def learns_with_either_form_or_refuses(self) -> None:
        """With goodness and loss of either form, pair or class, it learns or raises an ffprobe.UsageError."""
        registry, chosen, split = self._chosen
        for form, slots in FORMS.items():
            if form == chosen.slots["goodness"].component.form:
                continue
            config = resolve({**chosen.to_dict(), **slots}, registry)
            try:
                with undisturbed():
                    experiment = build(config, registry, split)
            except UsageError:
                continue
            setup = replace(experiment.setup, loss=_CheckedLoss(experiment.setup.loss, form, split))
            learner = experiment.components["rule"].build(setup)  # type: ignore[attr-defined]
            learner.set_learning_rate(RATE)
            experiment.network.train()
            with undisturbed():
                for step, (images, labels) in enumerate(self.batches(experiment, 2)):
                    for update in learner.step(images, labels, step, 0):
                        expect(is_finite(update.loss), f"a finite loss with goodness of form {form!r}", "another")

    @check("A rule that does not lower its own loss does not learn.")
    def lowers_its_loss(self) -> None:
        """In 60 steps with 32 digits the loss decreases, with Adam and a learning rate of 0.003 or 0.0003."""
        got = []
        for rate in (RATE, RATE / 10):
            steps = self.learn(self.experiment(), 0, STEPS, rate)
            means = [float(torch.stack([u.loss for u in updates]).mean()) for updates in steps if updates]
            expect(len(means) >= STEPS // 2, "an Update at most steps", f"{len(means)} steps of {STEPS} with one")
            first, last = sum(means[:6]) / 6, sum(means[-6:]) / 6
            if last < first:
                return
            got.append(f"{first:.4g} in the first six steps and {last:.4g} in the last at {rate:g}")
        expect(False, "a loss that decreases", "; ".join(got))

    @check("Run file, progress display and probes use the updates.")
    def yields_sane_updates(self) -> None:
        """Each Update has layers of the network, a layer for the loss, and detached finite scalars."""
        experiment = self.experiment()
        depth = experiment.network.depth
        for updates in self.learn(experiment, 0, 4):
            for update in updates:
                expect(isinstance(update, Update), "an ffprobe.Update", describe(update))
                layers, at = update.layers, update.loss_layer
                inside = isinstance(layers, range) and len(layers) > 0 and all(0 <= i < depth for i in layers)
                expect(inside, f"a range of layer indices from 0 to {depth - 1}", repr(layers))
                expect(type(at) is int and 0 <= at < depth, f"a loss_layer from 0 to {depth - 1}", repr(at))
                for name in ("loss", "positive", "negative"):
                    value = getattr(update, name)
                    if value is None and name != "loss":
                        continue
                    good = isinstance(value, torch.Tensor) and value.dim() == 0
                    expect(good, f"a scalar tensor as {name}", describe(value))
                    expect(not value.requires_grad, f"a detached {name}", "a tensor with a graph")
                    expect(is_finite(value), f"a finite {name}", f"{float(value):g}")
                both = (update.positive is None) == (update.negative is None)
                expect(both, "both positive and negative goodness, or neither", repr(update)[:200])

    @check("Probes of gradients and weight changes measure at these moments.")
    def yields_before_gradients_are_cleared(self) -> None:
        """At each Update some weight of its layers has changed since the start of the step."""
        experiment = self.experiment()
        network = experiment.network.train()
        images, labels = next(self.batches(experiment, 1))
        experiment.learner.set_learning_rate(RATE)
        before = {name: p.detach().clone() for name, p in network.named_parameters()}
        with undisturbed():
            for update in experiment.learner.step(images, labels, 0, 0):
                named = [(f"layers.{i}.{n}", p) for i in update.layers for n, p in network.layer(i).named_parameters()]
                changed = any(not torch.equal(before[name], p.detach()) for name, p in named)
                numbers = ", ".join(str(index + 1) for index in update.layers)
                expect(changed, f"changed weights in layer {numbers} at its Update", "unchanged weights")

    @check("Probes of gradients read one of them; a rule without gradients would otherwise be invisible to them.")
    def reports_what_its_weights_followed(self) -> None:
        """Every parameter that an Update changed has a gradient or an entry in Update.changes, along which it moved."""
        experiment = self.experiment()
        network = experiment.network.train()
        images, labels = next(self.batches(experiment, 1))
        experiment.learner.set_learning_rate(RATE)
        before = {name: p.detach().clone() for name, p in network.named_parameters()}
        with undisturbed():
            for update in experiment.learner.step(images, labels, 0, 0):
                inside = {f"layers.{i}.{n}" for i in update.layers for n, _ in network.layer(i).named_parameters()}
                for name, parameter in network.named_parameters():
                    moved = parameter.detach() - before[name]
                    change = update.changes.get(parameter)
                    if change is None:
                        silent = name in inside and parameter.grad is None and bool(moved.any())
                        expect(not silent, f"a gradient or a reported change of {name}", "neither")
                        continue
                    good = change.shape == parameter.shape and not change.requires_grad and is_finite(change)
                    expect(good, f"a finite detached change like {describe(parameter)} for {name}", describe(change))
                    along = float((change * moved).sum()) > 0 or not bool(change.any())
                    expect(along, f"{name} moved along its reported change", "moved against it, or not at all")
                known = {id(parameter) for parameter in network.parameters()}
                expect({id(p) for p in update.changes} <= known, "changes of the network's parameters", "another key")
                before = {name: p.detach().clone() for name, p in network.named_parameters()}

    @check("A resumed run must equal a run that never stopped.")
    def resumes_bit_identically(self) -> None:
        """Three steps after saving and loading all states give the same weights as without it, bit for bit."""
        straight = self.experiment()
        self.learn(straight, 0, 3)
        path = self.scratch / "rule.checkpoint"
        write_checkpoint(path, copy.deepcopy(experiment_state(straight)))
        self.learn(straight, 3, 3)
        resumed = self.experiment()
        with undisturbed():
            restore(resumed, read_checkpoint(path))
        self.learn(resumed, 3, 3)
        differ = _different(straight, resumed)
        got = f"different weights in {', '.join(differ[:3])}; state_dict() may be incomplete"
        expect(not differ, "the same weights", got)

    @check("Two runs with one seed must have the same weights.")
    def is_deterministic(self) -> None:
        """The same steps from the same start give the same weights, bit for bit, for any state of Python's random."""
        ends = []
        for seed in (1, 2):
            experiment = self.experiment()
            experiment.network.train()
            for step, (images, labels) in enumerate(self.batches(experiment, 3)):
                random.seed(seed)
                experiment.learner.set_learning_rate(RATE)
                torch.manual_seed(step)  # torch's global generator is a stream of the run
                list(experiment.learner.step(images, labels, step, 0))
            ends.append(experiment)
        differ = _different(*ends)
        expect(not differ, "the same weights", f"different weights in {', '.join(differ[:3])}")

    @check("Frozen parameters must not change; probes and the next step use the batch and the flags.")
    def changes_only_trained_parameters(self) -> None:
        """A step does not change frozen parameters, requires_grad flags, mode, batch, numpy's or Python's generator."""
        experiment = self.experiment()
        network = experiment.network.train()
        network.encoder.requires_grad_(False)
        flags = {name: p.requires_grad for name, p in network.named_parameters()}
        frozen = {n: p.detach().clone() for n, p in network.named_parameters() if not p.requires_grad}
        images, labels = next(self.batches(experiment, 1))
        kept = images.clone(), labels.clone()
        before = {name: s for name, s in global_states().items() if name != "torch"}
        experiment.learner.set_learning_rate(RATE)
        list(experiment.learner.step(images, labels, 0, 0))
        drawn = moved(before)
        expected = "draws from the setup's generator or torch's global generator only"
        expect(not drawn, expected, f"draws from {', '.join(drawn)}")
        now = dict(network.named_parameters())
        changed = [name for name, value in frozen.items() if not torch.equal(value, now[name].detach())]
        expect(not changed, "unchanged frozen parameters", f"changes in {', '.join(changed)}")
        flipped = [name for name, p in now.items() if p.requires_grad != flags[name]]
        expect(not flipped, "unchanged requires_grad flags", f"changes in {', '.join(flipped)}")
        expect(network.training, "the network in training mode after a step", "evaluation mode")
        same = torch.equal(kept[0], images) and torch.equal(kept[1], labels)
        expect(same, "an unchanged batch", "images or labels changed in place")

    @check("Schedules end at small learning rates and sandboxed steps use 0; no weight may change independently of it.")
    def a_rate_of_zero_changes_nothing(self) -> None:
        """With set_learning_rate(0) no parameter changes, at the start and after steps with another learning rate."""
        experiment = self.experiment()
        for first, rate in ((0, RATE), (2, 0.0)):
            before = {n: p.detach().clone() for n, p in experiment.network.named_parameters()}
            self.learn(experiment, first, 2, rate)
            now = dict(experiment.network.named_parameters())
            changed = [n for n, value in before.items() if not torch.equal(value, now[n].detach())]
            if rate:
                expect(changed, "changed weights at a learning rate above 0", "unchanged weights")
            else:
                expect(not changed, "unchanged parameters at a learning rate of 0", f"changes in {changed[:3]}")


class _HighestWrong(Negatives):
    """The wrong label with the highest goodness in the last layer; keeps what the rule passes as goodness."""

    name = "highest-wrong"
    needs_goodness: ClassVar[bool | Literal["all"]] = True

    def __init__(self) -> None:
        super().__init__()
        self.received: list[Any] = []

    def __call__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        classes: int,
        generator: torch.Generator,
        goodness: torch.Tensor | None = None,
    ) -> torch.Tensor:
        self.received.append(goodness)
        if goodness is None:
            return (labels + 1) % classes
        score = goodness.detach().nan_to_num()
        score = score.amax(dim=0) if score.dim() == 3 else score
        return score.scatter(1, labels[:, None], -torch.inf).argmax(dim=1)


class _HighestWrongInAnyLayer(_HighestWrong):
    """The wrong label with the highest goodness in any layer."""

    name = "highest-wrong-in-any-layer"
    needs_goodness = "all"


class _CheckedLoss(Loss):
    """A loss that checks the shapes of its arguments before it computes the run's loss."""

    name = "checked"

    def __init__(self, loss: Loss, form: str, split: Split) -> None:
        super().__init__()
        self.loss, self.classes = loss, len(split.train.classes)
        self.form = form  # type: ignore[misc, assignment]

    def __call__(self, first: torch.Tensor, second: torch.Tensor, context: LossContext) -> torch.Tensor:
        rows = len(context.labels)
        expected = [(rows, self.classes), (rows,)] if self.form == "class" else [(rows,), (rows,)]
        given = [tuple(first.shape), tuple(second.shape)]
        expect(given == expected, f"a loss of form {self.form!r} called with shapes {expected}", f"shapes {given}")
        return self.loss(first, second, context)


def _narrow(registry: Registry, beside: list[str], settings: dict[str, Any]) -> dict[str, Any]:
    # another network has its full width by default, which is too large for a toy run
    network = toy_config(registry, beside, settings).slots["network"].component
    small = {"width": 0.05, "depth": 2}
    return {"network": {name: value for name, value in small.items() if name in network.Params.model_fields}}


def _different(first: Experiment, second: Experiment) -> list[str]:
    other = second.network.state_dict()
    return [name for name, value in first.network.state_dict().items() if not torch.equal(value, other[name])]
