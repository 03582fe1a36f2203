"""The network at work: an encoder and a stack of layers."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from ffprobe.components import Encoder, Goodness, Network, Normalizer, Shape
from ffprobe.errors import UsageError
from ffprobe.hookspecs import LayerInfo
from ffprobe.training.layer import Layer


class Stack(nn.Module):
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
    """

    def __init__(
        self,
        network: Network,
        encoder: Encoder,
        normalizer: Normalizer,
        goodness: Goodness,
        shape: Shape,
        classes: int,
    ) -> None:
        super().__init__()
        self.classes = classes
        self.form = goodness.form
        self.encoder = encoder.build(shape, classes)
        reached = encoded_shape(self.encoder, shape)
        specs = network.layers(reached, classes)
        if not specs:
            raise UsageError(f"The network {network.name!r} has no layers.")
        layers = []
        for spec in specs:
            layers.append(Layer(spec, reached, normalizer, goodness, classes))
            reached = layers[-1].output_shape
        self.layers = nn.ModuleList(layers)

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

    def activations(self, images: torch.Tensor, labels: torch.Tensor | None) -> Iterator[torch.Tensor]:
        """The activation of every layer, first to last, each ``[B, *output_shape]``; only as far as asked for."""
        x = self.encode(images, labels)
        for index in range(self.depth):
            layer = self.layer(index)
            activation = layer(x)
            yield activation
            x = layer.pass_on(activation)

    def forward(self, images: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Goodness of every layer: ``[L, B]`` for form ``pair``, ``[L, B, K]`` for form ``class``."""
        return torch.stack([self.layer(i).goodness(a) for i, a in enumerate(self.activations(images, labels))])

    def named_state(self) -> dict[str, torch.Tensor]:
        """The state by the names of the run file."""
        return {name.removeprefix("layers."): value for name, value in self.state_dict().items()}

    def load_named_state(self, state: dict[str, torch.Tensor]) -> None:
        """Take over a state by the names of the run file; all names and shapes must fit.

        Raises:
            RuntimeError: names or shapes differ (torch's message lists them).
        """
        self.load_state_dict(
            {name if name.startswith("encoder.") else f"layers.{name}": v for name, v in state.items()}
        )

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


def encoded_shape(encoder: nn.Module, shape: Shape) -> Shape:
    """The shape of an encoded image, without the batch, found by encoding two black ones."""
    with torch.no_grad():
        return tuple(encoder(torch.zeros(2, *shape), torch.zeros(2, dtype=torch.int64)).shape[1:])
