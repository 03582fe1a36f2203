"""Validates a table of settings against the components that it names, and turns it into a config."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ValidationError

from ffprobe.components.base import Component
from ffprobe.components.kinds import SINGLE_SLOTS
from ffprobe.config.parsing import parse_plugin
from ffprobe.config.preset_files import preset_names
from ffprobe.config.settings import Choice, RunConfig, RunSettings
from ffprobe.errors import PluginError, UsageError, did_you_mean
from ffprobe.plugin.discovery import split_choice
from ffprobe.plugin.registry import Registry
from ffprobe.store.renamed_settings import RENAMED

NOT_IN_A_RUN = {
    "peer": ("reads the recorded trajectories of a public code", "Use it with: ffprobe replay FILE.npz"),
    "executor": ("starts the runs of a sweep", "Use it with: ffprobe sweep GRID.toml --executor NAME"),
}
"""Kinds of component that are not part of a run: what such a component does, and the command that uses it."""


def picks(plugins: Iterable[str], registry: Registry) -> dict[str, Any]:
    """The table of settings that ``--plugin`` arguments select.

    Raises:
        UsageError: two plugins fill the same slot; the message names both.
        PluginError: a plugin is missing or cannot be loaded.
    """
    table: dict[str, Any] = {}
    by: dict[str, str] = {}
    for text in plugins:
        name, settings = parse_plugin(text)
        components = _loaded(name, registry)
        installed = any(p.name == name for p in registry.plugins)
        source = {} if installed and len(components) == 1 else {"plugin": split_choice(name)[0]}
        if not components:
            if settings:
                key = next(iter(settings))
                raise UsageError(
                    f"The plugin {name!r} has only observer hooks and no settings, so {key!r} has no effect.",
                    hint="Remove the settings, or make its hooks methods of an ffprobe.Observer with Params.",
                )
            table.setdefault("observers", []).append(name)
        for component in components:
            if component.kind in NOT_IN_A_RUN:
                purpose, hint = NOT_IN_A_RUN[component.kind]
                raise UsageError(f"{text!r} {purpose}; it cannot be part of a run.", hint=hint)
            choice = {"name": component.name, **source, **settings}
            if component.kind not in SINGLE_SLOTS:
                table.setdefault(f"{component.kind}s", []).append(choice)
                continue
            several = [c for c in components if c.kind == component.kind]
            if component.kind in by and len(several) > 1 and by[component.kind] == text:
                what = ", ".join(f"{c.__name__} ({c.name!r})" for c in several)
                raise UsageError(
                    f"{text!r} provides {len(several)} components of the kind {component.kind}: {what}.",
                    hint=f"A run has one {component.kind}; choose it: --plugin {_with_choice(name, component)}.",
                )
            if component.kind in by:
                raise UsageError(
                    f"{by[component.kind]!r} and {text!r} both fill the slot {component.kind!r}.",
                    hint=f"A run has one {component.kind}; remove one of the two.",
                )
            by[component.kind] = text
            table[component.kind] = choice
    return table


def _with_choice(name: str, component: Any) -> str:
    """The argument of ``--plugin`` for one component of a plugin that has several."""
    return f"{name}:{component.__name__}" if name.endswith(".py") else component.name


def _loaded(name: str, registry: Registry) -> list[type[Component]]:
    """The components of a plugin; the hint of an unknown name says whether it is a preset."""
    try:
        return registry.load(name)
    except PluginError as error:
        if name not in preset_names() or any(plugin.name == name for plugin in registry.plugins):
            raise
        raise PluginError(error.what, hint=f"{name} is a preset: --preset {name}.") from error


def resolve(table: Mapping[str, Any], registry: Registry) -> RunConfig:
    """Validate a complete table of settings.

    Args:
        table: nested plain values; every slot must name a component.
        registry: the plugins to search.

    Raises:
        UsageError: an unknown key, an invalid value, or a loss and a goodness of different form.
        PluginError: a component is missing or cannot be loaded.
    """
    check_tables(table)
    slots = {kind: _choice(kind, table.get(kind), registry) for kind in SINGLE_SLOTS}
    probes = tuple(_choice("probe", entry, registry) for entry in _list(table, "probes"))
    probes = tuple({choice.component.name: choice for choice in probes}.values())  # no probe runs twice
    observers = _observers(_list(table, "observers"), registry)
    rest = {k: v for k, v in table.items() if k not in SINGLE_SLOTS and k not in ("probes", "observers")}
    known = [*RunSettings.model_fields, *SINGLE_SLOTS, "probes"]
    for key in rest:
        if key not in RunSettings.model_fields:
            inside = [f"{table}.{key}" for table in TABLES if key in _fields(table)]
            hint = f"Did you mean {inside[0]!r}?" if inside else did_you_mean(key, known)
            raise UsageError(f"There is no setting {key!r}.", hint=hint)
    settings = validate(RunSettings, rest, "")
    _check_forms(slots, registry)
    return RunConfig(settings, slots, probes, observers)


TABLES = tuple(
    key for key, field in RunSettings.model_fields.items() if isinstance(field.annotation, type(RunSettings))
)
"""The settings that are tables of settings: ``training``, ``recording`` ..."""
LISTS = ("probes", "observers")


def _fields(table: str) -> Mapping[str, Any]:
    """The settings in a table of settings."""
    fields: Mapping[str, Any] = RunSettings.model_fields[table].annotation.model_fields  # type: ignore[union-attr]
    return fields


def check_tables(table: Mapping[str, Any], where: str = "") -> None:
    """Refuse a single value or a list where a table of settings belongs, and anything but a list for a list.

    Merging such a value with other settings would lose it, or them, without a message.

    Args:
        table: nested settings from one source: a file, ``--set``, a call.
        where: the file, for the message.

    Raises:
        UsageError: a value of the wrong form; the message names its key.
    """
    for key in (*TABLES, *SINGLE_SLOTS):
        value = table.get(key, {})
        if isinstance(value, Mapping) or (isinstance(value, str) and key in SINGLE_SLOTS):
            continue
        inner = next(iter(_fields(key))) if key in TABLES else "name"
        hint = f"Name the setting in it: {key}.{inner}=... with --set, or a table [{key}] with {inner} = ... in TOML."
        raise UsageError(f"{key!r} cannot be {_short(value)}; it is a table of settings.", where=where, hint=hint)
    for key in LISTS:
        _list(table, key, where)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _list(table: Mapping[str, Any], key: str, where: str = "") -> list[Any]:
    value = table.get(key, [])
    if not isinstance(value, list):
        raise UsageError(
            f"{key!r} must be a list, not {_short(value)}.", where=where, hint=f"For an empty list, use --set {key}=[]."
        )
    return value


def _observers(entries: Sequence[Any], registry: Registry) -> tuple[Choice | str, ...]:
    """The observers: components by their names, so that none observes twice, and plugins that have only hooks."""
    observers: dict[str, Choice | str] = {}
    for entry in entries:
        if isinstance(entry, Mapping):
            choice = _choice("observer", entry, registry)
            observers[choice.component.name] = choice
            continue
        found = [component for component in registry.load(str(entry)) if component.kind == "observer"]
        source = "" if any(plugin.name == entry for plugin in registry.plugins) else split_choice(str(entry))[0]
        for component in found:
            observers[component.name] = _choice("observer", {"name": component.name, "plugin": source}, registry)
        if not found:
            observers[str(entry)] = str(entry)
    return tuple(observers.values())


def _choice(kind: str, entry: Any, registry: Registry) -> Choice:
    entry = {"name": entry} if isinstance(entry, str) else entry
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        raise UsageError(f"The slot {kind!r} needs a name, not {entry!r}.", hint=f'Write [{kind}] name = "...".')
    plugin = str(entry.get("plugin", ""))
    component = registry.component(kind, entry["name"], plugin)
    params = {k: v for k, v in entry.items() if k not in ("name", "plugin")}
    return Choice(component, validate(component.Params, params, f"{kind} {component.name!r}", kind), plugin)


def validate(model: type[BaseModel], values: Mapping[str, Any], owner: str, prefix: str = "") -> Any:
    """An instance of a pydantic model.

    Args:
        model: the model class.
        values: its fields.
        owner: what the settings belong to, for the message; empty for the run itself.
        prefix: the table of the settings in a config; part of every key in the message.

    Raises:
        UsageError: an unknown key, with a suggestion, or an invalid value.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        message, hint = _explain(model, error, owner, prefix)
        raise UsageError(message, hint=hint) from None


