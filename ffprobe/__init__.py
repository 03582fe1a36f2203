"""Train, take apart and compare networks that learn without a global backward pass.

Importing this package loads neither torch nor anything else heavy; each public name is loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ffprobe.analysis.claim import Claim
    from ffprobe.analysis.column import Column
    from ffprobe.analysis.figure import line_by_layer
    from ffprobe.analysis.heads import train_heads
    from ffprobe.analysis.labels import run_labels
    from ffprobe.analysis.result import Result
    from ffprobe.components import (
        Bench,
        Dataset,
        Encoder,
        Evaluator,
        Goodness,
        LayerSpec,
        Learner,
        Loss,
        LossContext,
        Negatives,
        Network,
        Normalizer,
        Params,
        Probe,
        Rule,
        Shape,
        Update,
        UpdateScheduler,
    )
    from ffprobe.data.cached_images import cached_images
    from ffprobe.data.cifar_batches import read_cifar
    from ffprobe.data.idx import idx_names, read_idx_split
    from ffprobe.data.images import Images, channel_statistics
    from ffprobe.data.published import published_folder, read_with_torchvision
    from ffprobe.errors import FfprobeError, FileError, PluginError, UsageError
    from ffprobe.hookspecs import hookimpl
    from ffprobe.store.reader import RunFile
    from ffprobe.store.reader import open_run as open
    from ffprobe.store.schema import Dimension, Variable
    from ffprobe.training.convolutions import convolutions
    from ffprobe.training.evaluate import last_layer_goodness
    from ffprobe.training.groups import groups_of_step
    from ffprobe.training.network import Stack

__version__ = "0.1.0"

_HOME = {
    "Bench": "components",
    "Claim": "analysis.claim",
    "Column": "analysis.column",
    "Dataset": "components",
    "Dimension": "store.schema",
    "Encoder": "components",
    "Evaluator": "components",
    "FfprobeError": "errors",
    "FileError": "errors",
    "Goodness": "components",
    "Images": "data.images",
    "LayerSpec": "components",
    "Learner": "components",
    "Loss": "components",
    "LossContext": "components",
    "Negatives": "components",
    "Network": "components",
    "Normalizer": "components",
    "Params": "components",
    "PluginError": "errors",
    "Probe": "components",
    "Result": "analysis.result",
    "Rule": "components",
    "RunFile": "store.reader",
    "Shape": "components",
    "Stack": "training.network",
    "Update": "components",
    "UpdateScheduler": "components",
    "UsageError": "errors",
    "Variable": "store.schema",
    "cached_images": "data.cached_images",
    "channel_statistics": "data.images",
    "convolutions": "training.convolutions",
    "groups_of_step": "training.groups",
    "hookimpl": "hookspecs",
    "idx_names": "data.idx",
    "last_layer_goodness": "training.evaluate",
    "line_by_layer": "analysis.figure",
    "open": "store.reader:open_run",
    "published_folder": "data.published",
    "read_cifar": "data.cifar_batches",
    "read_idx_split": "data.idx",
    "read_with_torchvision": "data.published",
    "run_labels": "analysis.labels",
    "train_heads": "analysis.heads",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'ffprobe' has no attribute {name!r}")
    module, _, attribute = _HOME[name].partition(":")
    value = getattr(import_module(f"ffprobe.{module}"), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
