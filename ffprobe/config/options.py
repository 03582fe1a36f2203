"""The options of ``ffprobe run`` as values: their table of settings, and their command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ffprobe.config.parsing import assignments, merge
from ffprobe.config.preset_files import BASE_PRESET, read_preset, read_toml
from ffprobe.config.resolve import check_tables, picks
from ffprobe.config.trust import check_code, code_in, code_of, without_download
from ffprobe.plugin.registry import Registry


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
        seed: seed of every random stream.
        device: ``auto``, ``cpu``, ``cuda`` ...
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp64``.
        compile: ``auto``, ``on`` or ``off``.
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
    seed: int | None = None
    device: str = ""
    precision: str = ""
    compile: str = ""
    trust: bool = False

    def table(
        self, registry: Registry, earlier: Path | None = None, settings: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The complete table of settings, for ``ffprobe.config.resolve.resolve``.

        Each source overrides the previous ones: base preset, run to resume, ``--preset``, ``--from``, ``--config``,
        ``--plugin`` and ``--dataset``, ``--set``, other options, ``settings``.

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
        for path, read in ((earlier, _recorded), (None, None), (self.from_, _recorded), (self.config, _config_file)):
            if read is None:
                table = merge(table, _preset(self.preset)) if self.preset else table
            elif path:
                above, recorded = read(path, self.trust)
                from_files.append((path, code_in(above), recorded))
                table = merge(table, above)
        picked = picks(words, registry)
        for key in ("probes", "observers"):  # --plugin adds to these lists, --set replaces them
            known = table.get(key, [])
            picked[key] = [*known, *(entry for entry in picked.get(key, []) if entry not in known)]
        for above in (picked, assigned, self._settings(), given):
            table = merge(table, above)
        used = code_in(table)
        for path, code, recorded in from_files:
            code = {name: word for name, word in code.items() if name in used}
            check_code(code, named, trust=self.trust, where=str(path), recorded=recorded, nameable=True)
        return table

    def words(self) -> list[str]:
        """The options as arguments of ``ffprobe run``, without those that were not given."""
        words: list[str] = []
        for field in fields(self):
            value, option = getattr(self, field.name), f"--{field.name.strip('_').replace('_', '-')}"
            if value is True:
                words.append(option)
            elif isinstance(value, tuple):
                words += [word for item in value for word in (option, item)]
            elif value is not None and value is not False and value != "":
                words += [option, str(_absolute(value) if field.name == "data_dir" else value)]
        return words

    def _settings(self) -> dict[str, Any]:
        given = {"seed": self.seed, "device": self.device or None, "precision": self.precision or None}
        training = {"epochs": self.epochs, "batch_size": self.batch_size, "compile": self.compile or None}
        data = {"dir": _absolute(self.data_dir) if self.data_dir else None, "download": self.download or None}
        return {**_given(given), "training": _given(training), "data": _given(data)}


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


def _config_file(path: Path, trust: bool) -> tuple[dict[str, Any], list[str]]:
    table = read_toml(path)
    check_tables(table, str(path))
    return table, []


def _absolute(folder: str) -> str:
    return str(Path(folder).expanduser().resolve())


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if v is not None}


def _preset(name: str) -> dict[str, Any]:
    table = merge(read_preset(BASE_PRESET), {"preset": name or BASE_PRESET})
    return merge(table, read_preset(name)) if name else table