def _explain(model: type[BaseModel], error: ValidationError, owner: str, prefix: str) -> tuple[str, str]:
    """The message and the hint for the first error of a validation."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    key = ".".join(([prefix] if prefix else []) + path)
    of = f" of the {owner}" if owner else ""
    if first["type"] == "extra_forbidden":
        at: Any = model
        for part in path[:-1]:
            at = at.model_fields[part].annotation if part in at.model_fields else model
        names = list(getattr(at, "model_fields", {}))
        hint = _suggestion(key, names) if names else "It has no settings."
        return f"There is no setting {key!r}{of}.", hint
    return f"The setting {key!r}{of} cannot be {first.get('input')!r}: {first['msg']}.", ""


def _suggestion(key: str, names: Sequence[str]) -> str:
    """The new name of a setting that was renamed since version 0.1.0, otherwise the closest names."""
    table, _, old = key.rpartition(".")
    tables = [RENAMED.get("probes" if table == "probe" else table, {})] if table else RENAMED.values()
    new = next((renamed[old] for renamed in tables if renamed.get(old) in names), None)
    return f"Did you mean {new!r}?" if new else did_you_mean(old, names)


def _check_forms(slots: Mapping[str, Choice], registry: Registry) -> None:
    loss: Any = slots["loss"].component
    goodness: Any = slots["goodness"].component
    if loss.form != goodness.form:
        raise UsageError(
            f"The loss {loss.name!r} needs goodness of form {loss.form!r}, but the goodness {goodness.name!r} has the "
            f"form {goodness.form!r}.",
            hint=f"Choose a goodness of form {loss.form!r}: {_of_form('goodness', loss.form, registry)}; "
            f"or a loss of form {goodness.form!r}: {_of_form('loss', goodness.form, registry)}.",
        )


def _of_form(kind: str, form: str, registry: Registry) -> str:
    """The installed components of this kind and form by name; imported only if the source leaves the form open."""
    names = set()
    for offer in [o for plugin in registry.plugins for o in plugin.offers if o.kind == kind]:
        with suppress(PluginError):  # a broken plugin does not fit
            component: Any = None if offer.form else registry.component(kind, offer.name)
            names |= {offer.name} if (offer.form or component.form) == form else set()
    return ", ".join(sorted(names)) or "none is installed"
