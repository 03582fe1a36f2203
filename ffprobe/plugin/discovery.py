"""Finding plugins without importing them, and loading those that are named.

What is installed is read from entry points (group ``ffprobe``); what a plugin offers is read from its source text, so
that a broken third-party package cannot stop a command that does not name it.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import logging
import os
import re
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from ffprobe.components.kinds import KINDS
from ffprobe.errors import PluginError, UsageError, did_you_mean
from ffprobe.hookspecs import PROJECT, Hooks
from ffprobe.plugin.hook_mistakes import Mistake, hook_mistake, version_mistake

log = logging.getLogger("ffprobe")

BASES = {base: kind for kind, base in KINDS.items()}
"""How the base class of a component is written in a plugin's source, and the kind it stands for."""


@dataclass(frozen=True)
class Offer:
    """A component as its source text announces it.

    Attributes:
        kind: of the component.
        name: of the component.
        summary: its first sentence.
        aliases: more names.
        class_name: of the class.
    """

    kind: str
    name: str
    summary: str = ""
    aliases: tuple[str, ...] = ()
    class_name: str = field(default="", compare=False)


@dataclass(frozen=True)
class Plugin:
    """Something that can be loaded: an entry point, a file, or ``module:attr``.

    Attributes:
        name: what a user types.
        distribution: name of the distribution, ``file`` for a single file, ``module`` for ``module:attr``.
        version: of the distribution, or empty.
        target: module path with optional attribute, or the file's path.
    """

    name: str
    distribution: str
    version: str
    target: str
    entry: EntryPoint | None = field(default=None, compare=False, repr=False)

    @property
    def where(self) -> str:
        """Plugin, distribution and version in words, for messages."""
        made_by = f"{self.distribution} {self.version}".strip()
        return f"plugin {self.name!r} of {made_by}" if self.distribution not in ("file", "module") else self.target

    @cached_property
    def source_path(self) -> Path | None:
        """The plugin's source file, found without importing anything."""
        if self.distribution == "file":
            return Path(self.target)
        return _find_source(self.target.partition(":")[0])

    @cached_property
    def source_text(self) -> str:
        try:
            return self.source_path.read_text(encoding="utf-8") if self.source_path else ""
        except (OSError, UnicodeDecodeError):
            return ""

    @property
    def digest(self) -> str:
        """A short hash of the source text; empty when there is none to read."""
        return hashlib.sha256(self.source_text.encode()).hexdigest()[:12] if self.source_text else ""

    @cached_property
    def offers(self) -> tuple[Offer, ...]:
        """The components that the source text announces; empty when it cannot be read that way."""
        return _offers(self.source_text)

    @property
    def hook_version(self) -> Any:
        """The ``hook_version`` that the source text declares; None when it declares none as a literal."""
        try:
            body = _parsed(self.source_text).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        return _literals(body).get("hook_version")

    def load(self) -> Any:
        """Import the plugin.

        Raises:
            PluginError: importing it failed, or it was made for other hooks than these; the message names plugin,
                distribution and what was raised.
        """
        refuse(self, version_mistake(self.hook_version))  # before importing: what it needs may not be here yet
        try:
            if self.distribution == "file":
                return _import_file(Path(self.target))
            module, _, attribute = self.target.partition(":")
            loaded: Any = importlib.import_module(module)
            for part in attribute.split(".") if attribute else ():
                loaded = getattr(loaded, part)
            return loaded
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"The plugin {self.name!r} would not load: {type(error).__name__}: {error}.",
                where=self.where,
                hint="Mend or uninstall it; a run that does not name it is not affected.",
            ) from error


def installed() -> tuple[Plugin, ...]:
    """Every plugin that an installed distribution announces, by name; nothing is imported."""
    found: dict[tuple[str, str], Plugin] = {}
    for distribution in distributions():
        for plugin in _announced(distribution):
            # an egg-info beside a wheel announces the same one twice; the first on the path is the one imported
            found.setdefault((plugin.name, plugin.distribution), plugin)
    return tuple(sorted(found.values(), key=lambda p: (p.name, p.distribution)))


def _announced(distribution: Distribution) -> list[Plugin]:
    # one distribution's damaged metadata must not hide the plugins of all others
    try:
        entries = [entry for entry in distribution.entry_points if entry.group == PROJECT]
        if not entries:
            return []
        about: Any = distribution.metadata  # parsed anew each time it is asked for
        name, version = str(about.get("Name") or "?"), str(about.get("Version") or "")
        return [Plugin(e.name, name, version, e.value.partition("[")[0].strip(), e) for e in entries]
    except Exception as error:
        log.debug("The metadata of %r cannot be read: %s: %s", distribution, type(error).__name__, error)
        return []


