"""The resolved config of a run: presets, files and command-line words, checked against the components they name."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from ffprobe.components.base import SINGLE_SLOTS, Component, Params
from ffprobe.errors import FileError, UsageError, did_you_mean
from ffprobe.plugin.registry import Registry

BASE_PRESET = "vanilla-ff"
"""The preset that every run starts from, so that each plugin is a visible change against a known baseline."""

BESIDE_A_RUN = {
    "peer": ("knows the recordings of a public code", "It is used by itself: ffprobe replay FILE.npz"),
    "executor": ("starts the runs of a sweep", "It is used with one: ffprobe sweep GRID.toml --executor NAME"),
}
"""Kinds that no run has, by name: what such a component does instead, and how it is used."""


class Training(Params):
    """How long, how fast, on what share of the data."""

    epochs: int = Field(20, ge=1, le=1_000_000, description="passes over the training images")
    batch_size: int = Field(64, ge=1, le=1_000_000, description="images a step; each gives a positive and a negative")
    learning_rate: float = Field(1e-3, gt=0, description="base learning rate of every optimizer")
    schedule: Literal["network", "constant", "cosine"] = Field(
        "network", description="network: the paper's steps for the network, scaled to the run's length"
    )
    floor: float = Field(0.0, ge=0, le=1, description="where the cosine schedule ends, as a share of learning_rate")
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", description="one for every update group")
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd")
    weight_decay: float = Field(0.0, ge=0, description="of every optimizer, per step")
    validation: float = Field(0.1, ge=0, lt=1, description="share of the training images held out")
    images: int = Field(0, ge=0, description="train on this many images only, with fewer for validation; 0 for all")
    standardize: bool = Field(
        True, description="each channel's mean taken away and its deviation made 1; false: pixels from 0 to 1"
    )
    augmentation: Literal["auto"] | bool = Field(
        "auto", description="the paper's random crop and rotation of each image; auto: from 16 px on"
    )
    shift: int | None = Field(None, ge=0, description="pixels of the random crop; empty: 4 at 28 px, less below")
    rotation: float = Field(15.0, ge=0, le=180, description="degrees to either side")
    sync_statistics: bool = Field(
        True,
        description="several processes (torchrun): batch normalization sees the whole batch; false: each its own part",
    )
    compile: Literal["auto", "on", "off"] = Field(
        "auto", description="torch.compile for each layer; auto: where it was measured to help, which is nowhere so far"
    )
    evaluations: int = Field(20, ge=1, description="evaluate so many times a run at most, evenly spread")
    evaluation_batch: int = Field(512, ge=1, description="images a step in evaluation")
    test: Literal["end", "never", "every"] = Field(
        "end",
        description="when the test set is read: once at the end, never, or at every evaluation (said in the file)",
    )


class Recording(Params):
    """What goes into the run file beside metrics and goodness."""

    activations: Literal["auto"] | bool = Field("auto", description="auto: when a probe needs them")
    samples: int = Field(2000, ge=20, description="images whose activations are kept; a quarter is held out")
    units: int = Field(512, ge=1, description="numbers a layer keeps of each image; maps are average-pooled to fit")
    epochs: tuple[int, ...] = Field((), description="record activations after these epochs too (0 and last always)")


class Data(Params):
    """Where the files lie."""

    dir: str = Field("", description="folder or archive of the data set")
    download: bool = Field(False, description="fetch missing files")


class RunSettings(Params):
    """Everything that is not a component."""

    preset: str = ""
    seed: int = Field(0, ge=0, lt=2**63, description="root of every random stream")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1 ...")
    precision: Literal["auto", "fp32", "bf16", "fp64"] = Field("auto", description="of forward passes")
    training: Training = Training()
    recording: Recording = Recording()
    data: Data = Data()


@dataclass(frozen=True)
class Choice:
    """A component that a config picked, with its settings.

    Attributes:
        component: the class.
        params: its validated settings.
        plugin: what to load it from when the name alone does not say (a file, ``module:attr``).
    """

    component: type[Component]
    params: BaseModel
    plugin: str = ""

    def document(self) -> dict[str, Any]:
        """Plain values: ``name``, ``plugin`` where needed, and every setting."""
        extra = {"plugin": self.plugin} if self.plugin else {}
        return {"name": self.component.name, **extra, **self.params.model_dump(mode="json")}

    def build(self, *arguments: Any) -> Any:
        """An instance with these settings."""
        return self.component(self.params, *arguments)


@dataclass(frozen=True)
class RunConfig:
    """A config in which nothing is left open but ``auto`` for device and precision.

    Attributes:
        settings: everything that is not a component.
        slots: the choice for each single slot, by kind.
        probes: the probes, in the order given.
        observers: plugins that only watch, as typed.
    """

    settings: RunSettings
    slots: Mapping[str, Choice]
    probes: tuple[Choice, ...] = ()
    observers: tuple[str, ...] = field(default=())

    def document(self) -> dict[str, Any]:
        """The whole config as nested plain values; ``resolve`` reads it back to an equal config."""
        return {
            **self.settings.model_dump(mode="json"),
            **{kind: choice.document() for kind, choice in self.slots.items()},
            "probes": [choice.document() for choice in self.probes],
            "observers": list(self.observers),
        }


def preset_names() -> list[str]:
    """The presets that come with ffprobe."""
    return sorted(f.name[:-5] for f in files("ffprobe.config.presets").iterdir() if f.name.endswith(".toml"))


def read_preset(name: str) -> dict[str, Any]:
    """A preset's table.

    Raises:
        UsageError: there is no such preset; the nearest names are given.
    """
    if name not in preset_names():
        raise UsageError(f"There is no preset {name!r}.", do=did_you_mean(name, preset_names()))
    return tomllib.loads((files("ffprobe.config.presets") / f"{name}.toml").read_text(encoding="utf-8"))


def preset_comment(name: str) -> str:
    """What a preset's file says of it in the comment that it begins with, on one line."""
    text = (files("ffprobe.config.presets") / f"{name}.toml").read_text(encoding="utf-8")
    lines = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    return " ".join(line.removeprefix("#").strip() for line in lines)


