"""The contract of a network."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args

import torch
from torch import nn

from ffprobe.components.base import Shape
from ffprobe.components.encoder import Encoder
from ffprobe.components.goodness import Goodness
from ffprobe.components.network import ActivationName, LayerSpec
from ffprobe.components.normalizer import Normalizer
from ffprobe.errors import UsageError
from ffprobe.network.network import LayeredNetwork
from ffprobe.testing.contract import check, expect
from ffprobe.testing.contracts.component import ComponentContract
from ffprobe.testing.materials import describe, distance, is_finite, labels, numbers

SHAPES: tuple[Shape, ...] = ((1, 8, 8), (3, 8, 8), (2, 16, 12), (3, 32), (24,))
"""Images, a signal and a table."""

SMALL: tuple[Shape, ...] = ((1, 1, 1), (2, 3, 5), (1, 4, 4), (3, 7, 7), (1, 1), (2, 5), (1,))
CLASSES = 4
ACTIVATIONS = get_args(ActivationName)


class NetworkContract(ComponentContract):
    """The checks of a network: ``layers(shape, classes)`` returns a list of ``LayerSpec``."""

    kind = "network"

    def network(self, shape: Shape) -> LayeredNetwork:
        """The network between a plain encoder, no normalizer, and the mean of squares."""
        return LayeredNetwork(self.subject.build(), Plain(), Unchanged(), Squares(), shape, CLASSES)

    def shapes(self) -> list[Shape]:
        """The shapes that the network supports, at least one."""
        kept, refused = [], ""
        for shape in SHAPES:
            try:
                self.subject.build().layers(shape, CLASSES)
                kept.append(shape)
            except UsageError as error:
                refused = str(error)
        expect(kept, f"layers for inputs of one of {[list(s) for s in SHAPES]}", f"UsageError: {refused}")
        return kept

    def one_of_each_kind(self) -> list[Shape]:
        """The first supported shape of each kind: image, signal, table."""
        return list({len(shape): shape for shape in reversed(self.shapes())}.values())

    @check("The trainer builds each layer from its LayerSpec alone.")
    def layers_are_valid(self) -> None:
        """layers() returns a list of LayerSpec with valid kind, width and pool, and a factory exactly for modules."""
        for shape in self.shapes():
            specs = self.subject.build().layers(shape, CLASSES)
            expect(isinstance(specs, list | tuple) and specs, f"a list of layers for {list(shape)}", repr(specs)[:80])
            for index, spec in enumerate(specs):
                at = f"for layer {index + 1} of {list(shape)}"
                expect(isinstance(spec, LayerSpec), f"an ffprobe.LayerSpec {at}", repr(spec)[:80])
                known = ("conv", "linear", "module")
                expect(spec.kind in known, f"kind conv, linear or module {at}", repr(spec.kind))
                whole = type(spec.width) is int and (spec.width > 0 or spec.kind == "module")
                expect(whole, f"a width of 1 or more {at}", repr(spec.width))
                expect(type(spec.pool) is int and spec.pool >= 1, f"a pool of 1 or more {at}", repr(spec.pool))
                for name in ("kernel", "stride", "groups", "input_avg_pool", "output_max_pool"):
                    value = getattr(spec, name)
                    good = type(value) is int and value >= 1 and (name != "kernel" or value % 2 == 1)
                    article = "an odd" if name == "kernel" else "a value of"
                    expect(good, f"{article} {name} of 1 or more {at}", repr(value))
                good = isinstance(spec.dropout, int | float) and 0 <= spec.dropout < 1
                expect(good, f"a dropout in [0, 1) {at}", repr(spec.dropout))
                named = spec.activation in ACTIVATIONS or callable(spec.activation)
                expect(named, f"one of {', '.join(ACTIVATIONS)}, or a function, {at}", repr(spec.activation))
                expected = "a factory" if spec.kind == "module" else "no factory"
                expect(callable(spec.factory) == (spec.kind == "module"), f"{expected} {at}", repr(spec.factory)[:80])

    @check("Two runs with one seed must train the same network.")
    def is_deterministic(self) -> None:
        """The same shape gives the same layers."""
        for shape in self.shapes():
            first, second = ([_plain(s) for s in self.subject.build().layers(shape, CLASSES)] for _ in range(2))
            expect(first == second, f"the same layers twice for {list(shape)}", f"{first} and {second}"[:300])

    @check("If a layer cannot process the output of the previous layer, the network cannot be built.")
    def builds_and_runs(self) -> None:
        """Every layer runs on the previous layer's output, keeps the batch, and is finite; images are not changed."""
        for shape in self.shapes():
            network, images = self.network(shape), numbers(4, shape)
            kept = images.clone()
            for index, activation in enumerate(network.activations(images, labels(4, CLASSES))):
                at = f"of layer {index + 1} for inputs {list(shape)}"
                good = len(activation) == 4 and tuple(activation.shape[1:]) == network.layer(index).output_shape
                expect(good, f"the activation {[4, *network.layer(index).output_shape]} {at}", describe(activation))
                expect(is_finite(activation), f"a finite activation {at}", "NaN or infinity")
            expect(torch.equal(kept, images), "unchanged images", "images changed in place")

    @check("Images that are too small must be refused with a message, not with a torch error from inside a layer.")
    def too_small_images_are_a_usage_error(self) -> None:
        """For images of 1x1, 3x5, 4x4 and 7x7, signals of 1 and 5 steps and tables of one feature it runs, or raises
        UsageError.
        """
        for shape in SMALL:
            try:
                network = self.network(shape)
                for _ in network.activations(numbers(2, shape), labels(2, CLASSES)):
                    pass
            except UsageError:
                continue
            except Exception as error:
                expected = f"layers or UsageError for inputs {list(shape)}"
                expect(False, expected, self.describe_error(error))

    @check("A weight without a gradient is never trained, and there is no error.")
    def every_layer_learns(self) -> None:
        """Every layer's parameters get a gradient from that layer's activation."""
        for shape in self.one_of_each_kind():
            self._every_layer_learns(shape)

    def _every_layer_learns(self, shape: Shape) -> None:
        network = self.network(shape)
        inputs = {0: network.encode(numbers(4, shape), labels(4, CLASSES))}
        for index in range(network.depth):
            layer = network.layer(index)
            activation = layer(inputs[index].detach())
            expect(activation.requires_grad, f"a graph through layer {index + 1}", "an activation without a graph")
            activation.square().sum().backward()
            missing = [name for name, p in layer.named_parameters() if p.grad is None]
            expect(
                not missing, f"a gradient for every parameter of layer {index + 1}", f"none for {', '.join(missing)}"
            )
            if index + 1 < network.depth:
                inputs[index + 1] = network.pass_on(index, activation, inputs)

    @check("A prediction must not depend on the other images of its batch.")
    def treats_rows_independently_in_evaluation(self) -> None:
        """In evaluation each image's activations depend only on that image."""
        for shape in self.one_of_each_kind():
            network, images = self.network(shape).eval(), numbers(4, shape)
            with torch.no_grad():
                whole = list(network.activations(images, labels(4, CLASSES)))
                alone = list(network.activations(images[1:2], labels(4, CLASSES)[1:2]))
            far = max(distance(a, b[1:2]) for a, b in zip(alone, whole, strict=True))
            got = f"a relative difference of {far:.2g}"
            expect(far < 1e-4, f"the same activations alone and together with others, {list(shape)}", got)

    @check("The learning rate follows it with --set training.lr_schedule=network, which is the default.")
    def learning_rate_steps_are_sane(self) -> None:
        """learning_rate_steps are pairs (fraction of the run, factor), with increasing fractions and factors > 0."""
        steps: Any = self.subject.component.learning_rate_steps  # type: ignore[attr-defined]
        good = all(len(pair) == 2 and 0 <= pair[0] <= 1 and 0 < pair[1] <= 100 for pair in steps)
        fractions = [pair[0] for pair in steps] if good else []
        increasing = fractions == sorted(set(fractions))
        expect(good and increasing, "pairs such as ((0.5, 0.1), (0.8, 0.01))", repr(steps))


