"""The options of ``ffprobe run`` as values: their table of settings, and their command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ffprobe.config.parsing import assignments, merge, nested
from ffprobe.config.preset_files import BASE_PRESET, preset_names, read_preset, read_toml
from ffprobe.config.resolve import check_tables, picks
from ffprobe.config.trust import check_code, code_in, code_of, without_download, without_observers
from ffprobe.errors import UsageError
from ffprobe.plugin.registry import Registry

QUICK = {"epochs": 5, "batch_size": 32, "learning_rate": 0.003}
"""What ``--quick`` sets under ``training``."""
REPLACEABLE = ("tff-s", "tff-d")
"""The networks that ``--quick`` replaces by ``tiny``."""


@dataclass(frozen=True)
class RunOptions:
    """The options of ``ffprobe run`` that determine a run, as typed.

    Attributes:
        preset: name of a preset.
        plugin: values of ``--plugin``.
        set: values of ``--set``.
        config: TOML file of settings.
        from_: run file whose config is repeated.
        dataset: name of the data set, optionally with settings.
        data_dir: directory of its files; made absolute, because the run file must be valid in any working directory.
        download: whether to download missing files.
        epochs: number of passes over the training images.
        batch_size: training images per step.
        learning_rate: the optimizer's learning rate.
        seed: seed of every random stream.
        device: ``auto``, ``cpu``, ``cuda`` ...
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp64``.
        compile: ``auto``, ``on`` or ``off``.
        early_stop: evaluations without a better validation accuracy after which the run stops.
        keep_best: whether to keep the weights of the best evaluated epoch.
        quick: whether to train a small network for a few epochs, for a first look.
        trust: whether to import the plugins that a file names as ``./file.py`` or ``module:attr``, and to download if
            a run file says so.
    """

    preset: str = ""
    plugin: tuple[str, ...] = ()
    set: tuple[str, ...] = ()
    config: Path | None = None
    from_: Path | None = None
    dataset: str = ""
    data_dir: str = ""
    download: bool = False
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    seed: int | None = None
    device: str = ""
    precision: str = ""
    compile: str = ""
    early_stop: int | None = None
    keep_best: bool = False
    quick: bool = False
    trust: bool = False

    def table(
        self, registry: Registry, earlier: Path | None = None, settings: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The complete table of settings, for ``ffprobe.config.resolve.resolve``.

        Each source overrides the previous ones: base preset, the data set's own defaults (only where no preset, no run
        to resume and no ``--from`` chooses), run to resume, ``--preset``, ``--quick``, ``--from``,
        ``--config``, ``--plugin`` and ``--dataset``, ``--set``, other options, ``settings``.

        Args:
            registry: the plugins to search.
            earlier: the run file that is resumed, finished or not.
            settings: nested settings over all others, named by the user like the options.

        Raises:
            UsageError: a file names a plugin that is code (``./file.py``, ``module:attr``) and that no option names,
                without ``trust``; or two plugins fill one slot; or a value is given for a table of settings.
            FfprobeError: an option names something that does not exist.
        """
        words = [*self.plugin, *([self.dataset] if self.dataset else [])]
        assigned, given = assignments(self.set), dict(settings or {})
        for source in (assigned, given):
            check_tables(source)
        named = {*code_of(words), *code_in(assigned), *code_in(given)}
        table = _preset("")
        from_files: list[tuple[Path, dict[str, str], list[str]]] = []
        file = read_config_file(self.config) if self.config else ConfigFile()
        preset = self.preset or file.options.preset
        if not (earlier or self.from_ or preset):
            installed = [] if code_of(file.options.plugin) else file.options.plugin  # code is checked first, below
            sources = (picks(installed, registry), file.settings, picks(words, registry), assigned, given)
            table = merge(table, _dataset_defaults(sources, file.settings, registry))
        if earlier:
            above, recorded = _recorded(earlier, self.trust)
            from_files.append((earlier, code_in(above), recorded))
            table = merge(table, above)
        if preset and preset not in preset_names() and any(plugin.name == preset for plugin in registry.plugins):
            raise UsageError(f"There is no preset {preset!r}.", hint=f"{preset} is a plugin: --plugin {preset}.")
        table = merge(table, _preset(preset)) if preset else table
        table = merge(table, _quick(table)) if self.quick or file.options.quick else table
        if self.from_:
            above, recorded = _recorded(self.from_, self.trust)
            above = above if self.trust else without_observers(above, str(self.from_))
            from_files.append((self.from_, code_in(above), recorded))
            table = merge(table, above)
        if self.config:
            code = code_of(file.options.plugin)
            check_code(code, named, trust=self.trust, where=str(self.config), nameable=True)
            from_files.append((self.config, {**code, **code_in(file.settings)}, []))
            for above in (_added(picks(file.options.plugin, registry), table), file.options._settings(), file.settings):
                table = merge(table, above)
        for above in (_added(picks(words, registry), table), assigned, self._settings(), given):
            table = merge(table, above)
        used = code_in(table)
        for path, code, recorded in from_files:
            code = {name: word for name, word in code.items() if name in used}
            check_code(code, named, trust=self.trust, where=str(path), recorded=recorded, nameable=True)
        return table

    def words(self) -> list[str]:
        """The options as arguments of ``ffprobe run``, without those that were not given."""
        words: list[str] = []
        for option_field in fields(self):
            name = option_field.name
            value, option = getattr(self, name), f"--{name.strip('_').replace('_', '-')}"
            if value is True:
                words.append(option)
            elif isinstance(value, tuple):
                words += [word for item in value for word in (option, item)]
            elif value is not None and value is not False and value != "":
                words += [option, str(_absolute(value) if name == "data_dir" else value)]
        return words

    def _settings(self) -> dict[str, Any]:
        given = {"seed": self.seed, "device": self.device or None, "precision": self.precision or None}
        training = {
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "compile": self.compile or None,
            "early_stop": self.early_stop,
            "keep_best": self.keep_best or None,
        }
        data = {"dir": _absolute(self.data_dir) if self.data_dir else None, "download": self.download or None}
        return {**_given(given), "training": _given(training), "data": _given(data)}


