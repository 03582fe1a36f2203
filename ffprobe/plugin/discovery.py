"""Finds plugins without importing them, and loads those that are named.

Installed plugins are found through entry points (group ``ffprobe``). The components of a plugin are read from its
source text, so a broken third-party package cannot affect a command that does not name it.
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

from ffprobe.components.kinds import FURTHER_BASES, KINDS
from ffprobe.errors import PluginError, UsageError, did_you_mean
from ffprobe.hookspecs import PROJECT, Hooks
from ffprobe.plugin.hook_mistakes import Mistake, hook_mistake, version_mistake

log = logging.getLogger("ffprobe")

BASES = {base: kind for kind, base in KINDS.items()} | FURTHER_BASES
"""The kind of a component by the name of its base class, as written in the source of a plugin."""


@dataclass(frozen=True)
class Offer:
    """A component as declared in the source text of its plugin.

    Attributes:
        kind: the kind of the component.
        name: the name of the component.
        summary: the first paragraph of its docstring.
        aliases: its other names.
        class_name: the name of its class.
    """

    kind: str
    name: str
    summary: str = ""
    aliases: tuple[str, ...] = ()
    class_name: str = field(default="", compare=False)


@dataclass(frozen=True)
class Plugin:
    """A plugin that can be loaded: an entry point, a file, or ``module:attr``.

    Attributes:
        name: the name that users type.
        distribution: the name of the distribution; ``file`` for a single file, ``module`` for ``module:attr``.
        version: the version of the distribution, or empty.
        target: the module path with an optional attribute, or the path of the file.
        entry: the entry point; None for a file or ``module:attr``.
    """

    name: str
    distribution: str
    version: str
    target: str
    entry: EntryPoint | None = field(default=None, compare=False, repr=False)

    @property
    def where(self) -> str:
        """Plugin, distribution and version as text, for messages."""
        made_by = f"{self.distribution} {self.version}".strip()
        return f"plugin {self.name!r} of {made_by}" if self.distribution not in ("file", "module") else self.target

    @cached_property
    def source_path(self) -> Path | None:
        """The source file of the plugin, found without importing anything; None if there is none."""
        if self.distribution == "file":
            return Path(self.target)
        return _find_source(self.target.partition(":")[0])

    @cached_property
    def source_text(self) -> str:
        """The source text of the plugin; empty if it cannot be read."""
        try:
            return self.source_path.read_text(encoding="utf-8") if self.source_path else ""
        except (OSError, UnicodeDecodeError):
            return ""

    @property
    def digest(self) -> str:
        """A short hash of the source text; empty if there is no text."""
        return hashlib.sha256(self.source_text.encode()).hexdigest()[:12] if self.source_text else ""

    @cached_property
    def offers(self) -> tuple[Offer, ...]:
        """The components declared in the source text; empty if it cannot be parsed or declares none."""
        return _offers(self.source_text)

    @property
    def hook_version(self) -> Any:
        """The ``hook_version`` declared in the source text; None if it is not declared as a literal."""
        try:
            body = _parsed(self.source_text).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        return _literals(body).get("hook_version")

    def load(self) -> Any:
        """Import the plugin.

        Raises:
            PluginError: the import failed, or the plugin needs another version of the hooks; the message names the
                plugin, its distribution and the exception.
        """
        refuse(self, version_mistake(self.hook_version))  # before the import, which may need a newer ffprobe
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
                f"The plugin {self.name!r} could not be loaded: {type(error).__name__}: {error}.",
                where=self.where,
                hint="Fix or uninstall it; runs that do not use it are not affected.",
            ) from error


def installed() -> tuple[Plugin, ...]:
    """All plugins of the installed distributions, sorted by name; nothing is imported."""
    plugins: dict[tuple[str, str], Plugin] = {}
    for distribution in distributions():
        for plugin in _entry_points(distribution):
            # an egg-info and a wheel may declare the same plugin; Python imports the first one on the path
            plugins.setdefault((plugin.name, plugin.distribution), plugin)
    return tuple(sorted(plugins.values(), key=lambda p: (p.name, p.distribution)))


def _entry_points(distribution: Distribution) -> list[Plugin]:
    # damaged metadata of one distribution must not hide the plugins of the others
    try:
        entries = [entry for entry in distribution.entry_points if entry.group == PROJECT]
        if not entries:
            return []
        metadata: Any = distribution.metadata  # parsed again at every access
        name, version = str(metadata.get("Name") or "?"), str(metadata.get("Version") or "")
        return [Plugin(e.name, name, version, e.value.partition("[")[0].strip(), e) for e in entries]
    except Exception as error:
        log.debug("The metadata of %r cannot be read: %s: %s", distribution, type(error).__name__, error)
        return []


def find(name: str, plugins: Sequence[Plugin] | None = None, kind: str = "") -> Plugin:
    """The plugin for an argument of ``--plugin``.

    Args:
        name: a plugin's or component's name, ``./file.py`` or ``module:attr``.
        plugins: the available plugins; those installed in the environment by default.
        kind: the kind of component that is wanted, if known; plugins that provide another kind under this name are then
            ignored.

    Raises:
        PluginError: there is none (the message suggests the closest names), or several distributions have one.
        UsageError: the file does not exist.
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
            f"Two distributions provide the {what}: {who}.",
            hint=f"Uninstall one of them, or select one with {' or '.join(_exactly(p, name) for p in matches)}.",
        )
    if matches:
        return matches[0]
    if re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", name):
        return Plugin(name, "module", "", name)
    raise PluginError(
        f"There is no plugin {name!r}.",
        hint=f"{did_you_mean(name, [p.name for p in plugins])} `ffprobe plugins list` lists all.",
    )


