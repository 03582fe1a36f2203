"""What a shell completes after the options: names of presets and plugins, keys of settings, run files.

The completers are given to typer as ``autocompletion=``. They run while the user waits for the Tab key, so they import
no plugin and neither torch nor h5py: names and summaries are read from source text. A completer never fails; without
candidates, the shell completes file names.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from textwrap import shorten
from typing import TYPE_CHECKING

import typer

from ffprobe.components.kinds import KINDS, SINGLE_SLOTS

if TYPE_CHECKING:
    from ffprobe.plugin.discovery import Plugin

Candidates = list[tuple[str, str]]
"""Values with a short description each, which zsh, fish and PowerShell show beside them."""

SAFE_NAME = re.compile(r"[\w.,+@%=:-]+")
"""Names that every shell takes as they are: typer's scripts insert them without quotes, and zsh evaluates them."""
SAFE_FOLDER = re.compile(r"[\w.,+@%=:~/-]*")
SPECIAL = str.maketrans({"[": "(", "]": ")", "'": "’", **dict.fromkeys('\\"`$', "")})
"""Characters of descriptions that zsh would evaluate and rich would take for markup."""
RUN_FILES = (".h5", ".h5.partial")
WIDTH = 60
"""Characters of a description; typer's scripts would break longer ones into lines."""
DESCRIBED = 40
"""Maximum number of candidates that get a description; typer takes a millisecond to render each."""


def complete_preset(incomplete: str) -> Candidates:
    """Names of presets, for ``--preset``."""
    from ffprobe.config.preset_files import preset_names, preset_summary

    return _candidates((name, preset_summary(name)) for name in preset_names() if name.startswith(incomplete))


def complete_plugin(incomplete: str) -> Candidates:
    """Names that ``ffprobe run --plugin`` takes: components of a run, and plugins that only observe."""
    return _plugins(incomplete, (*SINGLE_SLOTS, "probe", "observer"))


def complete_plugin_or_preset(incomplete: str) -> Candidates:
    """Names for ``ffprobe plugins info``."""
    both = {**dict(complete_preset(incomplete)), **dict(_plugins(incomplete, KINDS))}
    return _candidates(sorted(both.items()))


def complete_any_plugin(incomplete: str) -> Candidates:
    """Names of plugins of every kind, for ``ffprobe plugins check``."""
    return _plugins(incomplete, KINDS)


def complete_question(incomplete: str) -> Candidates:
    """Names of analyses, for ``ffprobe analyze`` and ``report --without``."""
    return _components("probe", incomplete)


def complete_dataset(incomplete: str) -> Candidates:
    """Names of data sets, for ``--dataset``."""
    return _components("dataset", incomplete)


def complete_evaluator(incomplete: str) -> Candidates:
    """Names of evaluators, for ``ffprobe predict --evaluator``."""
    return _components("evaluator", incomplete)


def complete_executor(incomplete: str) -> Candidates:
    """Names of executors, for ``ffprobe sweep --executor``."""
    return _components("executor", incomplete)


def complete_kind(incomplete: str) -> Candidates:
    """Kinds of plugins, for ``ffprobe plugins new --kind``."""
    return [(kind, "") for kind in KINDS if kind.startswith(incomplete)]


def complete_setting(context: typer.Context, incomplete: str) -> Candidates:
    """Keys for ``--set``, each with its ``=``; after ``SLOT=`` the components that fit the slot.

    The keys of components are those of the components that the options typed so far select.
    """
    slot, equals, start = incomplete.partition("=")
    if equals:
        return [(f"{slot}={name}", text) for name, text in _components(slot, start)] if slot in SINGLE_SLOTS else []
    keys = {**_run_settings(), "probes": "analyses that record during training", "observers": "plugins that observe"}
    del keys["preset"]  # an option of its own
    for kind, plugin in _selected(context).items():
        keys[kind] = f"the {kind} of the run"
        if f"{kind}.".startswith(incomplete) or incomplete.startswith(f"{kind}."):
            keys |= _component_settings(plugin, kind)
    return _candidates((f"{key}=", text) for key, text in sorted(keys.items()) if key.startswith(incomplete))


def complete_run_file(incomplete: str) -> list[str]:
    """Run files, finished or not, and directories that may contain some."""
    return _files(incomplete, RUN_FILES)


def complete_partial_file(incomplete: str) -> list[str]:
    """Unfinished run files and directories, for ``ffprobe repair``."""
    return _files(incomplete, RUN_FILES[1:])


def _files(incomplete: str, endings: tuple[str, ...]) -> list[str]:
    folder, slash, start = incomplete.rpartition("/")
    if not SAFE_FOLDER.fullmatch(folder):
        return []
    files, folders = [], []
    with suppress(OSError, ValueError):
        for entry in os.scandir(os.path.expanduser(folder + slash) or "."):
            name = entry.name
            if not name.startswith(start) or not SAFE_NAME.fullmatch(name) or (name[0] == "." and not start):
                continue
            if entry.is_dir():
                folders.append(f"{folder}{slash}{name}/")
            elif name.endswith(endings):
                files.append(f"{folder}{slash}{name}")
    if files or len(folders) != 1:
        return sorted(files + folders)
    return _files(folders[0], endings)  # a shell adds a space after the only candidate, so it must not be a directory


