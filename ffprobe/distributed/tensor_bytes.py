"""Tensors as bytes and back: values, shapes and strides are exactly those of the sender."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

SMALL = 1 << 16
"""Bytes up to which tensors of one message are joined; larger ones are sent from their own memory, without a copy."""


@dataclass(frozen=True)
class TensorLayout:
    """Everything about a tensor but its values.

    Attributes:
        name: name of the tensor within its message.
        dtype: its dtype.
        shape: its shape.
        stride: its strides. Convolutions choose their kernel, and with it their rounding, by the strides.
    """

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Number of bytes of the values."""
        return torch.Size(self.shape).numel() * self.dtype.itemsize


def dense(name: str, tensor: torch.Tensor) -> tuple[TensorLayout, torch.Tensor]:
    """The layout of a tensor, and its values as uint8 ``[n]`` on the CPU in memory order; a view where possible."""
    tensor = tensor.detach().cpu()
    reach = 1 + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
    if tensor.numel() and reach != tensor.numel():  # a slice or an expanded tensor
        tensor = tensor.contiguous()
    layout = TensorLayout(name, tensor.dtype, tuple(tensor.shape), tuple(tensor.stride()))
    return layout, tensor.as_strided((tensor.numel(),), (1,)).view(torch.uint8)


def rebuilt(layout: TensorLayout, data: torch.Tensor) -> torch.Tensor:
    """The tensor from its layout and its bytes, uint8 ``[n]``; a view of them."""
    return data.view(layout.dtype).as_strided(layout.shape, layout.stride)


def messages(layouts: Sequence[TensorLayout]) -> list[list[int]]:
    """Which tensors share a message: each large one has its own, the small ones share the last.

    Within the last message, wide dtypes come first, so that every tensor begins at a multiple of its item size.
    """
    small = [index for index, layout in enumerate(layouts) if layout.bytes <= SMALL]
    large = [[index] for index, layout in enumerate(layouts) if layout.bytes > SMALL]
    small.sort(key=lambda index: -layouts[index].dtype.itemsize)
    return [*large, small] if small else large


def joined(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """The values of tensors, one after the other, uint8 ``[n]`` on the CPU: a copy. Wide dtypes must come first."""
    return torch.cat([dense("", tensor)[1] for tensor in tensors])


def copy_values(data: torch.Tensor, tensors: Sequence[torch.Tensor]) -> None:
    """Copy values that ``joined`` returned into tensors of the same shapes, dtypes and strides, in place."""
    at = 0
    with torch.no_grad():
        for tensor in tensors:
            layout, own = dense("", tensor)
            tensor.copy_(rebuilt(layout, data[at : at + own.numel()]))
            at += own.numel()
