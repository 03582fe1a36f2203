"""Inputs of a data set from an array of any dtype, by one stated rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ffprobe.errors import FileError

if TYPE_CHECKING:
    import torch

_CHANNELS = (1, 3, 4)  # grey, RGB, and RGB with transparency


def array_inputs(values: Any, tokens: bool = False) -> torch.Tensor:
    """Inputs as ``Samples`` stores them.

    - Tokens are integers ``[N, T]``, from 0.
    - uint8 ``[N, H, W]`` are grey pictures, and uint8 with four axes are pictures ``[N, C, H, W]``, or
      ``[N, H, W, C]`` if the last axis has 1, 3 or 4 entries and the second has not.
    - All other real numbers are values: a table ``[N, F]``, signals ``[N, C, T]`` or maps ``[N, C, H, W]``.

    Args:
        values: an array or whatever ``numpy.asarray`` makes one of.
        tokens: whether integers are tokens.

    Returns:
        uint8 ``[N, C, H, W]``, integers ``[N, T]``, or float32 ``[N, F]``, ``[N, C, T]`` or ``[N, C, H, W]``. It may
        share memory with ``values``.

    Raises:
        FileError: the array has another form.
    """
    import numpy as np
    import torch

    array = np.asarray(values)
    found = f"{array.dtype} {list(array.shape)}"
    if tokens:
        if array.dtype.kind not in "iu" or array.ndim != 2:
            raise FileError(f"Tokens must be integers [N, T], not {found}.", hint="Number the tokens from 0.")
        if array.size and int(array.min()) < 0:
            raise FileError(f"A token is {int(array.min())}, but tokens are numbered from 0.", hint="Number them anew.")
        return torch.from_numpy(np.ascontiguousarray(array if array.dtype == np.uint8 else array.astype(np.int64)))
    if array.dtype.kind not in "fiub" or array.ndim not in (2, 3, 4):
        raise FileError(
            f"Inputs must be real numbers [N, F], [N, C, T] or [N, C, H, W], not {found}.",
            hint="The first dimension counts the samples. Text and objects need numbers first.",
        )
    if array.dtype != np.uint8 or array.ndim == 2:
        with np.errstate(over="ignore"):  # Samples reports the infinities
            return torch.from_numpy(np.ascontiguousarray(array.astype(np.float32)))
    if array.ndim == 3:
        array = array[:, None]
    elif array.shape[3] in _CHANNELS and array.shape[1] not in _CHANNELS:
        array = array.transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(array))
