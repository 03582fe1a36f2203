"""Counts the multiply-adds and the bytes of whatever runs inside it, backward passes included."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode


class OperationCounter:
    """A context that counts the operations of torch, on any device.

    Attributes:
        bytes: bytes that operations read and write, as if each read its inputs from memory and wrote its results
            there. Views cost nothing. Caches and fused operations make the traffic of a real machine smaller.
    """

    def __init__(self) -> None:
        self._flops, self._traffic = FlopCounterMode(display=False), _Traffic()
        self._stack = ExitStack()

    def __enter__(self) -> OperationCounter:
        self._stack.enter_context(self._flops)
        self._stack.enter_context(self._traffic)
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.close()

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of convolutions, matrix products and attention, as torch counts them."""
        return int(self._flops.get_total_flops()) // 2

    @property
    def bytes(self) -> int:
        return self._traffic.bytes


class _Traffic(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        read = list(_tensors([args, kwargs or {}]))
        owners = {tensor.untyped_storage().data_ptr() for tensor in read}
        results = list(_tensors(out))
        new = [tensor for tensor in results if tensor.untyped_storage().data_ptr() not in owners]
        changes = func._schema.is_mutable
        if results and not new and not changes:
            return out  # a view
        written = results if changes else new
        self.bytes += sum(tensor.numel() * tensor.element_size() for tensor in [*read, *written])
        return out


def _tensors(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        if value.layout == torch.strided:
            yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