class Plain(Encoder):
    """The image itself, for every label."""

    name = "plain"

    def build(self, shape: Shape, classes: int) -> nn.Module:
        """A module that returns ``[B, *shape]`` unchanged."""

        class Module(nn.Module):
            def forward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
                return images

            def neutral(self, images: torch.Tensor) -> torch.Tensor:
                return images

        return Module()


class Unchanged(Normalizer):
    """No normalizer."""

    name = "unchanged"

    def build(self, shape: Shape) -> nn.Module:
        """The identity."""
        return nn.Identity()


class Squares(Goodness):
    """Mean of squares."""

    name = "squares"

    def build(self, shape: Shape, classes: int) -> nn.Module:
        """``[B, *shape]`` to ``[B]``."""

        class Module(nn.Module):
            def forward(self, activation: torch.Tensor) -> torch.Tensor:
                return activation.float().flatten(1).square().mean(dim=1)

        return Module()


def _plain(spec: LayerSpec) -> tuple[Any, ...]:
    values = {f.name: getattr(spec, f.name) for f in fields(spec) if f.name not in ("factory", "goodness", "loss")}
    values |= {"activation": spec.activation if isinstance(spec.activation, str) else "function"}
    types = [type(value).__name__ for value in (spec.factory, spec.goodness, spec.loss)]
    return *sorted(map(repr, values.items())), *types
