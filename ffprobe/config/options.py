"""The options of ``ffprobe run`` as values: the table they make, and the words that say them again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ffprobe.config.parsing import assignments, merge
from ffprobe.config.preset_files import BASE_PRESET, read_preset, read_toml
from ffprobe.config.resolve import picks
from ffprobe.plugin.registry import Registry


@dataclass(frozen=True)
class RunOptions:
    """What decides a run, as typed.

    Attributes:
        preset: a named config.
        plugin: words of ``--plugin``.
        set: words of ``--set``.
        config: a TOML file of settings.
        from_: a run file to repeat.
        dataset: the data set, with settings perhaps.
        data_dir: where its files lie; made absolute, since the file must say so whatever folder it is read in.
        download: fetch missing files.
        epochs: passes over the training images.
        batch_size: images a step.
        seed: root of every random stream.
        device: ``auto``, ``cpu``, ``cuda`` ...
        precision: ``auto``, ``fp32``, ``bf16``.
        compile: ``auto``, ``on``, ``off``.
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

    def table(self, registry: Registry, begun: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The whole table, ready for ``ffprobe.config.settings.resolve``: each source over the one before.

        Args:
            registry: where plugins are found.
            begun: the config of an unfinished run that is gone on with.

        Raises:
            FfprobeError: an option names what is not there, or two fill one slot.
        """
        table = merge(_preset(""), begun or {})
        for above in (
            _preset(self.preset) if self.preset else {},
            recorded_config(self.from_) if self.from_ else {},
            read_toml(self.config) if self.config else {},
        ):
            table = merge(table, above)
        picked = picks([*self.plugin, *([self.dataset] if self.dataset else [])], registry)
        for several in ("probes", "observers"):  # these add up, --set replaces them
            picked[several] = [*table.get(several, []), *picked.get(several, [])]
        for above in (picked, assignments(self.set), self._settings()):
            table = merge(table, above)
        return table

    def words(self) -> list[str]:
        """The options as ``ffprobe run`` takes them; what was not given is left out."""
        found: list[str] = []
        for field in fields(self):
            value, option = getattr(self, field.name), f"--{field.name.strip('_').replace('_', '-')}"
            if value is True:
                found.append(option)
            elif isinstance(value, tuple):
                found += [word for one in value for word in (option, one)]
            elif value is not None and value is not False and value != "":
                found += [option, str(_absolute(value) if field.name == "data_dir" else value)]
        return found

    def _settings(self) -> dict[str, Any]:
        given = {"seed": self.seed, "device": self.device or None, "precision": self.precision or None}
        training = {"epochs": self.epochs, "batch_size": self.batch_size, "compile": self.compile or None}
        data = {"dir": _absolute(self.data_dir) if self.data_dir else None, "download": self.download or None}
        return {**_given(given), "training": _given(training), "data": _given(data)}


def recorded_config(path: Path) -> dict[str, Any]:
    """The config that a run file holds, finished or not.

    Raises:
        FileError: it cannot be read.
    """
    from ffprobe.store.reader import open_run

    with open_run(path) as file:
        return dict(file.config)


def _absolute(folder: str) -> str:
    return str(Path(folder).expanduser().resolve())


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if v is not None}


def _preset(name: str) -> dict[str, Any]:
    table = merge(read_preset(BASE_PRESET), {"preset": name or BASE_PRESET})
    return merge(table, read_preset(name)) if name else table
