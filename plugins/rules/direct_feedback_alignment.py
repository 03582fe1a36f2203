"""Direct feedback alignment: the output error reaches every layer through its own fixed random matrix."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

import torch
from pydantic import Field

import ffprobe


class DirectFeedbackAlignment(ffprobe.Rule):
    """Sends the output error e to each layer l through a fixed random matrix: B_l e replaces the gradient of the
    layer's activation.

    e = dL/d(goodness of the last layer) ``[B, K]``; only the head learns from e itself. B_l has the shape ``[values in
    the activation, K]``, is drawn once and is stored in the network as ``l.feedback``. Inside a layer, the error is
    backpropagated exactly through activation, pooling and normalizer to the weights (with one map and one activation,
    this is the published rule); no error passes from layer to layer. The head on the last layer is the output layer of
    the paper, so the last layer is a hidden layer and has a B_l too. If ``feedback_to_last`` is False, the head and the
    last layer count as one layer, whose map gets the exact gradient.

    The rule needs goodness and loss of form ``class``, and the scheduler ``whole``.

    Deviations: the paper has fully connected layers and no normalizers; B for a feature map is as large as the whole
    map.
    """

    name = "direct-feedback-alignment"
    aliases = ("direct_feedback_alignment",)
    source = "Nokland 2016, arXiv:1609.01596"

    class Params(ffprobe.Params):
        """How the fixed matrices are drawn, and whether the last layer has one."""

        start: Literal["torch", "he"] = Field(
            "torch",
            description="distribution of the feedback matrices: torch is uniform within 1 / sqrt(n) for n "
            "values in the activation, he within sqrt(6 / n)",
        )
        feedback_to_last: bool = Field(
            True, description="send B e to the last layer's map as well; False gives it the exact gradient"
        )

    def build(self, setup: ffprobe.LearnerSetup) -> ffprobe.Learner:
        """Add the feedback matrices to the network unless it has them."""
        network = setup.network
        if network.form != "class" or setup.groups != ((0, network.depth),):
            raise ffprobe.UsageError(
                "The rule 'direct-feedback-alignment' needs goodness of form 'class' and one group of all layers.",
                hint="Use --plugin whole --plugin linear-head --plugin cross-entropy --plugin no-label.",
            )
        last = network.depth - 1
        for index in range(network.depth if self.params.feedback_to_last else last):
            layer = network.layer(index)
            if not hasattr(layer, "feedback"):
                weight = next(network.parameters())
                layer.register_buffer("feedback", self._draw(layer.output_shape, network.classes).to(weight))
        return _Learner(setup)

    def _draw(self, shape: ffprobe.Shape, classes: int) -> torch.Tensor:
        count = torch.Size(shape).numel()
        bound = math.sqrt((6 if self.params.start == "he" else 1) / count)
        return torch.empty(count, classes).uniform_(-bound, bound)


class _Learner(ffprobe.Learner):
    """One optimizer for all parameters; no graph connects two layers."""

    def __init__(self, setup: ffprobe.LearnerSetup) -> None:
        self.setup, self.network = setup, setup.network
        layers = [self.network.layer(i) for i in range(self.network.depth)]
        parameters = [p for i, layer in enumerate(layers) for p in layer.own_parameters(i == len(layers) - 1)]
        self.optimizer = setup.optimizer([p for p in parameters if p.requires_grad])

    def step(self, images: torch.Tensor, labels: torch.Tensor, step: int, epoch: int) -> Iterator[ffprobe.Update]:
        """Update all layers once."""
        setup, network = self.setup, self.network
        last = network.depth - 1
        inputs: dict[int, torch.Tensor] = {}
        activations = []
        with setup.autocast():
            inputs[0] = network.encode(images, None).detach()
            for index in range(network.depth):
                activations.append(network.layer(index)(inputs[index]))
                if index < last:
                    inputs[index + 1] = network.pass_on(index, activations[-1], inputs).detach()
            # the head learns from the error itself; its graph ends here if the last map has its own feedback matrix
            direct = not hasattr(network.layer(last), "feedback")
            top = activations[last] if direct else activations[last].detach()
            goodness = network.layer(last).goodness(top)
        loss = network.local_loss(
            last, top, labels, setup.loss, step=step, epoch=epoch, layer_input=inputs[last], goodness=goodness
        ).loss
        (error,) = torch.autograd.grad(loss, goodness, retain_graph=True)  # e / B, [B, K]
        loss.backward()
        for index, activation in enumerate(activations):
            if hasattr(network.layer(index), "feedback"):
                sent = error @ network.layer(index).feedback.to(error.dtype).T
                activation.backward(sent.view(activation.shape).to(activation.dtype))
        self.optimizer.step()
        yield ffprobe.Update(range(network.depth), last, loss.detach())
        self.optimizer.zero_grad(set_to_none=True)

    def set_learning_rate(self, rate: float) -> None:
        """Set the learning rate of the optimizer."""
        for part in self.optimizer.param_groups:
            part["lr"] = rate

    def state_dict(self) -> dict[str, Any]:
        """The state of the optimizer."""
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state from ``state_dict()``."""
        self.optimizer.load_state_dict(state["optimizer"])


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [DirectFeedbackAlignment]
