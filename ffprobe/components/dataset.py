"""Where images come from."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel

from ffprobe.components.base import Component

if TYPE_CHECKING:
    from ffprobe.data.images import Images


class Dataset(Component):
    """Where images come from.

    Args:
        params: the settings of the data set.
        data_dir: where the user says the files lie (``--data-dir``); None when nothing was said.
        download: whether the user asked for missing files to be fetched.
    """

    kind = "dataset"

    def __init__(self, params: BaseModel | None = None, data_dir: Path | None = None, download: bool = False) -> None:
        super().__init__(params)
        self.data_dir, self.download = data_dir, download

    @abstractmethod
    def load(self, split: Literal["train", "test"]) -> Images:
        """One split, decoded; ``train`` and ``test`` share classes, shape, mean and std.

        Raises:
            FileError: a file is missing or damaged; the message names it and how to get it.
        """
