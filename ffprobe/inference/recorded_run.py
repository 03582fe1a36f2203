"""A run file together with the network that it holds; what ``ffprobe.open`` and ``ffprobe.run`` return.

The store reads files and knows no network; what needs both stands here, above both.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ffprobe.store.reader import LIMIT, RunFile

if TYPE_CHECKING:
    from ffprobe.config.settings import RunConfig
    from ffprobe.inference.trained import Trained
    from ffprobe.network.network import LayeredNetwork


class RecordedRun(RunFile):
    """A ``RunFile`` whose network can be had; get one from ``ffprobe.open``."""

    def network(self) -> LayeredNetwork:
        """The trained network, rebuilt with its weights, in evaluation mode, on the CPU.

        An ordinary ``nn.Module``: ``network(images, labels)`` is the goodness ``[L, B]`` of normalized images
        ``[B, C, H, W]`` with these labels, ``network.layer(i)`` one layer. It stays when the run is closed.

        Raises:
            FileError: the run did not finish, or its weights do not fit the plugins that are installed.
            PluginError: a plugin of the run is missing.
        """
        return trained(self)[0].network


def open(path: str | Path, *, limit: int = LIMIT) -> RecordedRun:
    """Open a run file, finished or still being written, for reading.

    What is read is what was committed at this moment, and stays so. Nothing is read until it is asked for:
    ``run["test/goodness"]`` is an array in the file, ``run["test/goodness"][-1]`` a part of it in memory.

    Args:
        path: ``run.h5`` or ``run.h5.partial``.
        limit: the most bytes that one reading may take.

    Raises:
        FileError: it is missing, unfinished under this name, damaged, not ffprobe's, or of a newer format.
    """
    return RecordedRun.open(path, limit=limit)


def trained(file: RunFile) -> tuple[Trained, RunConfig]:
    """The network of a finished run on the CPU, and the config that it was rebuilt by."""
    from ffprobe.config.resolve import resolve
    from ffprobe.inference.trained import rebuild
    from ffprobe.plugin.registry import Registry

    registry = Registry()
    config = resolve({**file.config, "probes": [], "observers": []}, registry)
    return rebuild(file, config, registry, "cpu"), config
