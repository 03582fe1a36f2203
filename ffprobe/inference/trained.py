"""A trained network, rebuilt from its run file alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from ffprobe.config.settings import RunConfig
from ffprobe.data.images import Images
from ffprobe.data.samples import InputKind, Samples
from ffprobe.errors import FileError
from ffprobe.inference.evaluation_flip import flips_evaluation
from ffprobe.network.network import LayeredNetwork
from ffprobe.plugin.error_attribution import attribute_errors
from ffprobe.plugin.registry import Registry
from ffprobe.runtime.precision import autocast, choose_device
from ffprobe.store.reader import RunFile


@dataclass(frozen=True)
class Trained:
    """A trained network, ready for inference.

    Attributes:
        network: the network in evaluation mode, on its device, with the run's final weights and running statistics.
        classes: class names.
        kind: how the run's inputs were stored: ``pixels``, ``values`` or ``tokens``.
        shape: shape of one input of the network.
        mean: mean of each feature or channel by which the run's inputs were normalized; of pixels on the scale 0 to 1.
        std: standard deviation of each feature or channel, as ``mean``.
        max_features: maximum number of features per image and layer.
        batch: images per forward pass in the run's evaluations.
        device: device of the network.
        precision: precision of forward passes: ``fp32``, ``bf16`` or ``fp64``.
        autocast: returns a context manager for this precision.
    """

    network: LayeredNetwork
    classes: tuple[str, ...]
    kind: InputKind
    shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    max_features: int
    batch: int
    device: torch.device
    precision: str
    autocast: Callable[[], Any]

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """The shape of one input as it is stored; tokens are stored as ``[T]``."""
        return self.shape[1:] if self.kind == "tokens" else self.shape

    @property
    def stored_dtype(self) -> torch.dtype:
        """The dtype of inputs as they are stored."""
        return {"pixels": torch.uint8, "values": torch.float32, "tokens": torch.int64}[self.kind]

    def samples(self, inputs: torch.Tensor, labels: torch.Tensor | None = None) -> Samples:
        """Inputs ``[N, *stored_shape]`` with the classes and the normalization of the run; labels are 0 by default.

        Raises:
            FileError: a value is NaN, or a token is not one of the run's vocabulary.
        """
        labels = torch.zeros(len(inputs), dtype=torch.int64) if labels is None else labels
        if self.kind == "pixels":
            return Images(inputs, labels, self.classes, self.mean, self.std)
        vocabulary = self.shape[0] if self.kind == "tokens" else 0
        return Samples(inputs, labels, self.classes, self.mean, self.std, vocabulary)


def rebuild(run: RunFile, config: RunConfig, registry: Registry, device: str = "auto") -> Trained:
    """Rebuild the network of a finished run.

    Args:
        run: the run file.
        config: the run's resolved config.
        registry: registry that resolved the config.
        device: device for the network, ``auto``, ``cpu``, ``cuda`` ...

    Raises:
        FileError: the run has not finished, or its weights do not match its config.
        UsageError: this machine has no such device.
        PluginError: a component cannot be built.
    """
    if not run.complete:
        raise FileError(
            "The run has not finished, so its weights are not in the file yet.",
            where=str(run.path),
            hint=f"Resume it with `ffprobe run --resume --out {str(run.path).removesuffix('.partial')}`.",
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
    kind = attributes.get("input_kind", "pixels")
    network.flip_evaluation = flips_evaluation(config.settings.training, kind, shape)
    state = _weights(run)
    untrained = {i for i in range(network.depth) if _goodness_names(network, i) - set(state)}
    network.drop_goodness(untrained)  # the file has no goodness parameters for layers that no loss trains
    try:
        network.load_named_state(state)
    except RuntimeError as error:
        raise FileError(
            f"The weights in the run file do not match its config: {' '.join(str(error).split())}.", where=str(run.path)
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
        kind,
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
    """The network's state, by the names in the file."""
    paths = [path for path in run.paths() if path.startswith("weights/") and ".axis" not in path]
    return {path.removeprefix("weights/").replace("/", ".", 1): torch.as_tensor(run.read(path)) for path in paths}


def _goodness_names(network: LayeredNetwork, index: int) -> set[str]:
    return {f"{index}.goodness.{name}" for name, _ in network.layer(index).goodness.named_parameters()}
