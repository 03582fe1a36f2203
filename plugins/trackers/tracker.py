"""What all experiment trackers share: settings, the numbers of a run, and when they are reported."""

from __future__ import annotations

import importlib
import math
import sys
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator

import ffprobe


class TrackerParams(ffprobe.Params):
    """Where a run appears in the tracker."""

    project: str = Field("ffprobe", min_length=1, description="project that the run belongs to")
    group: str = Field("", description="group of runs within the project, such as the name of a sweep; empty: none")
    run_name: str = Field("", description="name of the run; empty: the name of the run file without its ending")
    directory: str = Field("", description="directory of the tracker's local files; empty: the current directory")

    @field_validator("project", "group", "run_name", "directory")
    @classmethod
    def _printable(cls, value: str) -> str:
        if not value.isprintable():  # it may come from somebody else's run file (--from), and is printed
            raise ValueError("use printable characters only")
        return value


class Tracker(ffprobe.Observer):
    """Reports the config, every epoch and the results of a run.

    A subclass implements ``open``, ``log`` and ``close``. What ``open`` returns is kept in the checkpoint, so that a
    resumed run continues the same run of the tracker.

    Attributes:
        extra: name of the optional dependencies of ffprobe-nn that install the libraries.
        libraries: modules that must be importable; the first is ``self.library`` after ``prepare``.
    """

    Params = TrackerParams
    extra: ClassVar[str] = ""
    libraries: ClassVar[tuple[str, ...]] = ()

    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self.library: Any = None
        self._run = ""  # the tracker's own name for the run in progress or to be continued
        self._is_open = False
        self._epochs = 0  # a run may end before its last epoch

    def prepare(self) -> None:
        """Import the libraries and create the directory.

        Raises:
            PluginError: a library is missing.
            UsageError: the directory cannot be created, or the settings do not fit this machine.
        """
        hint = f"Install it with: pip install 'ffprobe-nn[{self.extra}]'"
        try:
            self.library, *_ = [importlib.import_module(name) for name in self.libraries]
        except ImportError as error:
            raise ffprobe.PluginError(f"{self.name!r} needs a library that is not installed.", hint=hint) from error
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            what = f"The directory of {self.name!r} cannot be created: {error.strerror}."
            raise ffprobe.UsageError(what, where=str(self.directory), hint="Choose another directory.") from error

    @property
    def directory(self) -> Path:
        return Path(self.params.directory).expanduser()

    @abstractmethod
    def open(self, context: ffprobe.RunContext, run: str) -> str:
        """Begin a run of the tracker, or continue one.

        Args:
            context: the run.
            run: what ``open`` returned before the run was interrupted; empty for a new run.

        Returns:
            The tracker's own name for the run.
        """

    @abstractmethod
    def log(self, values: Mapping[str, float], epoch: int) -> None:
        """Report finite numbers by name, after ``epoch`` epochs."""

    @abstractmethod
    def close(self, status: str) -> str:
        """End the run of the tracker: ``finished``, ``failed`` or ``interrupted``; a sentence where to find it."""

    def state_dict(self) -> dict[str, Any]:
        return {"run": self._run}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._run = str(state["run"])

    @ffprobe.hookimpl
    def ffprobe_before_run(self, context: ffprobe.RunContext) -> None:
        self._run = self.open(context, self._run)
        self._is_open = True

    @ffprobe.hookimpl
    def ffprobe_after_epoch(self, context: ffprobe.EpochContext) -> None:
        self._epochs = context.epoch + 1
        rows = {name: values.tolist() for name, values in context.metrics.items()}
        self.log(_numbers({**rows, "model_validation_accuracy": context.model_accuracy}), self._epochs)

    @ffprobe.hookimpl
    def ffprobe_after_run(self, context: ffprobe.RunContext) -> None:
        self.log(_numbers(context.results, "final/"), self._epochs or context.epochs)
        self._close("finished")

    @ffprobe.hookimpl
    def ffprobe_on_error(self, context: Any) -> None:
        if self._is_open:  # an error may come before the first hook
            stopped = getattr(context.error, "exit_code", 1) > 128  # by a signal
            self._close("interrupted" if stopped else "failed")

    def _close(self, status: str) -> None:
        self._is_open = False
        print(f"{self.name}: {self.close(status)}", file=sys.stderr)

    def name_of(self, context: ffprobe.RunContext) -> str:
        return self.params.run_name or Path(context.path).stem


def tags_of(context: ffprobe.RunContext) -> dict[str, str]:
    """Data set, preset, plugins and run file of a run; an empty value is left out."""
    config = context.config
    slots = {
        kind: str(choice["name"]) for kind, choice in config.items() if isinstance(choice, Mapping) and "name" in choice
    }
    plugins = [name for kind, name in slots.items() if kind != "dataset"]
    plugins += [str(probe["name"]) for probe in config.get("probes", [])]
    tags = {"dataset": slots.get("dataset", ""), "preset": str(config.get("preset", ""))}
    return {k: v for k, v in {**tags, "plugins": ", ".join(plugins), "run_file": context.path}.items() if v}


def _numbers(rows: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The finite numbers of metrics, one for each layer or for the model: ``loss/layer 1``, ``test_accuracy/model``."""

    def named() -> Iterator[tuple[str, float]]:
        for name, row in rows.items():
            if isinstance(row, list):
                yield from ((f"{name}/layer {layer}", float(value)) for layer, value in enumerate(row, 1))
            else:
                yield (f"{name.removeprefix('model_')}/model" if name.startswith("model_") else name), float(row)

    return {f"{prefix}{name}": value for name, value in named() if math.isfinite(value)}
