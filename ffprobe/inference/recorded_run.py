"""A run file together with its trained network; ``ffprobe.open`` and ``ffprobe.run`` return it.

The package ``store`` reads files and does not import networks; this module needs both, so it is a layer above.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ffprobe.store.reader import LIMIT, RunFile

if TYPE_CHECKING:
    from ffprobe.config.settings import RunConfig
    from ffprobe.inference.trained import Trained
    from ffprobe.network.network import LayeredNetwork


class RecordedRun(RunFile):
    """A ``RunFile`` that can rebuild its network; get one from ``ffprobe.open``."""

    def network(self, *, trust: bool = False) -> LayeredNetwork:
        """The trained network, rebuilt with its weights, in evaluation mode, on the CPU.

        An ordinary ``nn.Module``: ``network(images, labels)`` is the goodness ``[L, B]`` of normalized images
        ``[B, C, H, W]`` with these labels, ``network.layer(i)`` is one layer. It stays usable after the run is closed.

        Args:
            trust: import the plugins that the file names as ``./file.py`` or ``module:attr``. Without it, they are
                refused unless this process has imported them already.

        Raises:
            UsageError: the file names code, and ``trust`` is not set.
            FileError: the run did not finish, or its weights do not match the installed plugins.
            PluginError: a plugin of the run is missing.
        """
        return trained(self, trust=trust)[0].network


def open(path: str | Path, *, limit: int = LIMIT) -> RecordedRun:
    """Open a run file for reading, whether the run has finished or is still being written.

    The view is a snapshot of what is committed at this moment. Arrays are read on demand: ``run["test/goodness"]`` is
    an array in the file, ``run["test/goodness"][-1]`` reads a part of it into memory.

    Args:
        path: ``run.h5`` or ``run.h5.partial``.
        limit: maximum memory of one read, in bytes.

    Raises:
        FileError: the file is missing, exists only as ``.partial``, is damaged, was not written by ffprobe, or has a
            newer format.
    """
    return RecordedRun.open(path, limit=limit)


def trained(file: RunFile, *, trust: bool = False) -> tuple[Trained, RunConfig]:
    """The network of a finished run, on the CPU, and the config that it was rebuilt from.

    Args:
        file: the run file.
        trust: whether to import the plugins that the file names as ``./file.py`` or ``module:attr``.
    """
    from ffprobe.config.resolve import resolve
    from ffprobe.config.trust import check_code, code_in
    from ffprobe.inference.trained import rebuild
    from ffprobe.plugin.registry import Registry

    registry = Registry()
    table: dict[str, Any] = {**file.config, "probes": [], "observers": []}
    recorded: Any = file.attributes.get("plugins", [])
    check_code(code_in(table), (), trust=trust, where=str(file.path), recorded=recorded)
    config = resolve(table, registry)
    return rebuild(file, config, registry, "cpu"), config