def _candidates(rows: Iterable[tuple[str, str]]) -> Candidates:
    from ffprobe.display import plain_text

    safe = [(name, text) for name, text in rows if SAFE_NAME.fullmatch(name)]
    if len(safe) > DESCRIBED:
        return [(name, "") for name, _ in safe]
    return [(name, shorten(plain_text(text).translate(SPECIAL), WIDTH, placeholder="…")) for name, text in safe]


def _plugins(start: str, kinds: Iterable[str]) -> Candidates:
    """Names of plugins that have a component of one of these kinds, or none of any kind."""
    from ffprobe.plugin.discovery import installed

    rows = []
    for plugin in installed():
        found = _kinds(plugin)
        if not found or set(found) & set(kinds):
            rows += [(name, f"{found[0]}: {text}" if found else text) for name, text in _names(plugin, found)]
    return _candidates((name, text) for name, text in rows if name.startswith(start))


def _components(kind: str, start: str) -> Candidates:
    """Names of components of one kind."""
    from ffprobe.plugin.discovery import installed

    rows = [row for plugin in installed() if kind in (found := _kinds(plugin)) for row in _names(plugin, found, kind)]
    return _candidates((name, text) for name, text in sorted(rows) if name.startswith(start))


def _kinds(plugin: Plugin) -> list[str]:
    """The kind of each component in the source text of a plugin, found without parsing it, which takes far longer."""
    from ffprobe.plugin.discovery import BASES

    bases = re.findall(rf"^class \w+\([^)]*\b({'|'.join(BASES)})\b", plugin.source_text, re.MULTILINE)
    return [BASES[base] for base in bases]


def _names(plugin: Plugin, found: list[str], kind: str = "") -> Iterable[tuple[str, str]]:
    """What to type for the components of a plugin: its own name if there is only one; with their summaries."""
    if len(found) > 1:  # only then is the text parsed
        return [(offer.name, offer.summary) for offer in plugin.offers if kind in ("", offer.kind)]
    docstring = re.match(r'\s*r?"""(.*?)(?:\n\n|""")', plugin.source_text, re.DOTALL)
    return [(plugin.name, docstring[1] if docstring else "")]


def _selected(context: typer.Context) -> dict[str, Plugin]:
    """The plugin of each slot, by what is typed so far: ``--preset``, ``--plugin``, ``--dataset``, ``--set``."""
    from ffprobe.config.parsing import assignments, merge
    from ffprobe.config.preset_files import BASE_PRESET, preset_names, read_preset
    from ffprobe.errors import FfprobeError
    from ffprobe.plugin.discovery import installed

    plugins = {(kind, plugin.name): plugin for plugin in installed() for kind in _kinds(plugin)}
    table = read_preset(BASE_PRESET)
    if (preset := context.params.get("preset")) in preset_names():
        table = merge(table, read_preset(preset))
    for word in (*(context.params.get("plugin") or ()), context.params.get("dataset") or ""):
        name = str(word).partition(":")[0]
        table = merge(table, {kind: name for kind, known in plugins if known == name and kind in SINGLE_SLOTS})
    with suppress(FfprobeError):
        table = merge(table, assignments(context.params.get("set_") or ()))
    names = {kind: table[kind].get("name") for kind in SINGLE_SLOTS if isinstance(table.get(kind), dict)}
    return {kind: plugins[kind, name] for kind, name in names.items() if (kind, name) in plugins}


def _run_settings() -> dict[str, str]:
    """The settings that belong to no component, with their descriptions."""
    from importlib.resources import files

    text = (files("ffprobe.config") / "settings.py").read_text(encoding="utf-8")
    return _fields(_classes(ast.parse(text).body), "RunSettings")


def _component_settings(plugin: Plugin, kind: str) -> dict[str, str]:
    """The settings of a plugin's component of this kind, with their descriptions."""
    from ffprobe.plugin.discovery import BASES

    try:
        classes = _classes(ast.parse(plugin.source_text).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    for node in classes.values():
        if any(BASES.get(ast.unparse(base).rpartition(".")[2]) == kind for base in node.bases):
            return {f"{kind}.{key}": text for key, text in _fields(_classes(node.body), "Params").items()}
    return {}


def _classes(body: Iterable[ast.stmt]) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in body if isinstance(node, ast.ClassDef)}


def _fields(classes: dict[str, ast.ClassDef], name: str, prefix: str = "") -> dict[str, str]:
    """The fields of a model by dotted name, those of nested models included, with their descriptions."""
    fields: dict[str, str] = {}
    for line in classes[name].body if name in classes else ():
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            key, kind = f"{prefix}{line.target.id}", ast.unparse(line.annotation)
            fields |= _fields(classes, kind, f"{key}.") if kind in classes else {key: _description(line.value)}
    return fields


def _description(value: ast.expr | None) -> str:
    keywords = value.keywords if isinstance(value, ast.Call) else []
    texts = [k.value.value for k in keywords if k.arg == "description" and isinstance(k.value, ast.Constant)]
    return str(texts[0]) if texts else ""
