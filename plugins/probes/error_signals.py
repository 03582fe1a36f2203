"""What teaches each layer: the gradients that the run's own rule gives it, and those of backpropagation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ffprobe_plugins.probes.remaining_turns import remaining_turns
from pydantic import Field

import ffprobe

if TYPE_CHECKING:
    import torch


class SandboxParams(ffprobe.Params):
    """Settings of a probe that compares gradients in a sandbox."""

    sandbox_every: int = Field(
        500, ge=1, description="minimum number of steps between two sandboxes; one always runs at the end"
    )
    images: int = Field(64, ge=2, le=4096, description="maximum number of images of the batch")


def sandbox_variables(
    run: ffprobe.RunContext,
) -> tuple[tuple[ffprobe.Dimension, ffprobe.Dimension], list[ffprobe.Variable]]:
    """The dimensions (sandbox, layer) of what such a probe records, and its variables ``step`` and ``images``."""
    names = tuple(layer.name for layer in run.layers)
    dims = (
        ffprobe.Dimension("row", None, long_name="sandbox"),
        ffprobe.Dimension("layer", len(names), "str", names, long_name="layer, first to last"),
    )
    variable = ffprobe.Variable
    return dims, [
        variable("step", ("row",), "i8", "step", "number of optimizer steps", dimensions=dims),
        variable("images", ("row",), "i4", "1", "number of images", dimensions=dims),
    ]


def record_signals(
    context: ffprobe.EpochContext, params: SandboxParams
) -> tuple[dict[int, ErrorSignal], dict[int, ErrorSignal]] | None:
    """The rule's gradients and backpropagation's on the first images of the last batch; records ``step``, ``images``.

    None if no sandbox is due.
    """
    if not context.due(params.sandbox_every):
        return None
    assert context.images is not None and context.labels is not None
    images, labels = context.images[: params.images], context.labels[: params.images]
    context.record("step", context.step)
    context.record("images", len(images))
    return local_signals(context, images, labels), backpropagated_signals(context.run, images, labels)


@dataclass(frozen=True)
class ErrorSignal:
    """The gradients of one layer on one batch.

    Attributes:
        activation: of the loss with respect to the layer's activation, ``[rows, *output_shape]``. A row is one pass of
            one image: positives and negatives for a goodness of form ``pair``, every candidate label for
            backpropagation there. None if no gradient passed the activation.
        weight: with respect to the layer's weight, or minus the change that a rule without gradients reports; None
            without one.
    """

    activation: torch.Tensor | None
    weight: torch.Tensor | None


def local_signals(context: ffprobe.EpochContext, images: torch.Tensor, labels: torch.Tensor) -> dict[int, ErrorSignal]:
    """The gradients that the run's rule computes for each layer, by layer index, in sandboxes.

    A layer with several losses (overlapping updates) is given the one nearest to it: its own before that of the next
    layer, a small update group before a large one. Layers that no remaining update group reaches are left out.

    Args:
        context: of the end of an epoch.
        images: ``[B, C, H, W]``, as for training.
        labels: ``[B]``, the true labels.
    """
    found: dict[int, tuple[tuple[int, int], ErrorSignal]] = {}
    turns: list[tuple[int, int]] | None = None
    while turns is None or turns:
        # one sandbox for each step, because each starts with the same weights, negatives and components
        with context.run.sandbox() as copy:
            depth = copy.network.depth
            turns = remaining_turns(copy.setup, context.step, context.epoch, depth) if turns is None else turns
            if not turns:
                break
            layers = [copy.network.layer(i) for i in range(depth)]
            seen: dict[int, list[torch.Tensor]] = {i: [] for i in range(depth)}
            for index, layer in enumerate(layers):
                layer.register_forward_hook(_catcher(seen[index]))
            for update in copy.learner.step(images, labels, *turns.pop(0)):
                for index in update.layers:
                    distance = (update.loss_layer - index, len(update.layers))
                    if index not in found or distance < found[index][0]:
                        found[index] = distance, _signal(seen[index], layers[index].weight, update)
                for caught in seen.values():
                    caught.clear()
    return {index: signal for index, (_, signal) in sorted(found.items())}


def backpropagated_signals(
    run: ffprobe.RunContext, images: torch.Tensor, labels: torch.Tensor
) -> dict[int, ErrorSignal]:
    """The gradients of backpropagation through the same network, by layer index.

    The loss is the cross entropy of the last layer's goodness as logits of the classes: for a goodness of form
    ``pair``, that of the K passes with each candidate label. It is not defined, and the result empty, for a network
    whose input does not show the label though its goodness needs it.

    Args:
        run: whose network is copied.
        images: ``[B, C, H, W]``, as for training.
        labels: ``[B]``, the true labels.
    """
    import torch

    with run.sandbox() as copy:
        network = copy.network
        pair = network.form == "pair"
        if pair and not network.shows_label:
            return {}
        candidates = None
        if pair:
            images = images.repeat_interleave(network.classes, 0)
            candidates = torch.arange(network.classes, device=images.device).repeat(len(labels))
        last = network.trained_layers[-1]
        with copy.setup.autocast():
            activations = list(network.activations(images, candidates))[: last + 1]
            goodness = network.layer(last).goodness(activations[-1])
        logits = goodness.reshape(len(labels), network.classes)
        loss = torch.nn.functional.cross_entropy(logits, labels)
        weights = {i: w for i in range(last + 1) if (w := network.layer(i).weight) is not None}
        found = torch.autograd.grad(loss, [*activations, *weights.values()], allow_unused=True)
        by_weight = dict(zip(weights, found[last + 1 :], strict=True))
        return {i: ErrorSignal(found[i], by_weight.get(i)) for i in range(last + 1)}


def _signal(caught: list[torch.Tensor], weight: torch.Tensor | None, update: ffprobe.Update) -> ErrorSignal:
    import torch

    gradient = None if weight is None else update.gradient(weight)
    return ErrorSignal(torch.cat(caught) if caught else None, None if gradient is None else gradient.detach().clone())


def _catcher(seen: list[torch.Tensor]) -> Callable[[Any, Any, torch.Tensor], None]:
    """A forward hook that appends the gradient of each activation to ``seen``."""

    def hook(module: Any, inputs: Any, activation: torch.Tensor) -> None:
        if activation.requires_grad:
            activation.register_hook(lambda gradient: seen.append(gradient.detach().clone()))

    return hook
