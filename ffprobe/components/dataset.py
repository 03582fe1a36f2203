"""Data sets: labelled samples for training and testing."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel

from ffprobe.components.base import Component

if TYPE_CHECKING:
    from ffprobe.data.samples import Samples


class Dataset(Component):
    """Provides labelled samples for training and testing: images, tables, signals or tokens.

    Args:
        params: the settings of the data set.
        data_dir: the directory that contains the files (``--data-dir``); None if the user named none.
        download: whether missing files may be downloaded (``--download``). If False, nothing may be downloaded.

    Attributes:
        published: whether anybody may see the images, so that a run file contains some of them by default
            (``recording.images``). False unless the data set says so: a run file may be shared.
        defaults: settings that a run of this data set has where neither a preset nor the user chooses, as nested
            tables: ``{"network": {"name": "mlp"}, "encoder": {"name": "label-features"}}`` for a table.
    """

    kind = "dataset"
    published: ClassVar[bool] = False
    defaults: ClassVar[Mapping[str, Any]] = {}

    def __init__(
        self,
        params: BaseModel | None = None,
        data_dir: Path | None = None,
        download: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(params, **settings)
        self.data_dir, self.download = data_dir, download

    @abstractmethod
    def load(self, split: Literal["train", "test"]) -> Samples:
        """Load and decode one split.

        Args:
            split: ``train`` or ``test``. Both splits have the same classes, shape, mean and std.

        Returns:
            For pictures an ``ffprobe.Images``: uint8 pixels ``[N, C, H, W]``, int64 labels ``[N]`` from 0, the class
            names, and the mean and std of each channel on the scale 0 to 1. For everything else an ``ffprobe.Samples``:
            float32 values ``[N, F]``, ``[N, C, T]`` or ``[N, C, H, W]``, or integer tokens ``[N, T]`` with the size of
            their vocabulary; without mean and std, a run computes them from its training samples.

        Raises:
            FileError: a file is missing or damaged; the message names the file and says how to get it.
        """
