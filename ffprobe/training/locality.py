"""Which parameters each layer's loss reaches, found by letting a toy network learn and looking at what moved."""

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
from ffprobe.errors import FfprobeError
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import Experiment, build
from ffprobe.training.groups import groups_of_step
from ffprobe.training.split import Split

EPOCHS, IMAGES, CLASSES = 30, 24, 10
WIDTH = 0.16
"""Of networks that have a width: as narrow as leaves ten channels, one for each class, to 64."""
REPEATS = 3
"""How often a set of groups is looked at: a head that starts at zero passes nothing back in its first step."""


@dataclass(frozen=True)
class Reach:
    """What one layer's loss reaches.

    Attributes:
        layer: that the loss sits on, from 0.
        layers: those with a parameter that it changed.
        encoder: whether it changed the encoder.
        parameters: all that it changed, by the names of the run file.
    """

    layer: int
    layers: tuple[int, ...]
    encoder: bool
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class LocalityReport:
    """What every loss of a network reaches.

    Attributes:
        depth: layers of the network.
        reaches: one for each layer that a loss sits on, first layer first.
    """

    depth: int
    reaches: tuple[Reach, ...]

    def lines(self) -> list[str]:
        """One line for all losses that reach equally far, such as ``losses of layers 2-6: its own layer``."""
        lines: list[tuple[list[int], str]] = []
        for one in self.reaches:
            said = _far(one, self.depth)
            if lines and lines[-1][1] == said:
                lines[-1][0].append(one.layer + 1)
            else:
                lines.append(([one.layer + 1], said))
        return [f"{_losses(layers)}: {said}" for layers, said in lines]


def reach(config: RunConfig, registry: Registry) -> LocalityReport:
    """What each loss of a run of this config reaches.

    The network is narrow where it has a setting ``width``, and learns from random images of 8x8 pixels; epochs are gone
    through as far as the scheduler has something new to say. Torch's generator is left as it was.

    Raises:
        FfprobeError: the run cannot be built on such images.
    """
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        made = build(config, registry, _split())
        made.network.train()
        found = _moved(made, made.learner)
        if not all(found.values()):  # several losses make one update: each is let alone
            for layer in found:
                setup = replace(made.setup, loss=_Alone(made.setup.loss, layer))
                learner: Learner = made.components["rule"].build(setup)  # type: ignore[attr-defined]
                found[layer] = set().union(*_moved(made, learner).values())
    return LocalityReport(made.network.depth, tuple(_told(layer, names) for layer, names in sorted(found.items())))


def reach_of(component: type[Component], registry: Registry, plugin: str = "") -> tuple[str, RunConfig, LocalityReport]:
    """What losses reach where one component is chosen, in the plainest preset that it fits into.

    Plain is the base preset; else one that keeps its scheduler and rule, that has the component already, that has least
    changed, in this order.

    Args:
        component: of a kind of which a run has one.
        registry: that supplied it.
        plugin: which plugin supplied it, where several have one of this name.

    Returns:
        The preset, the whole config, and what its losses reach.

    Raises:
        FfprobeError: there is no preset that it fits into; the last refusal.
    """
    base = read_preset(BASE_PRESET)
    chosen = {"name": component.name, **({"plugin": plugin} if plugin else {})}
    refusal: FfprobeError | None = None
    for name in sorted(preset_names(), key=lambda one: _distance(one, base, component)):
        table = merge(base, read_preset(name))
        if table[component.kind].get("name") != component.name:
            table |= {component.kind: chosen}
        try:
            config = toy(table, registry)
            return name, config, reach(config, registry)
        except FfprobeError as error:
            refusal = refusal or error
    assert refusal is not None
    raise refusal


def toy(table: Mapping[str, Any], registry: Registry) -> RunConfig:
    """A config's table made small: narrow where its network has a setting for it, with batches of a dozen images."""
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


class _Alone(Loss):
    """One layer's loss; those of all others times nothing."""

    name = "alone"

    def __init__(self, chosen: Loss, layer: int) -> None:
        super().__init__(chosen.params)
        self.chosen, self.layer = chosen, layer

    def __call__(self, first: torch.Tensor, second: torch.Tensor, context: LossContext) -> torch.Tensor:
        return self.chosen(first, second, context) * (context.layer == self.layer)


def _moved(made: Experiment, learner: Learner) -> dict[int, set[str]]:
    # by the layer that a loss sits on: the parameters that had changed when its update was told
    batches, depth = list(made.loader), made.network.depth
    found: dict[int, set[str]] = {}
    seen: dict[tuple[tuple[int, int], ...], int] = {}
    before = {name: p.detach().clone() for name, p in _parameters(made.network)}
    learner.set_learning_rate(made.config.settings.training.learning_rate)
    for step in range(EPOCHS * len(batches)):
        epoch = step // len(batches)
        groups = tuple(groups_of_step(made.setup.scheduler, step, epoch, depth))
        seen[groups] = seen.get(groups, 0) + 1
        if seen[groups] > REPEATS:
            continue
        images, labels, _ = batches[step % len(batches)]
        for update in learner.step(images, labels, step, epoch):
            moved = found.setdefault(update.loss_layer, set())
            for name, parameter in _parameters(made.network):
                if not torch.equal(parameter.detach(), before[name]):
                    moved.add(name)
                    before[name].copy_(parameter.detach())
    return found


def _far(one: Reach, depth: int) -> str:
    first, last = (min(one.layers), max(one.layers)) if one.layers else (one.layer, one.layer)
    whole = len(one.layers) == last - first + 1
    if not one.layers:
        said = "no layer"
    elif depth > 1 and one.layers == tuple(range(depth)):
        said = "every layer"
    elif whole and last == one.layer:
        before = last - first
        said = "its own layer" + (f" and {before} before" if before else "")
    else:
        said = "layers " + ", ".join(str(i + 1) for i in one.layers)
    return said + (", and the encoder" if one.encoder else "")


def _losses(layers: list[int]) -> str:
    return f"loss of layer {layers[0]}" if len(layers) == 1 else f"losses of layers {layers[0]}-{layers[-1]}"


def _told(layer: int, names: set[str]) -> Reach:
    owners = {name.partition(".")[0] for name in names}
    layers = tuple(sorted(int(owner) for owner in owners if owner.isdecimal()))
    return Reach(layer, layers, "encoder" in owners, tuple(sorted(names)))


def _parameters(network: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    return [(name.removeprefix("layers."), parameter) for name, parameter in network.named_parameters()]


def _distance(preset: str, base: Mapping[str, Any], component: type[Component]) -> tuple[bool, bool, bool, int, str]:
    table = merge(base, read_preset(preset))
    changed = {slot for slot in SINGLE_SLOTS if table[slot] != base[slot]}
    other_learning = bool(changed & {"scheduler", "rule"})
    return preset != BASE_PRESET, other_learning, table[component.kind]["name"] != component.name, len(changed), preset


def _split() -> Split:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (2 * IMAGES, 1, 8, 8), dtype=torch.uint8, generator=generator)
    labels = torch.arange(2 * IMAGES) % CLASSES
    images = Images(pixels, labels, tuple(map(str, range(CLASSES))), (0.5,), (0.29,))
    first, rest = torch.arange(IMAGES), torch.arange(IMAGES, 2 * IMAGES)
    return Split(images.subset(first), images.subset(rest), None, first, rest)
