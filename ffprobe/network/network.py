"""The network at work: an encoder and a stack of layers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, MutableMapping

import torch
from torch import nn
from torch.nn import functional

from ffprobe.components.base import Shape
from ffprobe.components.encoder import Encoder
from ffprobe.components.goodness import Goodness
from ffprobe.components.loss import Loss
from ffprobe.components.network import LayerSpec, Network
from ffprobe.components.normalizer import Normalizer
from ffprobe.errors import UsageError
from ffprobe.hookspecs import LayerInfo
from ffprobe.network.layer import Layer
from ffprobe.network.untrained import UntrainedGoodness


class LayeredNetwork(nn.Module):
    """Encoder and layers; an ordinary ``nn.Module``.

    Names in its state are those of the run file without the ``layers.`` in front: ``0.conv.weight``,
    ``encoder.embedding``.

    Args:
        network: which layers.
        encoder: how labels enter.
        normalizer: passed between layers.
        goodness: read from activations.
        shape: of an image (channels, height, width).
        classes: the number of classes.
        loss: asked for the parameters that it keeps at each layer; None where there is no loss.

    Attributes:
        shows_label: whether what a layer gets depends on the label.
        trained_layers: the layers whose goodness means something: all but those that ``drop_goodness`` was told of.
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
        self.form = goodness.form
        self.shows_label = encoder.shows_label
        self.encoder = encoder.build(shape, classes)
        reached = encoded_shape(self.encoder, shape)
        specs = network.layers(reached, classes)
        if not specs:
            raise UsageError(f"The network {network.name!r} has no layers.")
        layers: list[Layer] = []
        inputs = {0: reached}  # the shape that each layer gets
        for index, spec in enumerate(specs):
            self._check_forms(goodness, spec)
            layers.append(Layer(spec, reached, normalizer, goodness, classes, loss))
            reached = _joined(layers[-1], inputs)
            inputs[index + 1] = reached
        self.layers = nn.ModuleList(layers)
        self.trained_layers: tuple[int, ...] = tuple(range(len(layers)))

    @property
    def depth(self) -> int:
        return len(self.layers)

    def layer(self, index: int) -> Layer:
        """The layer at ``index``, from 0."""
        found = self.layers[index]
        assert isinstance(found, Layer)
        return found

    def encode(self, images: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        """The input of layer 0 for images ``[B, C, H, W]`` with labels ``[B]``, or with the neutral label for None."""
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
        """The activation of every layer, first to last, each ``[B, *output_shape]``; only as far as asked for.

        Args:
            images: ``[B, C, H, W]``.
            labels: ``[B]``, or None for the neutral label.
            inputs: filled, if given, with what each layer got, by its index.
            first: the activation of layer 0, where it is known; then nothing is encoded, and ``inputs`` lacks it.
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
        """What layer ``index + 1`` gets, shortcut included.

        Args:
            index: of the layer that passes on.
            activation: its activation ``[B, *output_shape]``.
            inputs: what layers got, by their index, at least of those that shortcuts start from.
        """
        layer = self.layer(index)
        x, shortcut = layer.pass_on(activation), layer.spec.shortcut
        if shortcut is None:
            return x
        joined = inputs[shortcut.source + 1]  # what its source passed on is what the layer after it got
        joined = joined.detach() if shortcut.detached else joined
        if shortcut.pool > 1:
            joined = functional.avg_pool2d(joined, shortcut.pool)
        return x + joined if shortcut.join == "add" else torch.cat([x, joined], dim=1)

    def drop_goodness(self, layers: Collection[int]) -> None:
        """Take learned goodness away from layers that no loss will ever teach: theirs is NaN from then on.

        A goodness without parameters stays: it needs no teaching.
        """
        for index in layers:
            layer = self.layer(index)
            if any(True for _ in layer.goodness.parameters()):
                layer.goodness = UntrainedGoodness((self.classes,) if self.form == "class" else ())
                self.trained_layers = tuple(i for i in self.trained_layers if i != index)

    def forward(self, images: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Goodness of every layer: ``[L, B]`` for form ``pair``, ``[L, B, K]`` for form ``class``."""
        return torch.stack([self.layer(i).goodness(a) for i, a in enumerate(self.activations(images, labels))])

    def _check_forms(self, goodness: Goodness, spec: LayerSpec) -> None:
        for own in (spec.goodness, spec.loss):
            if own is not None and own.form != goodness.form:
                raise UsageError(
                    f"A layer has a {own.kind} of form {own.form!r}, the run's goodness {goodness.form!r}."
                )

    def named_state(self) -> dict[str, torch.Tensor]:
        """The state by the names of the run file."""
        return {name.removeprefix("layers."): value for name, value in self.state_dict().items()}

    def load_named_state(self, state: dict[str, torch.Tensor]) -> None:
        """Take over a state by the names of the run file; all names and shapes must fit.

        Names with a part ``feedback`` are what a rule keeps in the network (fixed matrices that carry errors back); a
        network that was built without its rule does without them.

        Raises:
            RuntimeError: names or shapes differ (torch's message lists them).
        """
        own = self.state_dict()
        found = {f"layers.{name}" if name[:1].isdigit() else name: value for name, value in state.items()}
        self.load_state_dict({n: v for n, v in found.items() if n in own or "feedback" not in n.split(".")})

    def describe(self) -> tuple[LayerInfo, ...]:
        """What each layer is, for hooks and tables."""
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
    # the shape of what a layer passes on, shortcut included
    shape, shortcut = layer.passed_shape, layer.spec.shortcut
    if shortcut is None:
        return shape
    source = inputs.get(shortcut.source + 1)
    if source is None:
        raise UsageError(f"A shortcut starts from layer {shortcut.source}, which is not an earlier one.")
    pooled = (source[0], *(side // shortcut.pool for side in source[1:]))
    if pooled[1:] != shape[1:] or (shortcut.join == "add" and pooled != shape):
        raise UsageError(f"A shortcut of shape {list(pooled)} cannot be joined to {list(shape)} by {shortcut.join}.")
    return shape if shortcut.join == "add" else (shape[0] + pooled[0], *shape[1:])


def encoded_shape(encoder: nn.Module, shape: Shape) -> Shape:
    """The shape of an encoded image, without the batch, found by encoding two black ones."""
    with torch.no_grad():
        return tuple(encoder(torch.zeros(2, *shape), torch.zeros(2, dtype=torch.int64)).shape[1:])
