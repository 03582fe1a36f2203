"""A trained network, rebuilt from its run file alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from ffprobe.config.settings import RunConfig
from ffprobe.errors import FileError
from ffprobe.network.network import LayeredNetwork
from ffprobe.plugin.error_attribution import attribute_errors
from ffprobe.plugin.registry import Registry
from ffprobe.runtime.precision import autocast, choose_device
from ffprobe.store.reader import RunFile


@dataclass(frozen=True)
class Trained:
    """A trained network, ready to be asked.

    Attributes:
        network: in evaluation mode, on its device, with the run's final weights and running statistics.
        classes: the class names.
        shape: of an image (channels, height, width).
        mean: that the run's images were normalized with, per channel, on the scale 0 to 1.
        std: the same.
        units: numbers that a layer keeps of each image as features.
        batch: images that were evaluated together.
        device: of the network.
        precision: of forward passes.
        autocast: maker of the precision's context.
    """

    network: LayeredNetwork
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    units: int
    batch: int
    device: torch.device
    precision: str
    autocast: Callable[[], Any]


def rebuild(run: RunFile, config: RunConfig, registry: Registry, device: str = "auto") -> Trained:
    """The network of a finished run.

    Args:
        run: the run file.
        config: the run's, resolved.
        registry: that resolved it.
        device: where to put the network.

    Raises:
        FileError: the run has not finished, or its weights do not fit its config.
        UsageError: no such device here.
        PluginError: a component cannot be built.
    """
    if not run.complete:
        raise FileError(
            "The run has not finished, so its weights are not in the file yet.",
            where=str(run.path),
            hint=f"`ffprobe run --resume --out {str(run.path).removesuffix('.partial')}` goes on with it.",
        )
    attributes: Any = run.attributes
    shape, classes = tuple(attributes["image_shape"]), tuple(attributes["class_names"])
    made: dict[str, Any] = {kind: choice.build() for kind, choice in config.slots.items() if kind != "dataset"}
    with attribute_errors(registry, "building the network"):
        network = LayeredNetwork(
            made["network"],
            made["encoder"],
            made["normalizer"],
            made["goodness"],
            shape,
            len(classes),
            made["loss"],
        )
    state = _weights(run)
    untaught = {i for i in range(network.depth) if _goodness_names(network, i) - set(state)}
    network.drop_goodness(untaught)  # layers that no loss taught have none in the file
    try:
        network.load_named_state(state)
    except RuntimeError as error:
        raise FileError(
            f"The weights in the run file do not fit its config: {' '.join(str(error).split())}.", where=str(run.path)
        ) from error
    where = choose_device(device)
    precision = str(attributes["precision"])
    dtype = torch.float64 if precision == "fp64" else torch.float32
    network.to(device=where, dtype=dtype).to(memory_format=torch.channels_last)
    network.eval().requires_grad_(False)
    settings = config.settings
    return Trained(
        network,
        classes,
        shape,
        tuple(attributes["image_mean"]),
        tuple(attributes["image_std"]),
        settings.recording.max_features,
        settings.training.evaluation_batch,
        where,
        precision,
        autocast(precision, where),
    )


def _weights(run: RunFile) -> dict[str, torch.Tensor]:
    """The network's state by the names that it has in the file."""
    paths = [path for path in run.paths() if path.startswith("weights/") and ".axis" not in path]
    return {path.removeprefix("weights/").replace("/", ".", 1): torch.as_tensor(run.read(path)) for path in paths}


def _goodness_names(network: LayeredNetwork, index: int) -> set[str]:
    return {f"{index}.goodness.{name}" for name, _ in network.layer(index).goodness.named_parameters()}
