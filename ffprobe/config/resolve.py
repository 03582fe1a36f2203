"""A table of settings checked against the components that it names, and made into a config."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from ffprobe.components.kinds import SINGLE_SLOTS
from ffprobe.config.parsing import parse_plugin
from ffprobe.config.settings import Choice, RunConfig, RunSettings
from ffprobe.errors import UsageError, did_you_mean
from ffprobe.plugin.registry import Registry

BESIDE_A_RUN = {
    "peer": ("knows the recordings of a public code", "It is used by itself: ffprobe replay FILE.npz"),
    "executor": ("starts the runs of a sweep", "It is used with one: ffprobe sweep GRID.toml --executor NAME"),
}
"""Kinds that no run has, by name: what such a component does instead, and how it is used."""


def picks(plugins: Iterable[str], registry: Registry) -> dict[str, Any]:
    """What ``--plugin`` words choose, as a table.

    Raises:
        UsageError: two of them fill one single slot; both are named.
        PluginError: one is missing or would not load.
    """
    table: dict[str, Any] = {}
    by: dict[str, str] = {}
    for text in plugins:
        what, settings = parse_plugin(text)
        components = registry.load(what)
        installed = any(p.name == what for p in registry.plugins)
        source = {} if installed and len(components) == 1 else {"plugin": what}
        if not components:
            if settings:
                key = next(iter(settings))
                raise UsageError(
                    f"{what!r} only watches and has no settings; {key!r} would go nowhere.",
                    hint="Leave the settings out, or give the plugin a probe with Params.",
                )
            table.setdefault("observers", []).append(what)
        for component in components:
            if component.kind in BESIDE_A_RUN:
                what, hint = BESIDE_A_RUN[component.kind]
                raise UsageError(f"{text!r} {what}; it is no part of a run.", hint=hint)
            choice = {"name": component.name, **source, **settings}
            if component.kind not in SINGLE_SLOTS:
                table.setdefault("probes", []).append(choice)
                continue
            if component.kind in by:
                raise UsageError(
                    f"{by[component.kind]!r} and {text!r} both fill the slot {component.kind!r}.",
                    hint="A run has one of them; leave one out.",
                )
            by[component.kind] = text
            table[component.kind] = choice
    return table


def resolve(table: Mapping[str, Any], registry: Registry) -> RunConfig:
    """Check a whole table against the components it names.

    Raises:
        UsageError: an unknown or misspelt key, a value out of range, or components of different form.
        PluginError: a component is missing or would not load.
    """
    slots = {kind: _choice(kind, table.get(kind), registry) for kind in SINGLE_SLOTS}
    probes = tuple(_choice("probe", entry, registry) for entry in _list(table, "probes"))
    probes = tuple({choice.component.name: choice for choice in probes}.values())  # named twice is once
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
        raise UsageError(f"{key!r} must be a list, not {value!r}.", hint=f"For none, --set {key}=[].")
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
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise UsageError(
            *_explain(model, error, owner, prefix)[:1], hint=_explain(model, error, owner, prefix)[1]
        ) from None


def _explain(model: type[BaseModel], error: ValidationError, owner: str, prefix: str) -> tuple[str, str]:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    key = ".".join(([prefix] if prefix else []) + path)
    of = f" of the {owner}" if owner else ""
    if first["type"] == "extra_forbidden":
        at: Any = model
        for part in path[:-1]:
            at = at.model_fields[part].annotation if part in at.model_fields else model
        names = list(getattr(at, "model_fields", {}))
        return f"There is no setting {key!r}{of}.", did_you_mean(path[-1], names) if names else "It has no settings."
    return f"The setting {key!r}{of} cannot be {first.get('input')!r}: {first['msg']}.", ""


def _check_forms(slots: Mapping[str, Choice]) -> None:
    loss: Any = slots["loss"].component
    goodness: Any = slots["goodness"].component
    if loss.form != goodness.form:
        raise UsageError(
            f"The loss {loss.name!r} works on goodness of form {loss.form!r}, but the goodness {goodness.name!r} has "
            f"the form {goodness.form!r}.",
            hint=f"Choose a loss and a goodness of one form, for example a goodness of form {loss.form!r}.",
        )
