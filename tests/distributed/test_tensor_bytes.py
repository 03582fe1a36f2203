"""Tensors as bytes and back."""

from __future__ import annotations

import torch

from ffprobe.distributed.tensor_bytes import copy_values, dense, joined, messages, rebuilt


def test_a_tensor_keeps_its_values_its_dtype_and_its_memory_format() -> None:
    map_ = torch.arange(2 * 3 * 4 * 5, dtype=torch.bfloat16).view(2, 3, 4, 5)
    for tensor in (map_, map_.contiguous(memory_format=torch.channels_last), torch.tensor(7), torch.zeros(0, 3)):
        layout, data = dense("x", tensor)
        again = rebuilt(layout, data)
        assert torch.equal(again, tensor)
        assert (again.dtype, again.stride()) == (tensor.dtype, tensor.stride())
        assert layout.bytes == data.numel() == tensor.numel() * tensor.element_size()


def test_dense_memory_is_not_copied_and_a_slice_is() -> None:
    tensor = torch.zeros(4, 3)
    assert dense("x", tensor)[1].data_ptr() == tensor.data_ptr()
    assert torch.equal(rebuilt(*dense("x", torch.arange(6).view(2, 3)[:, 1:])), torch.tensor([[1, 2], [4, 5]]))


def test_small_tensors_share_a_message_wide_ones_first() -> None:
    sizes = {"half": (3, torch.float16), "large": (100_000, torch.float32), "count": (1, torch.int64)}
    layouts = [dense(name, torch.zeros(n, dtype=dtype))[0] for name, (n, dtype) in sizes.items()]
    assert messages(layouts) == [[1], [2, 0]]


def test_values_are_copied_into_tensors_of_another_process() -> None:
    count, weight = torch.tensor(3), torch.randn(2, 3, 1, 1)
    mine = [torch.tensor(0), torch.zeros(2, 3, 1, 1)]
    copy_values(joined([count, weight]), mine)
    assert int(mine[0]) == 3 and torch.equal(mine[1], weight)
