"""Inputs of a data set from arrays."""

import numpy as np
import pytest
import torch

from ffprobe.data.array_inputs import array_inputs
from ffprobe.errors import FileError


@pytest.mark.parametrize(
    ("dtype", "shape", "stored"),
    [
        ("float64", (5, 3), (torch.float32, (5, 3))),
        ("int16", (5, 3, 7), (torch.float32, (5, 3, 7))),
        ("bool", (5, 3), (torch.float32, (5, 3))),
        ("uint8", (5, 3), (torch.float32, (5, 3))),  # a table
        ("float32", (5, 2, 4, 4), (torch.float32, (5, 2, 4, 4))),
        ("uint8", (5, 8, 9), (torch.uint8, (5, 1, 8, 9))),
        ("uint8", (5, 3, 8, 9), (torch.uint8, (5, 3, 8, 9))),
        ("uint8", (5, 8, 9, 3), (torch.uint8, (5, 3, 8, 9))),
        ("uint8", (5, 8, 9, 2), (torch.uint8, (5, 8, 9, 2))),
        ("uint8", (5, 3, 8, 3), (torch.uint8, (5, 3, 8, 3))),  # channels first, if both fit
    ],
)
def test_dtype_and_shape_say_what_the_inputs_are(dtype, shape, stored):
    inputs = array_inputs(np.ones(shape, dtype))
    assert (inputs.dtype, tuple(inputs.shape)) == stored
    assert inputs.is_contiguous()


def test_channels_that_come_last_are_moved_to_the_front():
    pictures = np.arange(2 * 2 * 2 * 3, dtype=np.uint8).reshape(2, 2, 2, 3)
    assert array_inputs(pictures)[1, 2].tolist() == [[14, 17], [20, 23]]


@pytest.mark.parametrize(("dtype", "stored"), [("uint8", torch.uint8), ("int32", torch.int64), ("uint16", torch.int64)])
def test_tokens_are_integers(dtype, stored):
    tokens = array_inputs(np.array([[0, 7], [255, 1]], dtype), tokens=True)
    assert (tokens.dtype, tokens.tolist()) == (stored, [[0, 7], [255, 1]])


@pytest.mark.parametrize(
    ("array", "tokens", "message"),
    [
        (np.zeros((2, 3)), True, r"Tokens must be integers \[N, T\], not float64 \[2, 3\]"),
        (np.zeros((2, 3, 1), int), True, "not int64"),
        (np.array([[-1, 0]]), True, "A token is -1"),
        (np.zeros(3), False, r"must be real numbers .* not float64 \[3\]"),
        (np.zeros((3, 2), complex), False, "not complex128"),
        (np.array([["a"]]), False, "not <U1"),
    ],
)
def test_other_arrays_are_refused(array, tokens, message):
    with pytest.raises(FileError, match=message) as caught:
        array_inputs(array, tokens)
    assert caught.value.hint
