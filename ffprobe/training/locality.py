"""Which parameters each layer's loss changes, measured by training a toy network and comparing its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from ffprobe.components.base import Component
from ffprobe.components.kinds import SINGLE_SLOTS
from ffprobe.components.loss import Loss, LossContext
from ffprobe.components.rule import Learner
from ffprobe.config.parsing import merge
from ffprobe.config.preset_files import BASE_PRESET, preset_names, read_preset
from ffprobe.config.resolve import resolve
from ffprobe.config.settings import RunConfig
from ffprobe.data.images import Images
from ffprobe.data.samples import Samples
from ffprobe.errors import FfprobeError, UsageError
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import Experiment, build
from ffprobe.training.groups import groups_of_step
from ffprobe.training.split import Split

EPOCHS, IMAGES, CLASSES = 30, 24, 10
WIDTH = 0.16
"""The width of networks with this setting: the narrowest at which 64 channels become ten, one for each class."""
TOY_INPUTS: tuple[tuple[int, ...], ...] = ((1, 8, 8), (1, 16), (12,))
"""Shapes of the random inputs, tried in this order until the network accepts one."""
REPEATS = 3
"""Number of steps measured per set of groups: a head that starts at zero passes no gradient back in its first step."""


@dataclass(frozen=True)
class LossReach:
    """The parameters that one layer's loss changes.

    Attributes:
        layer: index of the layer that the loss is computed on, from 0.
        layers: indices of the layers with a parameter that the loss changed, in increasing order.
        encoder: whether the loss changed the encoder.
        parameters: names of all parameters that it changed, as in the run file.
    """

    layer: int
    layers: tuple[int, ...]
    encoder: bool
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class LocalityReport:
    """The parameters that each loss of a network changes.

    Attributes:
        depth: number of layers of the network.
        losses: one entry for each layer that has a loss, first layer first.
    """

    depth: int
    losses: tuple[LossReach, ...]

    def lines(self) -> list[str]:
        """One line for consecutive losses with the same reach, such as ``losses of layers 2-6: its own layer``."""
        lines: list[tuple[list[int], str]] = []
        for loss in self.losses:
            text = _reach_text(loss, self.depth)
            if lines and lines[-1][1] == text:
                lines[-1][0].append(loss.layer + 1)
            else:
                lines.append(([loss.layer + 1], text))
        return [f"{_losses_text(layers)}: {text}" for layers, text in lines]


def loss_locality(config: RunConfig, registry: Registry) -> LocalityReport:
    """Measure which parameters each loss of a run with this config changes.

    The network is narrow if it has a setting ``width``, and learns from random images of 8x8 pixels; if it refuses
    them, from random signals of 16 steps or, last, from random tables of 12 features. Each distinct set of update
    groups that the scheduler requests is computed at most ``REPEATS`` times. The state of torch's global generator is
    restored.

    Args:
        config: a config of ``toy``.
        registry: the registry that resolved it.

    Raises:
        FfprobeError: the run cannot be built for such inputs; the error for images.
    """
    refusal: FfprobeError | None = None
    for inputs in TOY_INPUTS:
        try:
            return _measured(config, registry, _split(inputs))
        except UsageError as error:
            refusal = refusal or error
    assert refusal is not None
    raise refusal


def _measured(config: RunConfig, registry: Registry, split: Split) -> LocalityReport:
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        experiment = build(config, registry, split)
        experiment.network.train()
        changed = _changed_parameters(experiment, experiment.learner)
        if not all(changed.values()):  # several losses share one update: each is measured with the others at zero
            for layer in changed:
                setup = replace(experiment.setup, loss=_SingleLayerLoss(experiment.setup.loss, layer))
                learner: Learner = experiment.components["rule"].build(setup)  # type: ignore[attr-defined]
                changed[layer] = set().union(*_changed_parameters(experiment, learner).values())
    losses = tuple(_loss_reach(layer, names) for layer, names in sorted(changed.items()))
    return LocalityReport(experiment.network.depth, losses)


def component_loss_locality(
    component: type[Component], registry: Registry, plugin: str = ""
) -> tuple[str, RunConfig, LocalityReport]:
    """Measure the locality of a component in the simplest preset that accepts it.

    The base preset is tried first. The others follow in this order: presets with the base preset's scheduler and rule,
    presets that have the component already, presets with fewer differences from the base preset.

    Args:
        component: a component of a kind of which a run has exactly one.
        registry: the registry that supplied it.
        plugin: the plugin that supplied it, if several components have this name.

    Returns:
        The name of the preset, the whole config, and the report.

    Raises:
        FfprobeError: no preset accepts the component; the error of the first preset that was tried.
    """
    base = read_preset(BASE_PRESET)
    table_entry = {"name": component.name, **({"plugin": plugin} if plugin else {})}
    refusal: FfprobeError | None = None
    for name in sorted(preset_names(), key=lambda preset: _distance(preset, base, component)):
        table = merge(base, read_preset(name))
        if table[component.kind].get("name") != component.name:
            table |= {component.kind: table_entry}
        try:
            config = toy(table, registry)
            return name, config, loss_locality(config, registry)
        except FfprobeError as error:
            refusal = refusal or error
    assert refusal is not None
    raise refusal


def toy(table: Mapping[str, Any], registry: Registry) -> RunConfig:
    """Resolve a config's table as a toy run: a narrow network if it has a width, batches of 12 images, on the CPU."""
    network: Any = registry.component("network", table["network"]["name"], table["network"].get("plugin", ""))
    narrow = {"width": WIDTH} if "width" in network.Params.model_fields else {}
    training = {
        "epochs": EPOCHS,
        "batch_size": IMAGES // 2,
        "augmentation": False,
        "weight_decay": 0.0,
        "learning_rate": 0.01,
    }
    small = {"network": narrow, "training": training, "device": "cpu", "precision": "fp32", "probes": []}
    return resolve(merge(table, small), registry)


