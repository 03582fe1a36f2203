"""Arrays that a user hands in, as a run stores its inputs."""

from __future__ import annotations

import numpy as np
import torch

from ffprobe.errors import UsageError
from ffprobe.inference.trained import Trained


def stored_inputs(trained: Trained, inputs: np.ndarray) -> torch.Tensor:
    """A copy of the inputs with the dtype in which the run stores its own.

    Args:
        trained: the trained network.
        inputs: pixels uint8, values of any real dtype, or tokens of any integer dtype: ``[N, *stored_shape]``.

    Raises:
        UsageError: the inputs have another shape or dtype.
    """
    wanted = {"pixels": "uint8", "values": "numbers", "tokens": "integers"}[trained.kind]
    accepted = {
        "pixels": inputs.dtype == np.uint8,
        "values": inputs.dtype.kind in "fiub",
        "tokens": inputs.dtype.kind in "iu",
    }
    if not accepted[trained.kind] or inputs.shape[1:] != trained.stored_shape:
        noun = "images" if trained.kind == "pixels" else "inputs"
        expected = f"{wanted} [N, {', '.join(map(str, trained.stored_shape))}]"
        raise UsageError(f"The {noun} must be {expected}, not {inputs.dtype} {list(inputs.shape)}.")
    return torch.from_numpy(np.array(inputs, order="C")).to(trained.stored_dtype)
