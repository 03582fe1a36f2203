"""A run's network and its recorded images, as the network takes them; kept for the next request."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch

from ffprobe.inference.loaded_predictor import load_predictor
from ffprobe.inference.network_input import network_input
from ffprobe.inference.trained import Trained
from ffprobe.store.caps import VIEW_LIMIT
from ffprobe.store.reader import open_run
from ffprobe.view.payload.images import recorded_pixels
from ffprobe.view.payload.questions import registry


def load_network(path: str) -> Trained:
    """The network of a finished run on the CPU, in float32.

    The plugins that the file names as code are not imported: a page that shows files must not run what is in them.

    Raises:
        UsageError: the file names code.
        FileError: the run has not finished, or its weights do not match the installed plugins.
    """
    status = Path(path).stat()
    return _loaded(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _loaded(path: str, changed: int, size: int) -> Trained:
    with open_run(path) as run:
        trained = load_predictor(run, registry()).trained
    trained.network.float()  # maps are shown, not compared: the run's own precision does not matter
    return trained


def load_image(path: str, trained: Trained, part: str, index: int) -> torch.Tensor:
    """A recorded image, normalized, float32 ``[1, C, H, W]``.

    Raises:
        FileError: the file does not contain its pixels.
    """
    with open_run(path, limit=VIEW_LIMIT) as run:
        pixels = torch.from_numpy(recorded_pixels(run, part, index))[None]
    return network_input(trained.network, pixels, trained.mean, trained.std)
