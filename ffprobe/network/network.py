"""The network as a torch module: an encoder and its layers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, MutableMapping
from typing import Any

import torch
from torch import nn

from ffprobe.components.base import Shape
from ffprobe.components.encoder import Encoder
from ffprobe.components.goodness import Goodness
from ffprobe.components.loss import Loss, LossContext
from ffprobe.components.network import LayerSpec, Network
from ffprobe.components.normalizer import Normalizer
from ffprobe.errors import UsageError
from ffprobe.hookspecs import LayerInfo
from ffprobe.network.layer import Layer
from ffprobe.network.local_loss import LocalLoss, LossPosition, local_loss, loss_arguments
from ffprobe.network.pooling import avg_pool
from ffprobe.network.untrained import UntrainedGoodness


class LayeredNetwork(nn.Module):
    """An encoder and a sequence of layers; an ordinary ``nn.Module``.

    The run file names its parameters without the prefix ``layers.``: ``0.conv.weight``, ``encoder.embedding``.

    Args:
        network: component that lists the layers.
        encoder: component that combines image and label.
        normalizer: normalizer of every layer.
        goodness: goodness of every layer.
        shape: shape of one input: (channels, height, width), (channels, time) or (features,).
        classes: number of classes.
        loss: the loss, which may build parameters for each layer; None for no loss.

    Attributes:
        shows_label: whether the input of the first layer depends on the label.
        flip_evaluation: whether a label scan gives the mean goodness of an image and its mirror image
            (``training.evaluation_flip``); training and ``forward`` do not depend on it.
        trained_layers: indices of the layers whose goodness is meaningful: all but those given to ``drop_goodness``.
    """

    def __init__(
        self,
        network: Network,
        encoder: Encoder,
        normalizer: Normalizer,
        goodness: Goodness,
        shape: Shape,
        classes: int,
        loss: Loss | None = None,
    ) -> None:
        super().__init__()
        self.classes = classes
        self.flip_evaluation = False
        self.form = goodness.form
        self.shows_label = encoder.shows_label
        self.encoder = encoder.build(shape, classes)
        reached = encoded_shape(self.encoder, shape)
        specs = network.layers(reached, classes)
        if not specs:
            raise UsageError(f"The network {network.name!r} has no layers.")
        layers: list[Layer] = []
        inputs = {0: reached}  # the input shape of each layer
        for index, spec in enumerate(specs):
            if not isinstance(spec, LayerSpec) or spec.kind not in ("conv", "linear", "module"):
                raise UsageError(
                    f"Layer {index + 1} of the network {network.name!r} is no LayerSpec of a known kind: {spec!r:.80}.",
                    hint="Return ffprobe.LayerSpec('conv', ...), 'linear' or 'module'; a conv of a signal is Conv1d.",
                )
            self._check_forms(goodness, spec)
            if (objective := spec.loss or loss) is not None:
                objective.prepare(shape)
            layers.append(Layer(spec, reached, normalizer, goodness, classes, loss))
            reached = _joined(layers[-1], inputs)
            inputs[index + 1] = reached
        self.layers = nn.ModuleList(layers)
        self.trained_layers: tuple[int, ...] = tuple(range(len(layers)))

    @property
    def depth(self) -> int:
        return len(self.layers)

    def layer(self, index: int) -> Layer:
        """The layer with this index, from 0."""
        found = self.layers[index]
        assert isinstance(found, Layer)
        return found

    def encode(self, images: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        """The input of the first layer for inputs ``[B, *shape]`` with labels ``[B]``; None is the neutral label."""
        if labels is None:
            return self.encoder.neutral(images)  # type: ignore[operator]
        return self.encoder(images, labels)

    def activations(
        self,
        images: torch.Tensor,
        labels: torch.Tensor | None,
        inputs: MutableMapping[int, torch.Tensor] | None = None,
        first: torch.Tensor | None = None,
    ) -> Iterator[torch.Tensor]:
        """The activation of every layer, first to last, each ``[B, *output_shape]``; computed lazily.

        Args:
            images: ``[B, *shape]``.
            labels: ``[B]``, or None for the neutral label.
            inputs: if given, filled with the input of each layer, by layer index.
            first: the activation of the first layer, if it is known; nothing is encoded then, and ``inputs`` has no
                entry for the first layer.
        """
        inputs = {} if inputs is None else inputs
        if first is None:
            inputs[0] = self.encode(images, labels)
        for index in range(self.depth):
            activation = first if first is not None and index == 0 else self.layer(index)(inputs[index])
            yield activation
            if index + 1 < self.depth:
                inputs[index + 1] = self.pass_on(index, activation, inputs)

    def pass_on(self, index: int, activation: torch.Tensor, inputs: Mapping[int, torch.Tensor]) -> torch.Tensor:
        """The input of layer ``index + 1``, including a shortcut.

        Args:
            index: index of the layer whose output is passed on.
            activation: its activation ``[B, *output_shape]``.
            inputs: inputs of earlier layers, by layer index; at least those that shortcuts start from.
        """
        layer = self.layer(index)
        x, shortcut = layer.pass_on(activation), layer.spec.shortcut
        if shortcut is None:
            return x
        joined = inputs[shortcut.source + 1]  # the output of its source is the input of the layer after the source
        joined = joined.detach() if shortcut.detached else joined
        if shortcut.pool > 1:
            joined = avg_pool(joined, shortcut.pool)
        return x + joined if shortcut.join == "add" else torch.cat([x, joined], dim=1)

    def drop_goodness(self, layers: Collection[int]) -> None:
        """Remove the learned goodness of layers that no loss trains; their goodness and accuracy are NaN from then on.

        A goodness without parameters is kept: it needs no training.

        Args:
            layers: indices of these layers.
        """
        for index in layers:
            layer = self.layer(index)
            if any(True for _ in layer.goodness.parameters()):
                layer.goodness = UntrainedGoodness((self.classes,) if self.form == "class" else ())
                self.trained_layers = tuple(i for i in self.trained_layers if i != index)

    def local_loss(
        self, layer: int, activation: torch.Tensor, labels: torch.Tensor, loss: Loss, **more: Any
    ) -> LocalLoss:
        """The loss of one layer, on its goodness: every learning rule computes its losses here.

        Args:
            layer: index of the layer, from 0.
            activation: of that layer, with its graph: ``[2B, *shape]``, positives first, in form ``pair``;
                ``[B, *shape]`` in form ``class``.
            labels: int64 ``[B]``, the true labels.
            loss: of the run; a layer with a loss of its own uses that one.
            more: ``step``, ``epoch``, ``earlier``, ``layer_input``, ``goodness``, ``autocast`` as in
                ``ffprobe.network.local_loss.local_loss``.
        """
        return local_loss(self.layer(layer), self._position(layer), activation, labels, loss, **more)

    def loss_arguments(
        self, layer: int, goodness: torch.Tensor, activation: torch.Tensor, labels: torch.Tensor, **more: Any
    ) -> tuple[torch.Tensor, torch.Tensor, LossContext]:
        """What a loss at this layer is called with; see ``ffprobe.network.local_loss.loss_arguments``."""
        return loss_arguments(self.layer(layer), self._position(layer), goodness, activation, labels, **more)

    def _position(self, layer: int) -> LossPosition:
        return LossPosition(layer, self.depth, self.form)

    @property
    def passes_per_image(self) -> int:
        """Forward passes that score every label: the number of classes in form ``pair``, 1 in form ``class``."""
        return self.classes if self.form == "pair" else 1

    def forward(self, images: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Goodness of every layer: ``[L, B]`` for form ``pair``, ``[L, B, K]`` for form ``class``."""
        return torch.stack([self.layer(i).goodness(a) for i, a in enumerate(self.activations(images, labels))])

    def _check_forms(self, goodness: Goodness, spec: LayerSpec) -> None:
        for own in (spec.goodness, spec.loss):
            if own is not None and own.form != goodness.form:
                raise UsageError(
                    f"A layer has a {own.kind} of form {own.form!r}, but the run's goodness has form {goodness.form!r}."
                )

    def named_state(self) -> dict[str, torch.Tensor]:
        """The state by the names of the run file."""
        return {name.removeprefix("layers."): value for name, value in self.state_dict().items()}

    def load_named_state(self, state: dict[str, torch.Tensor]) -> None:
        """Load a state by the names of the run file; all names and shapes must match.

        Names that contain ``feedback`` are tensors that a rule keeps in the network (fixed matrices that carry errors
        back); they are skipped if the network was built without its rule.

        Raises:
            RuntimeError: names or shapes differ (torch's message lists them).
        """
        own = self.state_dict()
        found = {f"layers.{name}" if name[:1].isdigit() else name: value for name, value in state.items()}
        self.load_state_dict({n: v for n, v in found.items() if n in own or "feedback" not in n.split(".")})

    def describe(self) -> tuple[LayerInfo, ...]:
        """A description of each layer, for hooks and tables."""
        return tuple(
            LayerInfo(
                str(i),
                layer.spec.kind,
                layer.input_shape,
                layer.output_shape,
                sum(p.numel() for p in layer.parameters()),
            )
            for i, layer in ((i, self.layer(i)) for i in range(self.depth))
        )


def _joined(layer: Layer, inputs: Mapping[int, Shape]) -> Shape:
    # the shape of a layer's output to the next layer, including a shortcut
    shape, shortcut = layer.passed_shape, layer.spec.shortcut
    if shortcut is None:
        return shape
    source = inputs.get(shortcut.source + 1)
    if source is None:
        raise UsageError(f"A shortcut starts from layer {shortcut.source + 1}, which is not an earlier layer.")
    pooled = (source[0], *(side // shortcut.pool for side in source[1:]))
    if pooled[1:] != shape[1:] or (shortcut.join == "add" and pooled != shape):
        raise UsageError(
            f"A shortcut of shape {list(pooled)} cannot be joined to an output of shape {list(shape)} by "
            f"{shortcut.join!r}."
        )
    return shape if shortcut.join == "add" else (shape[0] + pooled[0], *shape[1:])


def encoded_shape(encoder: nn.Module, shape: Shape) -> Shape:
    """The shape of an encoded input without the batch dimension, found by encoding two inputs of zeros."""
    with torch.no_grad():
        return tuple(encoder(torch.zeros(2, *shape), torch.zeros(2, dtype=torch.int64)).shape[1:])
