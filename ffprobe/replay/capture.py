"""Listening to a replay as any probe could: at steps, at updates, at modules; nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch

from ffprobe.components.peer import ReplayRecord, StepRecord
from ffprobe.hookspecs import StepContext, UpdateContext, hookimpl
from ffprobe.plugin.registry import Registry


class ReplayObserver:
    """Fills a ``ReplayRecord`` while it is entered.

    Args:
        heard: with its network.
        modules: names of modules whose outputs are kept.
        registry: whose hooks it listens to.

    Raises:
        KeyError: the network has no module of that name.
    """

    def __init__(self, heard: ReplayRecord, modules: Sequence[str], registry: Registry) -> None:
        self.heard, self.registry = heard, registry
        self._modules = {name: dict(heard.network.named_modules())[name] for name in modules}
        self._outputs: dict[str, list[np.ndarray]] = {}
        self._updated: list[range] = []
        self._handles: list[Any] = []

    def __enter__(self) -> Self:
        self.registry.manager.register(self, name="replay")
        for name, module in self._modules.items():
            self._handles.append(module.register_forward_hook(self._keeper(name)))
        return self

    def __exit__(self, *exception: object) -> None:
        self.registry.manager.unregister(name="replay")
        for handle in self._handles:
            handle.remove()

    def _keeper(self, name: str) -> Any:
        def keep(module: object, given: object, output: torch.Tensor) -> None:
            self._outputs.setdefault(name, []).append(_array(output))

        return keep

    @hookimpl
    def ffprobe_after_update(self, context: UpdateContext) -> None:
        self._updated.append(context.layers)
        self._gradients()

    @hookimpl
    def ffprobe_after_step(self, context: StepContext) -> None:
        self._gradients()  # what a peer's head learned from beside the updates
        loss, positive, negative = (_array(v) for v in (context.loss, context.positive, context.negative))
        step = StepRecord(loss, positive, negative, context.learning_rate, self._updated, self._outputs)
        self._updated, self._outputs = [], {}
        if not self.heard.steps:
            self.heard.first_state = {name: _array(v) for name, v in self.heard.network.named_state().items()}
        self.heard.steps.append(step)

    def _gradients(self) -> None:
        for name, parameter in self.heard.network.named_parameters():
            if parameter.grad is not None and name.removeprefix("layers.") not in self.heard.first_gradients:
                self.heard.first_gradients[name.removeprefix("layers.")] = _array(parameter.grad)


def _array(value: torch.Tensor) -> np.ndarray:
    return value.detach().cpu().numpy().copy()
