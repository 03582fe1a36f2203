"""PEPITA: a second forward pass with the error added to the input takes the place of the backward pass."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from pydantic import Field

import ffprobe


class Pepita(ffprobe.Rule):
    """Present the error to perturb the input and modulate activity.

    Pass 1: h_l for input x, e = softmax output minus one-hot. Pass 2: h2_l for x2 = x + F e with a fixed random F
    ``[inputs, K]``, kept in the network as ``feedback.weight``; e2 is its error. Then, in the place of gradients,

    - hidden layer l: dW_l = mean over the batch of (h_l - h2_l) u2_l^T, and the mean of (h_l - h2_l) for a bias;
    - output (the learned head of the last layer): dW = mean of e2 h2^T, and the mean of e2 for a bias;

    with u2_l what the map of layer l gets in pass 2. All layers change together, by the run's optimizer. h is taken
    after the activation, without its derivative. With ``dropout`` one mask a batch serves both passes, divided by the
    keep rate.

    Deviations: e is the loss's derivative by the output, which is softmax minus one-hot for ``cross-entropy``; biases
    and normalizers, which the published networks do not have, are allowed (a normalizer's parameters are not learned).
    Fully connected layers only: for convolutions the authors' code applies another rule, with another sign.
    It needs goodness ``linear-head``, a loss of form ``class`` and the scheduler ``whole``.
    """

    name = "pepita"
    source = "Dellaferrera & Kreiman 2022, arXiv:2201.11665, Alg. 1; constants as in GiorgiaD/PEPITA"

    class Params(ffprobe.Params):
        """The feedback, and dropout."""

        scale: float = Field(0.05, gt=0, description="F is uniform within scale * sqrt(6 / inputs)")
        sign: bool = Field(False, description="add F sign(e) instead of F e; the published scale is then 0.005")
        dropout: float = Field(0.0, ge=0, lt=1, description="share of hidden units that are silent in both passes")

    def build(self, setup: ffprobe.LearnerSetup) -> ffprobe.Learner:
        """Put F into the network, unless it is there."""
        network = setup.network
        layers = [network.layer(i) for i in range(network.depth)]
        head = getattr(layers[-1].goodness, "linear", None)
        fits = all(layer.spec.kind == "linear" and layer.spec.shortcut is None for layer in layers)
        if not fits or not isinstance(head, torch.nn.Linear) or setup.groups != ((0, network.depth),):
            raise ffprobe.UsageError(
                "pepita trains fully connected layers under a linear head, all together.",
                hint="Use --plugin fcn --plugin whole --plugin linear-head --plugin cross-entropy --plugin no-label.",
            )
        if any(layer.spec.dropout for layer in layers):
            raise ffprobe.UsageError(
                "pepita needs one dropout mask for both of its passes; the network's would differ.",
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
        """One mask ``[B, units]`` for each hidden layer, already divided by the keep rate; None for no dropout."""
        keep = 1 - self.params.dropout
        if keep == 1:
            return None
        return [(torch.rand(batch, units).to(like.device) < keep).to(like.dtype) / keep for units in hidden]


class PepitaLearner(ffprobe.Learner):
    """Two passes without any graph; one optimizer over maps and head."""

    def __init__(self, setup: ffprobe.LearnerSetup, rule: Pepita) -> None:
        self.setup, self.network, self.rule = setup, setup.network, rule
        self.layers = [self.network.layer(i) for i in range(self.network.depth)]
        self.maps = [*(layer.linear for layer in self.layers), self.layers[-1].goodness.linear]
        self.optimizer = setup.optimizer([p for m in self.maps for p in m.parameters()])

    def step(self, images: torch.Tensor, labels: torch.Tensor, step: int, epoch: int) -> Iterator[ffprobe.Update]:
        """One update of all layers."""
        x = self.network.encode(images, None).detach()
        masks = self.rule.masks(len(x), [layer.output_shape[0] for layer in self.layers], x)
        with torch.no_grad(), self.setup.autocast():
            hidden, _, goodness = self._pass(x, masks)
        loss, error = self._error(goodness, labels, hidden[-1], step, epoch)  # [B, K]
        sent = error.sign() if self.rule.params.sign else error
        with torch.no_grad(), self.setup.autocast():
            second = x + (sent @ self.network.feedback.weight.T.to(sent.dtype)).view(x.shape)
            hidden2, inputs2, goodness2 = self._pass(second, masks)
        _, error2 = self._error(goodness2, labels, hidden2[-1], step, epoch)
        deltas = [first - other for first, other in zip(hidden, hidden2, strict=True)]
        for part, delta, given in zip(self.maps, [*deltas, error2], [*inputs2, hidden2[-1]], strict=True):
            delta, given = delta.to(part.weight.dtype), given.to(part.weight.dtype)
            part.weight.grad = delta.T @ given / len(x)
            if part.bias is not None:
                part.bias.grad = delta.mean(0)
        self.optimizer.step()
        yield ffprobe.Update(range(self.network.depth), self.network.depth - 1, loss)
        self.optimizer.zero_grad(set_to_none=True)

    def _pass(
        self, x: torch.Tensor, masks: list[torch.Tensor] | None
    ) -> tuple[list[torch.Tensor], list[torch.Tensor], torch.Tensor]:
        # activations after dropout, what each map got, and the last layer's goodness
        activations: list[torch.Tensor] = []
        given: list[torch.Tensor] = []
        for index, layer in enumerate(self.layers):
            given.append(layer.normalize_input(x))
            activation = layer.transform(given[-1])
            activations.append(activation if masks is None else activation * masks[index])
            x = layer.pass_on(activations[-1])
        return activations, given, self.layers[-1].goodness(activations[-1])

    def _error(
        self, goodness: torch.Tensor, labels: torch.Tensor, activation: torch.Tensor, step: int, epoch: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        # the loss, and its derivative for each image: only the output's own non-linearity is differentiated
        last = self.network.depth - 1
        output = goodness.detach().requires_grad_(True)
        context = ffprobe.LossContext(last, self.network.depth, step, epoch, activation, labels)
        loss = self.setup.loss(output, labels, context)
        (error,) = torch.autograd.grad(loss, output)
        return loss.detach(), error * len(labels)

    def set_learning_rate(self, rate: float) -> None:
        """Use this rate."""
        for part in self.optimizer.param_groups:
            part["lr"] = rate

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's state."""
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state_dict()``'s answer."""
        self.optimizer.load_state_dict(state["optimizer"])


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Pepita]
