"""Whether a folder suits run files: can they be written, locked, and read while they are written?"""

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
    """Try in ``folder`` what a run does, with a small file that is removed again.

    Args:
        folder: where run files will be written.

    Returns:
        ``path``, ``free`` space, and ``writing``, ``locking`` and ``reading while written``, each ``ok`` or a sentence.
    """
    found = {"path": str(folder.resolve())}
    if not folder.is_dir():
        return {**found, "writing": "there is no such folder"}
    found["free"] = f"{shutil.disk_usage(folder).free / 2**30:.1f} GiB"
    try:
        with tempfile.TemporaryDirectory(prefix=".ffprobe-doctor-", dir=folder) as inner:
            return {**found, **_try(Path(inner) / "run.h5")}
    except OSError as error:
        return {**found, "writing": f"not possible: {error.strerror}"}


def _try(path: Path) -> dict[str, str]:
    facts = RunMetadata(("0",), ("a", "b"), 1, 0, {"0.weight": ((1,), "f4")}, attributes={"config_json": "{}"})
    try:
        writer = RunWriter.create(path, run_schema(facts))
    except FfprobeError as error:
        return {"writing": str(error)}
    found = {"writing": "ok"}
    with writer:
        writer.append("metrics", {"epoch": 1, "loss": [1.0]})
        writer.commit()
        found["locking"] = _locked(writer.partial)
        try:
            with open_run(writer.partial) as run:
                good = run.read("metrics/loss").tolist() == [[1.0]]
            found["reading while written"] = "ok" if good else "a reader does not see what was committed"
        except (FfprobeError, *HDF5_FAILURES) as error:
            found["reading while written"] = f"not possible: {error}"
        writer.finish()
    return found


def _locked(partial: Path) -> str:
    try:
        FileLock(partial).close()
    except FileError:
        return "ok"
    return "this file system does not lock: two runs into one file would not be noticed"
