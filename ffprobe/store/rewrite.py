"""Rewrites the committed part of a run file into a new file, with the layout that the file itself declares.

``Group.copy`` is not used: it leaves the references between scales and arrays dangling (measured, 16 of 16 files).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from ffprobe.errors import FileError, UsageError
from ffprobe.store.abandon import abandon
from ffprobe.store.caps import most_output
from ffprobe.store.commits import append_commit
from ffprobe.store.hdf5_errors import as_file_error
from ffprobe.store.layout import new_file
from ffprobe.store.reader import RunFile
from ffprobe.store.schema import IMAGES, STATISTICS, Schema
from ffprobe.store.schema_reader import differences
from ffprobe.store.stored import check_layout

BLOCK = 1 << 24
"""Bytes copied at a time."""

CHECK_EVERY = 64
"""Parts of an array copied between two checks of the size of the new file."""

LOST = "repair_lost"
"""Root attribute with the paths of arrays of fixed size that a kill had damaged; they contain fill values."""


def refuse_other_layout(partial: Path, schema: Schema, found: Schema) -> None:
    """Raise UsageError if a file's arrays differ from the declared ones; the message names the first three.

    A file of version 0.1.0 has no statistics of unreduced activations (``STATISTICS``) and no images (``IMAGES``); it
    goes on without them.
    """
    recorded = {variable.path for variable in found.variables}
    declared = tuple(v for v in schema.variables if v.name not in STATISTICS or v.path in recorded)
    dimensions = schema.dimensions
    if not any(path.startswith(f"{IMAGES}/") for path in recorded):
        declared = tuple(v for v in declared if not v.path.startswith(f"{IMAGES}/"))
        dimensions = tuple(d for d in dimensions if not d.path.startswith(f"{IMAGES}/"))
    if differ := differences(replace(schema, variables=declared, dimensions=dimensions), found):
        more = f" and {len(differ) - 3} more" if len(differ) > 3 else ""
        raise UsageError(
            f"The unfinished file has another layout: {'; '.join(differ[:3])}{more}.",
            where=str(partial),
            hint="Resume with the settings of the original run, or start again with --overwrite.",
        )


def rewritten(
    source: RunFile, target: Path, *, commit: int | None = None, attributes: Mapping[str, object] | None = None
) -> h5py.File:
    """Write a new file with the contents of ``source`` at a commit.

    Args:
        source: the file to read.
        target: path of the new file; an existing file is overwritten.
        commit: number of the commit, from 0; None for the last.
        attributes: root attributes to add or replace.

    Returns:
        The new file, still open and not yet in SWMR mode.

    Raises:
        FileError: committed rows cannot be read, there is no such commit, or the file declares more than it stores.
        OSError: any error of HDF5 when it writes the target.
    """
    commits = source.commits
    try:
        lengths = commits.at(commit)
    except IndexError as error:
        hint = f"Choose a commit from 0 to {len(commits) - 1}." if len(commits) else "It has no commits."
        raise FileError(f"The run file has no commit {commit}.", where=str(source.path), hint=hint) from error
    kept = len(commits) if commit is None else commit + 1
    declared = source.schema
    with as_file_error(source.path, "The run file is damaged"):
        check_layout(declared, source.nbytes)
    merged = {**declared.attributes, **(attributes or {})}
    file = new_file(target, Schema(declared.dimensions, declared.variables, merged, declared.groups))
    try:
        lost = _copy(source, file, lengths)
        for row in commits.lengths[:kept]:  # invalid rows are dropped, so commits are numbered again from 0
            append_commit(file, row)
        if lost:
            file.attrs[LOST] = np.array(lost, dtype=h5py.string_dtype())
    except BaseException:
        abandon(file)
        raise
    return file


class _TooLarge(FileError):
    """The new file exceeds the maximum size."""


def _copy(source: RunFile, file: h5py.File, lengths: Mapping[str, int]) -> list[str]:
    lost: list[str] = []
    growing = {path.rpartition("/")[0]: length for path, length in lengths.items()}
    labels = {d.path for d in source.schema.dimensions if d.size is not None}
    for path in source.paths():
        group = path.rpartition("/")[0]
        if group == "commit" or path in labels:
            continue
        dataset = file[path]
        if dataset.maxshape[:1] == (None,):
            dataset.resize(growing[group], axis=0)
            _copy_array(source, path, dataset, growing[group])
            continue
        try:
            if dataset.ndim:
                _copy_array(source, path, dataset, dataset.shape[0])
            else:
                dataset[()] = source.read(path)
        except _TooLarge:
            raise
        except FileError:
            lost.append(path)
    return lost


def _copy_array(source: RunFile, path: str, dataset: h5py.Dataset, length: int) -> None:
    """Copy the stored part of an array; the rest has the fill value in both files."""
    array = source.variable(path)
    regions = array.written_regions()
    if regions is None:
        regions = _blocks(dataset, length)
    for at, region in enumerate(regions):
        if region[0].start >= length:  # rows of commits after the one to copy
            continue
        region = (slice(region[0].start, min(region[0].stop, length)), *region[1:])
        dataset[region] = array[region]
        if at % CHECK_EVERY == 0:
            _check_size(source, dataset.file)
    _check_size(source, dataset.file)


def _blocks(dataset: h5py.Dataset, length: int) -> list[tuple[slice, ...]]:
    rows = max(1, BLOCK // max(1, math.prod(dataset.shape[1:]) * dataset.dtype.itemsize))
    if dataset.chunks:
        rows = -(-rows // dataset.chunks[0]) * dataset.chunks[0]
    return [(slice(start, min(start + rows, length)),) for start in range(0, length, rows)]


def _check_size(source: RunFile, file: h5py.File) -> None:
    limit = most_output(source.nbytes)
    if file.id.get_filesize() > limit:
        raise _TooLarge(
            f"The rewritten file would exceed {limit:,} bytes, although this file has only {source.nbytes:,}.",
            where=str(source.path),
            hint="The file is damaged or was not written by ffprobe.",
        )
