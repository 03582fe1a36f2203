"""A user's own images, in a folder or an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

import ffprobe


class OwnImages(ffprobe.Dataset):
    """Your own images, read from ``train/CLASS/*`` and ``test/CLASS/*`` in the folder or archive of ``--data-dir``.

    The archive is a zip or a tar, plain or compressed with xz, gzip or bzip2; it is never extracted. Formats are AVIF,
    BMP, GIF, JPEG, JPEG 2000, PNG, PGM and its relatives, TIFF and WebP. Files with other suffixes are counted in a
    warning; if they are the majority, that is an error. Grey values of 9 to 16 bits are scaled to 8 bits by the range
    that the file declares. All images must have the same size. If one image is in colour, all images become RGB.
    Classes are sorted by name, in Unicode's composed form (NFC). Training images that are all identical are an error.

    Decoded images are cached in ``$FFPROBE_CACHE_DIR`` (``~/.cache/ffprobe``), under a hash of the content of all
    files. Images that do not fit into memory are read from the cache during the run, with the same numbers. Mean and
    standard deviation are those of the training images.
    """

    name = "images"
    source = "the user"

    class Params(ffprobe.Params):
        """Transparent pixels, and limits of memory and disk space."""

        background: Literal["black", "white"] = Field(
            "black",
            description="colour behind transparent pixels; choose white for dark drawings on a transparent background",
        )

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
            FileError: an image or the archive is damaged, too large or unsafe, image sizes or classes differ, all
                training images are identical, or the layout is not the one above.
        """
        if self.data_dir is None:
            raise ffprobe.UsageError(
                "The data set 'images' needs --data-dir.", hint="Add --data-dir FOLDER_OR_ARCHIVE."
            )
        if self._splits is None:
            path = Path(self.data_dir).expanduser()
            limits = (self.params.max_gigabytes, self.params.max_disk_gigabytes)
            memory, disk = (int(limit * 1e9) for limit in limits)
            self._splits = ffprobe.cached_images(path, memory, disk, self.params.background)
        return self._splits[split]


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    """Return the data set."""
    return [OwnImages]
