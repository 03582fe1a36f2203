"""Write a run for TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ffprobe_plugins.trackers.tracker import Tracker, tags_of

import ffprobe

FOLDER = "runs"


class TensorBoard(Tracker, ffprobe.Observer):
    """Writes the config, loss, goodness and accuracies of every epoch, and the results, to event files of TensorBoard.

    They are in ``runs/PROJECT/GROUP/NAME`` below the directory. A run whose directory exists gets the next free number;
    a resumed run continues in its own, and TensorBoard drops the epochs that are trained again. Install it with ``pip
    install 'ffprobe-nn[tensorboard]'``.
    """

    name = "tensorboard"
    source = "TensorBoard (https://www.tensorflow.org/tensorboard)"
    extra = "tensorboard"
    libraries = ("torch.utils.tensorboard",)

    def open(self, context: ffprobe.RunContext, run: str) -> str:
        parent = self.directory / FOLDER / _folder(self.params.project) / _folder(self.params.group)
        name = _folder(run) or _free(parent, _folder(self.name_of(context)))
        self._folder = parent / name
        self._purge = bool(run)
        self._writer: Any = None
        self._texts = {
            "config": f"```json\n{json.dumps(dict(context.config), indent=2)}\n```",
            "run": "\n".join(f"- {key}: {value}" for key, value in tags_of(context).items()),
        }
        return name

    def log(self, values: Mapping[str, float], epoch: int) -> None:
        if self._writer is None:  # opened with the first epoch, whose number tells which later ones to drop
            self._writer = self.library.SummaryWriter(str(self._folder), purge_step=epoch if self._purge else None)
            for name, text in self._texts.items():
                self._writer.add_text(name, text, epoch)
        for name, value in values.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def close(self, status: str) -> str:
        if self._writer is not None:
            self._writer.close()
        return f"the events are in {self._folder}; `tensorboard --logdir {self.directory / FOLDER}` shows them."


def _folder(name: str) -> str:
    """The name as that of one directory: settings and checkpoints from others must not lead elsewhere."""
    return name.replace("/", "-").replace("\\", "-").lstrip(".")


def _free(parent: Path, name: str) -> str:
    """The name, with a number if there is such a directory."""
    taken, number = name, 1
    while (parent / taken).exists():
        number += 1
        taken = f"{name}-{number}"
    return taken


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [TensorBoard]
