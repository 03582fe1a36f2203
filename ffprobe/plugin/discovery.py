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
from importlib.machinery import SourceFileLoader
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pluggy

from ffprobe.components.kinds import FURTHER_BASES, KINDS
from ffprobe.errors import PluginError, UsageError, describe, did_you_mean
from ffprobe.hookspecs import PROJECT, Hooks
from ffprobe.plugin.given import PREFIX, given_component, is_given, source_file_of, source_of
from ffprobe.plugin.hook_mistakes import Mistake, hook_mistake, version_mistake

log = logging.getLogger("ffprobe")

BASES = {base: kind for kind, base in KINDS.items()} | FURTHER_BASES
"""The kind of a component by the name of its base class, as written in the source of a plugin."""
CHOICE = re.compile(r"[A-Za-z_][\w-]*")
"""A class name or a component's name."""


@dataclass(frozen=True)
class Offer:
    """A component as declared in the source text of its plugin.

    Attributes:
        kind: the kind of the component.
        name: the name of the component.
        summary: the first paragraph of its docstring.
        aliases: its other names.
        class_name: the name of its class.
        form: the form of a goodness or a loss, ``pair`` or ``class``; empty for the other kinds, and if a base class in
            another file may declare it.
    """

    kind: str
    name: str
    summary: str = ""
    aliases: tuple[str, ...] = ()
    class_name: str = field(default="", compare=False)
    form: str = field(default="", compare=False)


@dataclass(frozen=True)
class Plugin:
    """A plugin that can be loaded: an entry point, a file, ``module:attr``, or an object that the program handed in.

    Attributes:
        name: the name that users type.
        distribution: the name of the distribution; ``file`` for a single file, ``module`` for ``module:attr``,
            ``given`` for an object.
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
        if self.distribution == "given":
            return f"{self.name.removeprefix(PREFIX)!r}, handed in by this program"
        return f"plugin {self.name!r} of {made_by}" if self.distribution not in ("file", "module") else self.target

    @cached_property
    def source_path(self) -> Path | None:
        """The source file of the plugin, found without importing anything; None if there is none."""
        if self.distribution == "file":
            return Path(self.target)
        if self.distribution == "given":
            return source_file_of(self.name)
        return _find_source(self.target.partition(":")[0])

    @cached_property
    def source_text(self) -> str:
        """The source text of the plugin; empty if it cannot be read."""
        if self.distribution == "given":
            return source_of(given_component(self.name))
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
        if self.distribution == "given":
            return given_component(self.name)
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
                f"The plugin {self.name!r} could not be loaded: {describe(error)}.",
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
        name: a plugin's or component's name, ``./file.py``, ``./file.py:COMPONENT`` or ``module:attr``.
        plugins: the available plugins; those installed in the environment by default.
        kind: the kind of component that is wanted, if known; plugins that provide another kind under this name are then
            ignored.

    Raises:
        PluginError: there is none (the message suggests the closest names), or several distributions have one.
        UsageError: the file does not exist.
    """
    if is_given(name):
        given_component(name)  # refused here, before anything is built
        return Plugin(name, "given", "", name)
    file, _ = split_choice(name)
    if file.endswith(".py") or os.sep in file:
        return _file_plugin(file)
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


def split_choice(name: str) -> tuple[str, str]:
    """Split ``./file.py:COMPONENT`` into the file and the component, which is a class name or a component's name.

    The second part is empty for every other name.
    """
    file, colon, choice = name.rpartition(":")
    return (file, choice) if colon and file.endswith(".py") and CHOICE.fullmatch(choice) else (name, "")


def _exactly(plugin: Plugin, name: str) -> str:
    """The argument that selects this plugin's component and no other of the same name."""
    offer = next((o for o in plugin.offers if o.name == name and o.class_name), None)
    return f"--plugin {plugin.target}:{offer.class_name}" if offer and ":" not in plugin.target else plugin.target