def _exactly(plugin: Plugin, name: str) -> str:
    """The argument that selects this plugin's component and no other of the same name."""
    offer = next((o for o in plugin.offers if o.name == name and o.class_name), None)
    return f"--plugin {plugin.target}:{offer.class_name}" if offer and ":" not in plugin.target else plugin.target


def build_manager() -> pluggy.PluginManager:
    """A new plugin manager with the specifications of all hooks and without plugins."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    return manager


def register(manager: pluggy.PluginManager, plugin: object, name: str, where: str) -> None:
    """Register a plugin object after checking its hooks.

    Args:
        manager: the plugin manager.
        plugin: a module or an object with hooks.
        name: its name in the manager.
        where: its source, for messages.

    Raises:
        PluginError: a hook is misspelt, not marked, marked for another project, or has a wrong argument.
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
            f"The plugin {name!r} has an invalid hook: {error}",
            where=where,
            hint="docs/hooks.md lists the hooks and their arguments.",
        ) from error


def refuse(plugin: Plugin, mistake: Mistake | None) -> None:
    """Raise an error for a mistake in the hooks of a plugin; do nothing without a mistake.

    Raises:
        PluginError: the mistake, with the plugin and its distribution.
    """
    if mistake:
        raise PluginError(f"The plugin {plugin.name!r} {mistake.what}.", where=plugin.where, hint=mistake.hint)


def _file_plugin(name: str) -> Plugin:
    path = Path(name)
    if not path.is_file():
        raise UsageError(f"There is no plugin file {name!r}.", hint="Give the path of a Python file.")
    return Plugin(path.stem, "file", "", str(path.resolve()))


def _import_file(path: Path) -> ModuleType:
    # each path gets its own module name, so that two files named norm.py can be used together
    name = f"ffprobe_file_{abs(hash(str(path.resolve()))):x}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic looks up the module of a class by name
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _find_source(module: str) -> Path | None:
    # importlib.util.find_spec would import the parent packages; calling the finders one by one imports nothing
    path: Sequence[str] | None = None
    origin = None
    parts = module.split(".")
    for index in range(len(parts)):
        spec = None
        for finder in sys.meta_path:
            look = getattr(finder, "find_spec", None)
            try:
                spec = look(".".join(parts[: index + 1]), path) if look else None
            except Exception:  # a broken finder of another package must not break the search
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
    with warnings.catch_warnings():  # a warning about an invalid escape is for the plugin's author, not for users
        warnings.simplefilter("ignore")
        return ast.parse(source)


@lru_cache(maxsize=4096)  # parsing takes most of the time of listing plugins
def _offers(source: str) -> tuple[Offer, ...]:
    try:
        tree = _parsed(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    offers = []
    module_doc = (ast.get_docstring(tree) or "").strip()
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
            offers.append(Offer(kind, name, _first_line(doc), aliases, node.name))
    if len(offers) == 1 and module_doc:  # the docstring of a file with one component is its shortest summary
        offers = [replace(offers[0], summary=_first_line(module_doc))]
    return tuple(offers)


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
        except (ValueError, TypeError, RecursionError, MemoryError):  # not a literal
            continue
    return values