class _SingleLayerLoss(Loss):
    """The run's loss at one layer; at every other layer the loss is multiplied by zero."""

    name = "single-layer"

    def __init__(self, loss: Loss, layer: int) -> None:
        super().__init__(loss.params)
        self.loss, self.layer = loss, layer

    def __call__(self, first: torch.Tensor, second: torch.Tensor, context: LossContext) -> torch.Tensor:
        return self.loss(first, second, context) * (context.layer == self.layer)


def _changed_parameters(experiment: Experiment, learner: Learner) -> dict[int, set[str]]:
    # by the index of the layer with the loss: names of the parameters that had changed when its update was yielded
    batches, depth = list(experiment.loader), experiment.network.depth
    changed: dict[int, set[str]] = {}
    counts: dict[tuple[tuple[int, int], ...], int] = {}
    before = {name: p.detach().clone() for name, p in _parameters(experiment.network)}
    learner.set_learning_rate(experiment.config.settings.training.learning_rate)
    for step in range(EPOCHS * len(batches)):
        epoch = step // len(batches)
        groups = tuple(groups_of_step(experiment.setup.scheduler, step, epoch, depth))
        counts[groups] = counts.get(groups, 0) + 1
        if counts[groups] > REPEATS:
            continue
        images, labels, _ = batches[step % len(batches)]
        for update in learner.step(images, labels, step, epoch):
            names = changed.setdefault(update.loss_layer, set())
            for name, parameter in _parameters(experiment.network):
                if not torch.equal(parameter.detach(), before[name]):
                    names.add(name)
                    before[name].copy_(parameter.detach())
    return changed


def _reach_text(loss: LossReach, depth: int) -> str:
    first, last = (min(loss.layers), max(loss.layers)) if loss.layers else (loss.layer, loss.layer)
    contiguous = len(loss.layers) == last - first + 1
    if not loss.layers:
        text = "no layer"
    elif depth > 1 and loss.layers == tuple(range(depth)):
        text = "every layer"
    elif contiguous and last == loss.layer:
        before = last - first
        text = "its own layer" + (f" and {before} before" if before else "")
    else:
        text = "layers " + ", ".join(str(i + 1) for i in loss.layers)
    return text + (", and the encoder" if loss.encoder else "")


def _losses_text(layers: list[int]) -> str:
    return f"loss of layer {layers[0]}" if len(layers) == 1 else f"losses of layers {layers[0]}-{layers[-1]}"


def _loss_reach(layer: int, names: set[str]) -> LossReach:
    owners = {name.partition(".")[0] for name in names}
    layers = tuple(sorted(int(owner) for owner in owners if owner.isdecimal()))
    return LossReach(layer, layers, "encoder" in owners, tuple(sorted(names)))


def _parameters(network: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    return [(name.removeprefix("layers."), parameter) for name, parameter in network.named_parameters()]


def _distance(preset: str, base: Mapping[str, Any], component: type[Component]) -> tuple[bool, bool, bool, int, str]:
    table = merge(base, read_preset(preset))
    changed = {slot for slot in SINGLE_SLOTS if table[slot] != base[slot]}
    other_learning = bool(changed & {"scheduler", "rule"})
    return preset != BASE_PRESET, other_learning, table[component.kind]["name"] != component.name, len(changed), preset


def _split(shape: tuple[int, ...]) -> Split:
    generator = torch.Generator().manual_seed(0)
    labels, names = torch.arange(2 * IMAGES) % CLASSES, tuple(map(str, range(CLASSES)))
    samples: Samples
    if len(shape) == 3:
        pixels = torch.randint(0, 256, (2 * IMAGES, *shape), dtype=torch.uint8, generator=generator)
        samples = Images(pixels, labels, names, (0.5,), (0.29,))
    else:
        samples = Samples(torch.randn(2 * IMAGES, *shape, generator=generator), labels, names).unscaled()
    first, rest = torch.arange(IMAGES), torch.arange(IMAGES, 2 * IMAGES)
    return Split(samples.subset(first), samples.subset(rest), None, first, rest)
