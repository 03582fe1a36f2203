"""The default folders of data sets and of decoded pictures."""

from __future__ import annotations

import os
from pathlib import Path


def data_folder(data_dir: Path | None = None) -> Path:
    """The folder in which published data sets are searched and to which they are downloaded.

    Args:
        data_dir: the user's folder (``--data-dir``), or None.

    Returns:
        ``data_dir`` with ``~`` expanded, else ``$FFPROBE_DATA_DIR``, else ``~/.cache/ffprobe/data``. It may not exist.
    """
    if data_dir is not None:
        return Path(data_dir).expanduser()
    named = os.environ.get("FFPROBE_DATA_DIR", "")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "ffprobe" / "data"


def cache_folder() -> Path:
    """The folder for files that can be rebuilt: ``$FFPROBE_CACHE_DIR``, else ``~/.cache/ffprobe``. It may not exist."""
    named = os.environ.get("FFPROBE_CACHE_DIR", "")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "ffprobe"
