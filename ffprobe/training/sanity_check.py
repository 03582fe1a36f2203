"""Checks every component against its contract on one batch, before training starts.

The check runs a copy of the network and its own random generators, so it changes nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ffprobe.components.base import Component
from ffprobe.errors import FfprobeError
from ffprobe.network.network import LayeredNetwork
from ffprobe.training.experiment import Experiment


def sanity_check(experiment: Experiment, images: torch.Tensor, labels: torch.Tensor) -> None:
    """Run encoder, negatives, normalizers, layers, goodness, loss and evaluator once, and check what they return.

    Args:
        experiment: the experiment before its first step; it is not changed.
        images: a batch of images, float ``[B, C, H, W]``, normalized.
        labels: the true labels, int64 ``[B]``.

    Raises:
        FfprobeError: a component breaks its contract; the message names it, what was expected and what it returned.
    """
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        network = copy.deepcopy(experiment.network)
        network.train()
        _Check(experiment, network, images, labels).run()


class _Check:
    def __init__(
        self, experiment: Experiment, network: LayeredNetwork, images: torch.Tensor, labels: torch.Tensor
    ) -> None:
        self.experiment, self.network, self.images, self.labels = experiment, network, images, labels
        self.wide = torch.float64 if experiment.precision == "fp64" else torch.float32

    def run(self) -> None:
        network, images = self.network, self.images
        pair = network.form == "pair"
        rows, labels = self._pairs() if pair else (images, None)
        self.rows = rows
        with self.experiment.autocast():
            x = self._call("encoder", "the encoding", lambda: network.encode(rows, labels), rows)
            self._expect("encoder", "the encoding", x, (len(rows), *network.layer(0).input_shape))
            earlier: list[Any] = []
            inputs = {0: x.detach()}
            for index in range(network.depth):
                activation = self._layer(index, inputs[index], earlier)
                if index + 1 < network.depth:
                    inputs[index + 1] = self._passed_on(index, activation, inputs)
        self._evaluator()

    def _layer(self, index: int, x: torch.Tensor, earlier: list[Any]) -> torch.Tensor:
        layer = self.network.layer(index)
        what = f"layer {index + 1}'s"
        if layer.position == "input" and layer.spec.input_avg_pool == 1:
            flat = x.flatten(1) if layer.flattens else x
            inner = self._normalized(layer.normalizer, flat, what)
        else:
            inner = layer.normalize_input(x)
        activation = self._call("network", f"{what} activation", lambda: layer.transform(inner), inner)
        self._expect("network", f"{what} activation", activation, (len(x), *layer.output_shape))
        if index in self.network.trained_layers:
            goodness = self._call("goodness", f"{what} goodness", lambda: layer.goodness(activation), activation)
            shape = (len(x),) if self.network.form == "pair" else (len(x), self.network.classes)
            self._expect("goodness", f"{what} goodness", goodness, shape, self.wide)
            self._loss(index, goodness, activation, x, earlier)
        return activation

    def _passed_on(self, index: int, activation: torch.Tensor, inputs: dict[int, torch.Tensor]) -> torch.Tensor:
        layer = self.network.layer(index)
        if layer.position == "output":
            self._normalized(layer.normalizer, activation, f"layer {index + 1}'s")
        return self.network.pass_on(index, activation, inputs).detach()

    def _normalized(self, module: nn.Module, x: torch.Tensor, what: str) -> torch.Tensor:
        out = self._call("normalizer", f"{what} normalized value", lambda: module(x), x)
        self._expect("normalizer", f"{what} normalized value", out, tuple(x.shape))
        return out

    def _loss(
        self, index: int, goodness: torch.Tensor, activation: torch.Tensor, x: torch.Tensor, earlier: list[Any]
    ) -> None:
        layer = self.network.layer(index)
        first, second, context = self.network.loss_arguments(
            index, goodness, activation, self.labels, earlier=earlier, layer_input=x, images=self.rows
        )
        function: Any = copy.deepcopy(layer.spec.loss or self.experiment.components["loss"])
        second_before = second.detach().clone()
        loss = self._call("loss", f"layer {index + 1}'s loss", lambda: function(first, second, context), goodness)
        self._expect("loss", f"layer {index + 1}'s loss", loss, ())
        if not torch.equal(second_before, second.detach()):
            self._fail("loss", "it changes its input in place")
        if not loss.requires_grad:
            self._fail("loss", f"layer {index + 1}'s loss has no graph to the goodness, so nothing would be learned")
        pair = self.network.form == "pair"
        earlier.append((first.detach(), second.detach()) if pair else first.detach())

    def _pairs(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        images, wrong = self.images, self._negatives()
        if self.experiment.components["negatives"].gives == "images":  # type: ignore[attr-defined]
            return torch.cat([images, wrong]), None
        return torch.cat([images, images]), torch.cat([self.labels, wrong])

    def _negatives(self) -> torch.Tensor:
        experiment = self.experiment
        negatives: Any = copy.deepcopy(experiment.components["negatives"])
        goodness, needed = None, negatives.needs_goodness
        if needed not in (False, True, "all"):
            self._fail("negatives", f"its needs_goodness is {needed!r}, expected False, True or 'all'")
        if needed:
            rows = (len(self.images), self.network.classes)
            shape = (self.network.depth, *rows) if needed == "all" else rows
            goodness = torch.rand(shape, device=self.images.device)
        generator = torch.Generator().manual_seed(0)
        classes = self.network.classes
        wrong = self._call(
            "negatives",
            f"the tensor of {negatives.gives}",
            lambda: negatives(self.images, self.labels, classes, generator, goodness),
            self.images,
        )
        if negatives.gives == "images":
            self._expect("negatives", "the tensor of images", wrong, tuple(self.images.shape), self.images.dtype)
            return wrong
        if wrong.dtype != torch.int64 or wrong.shape != self.labels.shape:
            expected = f"int64 {list(self.labels.shape)}"
            self._fail("negatives", f"the tensor of labels is {_describe(wrong)}, expected {expected}")
        if int(wrong.min()) < 0 or int(wrong.max()) >= classes:
            smallest, largest = int(wrong.min()), int(wrong.max())
            self._fail("negatives", f"the labels range from {smallest} to {largest}, but there are {classes} classes")
        if bool((wrong == self.labels).any()):
            self._fail("negatives", "a negative has the true label")
        return wrong

    def _evaluator(self) -> None:
        if not self.experiment.evaluator.reads_goodness:
            return
        goodness = torch.rand(self.network.depth, 4, self.network.classes)
        what, evaluator = "the tensor of scores", self.experiment.evaluator
        scores = self._call("evaluator", what, lambda: evaluator.scores(goodness), goodness)
        self._expect("evaluator", what, scores, (4, self.network.classes))
        if scores.requires_grad:
            self._fail("evaluator", "its scores have a graph; they must depend on goodness alone")

    def _call(self, kind: str, what: str, function: Callable[[], Any], argument: torch.Tensor) -> torch.Tensor:
        before = argument.detach().clone()
        out = function()
        if not torch.equal(before, argument.detach()):
            self._fail(kind, f"it changes its input in place while computing {what}")
        if not isinstance(out, torch.Tensor):
            self._fail(kind, f"{what} is {type(out).__name__}, expected a tensor")
        return out

    def _expect(
        self, kind: str, what: str, value: torch.Tensor, shape: tuple[int, ...], dtype: torch.dtype | None = None
    ) -> None:
        if tuple(value.shape) != shape or not value.dtype.is_floating_point or dtype not in (None, value.dtype):
            expected = str(dtype or "floating point").removeprefix("torch.")
            self._fail(kind, f"{what} is {_describe(value)}, expected {expected} {list(shape)}")
        if not bool(torch.isfinite(value).all()):
            count = int((~torch.isfinite(value)).sum())
            self._fail(kind, f"{count} of {value.numel()} numbers in {what} are NaN or infinite")

    def _fail(self, kind: str, message: str) -> None:
        component: Component = self.experiment.components[kind]
        plugin = self.experiment.registry.provider(type(component))
        raise FfprobeError(
            f"The {kind} {component.name!r} breaks its contract on the first batch: {message}.",
            where=plugin.where,
            hint="" if plugin.distribution == "given" else f"`ffprobe plugins info {plugin.name}` describes it.",
        )


def _describe(value: torch.Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
