"""The first-party plugins of ffprobe, laid out like a third-party distribution."""