def read_toml(path: Path, limit: int = 1 << 20) -> dict[str, Any]:
    """A config file's table.

    Raises:
        FileError: missing, unreadable, larger than ``limit`` bytes, or not TOML (with the line).
    """
    try:
        with path.open("rb") as file:
            raw = file.read(limit + 1)
    except OSError as error:
        raise FileError(f"The config cannot be read: {error.strerror}.", where=str(path)) from error
    if len(raw) > limit:
        raise FileError(f"The config is larger than {limit} bytes.", where=str(path))
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise FileError(f"The config is not TOML: {error}.", where=str(path)) from error


def parse_value(text: str) -> Any:
    """A value as typed: TOML where it reads as TOML, else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text


def parse_plugin(text: str) -> tuple[str, dict[str, Any]]:
    """``NAME``, ``NAME:key=value,...``, ``./file.py[:...]`` or ``module:attr[:...]`` as (what to load, settings).

    Raises:
        UsageError: a setting has no value.
    """
    head, colon, tail = text.rpartition(":")
    if not colon or "=" not in tail:
        return text, {}
    settings = {}
    for part in _split(tail):
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"{part!r} in {text!r} is not key=value.", do="Write --plugin name:key=value,other=value.")
        settings[key.strip()] = parse_value(value.strip())
    return head, settings


def _split(text: str) -> list[str]:
    parts, depth, current = [], 0, ""
    for character in text:
        depth += (character in "[{(") - (character in "]})")
        if character == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += character
    return [*parts, current]


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """One table over another: tables merge, but a slot that names another component starts afresh."""
    result = dict(below)
    for key, value in above.items():
        if key in SINGLE_SLOTS and isinstance(value, str):
            value = {"name": value}
        old = result.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            renamed = key in SINGLE_SLOTS and value.get("name", old.get("name")) != old.get("name")
            result[key] = dict(value) if renamed else merge(old, value)
        else:
            result[key] = dict(value) if isinstance(value, Mapping) else value
    return result


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
                    do="Leave the settings out, or give the plugin a probe with Params.",
                )
            table.setdefault("observers", []).append(what)
        for component in components:
            if component.kind in BESIDE_A_RUN:
                what, do = BESIDE_A_RUN[component.kind]
                raise UsageError(f"{text!r} {what}; it is no part of a run.", do=do)
            choice = {"name": component.name, **source, **settings}
            if component.kind not in SINGLE_SLOTS:
                table.setdefault("probes", []).append(choice)
                continue
            if component.kind in by:
                raise UsageError(
                    f"{by[component.kind]!r} and {text!r} both fill the slot {component.kind!r}.",
                    do="A run has one of them; leave one out.",
                )
            by[component.kind] = text
            table[component.kind] = choice
    return table


def assignments(words: Iterable[str]) -> dict[str, Any]:
    """``--set key=value`` words as a table; dots reach into tables.

    Raises:
        UsageError: a word has no ``=`` or reaches into a value.
    """
    table: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not all(key.split(".")):
            raise UsageError(f"--set {word!r} is not key=value.", do="For example --set network.width=0.25.")
        path = key.strip().split(".")
        value = parse_value(text.strip())
        if path[0] in SINGLE_SLOTS and len(path) == 1 and isinstance(value, str):
            path.append("name")  # network=tiny beside network.width=0.25
        *tables, last = path
        place = table
        for part in tables:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise UsageError(f"--set {word!r} reaches into {part!r}, which another --set gave a value.")
        place[last] = value
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
            raise UsageError(f"There is no setting {key!r}.", do=did_you_mean(key, known))
    settings = validate(RunSettings, rest, "")
    _check_forms(slots)
    return RunConfig(settings, slots, probes, observers)


def _list(table: Mapping[str, Any], key: str) -> list[Any]:
    value = table.get(key, [])
    if not isinstance(value, list):
        raise UsageError(f"{key!r} must be a list, not {value!r}.", do=f"For none, --set {key}=[].")
    return value


def _choice(kind: str, entry: Any, registry: Registry) -> Choice:
    entry = {"name": entry} if isinstance(entry, str) else entry
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        raise UsageError(f"The slot {kind!r} needs a name, not {entry!r}.", do=f'Write [{kind}] name = "...".')
    plugin = str(entry.get("plugin", ""))
    component = registry.component(kind, entry["name"], plugin)
    params = {k: v for k, v in entry.items() if k not in ("name", "plugin")}
    return Choice(component, validate(component.Params, params, f"{kind} {component.name!r}", kind), plugin)


def validate(model: type[BaseModel], values: Mapping[str, Any], owner: str, prefix: str = "") -> Any:
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise UsageError(
            *_explain(model, error, owner, prefix)[:1], do=_explain(model, error, owner, prefix)[1]
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
            do=f"Choose a loss and a goodness of one form, for example a goodness of form {loss.form!r}.",
        )
