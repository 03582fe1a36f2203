"""Finds the plugin whose code raised an error."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ffprobe.errors import FfprobeError, PluginError, describe, out_of_memory
from ffprobe.plugin.discovery import Plugin
from ffprobe.plugin.registry import Registry


@contextmanager
def attribute_errors(registry: Registry, doing: str, kind: type[FfprobeError] = PluginError) -> Iterator[None]:
    """Turn an exception raised inside the block into an error that names the responsible plugin.

    That is the plugin whose source file appears last in the traceback. The code of plugins is not wrapped, so this
    costs nothing if there is no error.

    Args:
        registry: the registry with the loaded plugins.
        doing: what the block does, as a participle phrase: "building the normalizer".
        kind: the exception class to raise if a plugin is responsible.

    Raises:
        FfprobeError: of class ``kind`` if a plugin is responsible, otherwise an ``FfprobeError``; an ``FfprobeError``
            also if memory ran out. Exceptions that already are an ``FfprobeError`` pass unchanged.
    """
    try:
        yield
    except FfprobeError:
        raise
    except (Exception, SystemExit) as error:  # a plugin that exits must not end the program without a message
        plugin = responsible_plugin(error, registry)
        if exhausted := out_of_memory(error, doing, plugin.where if plugin else ""):
            raise exhausted from error
        message = describe(error).strip().removesuffix(".")
        if plugin is None:
            raise FfprobeError(f"{doing[0].upper()}{doing[1:]} failed: {message}.") from error
        raise kind(f"The plugin {plugin.name!r} failed while {doing}: {message}.", where=plugin.where) from error


def responsible_plugin(error: BaseException, registry: Registry) -> Plugin | None:
    """The loaded plugin whose source file appears last in the traceback; None if no plugin appears in it."""
    sources = {str(path): p for p in registry.loaded if (path := p.source_path)}
    resolved = {str(Path(path).resolve()): p for path, p in sources.items()}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        plugin = sources.get(frame.filename) or resolved.get(str(Path(frame.filename).resolve()))
        if plugin is not None:
            return plugin
    return None
