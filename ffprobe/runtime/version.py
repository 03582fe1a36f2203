"""The version of ffprobe, in a module that every package can import without the public names."""

__version__ = "0.2.0.dev0"
