"""The first-party plugins of ffprobe, laid out as a stranger would lay out theirs."""
