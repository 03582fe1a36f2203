"""An experiment of the Trifecta on random images, built by the ordinary code."""

from __future__ import annotations

from typing import Any

import torch

from ffprobe.components.network import LayerSpec, Network
from ffprobe.config.parsing import merge
from ffprobe.config.preset_files import BASE_PRESET, read_preset
from ffprobe.config.resolve import resolve
from ffprobe.data.images import Images
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import Experiment, build
from ffprobe.training.split import Split


def prepared(
    *, width: float = 1.0, batch: int = 128, count: int = 0, **changes: Any
) -> tuple[Experiment, torch.Tensor, torch.Tensor, torch.Tensor]:
    """The experiment, and one batch: images ``[B, 3, 32, 32]``, true and wrong labels ``[B]``.

    Args:
        width: factor on the network's channels.
        batch: images a step.
        count: training images; two batches unless given.
        changes: over the preset, as in a config.
    """
    registry = Registry()
    table = merge(read_preset(BASE_PRESET), read_preset("trifecta"))
    table = merge(table, {"network": {"name": "tff-s", "width": width}, "probes": []})
    table = merge(table, {"training": {"batch_size": batch, "epochs": 1}})
    config = resolve(merge(table, changes), registry)
    images = random_images(count or 2 * batch, seed=0)
    held = random_images(256, seed=1)
    nothing = torch.zeros(0, dtype=torch.int64)
    experiment = build(config, registry, Split(images, held, None, nothing, nothing))
    experiment.network.train()
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(batch, 3, 32, 32, generator=generator)
    labels = torch.randint(10, (batch,), generator=generator)
    return experiment, x, labels, (labels + 1) % 10


def equal_layers(depth: int, width: int) -> type[Network]:
    """A network of equal 3x3 convolutions without pooling, so that depth is all that changes."""

    class Equal(Network):
        name = "equal"

        def layers(self, shape: Any, classes: int) -> list[LayerSpec]:
            return [LayerSpec("conv", width) for _ in range(depth)]

    return Equal


def random_images(count: int, seed: int, shape: tuple[int, int, int] = (3, 32, 32), classes: int = 10) -> Images:
    """Noise with labels: time and memory do not depend on what the images show."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(256, (count, *shape), generator=generator, dtype=torch.uint8)
    labels = torch.randint(classes, (count,), generator=generator)
    names = tuple(str(k) for k in range(classes))
    return Images(pixels, labels, names, (0.5,) * shape[0], (0.25,) * shape[0])
