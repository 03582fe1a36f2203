"""Rewrites the committed part of a run file into a new one, through the layout that the file itself declares.

Not by ``Group.copy``: that leaves the references between scales and arrays dangling (measured, 16 of 16 files).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from ffprobe.errors import FileError, UsageError
from ffprobe.store.abandon import abandon
from ffprobe.store.commits import append_commit
from ffprobe.store.layout import new_file
from ffprobe.store.reader import RunFile
from ffprobe.store.schema import Schema
from ffprobe.store.schema_reader import differences

BLOCK = 1 << 24
"""Bytes copied at a time."""

LOST = "repair_lost"
"""Root attribute: arrays of fixed size that a kill had damaged; they hold fill values."""


def refuse_other_layout(partial: Path, schema: Schema, found: Schema) -> None:
    """Raise UsageError when a file's arrays are not those declared; the message names the first three."""
    if differ := differences(schema, found):
        more = f" and {len(differ) - 3} more" if len(differ) > 3 else ""
        raise UsageError(
            f"The unfinished file has another layout: {'; '.join(differ[:3])}{more}.",
            where=str(partial),
            hint="Resume with the settings it was begun with, or begin anew with --overwrite.",
        )


def rewritten(
    source: RunFile, target: Path, *, commit: int | None = None, attributes: Mapping[str, object] | None = None
) -> h5py.File:
    """Write a new file with what ``source`` had at a commit.

    Args:
        source: the file to read.
        target: the new file, overwritten when it is there.
        commit: which commit, from 0; None for the last.
        attributes: of the root, to add or replace.

    Returns:
        The new file, still open, not yet in SWMR mode.

    Raises:
        FileError: committed rows cannot be read, or there is no such commit.
        OSError: of any kind, from HDF5, when the target cannot be written.
    """
    commits = source.commits
    try:
        lengths = commits.at(commit)
    except IndexError as error:
        hint = f"Choose one from 0 to {len(commits) - 1}." if len(commits) else "It has none."
        raise FileError(f"The run file has no commit {commit}.", where=str(source.path), hint=hint) from error
    kept = len(commits) if commit is None else commit + 1
    declared = source.schema
    merged = {**declared.attributes, **(attributes or {})}
    file = new_file(target, Schema(declared.dimensions, declared.variables, merged, declared.groups))
    try:
        lost = _copy(source, file, lengths)
        for row in commits.lengths[:kept]:  # rows that did not hold are gone, so the count begins anew
            append_commit(file, row)
        if lost:
            file.attrs[LOST] = np.array(lost, dtype=h5py.string_dtype())
    except BaseException:
        abandon(file)
        raise
    return file


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
            _copy_rows(source, path, dataset, growing[group])
            continue
        try:
            if dataset.ndim:
                _copy_rows(source, path, dataset, dataset.shape[0])
            else:
                dataset[()] = source.read(path)
        except FileError:
            lost.append(path)
    return lost


def _copy_rows(source: RunFile, path: str, dataset: h5py.Dataset, length: int) -> None:
    array = source.variable(path)
    rows = max(1, BLOCK // max(1, math.prod(dataset.shape[1:]) * dataset.dtype.itemsize))
    if dataset.chunks:
        rows = -(-rows // dataset.chunks[0]) * dataset.chunks[0]
    for start in range(0, length, rows):
        stop = min(start + rows, length)
        dataset[start:stop] = array[start:stop]
