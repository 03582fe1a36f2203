"""Kills real ``ffprobe run`` processes at every system call that changes the disk, one after the other.

``kill_anywhere`` kills at random moments; this test is systematic: strace kills the run at its first sync of a file,
then at its second, and so on until a run finishes; the same for calls that rename, remove or truncate a file; and all
of it again for a run that resumes a killed one. After each kill the remaining files are checked as in
``kill_anywhere``, and ``--resume`` must give the results of an undisturbed run.

    python tests/stress/kill_every_call.py
"""

from __future__ import annotations

import collections
import itertools
import json
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from stress.kill_anywhere import ENV, RUN, Lost, committed_epochs, compare, whole_run

CALLS = ("fsync", "rename", "unlink", "ftruncate", "fallocate")  # strace counts each of them separately
EPOCHS = 3
SHORT = [*RUN, "--epochs", str(EPOCHS)]
RESUME = [*SHORT, "--resume", "--out", "run.h5"]


def killed_at(call: str, number: int, folder: Path) -> bool:
    """Run until call ``number``, counted from 1; False if the run ended before it."""
    inject = f"inject={call}:signal=KILL:when={number}"
    strace = ["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", inject]
    done = subprocess.run([*strace, *RESUME], cwd=folder, env=ENV, capture_output=True, text=True)
    if done.returncode not in (0, -signal.SIGKILL):
        raise Lost(f"the run failed with exit code {done.returncode}: {done.stderr}")
    return done.returncode != 0


def what_is_left(folder: Path, whole: Path) -> str:
    """A description of the remaining file, after a comparison with the undisturbed run."""
    partial, final = folder / "run.h5.partial", folder / "run.h5"
    if final.exists():
        compare(final, whole)
        return "a finished file"
    if not partial.exists():
        return "no file"
    return "a file without a commit" if committed_epochs(partial, whole) is None else "a file with commits"


def resume_to_the_end(folder: Path, whole: Path) -> None:
    """Resume the run; it must finish and equal the undisturbed run."""
    done = subprocess.run(RESUME, cwd=folder, env=ENV, capture_output=True, text=True)
    if done.returncode:
        raise Lost(f"--resume failed with exit code {done.returncode}: {done.stderr}")
    if compare(folder / "run.h5", whole) != EPOCHS:
        raise Lost("epochs are missing in a finished file")
    if (folder / "run.h5.partial").exists() or (folder / "run.h5.partial.rewrite").exists():
        raise Lost(f"left behind: {sorted(path.name for path in folder.iterdir())}")


def main(begin: int | None) -> collections.Counter[str]:
    """Kill at each call of a new run, or of a run that resumes one killed at sync number ``begin``."""
    count: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as name:
        whole, folder = whole_run(Path(name), SHORT), Path(name) / "run"
        for call in CALLS:
            for number in itertools.count(1):
                folder.mkdir()
                if begin is not None and not killed_at("fsync", begin, folder):
                    raise ValueError(f"a run makes fewer than {begin} syncs")
                reached = killed_at(call, number, folder)
                if reached:
                    count[what_is_left(folder, whole)] += 1
                    resume_to_the_end(folder, whole)
                    print(f"{call} {number}: {dict(count)}", file=sys.stderr, flush=True)
                shutil.rmtree(folder)
                if not reached:
                    break
    return count


if __name__ == "__main__":
    print(json.dumps({"of a new run": main(None), "of a resumed run": main(7)}, indent=2))
