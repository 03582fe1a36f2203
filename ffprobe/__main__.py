"""``python -m ffprobe``, the same program as ``ffprobe`` and ``ff-probe``."""

from ffprobe.cli.main import main

main()
