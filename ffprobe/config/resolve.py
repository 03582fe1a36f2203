"""Validates a table of settings against the components that it names, and turns it into a config."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from ffprobe.components.kinds import SINGLE_SLOTS
from ffprobe.config.parsing import parse_plugin
from ffprobe.config.settings import Choice, RunConfig, RunSettings
from ffprobe.errors import UsageError, did_you_mean
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
        components = registry.load(name)
        installed = any(p.name == name for p in registry.plugins)
        source = {} if installed and len(components) == 1 else {"plugin": name}
        if not components:
            if settings:
                key = next(iter(settings))
                raise UsageError(
                    f"The plugin {name!r} has only observer hooks and no settings, so {key!r} has no effect.",
                    hint="Remove the settings, or add a probe with Params to the plugin.",
                )
            table.setdefault("observers", []).append(name)
        for component in components:
            if component.kind in NOT_IN_A_RUN:
                purpose, hint = NOT_IN_A_RUN[component.kind]
                raise UsageError(f"{text!r} {purpose}; it cannot be part of a run.", hint=hint)
            choice = {"name": component.name, **source, **settings}
            if component.kind not in SINGLE_SLOTS:
                table.setdefault("probes", []).append(choice)
                continue
            if component.kind in by:
                raise UsageError(
                    f"{by[component.kind]!r} and {text!r} both fill the slot {component.kind!r}.",
                    hint=f"A run has one {component.kind}; remove one of the two.",
                )
            by[component.kind] = text
            table[component.kind] = choice
    return table


def resolve(table: Mapping[str, Any], registry: Registry) -> RunConfig:
    """Validate a complete table of settings.

    Args:
        table: nested plain values; every slot must name a component.
        registry: the plugins to search.

    Raises:
        UsageError: an unknown key, an invalid value, or a loss and a goodness of different form.
        PluginError: a component is missing or cannot be loaded.
    """
    slots = {kind: _choice(kind, table.get(kind), registry) for kind in SINGLE_SLOTS}
    probes = tuple(_choice("probe", entry, registry) for entry in _list(table, "probes"))
    probes = tuple({choice.component.name: choice for choice in probes}.values())  # no probe runs twice
    observers = tuple(str(name) for name in _list(table, "observers"))
    for name in observers:
        registry.load(name)
    rest = {k: v for k, v in table.items() if k not in SINGLE_SLOTS and k not in ("probes", "observers")}
    known = [*RunSettings.model_fields, *SINGLE_SLOTS, "probes"]
    for key in rest:
        if key not in RunSettings.model_fields:
            raise UsageError(f"There is no setting {key!r}.", hint=did_you_mean(key, known))
    settings = validate(RunSettings, rest, "")
    _check_forms(slots)
    return RunConfig(settings, slots, probes, observers)


def _list(table: Mapping[str, Any], key: str) -> list[Any]:
    value = table.get(key, [])
    if not isinstance(value, list):
        raise UsageError(f"{key!r} must be a list, not {value!r}.", hint=f"For an empty list, use --set {key}=[].")
    return value


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


def _check_forms(slots: Mapping[str, Choice]) -> None:
    loss: Any = slots["loss"].component
    goodness: Any = slots["goodness"].component
    if loss.form != goodness.form:
        raise UsageError(
            f"The loss {loss.name!r} needs goodness of form {loss.form!r}, but the goodness {goodness.name!r} has the "
            f"form {goodness.form!r}.",
            hint=f"Choose a goodness of form {loss.form!r}, or a loss of form {goodness.form!r}.",
        )
