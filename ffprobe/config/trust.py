"""Code that a file names: it is imported only if the user names it as well, or trusts the file.

A run file, a config and a grid may name plugins as ``./file.py`` or ``module:attr``, and a component's setting ``code``
may name a class as ``package.module.Class``. Importing them runs their code, so a file from another person must not be
enough to do it. Plugins of installed distributions are not affected: whoever installed them chose them.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ffprobe.components.kinds import SINGLE_SLOTS
from ffprobe.config.parsing import parse_plugin
from ffprobe.errors import UsageError
from ffprobe.plugin.discovery import Plugin, find, is_imported, split_choice
from ffprobe.plugin.given import is_given

log = logging.getLogger("ffprobe")

CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)
"""A class as a component's setting ``code`` names it."""
_SETTING = "code="  # begins the absolute name of such a class


def code_in(table: Mapping[str, Any]) -> dict[str, str]:
    """The code that a table of settings names, as ``find`` reads it, by absolute names.

    That are plugins that are files or ``module:attr``, and the classes in settings ``code``.
    """
    choices = [table.get(kind) for kind in (*SINGLE_SLOTS, "probe")]
    for key in ("probes", "observers"):
        listed = table.get(key)
        choices += listed if isinstance(listed, list) else []
    words = (choice.get("plugin") if isinstance(choice, Mapping) else choice for choice in choices)
    classes = [choice.get("code") for choice in choices if isinstance(choice, Mapping)]
    return dict([*_code(word for word in words if isinstance(word, str)), *_classes(classes)])


def code_of(words: Iterable[str]) -> dict[str, str]:
    """The same for arguments of ``--plugin``."""
    parsed = [parse_plugin(word) for word in words]
    return dict([*_code(name for name, _ in parsed), *_classes(settings.get("code") for _, settings in parsed)])


def _code(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        name, _ = split_choice(name)
        if name.endswith(".py") or os.sep in name:
            yield os.path.realpath(name), name
        elif ":" in name and not is_given(name):  # an object of this program is no code to import
            yield name, name


def _classes(values: Iterable[Any]) -> Iterator[tuple[str, str]]:
    for value in values:
        if isinstance(value, str) and CLASS.fullmatch(value):
            module, _, name = value.rpartition(".")
            yield f"{_SETTING}{value}", f"{module}:{name}"


def check_code(
    code: Mapping[str, str],
    named: Iterable[str],
    *,
    trust: bool,
    where: str,
    recorded: Iterable[str] = (),
    nameable: bool = False,
) -> None:
    """Refuse code that a file names, unless the user named it too, trusts the file, or it has run in this process.

    Args:
        code: the code that the file names, from ``code_in``.
        named: the absolute names of those that the user named.
        trust: whether the user trusts the file (``--trust``); each plugin is then logged with its path and its hash.
        where: the file, for the message.
        recorded: the attribute ``plugins`` of the run file, which has the hash of each plugin file.
        nameable: whether the command has ``--plugin``, for the hint.

    Raises:
        UsageError: the user did not name the plugin; the message shows its path, its hash, and whether it changed.
    """
    for absolute in sorted(set(code) - set(named)):
        setting = absolute.startswith(_SETTING)
        if absolute.endswith(".py") and not setting and not os.path.isfile(absolute):
            continue  # there is nothing to import; the missing file is reported when it is needed
        word = code[absolute]
        plugin = Plugin(word, "module", "", word) if setting else find(word)
        if is_imported(plugin):
            continue
        facts = f"sha256 {plugin.digest}{_changed(plugin, recorded)}" if plugin.digest else "source not found"
        what = f"the class {absolute.removeprefix(_SETTING)}" if setting else f"the plugin {absolute}"
        if trust:
            log.warning("Trusted: %s (%s), named by %s.", what, facts, where)
            continue
        name = f", or name it yourself: {absolute if setting else f'--plugin {word}'}"
        raise UsageError(
            f"The file names code that you did not: {what} ({facts}).",
            where=where,
            hint=f"Read it first. Then add --trust{name if nameable else ''}.",
        )


def recorded_code(plugin: Plugin) -> str:
    """A loaded plugin as the run file records it: its name, its distribution and version, the hash of a single file."""
    version = plugin.version or (
        f"sha256 {plugin.digest}" if plugin.distribution in ("file", "module", "given") else ""
    )
    return f"{plugin.name} ({plugin.distribution} {version})".replace(" )", ")")


def _changed(plugin: Plugin, recorded: Iterable[str]) -> str:
    entries = [entry for entry in recorded if entry.startswith(f"{plugin.name} ({plugin.distribution} sha256 ")]
    if not entries:
        return ""
    return ", as recorded" if recorded_code(plugin) in entries else ", changed since the run"


def without_download(table: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded config with ``data.download`` off: a file does not decide that this machine downloads."""
    data = table.get("data")
    return {**table, "data": {**data, "download": False}} if isinstance(data, Mapping) else dict(table)


def without_observers(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A recorded config without its installed observers: a file does not decide what this machine reports, and where.

    They change no number of the run. Observers that are code of their own stay in the table, and ``check_code`` refuses
    them.

    Args:
        table: the config.
        where: its file, for the log.
    """
    observers = [entry for entry in table.get("observers") or [] if isinstance(entry, Mapping)]
    dropped = [str(entry.get("name")) for entry in observers if not entry.get("plugin")]
    if not dropped:
        return dict(table)
    names = " ".join(f"--plugin {name}" for name in dropped)
    log.warning("The observers of %s are not repeated. To report this run, too: %s, or --trust.", where, names)
    kept = [entry for entry in table["observers"] if not (isinstance(entry, Mapping) and not entry.get("plugin"))]
    return {**table, "observers": kept}
