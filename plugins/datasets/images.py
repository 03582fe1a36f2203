"""A user's own images, in a folder or a tar archive."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

import ffprobe


class OwnImages(ffprobe.Dataset):
    """Your own images, read from ``train/CLASS/*`` and ``test/CLASS/*`` in the folder or tar archive of ``--data-dir``.

    The archive may be compressed with xz, gzip or bzip2; it is read in one pass and never extracted. All images must
    have the same size. If one image is in colour, all images become RGB. Classes are sorted by name. Decoded images are
    cached in ``$FFPROBE_CACHE_DIR`` (``~/.cache/ffprobe``), so the next run starts at once. Images that do not fit into
    memory are read from the cache during the run, with the same numbers. Mean and standard deviation are those of the
    training images.
    """

    name = "images"
    source = "the user"

    class Params(ffprobe.Params):
        """Limits of memory and disk space."""

        max_gigabytes: float = Field(
            8.0,
            gt=0,
            description="maximum size of the decoded images in memory, in gigabytes (1e9 bytes); larger data "
            "sets are read from the disk cache",
        )
        max_disk_gigabytes: float = Field(
            1000.0,
            ge=0,
            description="maximum size of the decoded images in the disk cache, in gigabytes (1e9 bytes); 0 disables it",
        )

    _splits: dict[Literal["train", "test"], ffprobe.Images] | None = None

    def load(self, split: Literal["train", "test"]) -> ffprobe.Images:
        """Load one split: uint8 ``[N, 1 or 3, H, W]``.

        Raises:
            UsageError: ``--data-dir`` is missing.
            FileError: an image or the archive is damaged, too large or unsafe, image sizes or classes differ, or the
                layout is not the one above.
        """
        if self.data_dir is None:
            raise ffprobe.UsageError("The data set 'images' needs --data-dir.", hint="Add --data-dir FOLDER_OR_TAR.")
        if self._splits is None:
            path = Path(self.data_dir).expanduser()
            limits = (self.params.max_gigabytes, self.params.max_disk_gigabytes)
            self._splits = ffprobe.cached_images(path, *(int(limit * 1e9) for limit in limits))
        return self._splits[split]


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    """Return the data set."""
    return [OwnImages]
