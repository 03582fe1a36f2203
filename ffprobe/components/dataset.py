"""Data sets: labelled images for training and testing."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel

from ffprobe.components.base import Component

if TYPE_CHECKING:
    from ffprobe.data.images import Images


class Dataset(Component):
    """Provides labelled images for training and testing.

    Args:
        params: the settings of the data set.
        data_dir: the directory that contains the files (``--data-dir``); None if the user named none.
        download: whether missing files may be downloaded (``--download``). If False, nothing may be downloaded.

    Attributes:
        published: whether anybody may see the images, so that a run file contains some of them by default
            (``recording.images``). False unless the data set says so: a run file may be shared.
    """

    kind = "dataset"
    published: ClassVar[bool] = False

    def __init__(self, params: BaseModel | None = None, data_dir: Path | None = None, download: bool = False) -> None:
        super().__init__(params)
        self.data_dir, self.download = data_dir, download

    @abstractmethod
    def load(self, split: Literal["train", "test"]) -> Images:
        """Load and decode one split.

        Args:
            split: ``train`` or ``test``. Both splits have the same classes, image shape, mean and std.

        Returns:
            An ``ffprobe.Images``: uint8 pixels ``[N, C, H, W]``, int64 labels ``[N]`` from 0, the class names, and the
            mean and std of each channel on the scale 0 to 1.

        Raises:
            FileError: a file is missing or damaged; the message names the file and says how to get it.
        """