def _dataset_defaults(
    sources: Iterable[Mapping[str, Any]], unchecked: Mapping[str, Any], registry: Registry
) -> Mapping[str, Any]:
    """What the data set that the last of these tables names chooses by itself.

    Nothing if it is code that ``unchecked`` names, the table of a file: it must not be imported yet.
    """
    named = [(table["dataset"], table is unchecked) for table in sources if table.get("dataset")]
    if not named:
        return {}
    choice, is_unchecked = named[-1]
    choice = {"name": choice} if isinstance(choice, str) else choice
    plugin = str(choice.get("plugin", ""))
    if not isinstance(choice.get("name"), str) or (plugin and is_unchecked):
        return {}
    dataset: Any = registry.component("dataset", choice["name"], plugin)
    return dict(dataset.defaults)


def _quick(table: Mapping[str, Any]) -> dict[str, Any]:
    """A small budget. A preset that needs its own network keeps it, and is only trained for fewer epochs."""
    own = (table.get("network") or {}).get("name") not in REPLACEABLE
    return {"training": dict(QUICK)} if own else {"training": dict(QUICK), "network": {"name": "tiny"}}


def recorded_config(path: Path) -> dict[str, Any]:
    """The config in a run file, finished or not.

    Raises:
        FileError: the file cannot be read.
    """
    return _recorded(path, True)[0]


def _recorded(path: Path, trust: bool) -> tuple[dict[str, Any], list[str]]:
    """The config and the plugins in a run file; without trust, it does not download."""
    from ffprobe.store.reader import open_run

    with open_run(path) as file:
        config, plugins = dict(file.config), file.attributes.get("plugins", [])
    check_tables(config, str(path))
    return config if trust else without_download(config), plugins if isinstance(plugins, list) else [str(plugins)]


@dataclass(frozen=True)
class ConfigFile:
    """A file of ``--config``: options of ``ffprobe run`` and settings, as ``[each]`` of a grid has them.

    Attributes:
        options: preset, plugin, dataset, epochs ...; the data set counts as a plugin.
        settings: all other keys, nested.
    """

    options: RunOptions = RunOptions()
    settings: dict[str, Any] = field(default_factory=dict)


def read_config_file(path: Path) -> ConfigFile:
    """Read a file of ``--config``.

    Raises:
        FileError: it cannot be read, or is not TOML.
        UsageError: a value has the wrong form; a wrong key is found later, with all other settings.
    """
    table, where = read_toml(path), str(path)
    plugin = table.pop("plugin", [])
    words = [plugin] if isinstance(plugin, str) else plugin
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise UsageError("plugin must be a name or a list of names.", where=where, hint='For example ["olu", "symba"].')
    if isinstance(table.get("dataset"), str):
        words = [*words, table.pop("dataset")]
    assigned = table.pop("set", {})
    if not isinstance(assigned, Mapping):
        hint = 'For example set = {"network.width" = 0.25}.'
        raise UsageError("set must be a table.", where=where, hint=hint)
    values: dict[str, Any] = {}
    for key in [key for key in table if key.replace("-", "_") in FILE_OPTIONS]:
        name, value = key.replace("-", "_"), table.pop(key)
        kind = FILE_OPTIONS[name]
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            hint = f"It must be of the type {kind.__name__}."
            raise UsageError(f"{key} cannot be {value!r}.", where=where, hint=hint)
        values[name] = value
    settings = nested({**table, **assigned})
    check_tables(settings, where)
    return ConfigFile(RunOptions(plugin=tuple(words), **values), settings)


FILE_OPTIONS: Mapping[str, type] = {
    **dict.fromkeys(("preset", "data_dir", "compile"), str),
    **dict.fromkeys(("epochs", "batch_size", "early_stop"), int),
    **dict.fromkeys(("download", "quick", "keep_best"), bool),
    "learning_rate": float,
}
"""The options that a config file may have beside settings, and the types of their values."""


def _added(picked: dict[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """What plugins select over a table: they add to its lists of probes and observers, and replace components."""
    for key in ("probes", "observers"):
        known = table.get(key, [])
        picked[key] = [*known, *(entry for entry in picked.get(key, []) if entry not in known)]
    return picked


def _absolute(folder: str) -> str:
    return str(Path(folder).expanduser().resolve())


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if v is not None}


def _preset(name: str) -> dict[str, Any]:
    table = merge(read_preset(BASE_PRESET), {"preset": name or BASE_PRESET})
    return merge(table, read_preset(name)) if name else table
