"""Every component is tried on the first batch before anything learns, and held to its contract.

What is tried is a copy of the network with copies of the random streams, so trying changes nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ffprobe.components.base import Component
from ffprobe.components.loss import LossContext
from ffprobe.errors import FfprobeError
from ffprobe.network.network import LayeredNetwork
from ffprobe.training.experiment import Experiment


def sanity_check(experiment: Experiment, images: torch.Tensor, labels: torch.Tensor) -> None:
    """Run encoder, negatives, normalizers, layers, goodness, loss and evaluator once, and look at what they give.

    Args:
        experiment: before its first step; not changed.
        images: float ``[B, C, H, W]``, a first batch.
        labels: int64 ``[B]``.

    Raises:
        FfprobeError: one breaks its contract; the message names it, what was expected and what came.
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
        rows, given = self._pairs() if pair else (images, None)
        with self.experiment.autocast():
            x = self._call("encoder", "the encoding", lambda: network.encode(rows, given), rows)
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
        what = f"layer {index}'s"
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
            self._normalized(layer.normalizer, activation, f"layer {index}'s")
        return self.network.pass_on(index, activation, inputs).detach()

    def _normalized(self, module: nn.Module, x: torch.Tensor, what: str) -> torch.Tensor:
        out = self._call("normalizer", f"{what} normalized value", lambda: module(x), x)
        self._expect("normalizer", f"{what} normalized value", out, tuple(x.shape))
        return out

    def _loss(
        self, index: int, goodness: torch.Tensor, activation: torch.Tensor, x: torch.Tensor, earlier: list[Any]
    ) -> None:
        half = len(goodness) // 2
        pair = self.network.form == "pair"
        first, second = (goodness[:half], goodness[half:]) if pair else (goodness, self.labels)
        layer = self.network.layer(index)
        module = getattr(layer, "loss", None)
        context = LossContext(index, self.network.depth, 0, 0, activation, self.labels, tuple(earlier), x, module)
        function: Any = copy.deepcopy(layer.spec.loss or self.experiment.components["loss"])
        second_before = second.detach().clone()
        loss = self._call("loss", f"layer {index}'s loss", lambda: function(first, second, context), goodness)
        self._expect("loss", f"layer {index}'s loss", loss, ())
        if not torch.equal(second_before, second.detach()):
            self._blame("loss", "it changed its input in place")
        if not loss.requires_grad:
            self._blame("loss", f"layer {index}'s loss has no graph to the goodness, so nothing would be learned")
        earlier.append((first.detach(), second.detach()) if pair else first.detach())

    def _pairs(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        images, wrong = self.images, self._negatives()
        if self.experiment.components["negatives"].gives == "images":  # type: ignore[attr-defined]
            return torch.cat([images, wrong]), None
        return torch.cat([images, images]), torch.cat([self.labels, wrong])

    def _negatives(self) -> torch.Tensor:
        experiment = self.experiment
        negatives: Any = copy.deepcopy(experiment.components["negatives"])
        goodness = None
        if negatives.needs_goodness:
            goodness = torch.rand(len(self.images), self.network.classes, device=self.images.device)
        generator = torch.Generator().manual_seed(0)
        classes = self.network.classes
        wrong = self._call(
            "negatives",
            f"the {negatives.gives}",
            lambda: negatives(self.images, self.labels, classes, generator, goodness),
            self.images,
        )
        if negatives.gives == "images":
            self._expect("negatives", "the images", wrong, tuple(self.images.shape), self.images.dtype)
            return wrong
        if wrong.dtype != torch.int64 or wrong.shape != self.labels.shape:
            told = f"{_told(wrong)} as labels, int64 {list(self.labels.shape)} was expected"
            self._blame("negatives", f"it gave {told}")
        if int(wrong.min()) < 0 or int(wrong.max()) >= classes:
            self._blame(
                "negatives", f"it gave labels from {int(wrong.min())} to {int(wrong.max())} of {classes} classes"
            )
        if bool((wrong == self.labels).any()):
            self._blame("negatives", "it gave a true label as a wrong one")
        return wrong

    def _evaluator(self) -> None:
        if not self.experiment.evaluator.reads_goodness:
            return
        goodness = torch.rand(self.network.depth, 4, self.network.classes)
        scores = self._call("evaluator", "the scores", lambda: self.experiment.evaluator.scores(goodness), goodness)
        self._expect("evaluator", "the scores", scores, (4, self.network.classes))
        if scores.requires_grad:
            self._blame("evaluator", "its scores carry a graph; an evaluator is a function of goodness alone")

    def _call(self, kind: str, what: str, function: Callable[[], Any], given: torch.Tensor) -> torch.Tensor:
        before = given.detach().clone()
        out = function()
        if not torch.equal(before, given.detach()):
            self._blame(kind, f"it changed its input in place while giving {what}")
        if not isinstance(out, torch.Tensor):
            self._blame(kind, f"it gave {type(out).__name__} as {what}, a tensor was expected")
        return out

    def _expect(
        self, kind: str, what: str, value: torch.Tensor, shape: tuple[int, ...], dtype: torch.dtype | None = None
    ) -> None:
        if tuple(value.shape) != shape or not value.dtype.is_floating_point or dtype not in (None, value.dtype):
            kind_of_number = str(dtype or "floating point").removeprefix("torch.")
            self._blame(kind, f"it gave {_told(value)} as {what}, {kind_of_number} {list(shape)} was expected")
        if not bool(torch.isfinite(value).all()):
            count = int((~torch.isfinite(value)).sum())
            self._blame(kind, f"{count} of {value.numel()} numbers in {what} are NaN or infinite")

    def _blame(self, kind: str, told: str) -> None:
        component: Component = self.experiment.components[kind]
        plugin = self.experiment.registry.provider(type(component))
        raise FfprobeError(
            f"The {kind} {component.name!r} breaks its contract on the first batch: {told}.",
            where=plugin.where,
            hint=f"`ffprobe plugins info {plugin.name}` says what it is.",
        )


def _told(value: torch.Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
