"""Where data sets and decoded pictures lie when the user names no folder."""

from __future__ import annotations

import os
from pathlib import Path


def data_folder(data_dir: Path | None = None) -> Path:
    """The folder in which published data sets are looked for and into which they are downloaded.

    Args:
        data_dir: what the user asked for (``--data-dir``), or None.

    Returns:
        ``data_dir`` with ``~`` expanded, else ``$FFPROBE_DATA_DIR``, else ``~/.cache/ffprobe/data``. It may not exist.
    """
    if data_dir is not None:
        return Path(data_dir).expanduser()
    named = os.environ.get("FFPROBE_DATA_DIR", "")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "ffprobe" / "data"


def cache_folder() -> Path:
    """The folder for what can be rebuilt: ``$FFPROBE_CACHE_DIR``, else ``~/.cache/ffprobe``. It may not exist."""
    named = os.environ.get("FFPROBE_CACHE_DIR", "")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "ffprobe"
