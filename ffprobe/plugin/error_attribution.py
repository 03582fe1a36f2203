"""Naming the plugin in whose code an error arose."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ffprobe.errors import FfprobeError, PluginError
from ffprobe.plugin.discovery import Plugin
from ffprobe.plugin.registry import Registry


@contextmanager
def attribute_errors(registry: Registry, doing: str, kind: type[FfprobeError] = PluginError) -> Iterator[None]:
    """Turn an error that arises inside into one that names the plugin whose file the traceback enters last.

    Nothing is wrapped around a plugin's code, so naming it costs nothing while all is well.

    Args:
        registry: with the loaded plugins.
        doing: what was being done, in words: "building the normalizer".
        kind: what to raise.

    Raises:
        FfprobeError: of ``kind`` where a plugin is to blame, plainly otherwise; errors of ffprobe pass unchanged.
    """
    try:
        yield
    except FfprobeError:
        raise
    except (Exception, SystemExit) as error:  # a plugin that exits must not end the program without a word
        plugin = responsible_plugin(error, registry)
        told = f"{type(error).__name__}: {error}".strip().removesuffix(".")
        if plugin is None:
            raise FfprobeError(f"{doing[0].upper()}{doing[1:]} failed: {told}.") from error
        raise kind(f"The plugin {plugin.name!r} failed while {doing}: {told}.", where=plugin.where) from error


def responsible_plugin(error: BaseException, registry: Registry) -> Plugin | None:
    """The loaded plugin whose source file the error's traceback enters last, None when it enters none."""
    sources = {str(path): p for p in registry.loaded if (path := p.source_path)}
    resolved = {str(Path(path).resolve()): p for path, p in sources.items()}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        found = sources.get(frame.filename) or resolved.get(str(Path(frame.filename).resolve()))
        if found is not None:
            return found
    return None
