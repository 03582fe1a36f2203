"""What a learning rule must obey."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import torch

from ffprobe.components.rule import Learner, Update
from ffprobe.errors import UsageError
from ffprobe.plugin.registry import Registry
from ffprobe.testing.contract import check, expect
from ffprobe.testing.contracts.component import ComponentContract
from ffprobe.testing.materials import is_finite, told
from ffprobe.testing.randomness import global_states, moved, undisturbed
from ffprobe.testing.toy import registry_for, toy_config, word_for
from ffprobe.training.checkpoint import read_checkpoint, write_checkpoint
from ffprobe.training.experiment import Experiment, build
from ffprobe.training.resume import experiment_state, restore
from ffprobe.training.split import Split, load_split

RATE = 0.003
STEPS = 60
"""Of two batches of 32 digits in turn; enough for any rule to lower its loss."""


class RuleContract(ComponentContract):
    """The checks of a rule, on three small convolutions and 64 digits."""

    kind = "rule"

    @cached_property
    def _chosen(self) -> tuple[Any, Any, Split]:
        """Registry, config and images of a toy that the rule does not refuse."""
        registry = registry_for(self.subject.plugin)
        settings: dict[str, Any] = {"rule": {**self._named(), **self._plain()}, "training": {"learning_rate": RATE}}
        beside: list[str] = []
        for _ in range(3):
            config = toy_config(registry, beside, settings)
            split = load_split(config, registry)
            try:
                build(config, registry, split)
            except UsageError as refusal:
                # what a rule refuses it refuses with advice, and whoever follows that must get on
                advice = [word for word in re.findall(r"--plugin ([\w:=,.-]*[\w])", refusal.hint) if word not in beside]
                expect(advice, "the toy, or a refusal that says what goes with it: --plugin NAME ...", str(refusal))
                beside += advice
                settings |= _narrow(registry, beside, settings)
                continue
            return registry, config, split
        expect(False, "a run when its own advice is followed", f"a refusal again, with {' '.join(beside)}")
        raise AssertionError

    def _named(self) -> dict[str, str]:
        word = word_for(self.subject.plugin)
        return {"name": self.subject.component.name, "plugin": word}

    def experiment(self) -> Experiment:
        """A fresh toy, the same every time."""
        registry, config, split = self._chosen
        with undisturbed():
            return build(config, registry, split)

    def batches(self, experiment: Experiment, count: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """So many batches, with their labels."""
        found = [(images, labels) for images, labels, _ in experiment.loader]
        for step in range(count):
            yield found[step % len(found)]

    def learn(self, experiment: Experiment, first: int, count: int, rate: float = RATE) -> list[list[Update]]:
        """Take so many steps; the updates of each."""
        experiment.network.train()
        done = []
        with undisturbed(first):
            for step, (images, labels) in enumerate(self.batches(experiment, count), first):
                experiment.learner.set_learning_rate(rate)
                done.append(list(experiment.learner.step(images, labels, step, 0)))
        return done

    @check("It is how the trainer drives it, saves it and goes on with it.")
    def builds_a_learner(self) -> None:
        """build(bench) gives an ffprobe.Learner."""
        learner = self.experiment().learner
        expect(isinstance(learner, Learner), "an ffprobe.Learner", told(learner))

    @check("A rule that does not lower its own loss does not learn.")
    def lowers_its_loss(self) -> None:
        """Over 60 steps of 32 digits the loss falls, with Adam at a rate of 0.003 or of 0.0003."""
        came = []
        for rate in (RATE, RATE / 10):
            steps = self.learn(self.experiment(), 0, STEPS, rate)
            means = [float(torch.stack([u.loss for u in updates]).mean()) for updates in steps if updates]
            expect(len(means) >= STEPS // 2, "an Update at most steps", f"{len(means)} steps of {STEPS} with one")
            first, last = sum(means[:6]) / 6, sum(means[-6:]) / 6
            if last < first:
                return
            came.append(f"{first:.4g} in the first six steps and {last:.4g} in the last at {rate:g}")
        expect(False, "a loss that falls", "; ".join(came))

    @check("Run file, progress and probes are filled from it.")
    def yields_sane_updates(self) -> None:
        """Each Update names layers of the network, a layer for the loss, and detached finite scalars."""
        experiment = self.experiment()
        depth = experiment.network.depth
        for updates in self.learn(experiment, 0, 4):
            for update in updates:
                expect(isinstance(update, Update), "an ffprobe.Update", told(update))
                layers, at = update.layers, update.loss_layer
                inside = isinstance(layers, range) and len(layers) > 0 and all(0 <= i < depth for i in layers)
                expect(inside, f"a range of layers from 0 to {depth - 1}", repr(layers))
                expect(type(at) is int and 0 <= at < depth, f"a loss layer from 0 to {depth - 1}", repr(at))
                for name in ("loss", "positive", "negative"):
                    value = getattr(update, name)
                    if value is None and name != "loss":
                        continue
                    good = isinstance(value, torch.Tensor) and value.dim() == 0
                    expect(good, f"a scalar tensor as {name}", told(value))
                    expect(not value.requires_grad, f"a detached {name}", "a tensor with a graph")
                    expect(is_finite(value), f"a finite {name}", f"{float(value):g}")
                both = (update.positive is None) == (update.negative is None)
                expect(both, "both positive and negative goodness, or neither", repr(update)[:200])

    @check("Probes of gradients and weight changes listen to these moments.")
    def yields_before_gradients_are_cleared(self) -> None:
        """At each Update some weight of the layers it names has changed since the step began, and has a gradient."""
        experiment = self.experiment()
        network = experiment.network.train()
        images, labels = next(self.batches(experiment, 1))
        experiment.learner.set_learning_rate(RATE)
        before = {name: p.detach().clone() for name, p in network.named_parameters()}
        with undisturbed():
            for update in experiment.learner.step(images, labels, 0, 0):
                named = [(f"layers.{i}.{n}", p) for i in update.layers for n, p in network.layer(i).named_parameters()]
                changed = any(not torch.equal(before[name], p.detach()) for name, p in named)
                said = f"changed weights in layers {list(update.layers)} when it reports them"
                expect(changed, said, "weights as they were before the step")

    @check("A resumed run must end in the numbers of one that never stopped.")
    def goes_on_bit_identically(self) -> None:
        """After three steps, saving and loading everything, the next three give the same weights, bit for bit."""
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
        expect(not differ, "the same weights", f"others in {', '.join(differ[:3])}: is state_dict() complete?")

    @check("Two runs of one seed must end in the same weights.")
    def is_deterministic(self) -> None:
        """The same steps from the same start give the same weights, bit for bit, whatever Python's random state."""
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
        expect(not differ, "the same weights", f"others in {', '.join(differ[:3])}")

    @check("What is frozen must stay as it was; probes and the next step read the batch and the flags.")
    def touches_only_what_learns(self) -> None:
        """Frozen parameters, requires_grad flags, training mode, images, labels, numpy and Python's random stay."""
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
        expect(not drawn, "draws from the bench's generator or torch's global one", f"draws from {', '.join(drawn)}")
        now = dict(network.named_parameters())
        changed = [name for name, value in frozen.items() if not torch.equal(value, now[name].detach())]
        expect(not changed, "frozen parameters as they were", f"changes in {', '.join(changed)}")
        turned = [name for name, p in now.items() if p.requires_grad != flags[name]]
        expect(not turned, "requires_grad as it was", f"turned in {', '.join(turned)}")
        expect(network.training, "the network in training mode after a step", "evaluation mode")
        same = torch.equal(kept[0], images) and torch.equal(kept[1], labels)
        expect(same, "the batch as it was", "images or labels changed in place")

    @check("Schedules end at small rates and rehearsals run at zero; weights that move all the same move in secret.")
    def a_rate_of_zero_changes_nothing(self) -> None:
        """With set_learning_rate(0) no parameter changes, from the start and after steps at another rate."""
        experiment = self.experiment()
        for first, rate in ((0, RATE), (2, 0.0)):
            before = {n: p.detach().clone() for n, p in experiment.network.named_parameters()}
            self.learn(experiment, first, 2, rate)
            now = dict(experiment.network.named_parameters())
            changed = [n for n, value in before.items() if not torch.equal(value, now[n].detach())]
            if rate:
                expect(changed, "weights that change at a rate above 0", "none that does")
            else:
                expect(not changed, "no parameter that changes at a rate of 0", ", ".join(changed[:3]))


def _narrow(registry: Registry, beside: list[str], settings: dict[str, Any]) -> dict[str, Any]:
    # a network of another name comes in its full width, which is too much for a toy
    network = toy_config(registry, beside, settings).slots["network"].component
    small = {"width": 0.05, "depth": 2}
    return {"network": {name: value for name, value in small.items() if name in network.Params.model_fields}}


def _different(one: Experiment, two: Experiment) -> list[str]:
    other = two.network.state_dict()
    return [name for name, value in one.network.state_dict().items() if not torch.equal(value, other[name])]
