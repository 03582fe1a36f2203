"""The limits on what a run file may declare, each with its reason.

A file of a few megabytes can declare terabytes: HDF5 stores no byte of a row that was never written, and a gzip chunk
of zeros shrinks a thousandfold. Everything that a reader does in proportion to a declared number is therefore bounded
here, or compared with the size of the file. The largest honest runs stay far below: a network of 1,000 parameters,
60,000 recorded images of 2,048 features, 10,000 epochs, 10 million steps.
"""

from __future__ import annotations

MAX_OBJECTS = 1 << 14
"""Groups and arrays in a file. A parameter takes one array and a scale for each axis, so 16,384 objects suffice for
about 4,000 parameters; ResNet-152 has 932. h5py needs about 50 us to open one."""

MAX_GROWING = 1 << 12
"""Growing dimensions. A run has one for its epochs, steps, evaluations and log, and one for each recorded stage of a
layer: 300 for 100 layers."""

MAX_COMMITS = 1 << 17
"""Commits. A run commits once per epoch; checking the checksum of a commit takes about 1 us."""

MAX_RECORD = 1 << 22
"""Numbers in the commit record, commits times growing dimensions: 32 MiB. 10,000 epochs of 300 dimensions fit."""

MAX_TEXT_LABELS = 1 << 16
"""Text labels of one dimension: names of classes or layers. ImageNet-21k has 21,843 classes. Every label becomes a
Python object of about 60 bytes."""

MAX_LABEL_TEXT = 1 << 24
"""Characters of all text labels of one dimension: 256 for each of the longest list of labels."""

MAX_LABELS = 1 << 24
"""Numeric labels of one dimension of fixed size, such as images or the axis of a weight: 128 MiB."""

MAX_ATTRIBUTE = 1 << 16
"""Elements of one attribute. The longest attribute of a run lists its plugins or its resumptions."""

MAX_TEXT_ATTRIBUTE = 1 << 10
"""Texts in one attribute, fewer than numbers, because each may refer to the same long text in the file."""

MAX_MESSAGE = 1 << 14
"""Bytes of one entry of the log; ffprobe writes 400."""

VIEW_LIMIT = 1 << 28
"""Bytes of memory of one read by a command that only displays a run: 256 MiB. The curves of 10,000 epochs and 1,000
layers take 40 MB."""

MAX_CHUNK = 1 << 24
"""Bytes of one chunk, which HDF5 decompresses as a whole: 16 MiB. ffprobe writes chunks of about 1 MiB."""

MAX_DEPTH = 16
"""Levels of groups. A run has four: weights, and names of nested modules with dots."""

GZIP = 1032
"""Largest ratio of gzip (deflate): no file stores more than this times its own size."""

SLACK = 1 << 24
"""Bytes that a rewritten file may have beyond twice its source: indexes and metadata of small files."""


def most_output(source: int) -> int:
    """Maximum size in bytes of the file into which a file of ``source`` bytes is rewritten.

    The layout is the same and nothing is added, so an honest file keeps its size within the metadata (measured: 0.7 to
    1.1 times the source).
    """
    return 2 * source + SLACK
