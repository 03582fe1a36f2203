"""Builds an experiment of the Trifecta on random images with the ordinary code."""

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
    """Build the experiment and one batch: images ``[B, 3, 32, 32]``, true and wrong labels, int64 ``[B]``.

    Args:
        width: factor for the number of channels of the network.
        batch: images per step.
        count: number of training images; 0 for two batches.
        changes: settings that replace those of the preset, as in a config.
    """
    registry = Registry()
    table = merge(read_preset(BASE_PRESET), read_preset("trifecta"))
    table = merge(table, {"network": {"name": "tff-s", "width": width}, "probes": []})
    table = merge(table, {"training": {"batch_size": batch, "epochs": 1}})
    config = resolve(merge(table, changes), registry)
    images = random_images(count or 2 * batch, seed=0)
    validation = random_images(256, seed=1)
    no_indices = torch.zeros(0, dtype=torch.int64)
    experiment = build(config, registry, Split(images, validation, None, no_indices, no_indices))
    experiment.network.train()
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(batch, 3, 32, 32, generator=generator)
    labels = torch.randint(10, (batch,), generator=generator)
    return experiment, x, labels, (labels + 1) % 10


def equal_layers(depth: int, width: int) -> type[Network]:
    """A network of equal 3x3 convolutions without pooling, so that only the depth changes."""

    class Equal(Network):
        name = "equal"

        def layers(self, shape: Any, classes: int) -> list[LayerSpec]:
            return [LayerSpec("conv", width) for _ in range(depth)]

    return Equal


def random_images(count: int, seed: int, shape: tuple[int, int, int] = (3, 32, 32), classes: int = 10) -> Images:
    """Random images with random labels; time and memory do not depend on the content of images."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(256, (count, *shape), generator=generator, dtype=torch.uint8)
    labels = torch.randint(classes, (count,), generator=generator)
    names = tuple(str(k) for k in range(classes))
    return Images(pixels, labels, names, (0.5,) * shape[0], (0.25,) * shape[0])
