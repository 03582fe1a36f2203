"""Whether a folder is suitable for run files: can they be written, locked, and read while they are written?"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from ffprobe.errors import FfprobeError, FileError
from ffprobe.store.file_lock import FileLock
from ffprobe.store.hdf5_errors import HDF5_FAILURES
from ffprobe.store.reader import open_run
from ffprobe.store.schema import RunMetadata, run_schema
from ffprobe.store.writer import RunWriter


def check_folder(folder: Path) -> dict[str, str]:
    """Write, lock and read a small run file in ``folder``, and remove it again.

    Args:
        folder: the folder for run files.

    Returns:
        ``path``, ``free`` space, and ``writing``, ``locking`` and ``reading while written``, each ``ok`` or a sentence.
    """
    results = {"path": str(folder.resolve())}
    if not folder.is_dir():
        return {**results, "writing": "there is no such folder"}
    results["free"] = f"{shutil.disk_usage(folder).free / 2**30:.1f} GiB"
    try:
        with tempfile.TemporaryDirectory(prefix=".ffprobe-doctor-", dir=folder) as inner:
            return {**results, **_try(Path(inner) / "run.h5")}
    except OSError as error:
        return {**results, "writing": f"not possible: {error.strerror}"}


def _try(path: Path) -> dict[str, str]:
    metadata = RunMetadata(("0",), ("a", "b"), 1, 0, {"0.weight": ((1,), "f4")}, attributes={"config_json": "{}"})
    try:
        writer = RunWriter.create(path, run_schema(metadata))
    except FfprobeError as error:
        return {"writing": str(error)}
    results = {"writing": "ok"}
    with writer:
        writer.append("metrics", {"epoch": 1, "loss": [1.0]})
        writer.commit()
        results["locking"] = _locked(writer.partial)
        try:
            with open_run(writer.partial) as run:
                good = run.read("metrics/loss").tolist() == [[1.0]]
            results["reading while written"] = "ok" if good else "a reader does not see committed data"
        except (FfprobeError, *HDF5_FAILURES) as error:
            results["reading while written"] = f"not possible: {error}"
        writer.finish()
    return results


def _locked(partial: Path) -> str:
    try:
        FileLock(partial).close()
    except FileError:
        return "ok"
    return "this file system does not support locks: two runs that write one file would not be detected"