def build_manager() -> pluggy.PluginManager:
    """A new plugin manager with the specifications of all hooks and without plugins."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    return manager


def register(manager: pluggy.PluginManager, plugin: object, name: str, where: str, shown: str = "") -> None:
    """Register a plugin object after checking its hooks.

    Args:
        manager: the plugin manager.
        plugin: a module or an object with hooks.
        name: its name in the manager.
        where: its source, for messages.
        shown: its name in messages; ``name`` by default.

    Raises:
        PluginError: a hook is misspelt, not marked, marked for another project, or has a wrong argument.
    """
    mistake = hook_mistake(plugin)
    if mistake:
        raise PluginError(f"The plugin {shown or name!r} {mistake.what}.", where=where, hint=mistake.hint)
    try:
        manager.register(plugin, name=name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        if manager.has_plugin(name):
            manager.unregister(name=name)
        raise PluginError(
            f"The plugin {shown or name!r} has an invalid hook: {error}",
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
    if not os.path.isfile(path):  # unlike Path.is_file, it is False for a name that is too long
        raise UsageError(f"There is no plugin file {name!r}.", hint="Give the path of a Python file.")
    return Plugin(path.stem, "file", "", str(path.resolve()))


def is_imported(plugin: Plugin) -> bool:
    """Whether this process has imported the plugin already, so that loading it runs no new code."""
    if plugin.distribution == "given":
        return True
    if plugin.distribution == "file":
        path = Path(plugin.target)
        try:
            return _module_name(path, path.read_bytes()) in sys.modules
        except OSError:
            return False
    return plugin.target.partition(":")[0] in sys.modules


def _module_name(path: Path, content: bytes) -> str:
    # each path and content gets its own module name, so that two files named norm.py can be used together, and a file
    # that was edited since is imported again
    key = os.fsencode(path.resolve()) + b"\0" + content
    return f"ffprobe_file_{hashlib.sha256(key).hexdigest()[:16]}_{path.stem}"


class _FileLoader(SourceFileLoader):
    """Compiles the bytes that it is given.

    Python's bytecode cache is keyed by the size of the file and the second in which it was modified, so it would answer
    for a file that was edited within that second.
    """

    def __init__(self, name: str, path: Path, content: bytes) -> None:
        super().__init__(name, str(path))
        self._content = content

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self._content, self.path)
        return code


def _import_file(path: Path) -> ModuleType:
    content = path.read_bytes()
    name = _module_name(path, content)
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path, loader=_FileLoader(name, path, content))
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
    provided, classes = _provided(tree), _Classes()
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        kind, literals = classes.add(node)
        own, name = "name" in _literals(node.body), literals.get("name")
        # an intermediate base class is not a component; without a list of the components, its own name decides
        if kind and isinstance(name, str) and name and (own if provided is None else node.name in provided):
            doc = (ast.get_docstring(node) or "").strip()
            aliases = literals.get("aliases")
            aliases = tuple(a for a in aliases if isinstance(a, str)) if isinstance(aliases, tuple | list) else ()
            form = str(literals.get("form", "pair")) if kind in ("goodness", "loss") else ""
            offers.append(Offer(kind, name, _first_line(doc), aliases, node.name, form))
    if len(offers) == 1 and module_doc:  # the docstring of a file with one component is its shortest summary
        offers = [replace(offers[0], summary=_first_line(module_doc))]
    return tuple(offers)


class _Classes:
    """The classes of one source text so far: the kind of each, and the literals of its body and of its bases there."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, dict[str, Any]]] = {}

    def add(self, node: ast.ClassDef) -> tuple[str, dict[str, Any]]:
        """The kind of a class, empty if it is no component, and its literals; it may be the base of a later class."""
        kind = ""
        literals: dict[str, Any] = {}
        for base in reversed(node.bases):  # the first base wins, as in Python
            base = base.value if isinstance(base, ast.Subscript) else base
            name = base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else ""
            known = self._known.get(name) if isinstance(base, ast.Name) else None
            unknown = {} if name in BASES or name in ("ABC", "Generic") else {"form": ""}  # a class of another file
            base_kind, inherited = known or (BASES.get(name, ""), unknown)
            kind, literals = base_kind or kind, {**literals, **inherited}
        self._known[node.name] = kind, {**literals, **_literals(node.body)}
        return self._known[node.name]


def _provided(tree: ast.Module) -> set[str] | None:
    """The names of the classes in ``return [A, B]``, the body of ``ffprobe_components``; None for anything else."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "ffprobe_components":
            body = [
                part for part in node.body if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
            ]
            returned = body[0].value if len(body) == 1 and isinstance(body[0], ast.Return) else None
            if isinstance(returned, ast.List | ast.Tuple) and all(isinstance(e, ast.Name) for e in returned.elts):
                return {e.id for e in returned.elts if isinstance(e, ast.Name)}
    return None


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
            elif isinstance(target, ast.Tuple) and statement.value is not None:  # name, form = "mine", "class"
                names = [part.id if isinstance(part, ast.Name) else "" for part in target.elts]
                values |= zip(names, ast.literal_eval(statement.value), strict=True)
        except (ValueError, TypeError, RecursionError, MemoryError):  # not a literal
            continue
    return values
