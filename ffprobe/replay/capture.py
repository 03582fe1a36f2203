"""Recording of a replay with the hooks that any probe has: steps, updates and module outputs; nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import torch

from ffprobe.components.peer import ReplayRecord, StepRecord
from ffprobe.hookspecs import StepContext, UpdateContext, hookimpl
from ffprobe.plugin.registry import Registry


class ReplayObserver:
    """Context manager that fills a ``ReplayRecord``.

    Args:
        record: the record to fill, with its network.
        modules: names of modules whose outputs are recorded.
        registry: registry in whose hooks the observer is registered.

    Raises:
        KeyError: the network has no module of that name.
    """

    def __init__(self, record: ReplayRecord, modules: Sequence[str], registry: Registry) -> None:
        self.record, self.registry = record, registry
        self._modules = {name: dict(record.network.named_modules())[name] for name in modules}
        self._outputs: dict[str, list[np.ndarray]] = {}
        self._updated: list[range] = []
        self._handles: list[Any] = []

    def __enter__(self) -> Self:
        self.registry.manager.register(self, name="replay")
        for name, module in self._modules.items():
            self._handles.append(module.register_forward_hook(self._output_hook(name)))
        return self

    def __exit__(self, *exception: object) -> None:
        self.registry.manager.unregister(name="replay")
        for handle in self._handles:
            handle.remove()

    def _output_hook(self, name: str) -> Any:
        def record_output(module: object, inputs: object, output: torch.Tensor) -> None:
            self._outputs.setdefault(name, []).append(_array(output))

        return record_output

    @hookimpl
    def ffprobe_after_update(self, context: UpdateContext) -> None:
        self._updated.append(context.layers)
        self._gradients(context.gradient)

    @hookimpl
    def ffprobe_after_step(self, context: StepContext) -> None:
        self._gradients(
            lambda parameter: parameter.grad
        )  # also of parameters that are trained outside the updates, such as a peer's head
        loss, positive, negative = (_array(v) for v in (context.loss, context.positive, context.negative))
        step = StepRecord(loss, positive, negative, context.learning_rate, self._updated, self._outputs)
        self._updated, self._outputs = [], {}
        if not self.record.steps:
            self.record.first_state = {name: _array(v) for name, v in self.record.network.named_state().items()}
        self.record.steps.append(step)

    def _gradients(self, of: Callable[[torch.Tensor], torch.Tensor | None]) -> None:
        for name, parameter in self.record.network.named_parameters():
            gradient = of(parameter)
            if gradient is not None and name.removeprefix("layers.") not in self.record.first_gradients:
                self.record.first_gradients[name.removeprefix("layers.")] = _array(gradient)


def _array(value: torch.Tensor) -> np.ndarray:
    return value.detach().cpu().numpy().copy()