def find(name: str, plugins: Sequence[Plugin] | None = None, kind: str = "") -> Plugin:
    """The plugin that ``--plugin`` means by a name, ``./file.py`` or ``module:attr``.

    Args:
        name: as typed.
        plugins: what is installed; asked of the environment when not given.
        kind: of the component that is wanted, where that is known; plugins that offer another kind by this name are
            then not meant.

    Raises:
        PluginError: none has that name (the nearest names are given), or two distributions claim it.
    """
    if name.endswith(".py") or os.sep in name:
        return _file_plugin(name)
    plugins = installed() if plugins is None else plugins
    offering = [p for p in plugins if any(o.name == name and kind in ("", o.kind) for o in p.offers)]
    matches = [p for p in plugins if p.name == name]
    if kind and offering:
        matches = offering
    matches = matches or offering
    if len(matches) > 1:
        who = " and ".join(f"{p.distribution} {p.version}".strip() for p in matches)
        what = f"{kind} {name!r}" if kind else f"plugin name {name!r}"
        raise PluginError(
            f"Two distributions claim the {what}: {who}.",
            hint=f"Uninstall one, or name the one you mean: {' or '.join(_exactly(p, name) for p in matches)}.",
        )
    if matches:
        return matches[0]
    if re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", name):
        return Plugin(name, "module", "", name)
    raise PluginError(
        f"There is no plugin {name!r}.",
        hint=f"{did_you_mean(name, [p.name for p in plugins])} `ffprobe plugins list` shows all.",
    )


def _exactly(plugin: Plugin, name: str) -> str:
    """What to type for this plugin's component and no other of its name."""
    offer = next((o for o in plugin.offers if o.name == name and o.class_name), None)
    return f"--plugin {plugin.target}:{offer.class_name}" if offer and ":" not in plugin.target else plugin.target


def build_manager() -> pluggy.PluginManager:
    """A fresh plugin manager with every hook specified and no plugin in it."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    return manager


def register(manager: pluggy.PluginManager, plugin: object, name: str, where: str) -> None:
    """Put a plugin object into the manager and check that every hook in it exists.

    Raises:
        PluginError: a hook is misspelt, not marked, marked for another project, or has the wrong argument.
    """
    mistake = hook_mistake(plugin)
    if mistake:
        raise PluginError(f"The plugin {name.rpartition('/')[2]!r} {mistake.what}.", where=where, hint=mistake.hint)
    try:
        manager.register(plugin, name=name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        if manager.has_plugin(name):
            manager.unregister(name=name)
        raise PluginError(
            f"The plugin {name!r} has a hook that does not fit: {error}",
            where=where,
            hint="The hooks and their arguments are listed in docs/hooks.md.",
        ) from error


def refuse(plugin: Plugin, mistake: Mistake | None) -> None:
    """Do nothing when there is no mistake.

    Raises:
        PluginError: with the mistake, the plugin and its distribution.
    """
    if mistake:
        raise PluginError(f"The plugin {plugin.name!r} {mistake.what}.", where=plugin.where, hint=mistake.hint)


def _file_plugin(name: str) -> Plugin:
    path = Path(name)
    if not path.is_file():
        raise UsageError(f"There is no plugin file {name!r}.", hint="Give the path of a Python file.")
    return Plugin(path.stem, "file", "", str(path.resolve()))


def _import_file(path: Path) -> ModuleType:
    # a name of its own for each path, so that two files called norm.py can be used together
    name = f"ffprobe_file_{abs(hash(str(path.resolve()))):x}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic looks a class's module up by name
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _find_source(module: str) -> Path | None:
    # importlib.util.find_spec would import the parents; asking the finders step by step imports nothing
    path: Sequence[str] | None = None
    origin = None
    parts = module.split(".")
    for index in range(len(parts)):
        spec = None
        for finder in sys.meta_path:
            look = getattr(finder, "find_spec", None)
            try:
                spec = look(".".join(parts[: index + 1]), path) if look else None
            except Exception:  # another package's finder is none of our business
                continue
            if spec is not None:
                break
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or ()) or None
        origin = spec.origin
        if path is None and index + 1 < len(parts):
            return None
    return Path(origin) if origin and origin.endswith(".py") else None


def _parsed(source: str) -> ast.Module:
    with warnings.catch_warnings():  # an odd escape in somebody's text is for its author, not for every user
        warnings.simplefilter("ignore")
        return ast.parse(source)


@lru_cache(maxsize=4096)  # a text announces the same each time, and parsing is what listing spends its time on
def _offers(source: str) -> tuple[Offer, ...]:
    try:
        tree = _parsed(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    found = []
    about = (ast.get_docstring(tree) or "").strip()
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        bases = [
            b.attr if isinstance(b, ast.Attribute) else b.id if isinstance(b, ast.Name) else "" for b in node.bases
        ]
        kind = next((BASES[b] for b in bases if b in BASES), "")
        literals = _literals(node.body)
        name = literals.get("name")
        if kind and isinstance(name, str):
            doc = (ast.get_docstring(node) or "").strip()
            aliases = literals.get("aliases")
            aliases = tuple(a for a in aliases if isinstance(a, str)) if isinstance(aliases, tuple | list) else ()
            found.append(Offer(kind, name, _first_line(doc), aliases, node.name))
    if len(found) == 1 and about:  # one idea, one file: the file's own sentence is the shortest account of it
        found = [replace(found[0], summary=_first_line(about))]
    return tuple(found)


def _first_line(doc: str) -> str:
    return " ".join(doc.split("\n\n")[0].split())


def _literals(body: Sequence[ast.stmt]) -> dict[str, Any]:
    values = {}
    for statement in body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target: ast.expr = statement.targets[0]
        elif isinstance(statement, ast.AnnAssign):
            target = statement.target
        else:
            continue
        try:
            if isinstance(target, ast.Name) and statement.value is not None:
                values[target.id] = ast.literal_eval(statement.value)
        except (ValueError, TypeError, RecursionError, MemoryError):  # computed, so only loading would tell
            continue
    return values
