"""A user's own pictures, in a folder or a tar."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

import ffprobe


class OwnImages(ffprobe.Dataset):
    """Pictures from ``train/CLASS/*`` and ``test/CLASS/*`` in the folder or tar that ``--data-dir`` names.

    The tar may be packed with xz, gzip or bzip2; it is read in one pass and never extracted. All pictures must have one
    size; if one is in colour, all become RGB. Classes are sorted by name. Decoded pictures are kept in
    ``$FFPROBE_CACHE_DIR`` (``~/.cache/ffprobe``), so that the next run starts at once. What would not fit into memory
    is read from there as a run needs it, with the same numbers. Mean and standard deviation are those of the training
    images.
    """

    name = "images"
    source = "the user"

    class Params(ffprobe.Params):
        """Settings of the data set."""

        max_gigabytes: float = Field(
            8.0,
            gt=0,
            description="the most that the decoded pictures may take in memory, in gigabytes (1e9 bytes); beyond it "
            "they stay on the disk",
        )
        max_disk_gigabytes: float = Field(
            1000.0, ge=0, description="the most that they may take on the disk, in gigabytes; 0: none"
        )

    _splits: dict[Literal["train", "test"], ffprobe.Images] | None = None

    def load(self, split: Literal["train", "test"]) -> ffprobe.Images:
        """One split: uint8 ``[N, 1 or 3, H, W]``.

        Raises:
            UsageError: no folder or tar was named.
            FileError: a picture or the archive is damaged, too large or unsafe, sizes or classes differ, or the layout
                is not the one above.
        """
        if self.data_dir is None:
            raise ffprobe.UsageError(
                "The data set images needs to know where your pictures are.", hint="Add --data-dir FOLDER_OR_TAR."
            )
        if self._splits is None:
            path = Path(self.data_dir).expanduser()
            limits = (self.params.max_gigabytes, self.params.max_disk_gigabytes)
            self._splits = ffprobe.cached_images(path, *(int(limit * 1e9) for limit in limits))
        return self._splits[split]


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    """Offers the data set."""
    return [OwnImages]
