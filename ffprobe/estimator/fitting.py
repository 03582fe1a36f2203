"""How an estimator trains: its split, in one go with or without a run file, or pass by pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from ffprobe.api import train
from ffprobe.config.settings import RunConfig
from ffprobe.data.hold_out import hold_out
from ffprobe.data.loader import Loader
from ffprobe.data.samples import Samples
from ffprobe.errors import UsageError
from ffprobe.inference.trained import rebuild
from ffprobe.network.network import LayeredNetwork
from ffprobe.plugin.discovery import build_manager
from ffprobe.plugin.registry import Registry
from ffprobe.runtime.seeding import stream
from ffprobe.store.names import run_file
from ffprobe.store.reader import open_run
from ffprobe.training.experiment import build
from ffprobe.training.groups import first_epoch_of_all
from ffprobe.training.observers import Observers
from ffprobe.training.split import Split, load_split


class Incremental:
    """A learner that is kept between calls of ``partial_fit``, with the state of its optimizers.

    Args:
        configure: returns the config for a registry and samples.
        samples: the first samples.
        weights: the network's state to begin with; None for a new network.
        batch_size: samples per optimizer step.
    """

    def __init__(
        self,
        configure: Callable[[Registry, Samples], RunConfig],
        samples: Samples,
        weights: Mapping[str, np.ndarray] | None,
        batch_size: int,
    ) -> None:
        registry = Registry()
        self.config = configure(registry, samples)
        self.experiment = build(self.config, registry, split_of(self.config, registry, samples, False))
        setup, depth = self.experiment.setup, self.experiment.network.depth
        epochs, steps = self.config.settings.training.epochs, len(self.experiment.loader)
        if first_epoch_of_all(setup.scheduler, setup.groups, depth, epochs, steps):
            raise UsageError(
                f"partial_fit trains one pass at a time, but the scheduler {setup.scheduler.name!r} trains one layer "
                "after another over many.",
                hint='Choose a scheduler that trains every layer in each pass: plugins=["greedy"].',
            )
        if weights is not None:
            state = {name: torch.from_numpy(np.array(value)) for name, value in weights.items()}
            self.experiment.network.load_named_state(state)
        self._batch_size, self._step, self._epoch = batch_size, 0, 0

    def learn(self, samples: Samples) -> None:
        """One pass over the samples."""
        experiment = self.experiment
        dtype = torch.float64 if experiment.precision == "fp64" else torch.float32
        shuffle = experiment.streams["shuffle"]
        loader = Loader(samples, self._batch_size, experiment.device, shuffle_generator=shuffle, dtype=dtype)
        experiment.network.train()
        experiment.learner.set_learning_rate(self.config.settings.training.learning_rate)
        for x, labels, _ in loader:
            for _update in experiment.learner.step(x, labels, self._step, self._epoch):
                pass
            self._step += 1
        self._epoch += 1


def split_of(config: RunConfig, registry: Registry, samples: Samples, holds_out: bool) -> Split:
    """The split of a training; without a hold-out, one sample of each class stands in for validation samples."""
    if config.slots["dataset"].component.name.startswith("data-"):
        return load_split(config, registry)
    everything = torch.arange(len(samples))
    if holds_out:
        fraction = config.settings.training.validation_fraction
        train, held_out = hold_out(samples, fraction, stream(config.settings.seed, "split"))
        if not len(held_out):
            raise ValueError("No class has two samples, so none can be held out for validation.")
        return Split(samples.subset(train), samples.subset(held_out), None, train, held_out)
    first = torch.tensor([int((samples.labels == label).nonzero()[0]) for label in samples.labels.unique()])
    return Split(samples, samples.subset(first), None, everything, first)


def train_recorded(config: RunConfig, registry: Registry, path: Path) -> tuple[LayeredNetwork, int]:
    """Train as ``ffprobe.run`` does; the network from the run file, and the number of epochs."""
    train(config, registry, path, command="ffprobe.ForwardForwardClassifier")
    with open_run(run_file(path)) as run:
        return rebuild(run, config, registry, "cpu").network, run.epochs


def unobserved() -> Observers:
    """Observers of a training that nobody observes."""
    return Observers(build_manager(), lambda *_: None, lambda *_: None)
