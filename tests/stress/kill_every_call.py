"""Kills real ``ffprobe run`` processes at every call that changes what is on the disk, one after the other.

Where ``kill_anywhere`` draws moments, this takes each in turn: strace ends the run as it enters its first sync of a
file, then its second, and so on until a run gets to its end; the same with what renames, removes or cuts a file; and
all of it again for a run that goes on where another was killed. After each kill what is left is looked at as in
``kill_anywhere``, and ``--resume`` must end with the numbers of a run that nobody disturbed.

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

CALLS = ("fsync", "rename", "unlink", "ftruncate", "fallocate")  # strace counts each of them for itself
EPOCHS = 3
SHORT = [*RUN, "--epochs", str(EPOCHS)]
GO_ON = [*SHORT, "--resume", "--out", "run.h5"]


def killed_at(call: str, number: int, folder: Path) -> bool:
    """Run until the call of that number, counted from 1; False when the run ended before it."""
    inject = f"inject={call}:signal=KILL:when={number}"
    strace = ["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", inject]
    done = subprocess.run([*strace, *GO_ON], cwd=folder, env=ENV, capture_output=True, text=True)
    if done.returncode not in (0, -signal.SIGKILL):
        raise Lost(f"the run ended by itself with {done.returncode}: {done.stderr}")
    return done.returncode != 0


def what_is_left(folder: Path, whole: Path) -> str:
    """In a few words, after it was held against the undisturbed run."""
    partial, final = folder / "run.h5.partial", folder / "run.h5"
    if final.exists():
        compare(final, whole)
        return "a finished file"
    if not partial.exists():
        return "no file"
    return "a file without a commit" if committed_epochs(partial, whole) is None else "a file with commits"


def go_on_to_the_end(folder: Path, whole: Path) -> None:
    """``--resume``, as often as a batch system likes."""
    done = subprocess.run(GO_ON, cwd=folder, env=ENV, capture_output=True, text=True)
    if done.returncode:
        raise Lost(f"--resume ended with {done.returncode}: {done.stderr}")
    if compare(folder / "run.h5", whole) != EPOCHS:
        raise Lost("a finished file lacks epochs")
    if (folder / "run.h5.partial").exists() or (folder / "run.h5.partial.rewrite").exists():
        raise Lost(f"left behind: {sorted(path.name for path in folder.iterdir())}")


def main(begin: int | None) -> collections.Counter[str]:
    """Kill at each call of a run that begins, or of one that goes on where the sync number ``begin`` killed another."""
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
                    go_on_to_the_end(folder, whole)
                    print(f"{call} {number}: {dict(count)}", file=sys.stderr, flush=True)
                shutil.rmtree(folder)
                if not reached:
                    break
    return count


if __name__ == "__main__":
    print(json.dumps({"of a run that begins": main(None), "of a run that goes on": main(7)}, indent=2))
