"""PEPITA: a second forward pass, with the error added to the input, replaces the backward pass."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from pydantic import Field

import ffprobe


class Pepita(ffprobe.Rule):
    """Replaces the backward pass with a second forward pass whose input is perturbed by the output error (present the
    error to perturb the input and modulate activity).

    Pass 1: h_l for input x, e = softmax output minus one-hot. Pass 2: h2_l for x2 = x + F e with a fixed random F
    ``[inputs, K]``, stored in the network as ``feedback.weight``; e2 is its error. Instead of gradients, the updates
    are

    - hidden layer l: dW_l = mean over the batch of (h_l - h2_l) u2_l^T, and the mean of (h_l - h2_l) for a bias;
    - output (the learned head of the last layer): dW = mean of e2 h2^T, and the mean of e2 for a bias;

    where u2_l is the input of layer l's map in pass 2. All layers change together, with the run's optimizer. h is taken
    after the activation function, without its derivative. With ``dropout``, both passes use the same mask for a batch,
    divided by the keep rate.

    Deviations: e is the derivative of the loss with respect to the output, which is softmax minus one-hot for
    ``cross-entropy``; biases and normalizers, which the published networks do not have, are allowed (the parameters of
    a normalizer are not trained). Only fully connected layers: for convolutions, the authors' code applies another
    rule, with another sign. The rule needs the goodness ``linear-head``, a loss of form ``class`` and the scheduler
    ``whole``.
    """

    name = "pepita"
    source = "Dellaferrera & Kreiman 2022, arXiv:2201.11665, Alg. 1; constants as in GiorgiaD/PEPITA"

    class Params(ffprobe.Params):
        """The feedback and dropout."""

        scale: float = Field(
            0.05,
            gt=0,
            description="scale of the feedback matrix F, above 0: F is uniform within scale * sqrt(6 / "
            "inputs); 0.05 as in the authors' code",
        )
        sign: bool = Field(
            False, description="add F sign(e) to the input instead of F e; the published scale is then 0.005"
        )
        dropout: float = Field(
            0.0, ge=0, lt=1, description="dropout probability of hidden units, in [0, 1); both passes use the same mask"
        )

    def build(self, setup: ffprobe.LearnerSetup) -> ffprobe.Learner:
        """Add F to the network unless it has it."""
        network = setup.network
        layers = [network.layer(i) for i in range(network.depth)]
        head = getattr(layers[-1].goodness, "linear", None)
        fits = all(layer.spec.kind == "linear" and layer.spec.shortcut is None for layer in layers)
        if not fits or not isinstance(head, torch.nn.Linear) or setup.groups != ((0, network.depth),):
            raise ffprobe.UsageError(
                "The rule 'pepita' needs fully connected layers, a linear head and one update group of all layers.",
                hint="Use --plugin fcn --plugin whole --plugin linear-head --plugin cross-entropy --plugin no-label.",
            )
        if any(layer.spec.dropout for layer in layers):
            raise ffprobe.UsageError(
                "The rule 'pepita' needs the same dropout mask in both passes; network.dropout draws a new one.",
                hint="Use --set network.dropout=0 --set rule.dropout=0.1.",
            )
        if not hasattr(network, "feedback"):
            inputs = torch.Size(layers[0].input_shape).numel()
            bound = self.params.scale * math.sqrt(6 / inputs)
            network.feedback = torch.nn.Module()
            fixed = torch.empty(inputs, network.classes).uniform_(-bound, bound)
            network.feedback.register_buffer("weight", fixed.to(next(network.parameters())))
        return PepitaLearner(setup, self)

    def masks(self, batch: int, hidden: list[int], like: torch.Tensor) -> list[torch.Tensor] | None:
        """One mask ``[B, units]`` for each hidden layer, already divided by the keep rate; None without dropout."""
        keep = 1 - self.params.dropout
        if keep == 1:
            return None
        return [(torch.rand(batch, units).to(like.device) < keep).to(like.dtype) / keep for units in hidden]


class PepitaLearner(ffprobe.Learner):
    """Two forward passes without a graph; one optimizer for maps and head."""

    def __init__(self, setup: ffprobe.LearnerSetup, rule: Pepita) -> None:
        self.setup, self.network, self.rule = setup, setup.network, rule
        self.layers = [self.network.layer(i) for i in range(self.network.depth)]
        self.maps = [*(layer.linear for layer in self.layers), self.layers[-1].goodness.linear]
        self.optimizer = setup.optimizer([p for m in self.maps for p in m.parameters()])

    def step(self, images: torch.Tensor, labels: torch.Tensor, step: int, epoch: int) -> Iterator[ffprobe.Update]:
        """Update all layers once."""
        x = self.network.encode(images, None).detach()
        masks = self.rule.masks(len(x), [layer.output_shape[0] for layer in self.layers], x)
        with torch.no_grad(), self.setup.autocast():
            hidden, _, goodness = self._pass(x, masks)
        loss, error = self._error(goodness, labels, hidden[-1], step, epoch)  # [B, K]
        feedback = error.sign() if self.rule.params.sign else error
        with torch.no_grad(), self.setup.autocast():
            second = x + (feedback @ self.network.feedback.weight.T.to(feedback.dtype)).view(x.shape)
            hidden2, inputs2, goodness2 = self._pass(second, masks)
        _, error2 = self._error(goodness2, labels, hidden2[-1], step, epoch)
        deltas = [first - other for first, other in zip(hidden, hidden2, strict=True)]
        for part, delta, map_input in zip(self.maps, [*deltas, error2], [*inputs2, hidden2[-1]], strict=True):
            delta, map_input = delta.to(part.weight.dtype), map_input.to(part.weight.dtype)
            part.weight.grad = delta.T @ map_input / len(x)
            if part.bias is not None:
                part.bias.grad = delta.mean(0)
        self.optimizer.step()
        yield ffprobe.Update(range(self.network.depth), self.network.depth - 1, loss)
        self.optimizer.zero_grad(set_to_none=True)

    def _pass(
        self, x: torch.Tensor, masks: list[torch.Tensor] | None
    ) -> tuple[list[torch.Tensor], list[torch.Tensor], torch.Tensor]:
        # the activations after dropout, the input of each map, and the goodness of the last layer
        activations: list[torch.Tensor] = []
        map_inputs: list[torch.Tensor] = []
        for index, layer in enumerate(self.layers):
            map_inputs.append(layer.normalize_input(x))
            activation = layer.transform(map_inputs[-1])
            activations.append(activation if masks is None else activation * masks[index])
            x = layer.pass_on(activations[-1])
        return activations, map_inputs, self.layers[-1].goodness(activations[-1])

    def _error(
        self, goodness: torch.Tensor, labels: torch.Tensor, activation: torch.Tensor, step: int, epoch: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        # the loss and its derivative for each image; only the non-linearity of the output is differentiated
        last = self.network.depth - 1
        output = goodness.detach().requires_grad_(True)
        loss = self.network.local_loss(
            last, activation, labels, self.setup.loss, step=step, epoch=epoch, goodness=output
        ).loss
        (error,) = torch.autograd.grad(loss, output)
        return loss.detach(), error * len(labels)

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
    return [Pepita]
