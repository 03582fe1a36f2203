"""What an observer writes into its context reaches neither the run, nor its file, nor another observer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from toy import toy_config

import ffprobe
from ffprobe.hookspecs import EpochContext, RunContext, StepContext
from ffprobe.plugin.registry import Registry
from ffprobe.training.observers import own_context
from ffprobe.training.session import Session

TENSORS = ("loss", "positive", "negative", "images", "labels")
RUN = RunContext({}, (), ("a", "b"), 1, 1)


class Vandal:
    """Fills every tensor that it receives."""

    @ffprobe.hookimpl
    def ffprobe_after_update(self, context: Any) -> None:
        self._spoil(context)

    @ffprobe.hookimpl
    def ffprobe_after_step(self, context: Any) -> None:
        self._spoil(context)

    @ffprobe.hookimpl
    def ffprobe_after_epoch(self, context: Any) -> None:
        self._spoil(context)
        for tensor in context.metrics.values():
            tensor.fill_(7)
        context.metrics.clear()

    def _spoil(self, context: Any) -> None:
        for name in TENSORS:
            tensor = getattr(context, name, None)
            if tensor is not None:
                tensor.data.fill_(1)
                tensor.zero_()


class Witness:
    """Keeps what it receives after a vandal."""

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    @ffprobe.hookimpl
    def ffprobe_after_step(self, context: Any) -> None:
        self.seen += [getattr(context, name).numpy().copy() for name in TENSORS]

    @ffprobe.hookimpl
    def ffprobe_after_epoch(self, context: Any) -> None:
        self.seen += [context.images.numpy().copy(), *(value.numpy().copy() for value in context.metrics.values())]


def trained(out: Path, *observers: tuple[str, Any]) -> tuple[dict[str, Any], list[np.ndarray]]:
    registry = Registry()
    witness = Witness()
    session = Session.start(
        toy_config(registry, "negatives", probes=[]), registry, out, observers=[*observers, ("witness", witness)]
    )
    session.run()
    arrays: dict[str, Any] = {}
    with h5py.File(out) as file:
        file.visititems(lambda name, node: arrays.update({name: node[()]}) if isinstance(node, h5py.Dataset) else None)
    times = ("wall_time", "images_per_second", "peak_memory", "commit")
    return {name: value for name, value in arrays.items() if not any(word in name for word in times)}, witness.seen


def test_writing_into_a_context_changes_nothing(tmp_path: Path) -> None:
    plain, seen = trained(tmp_path / "a.h5")
    spoilt, seen_beside = trained(tmp_path / "b.h5", ("vandal", Vandal()))
    with ffprobe.open(tmp_path / "b.h5") as run:
        assert run.messages() == []  # the vandal was not switched off
    assert plain.keys() == spoilt.keys() and "steps/loss" in plain
    for name, value in plain.items():
        np.testing.assert_array_equal(spoilt[name], value, err_msg=name)
    for one, other in zip(seen, seen_beside, strict=True):
        np.testing.assert_array_equal(one, other)


def step_context() -> StepContext:
    numbers = [torch.ones(2) for _ in range(3)]
    return StepContext(RUN, 0, 0, *numbers, torch.ones(4, 1, 8, 8), torch.ones(4).long(), 0.1)


def test_a_tensor_is_copied_once_and_only_if_it_is_read() -> None:
    shared = step_context()
    own = own_context(shared, print)
    assert isinstance(own, StepContext) and own.record is print and own.learning_rate == 0.1
    assert not {"images", "labels"} & set(vars(own))
    own.images.zero_()
    assert shared.images.sum() == 4 * 64 and own.images.sum() == 0
    assert own.images is own.images
    assert own_context(shared, print).images.sum() == 4 * 64


def test_a_context_without_tensors_is_copied_as_well() -> None:
    shared = EpochContext(RUN, 3, 9)
    own = own_context(shared, print)
    assert (own.epoch, own.step, own.images, own.labels, own.metrics) == (3, 9, None, None, {})
    with pytest.raises(AttributeError):
        own.epoch = 4


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


def test_an_exception_whose_message_cannot_be_read_switches_the_observer_off(tmp_path: Path) -> None:
    class Bad:
        @ffprobe.hookimpl
        def ffprobe_after_step(self, context: Any) -> None:
            raise Mute

    registry = Registry()
    config = toy_config(registry, probes=[])
    Session.start(config, registry, tmp_path / "run.h5", observers=[("bad", Bad())]).run()
    with ffprobe.open(tmp_path / "run.h5") as run:
        ((_, message),) = run.messages()
    assert message.endswith("was switched off: Mute (its message cannot be read: __str__ raised ValueError)")
