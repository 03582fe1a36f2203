"""Fuzz test with damaged files: each must end in a clear error (or be read), in bounded memory and time.

Small valid files of every kind that ffprobe reads are damaged at random: bytes are flipped, ranges zeroed or repeated,
numbers made huge, the end truncated. Every fourth run file instead declares far more than it stores, and every third
file has a name that is not UTF-8. Each is read in a child process with a limit on memory and on the time per file; a
child that crashes affects only the file that caused it.

    python tests/stress/fuzz_files.py --files 2000
"""

from __future__ import annotations

import argparse
import collections
import io
import json
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "store"))

SECONDS = 6
BYTES = 6 << 30
KINDS = ("run", "partial", "checkpoint", "trajectory", "toml", "archive")


def originals(folder: Path) -> None:
    """A small valid file of each kind, named by kind."""
    import torch
    from PIL import Image
    from reference.plain_forward_forward import HERE
    from toy import toy_config

    from ffprobe.plugin.registry import Registry
    from ffprobe.training.session import Session

    registry = Registry()
    session = Session.start(
        toy_config(registry, "olu", "batchnorm", training={"epochs": 1, "max_images": 64}), registry, folder / "run.h5"
    )
    save = session.trainer._save
    assert save is not None

    def keep(commit: int) -> None:
        save(commit)
        (folder / "checkpoint").write_bytes((folder / "run.h5.checkpoint").read_bytes())
        (folder / "partial").write_bytes((folder / "run.h5.partial").read_bytes())

    session.trainer._save = keep
    session.run()
    (folder / "run.h5").rename(folder / "run")
    (folder / "trajectory").write_bytes((HERE / "symba-batchnorm-olu-even.npz").read_bytes())
    (folder / "toml").write_text(
        'seed = 3\nprobes = ["probes"]\n[network]\nname = "tiny"\nwidth = 0.25\n[training]\nepochs = 2\n'
    )
    with tarfile.open(folder / "archive", "w") as tar:
        for split in ("train", "test"):
            for label in ("a", "b"):
                for number in range(2):
                    raw = io.BytesIO()
                    Image.fromarray(torch.randint(255, (8, 8, 3), dtype=torch.uint8).numpy()).save(raw, "PNG")
                    info = tarfile.TarInfo(f"{split}/{label}/{number}.png")
                    info.size = len(raw.getvalue())
                    tar.addfile(info, io.BytesIO(raw.getvalue()))


def exaggerated(path: Path, chance: random.Random) -> None:
    """Make a partial file declare far more than it stores."""
    from hostile import NOT_REWRITTEN, unwritten_rows

    from ffprobe.store.repair import repair

    repair(path)  # closed cleanly, so that it can be changed
    kind = chance.choice((*NOT_REWRITTEN, "random"))
    if kind == "random":
        group = chance.choice(("metrics", "steps", "log", "evaluation"))
        unwritten_rows(path, group, chance.choice((10**5, 10**7, 2**40, 2**62)))
    else:
        NOT_REWRITTEN[kind](path)


def damaged(raw: bytes, chance: random.Random) -> bytes:
    """The bytes with one to three kinds of damage."""
    data = bytearray(raw)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        at = chance.randrange(len(data)) if data else 0
        kind = chance.randrange(7)
        if kind == 0:
            for _ in range(chance.choice((1, 1, 4, 30))):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at:] = b""
        elif kind == 2:
            data[at : at + chance.choice((8, 64, 1000))] = bytes(8)
        elif kind == 3:
            huge = chance.choice((2**63 - 1, 2**40, 2**32 - 1, 2**64 - 1, 0))
            data[at : at + 8] = struct.pack("<Q", huge)
        elif kind == 4:
            data[at:at] = data[at : at + 500]
        elif kind == 5:
            data[at : at + 16] = chance.randbytes(16)
        else:  # the first kilobytes contain the data that readers trust most
            data[chance.randrange(min(len(data), 2048))] = chance.randrange(256)
        if not data:
            break
    return bytes(data)


def read_run(path: Path) -> None:
    import ffprobe
    from ffprobe.analysis.runs.diagnosis import diagnose
    from ffprobe.store.overview import overview, terminal_view

    with ffprobe.open(path) as run:
        run.config.get("training")
        run.messages()
        terminal_view(overview(run))
        diagnose(run)
        for name in run.paths():
            run.read(name)


def read_partial(path: Path) -> None:
    from ffprobe.store.repair import repair

    read_run(path)
    repair(path)


def read_checkpoint(path: Path) -> None:
    from ffprobe.training import checkpoint

    checkpoint.read_checkpoint(path, limit=1 << 30)


def read_trajectory(path: Path) -> None:
    from ffprobe.plugin.registry import Registry
    from ffprobe.replay import replay

    replay(path, Registry())


def read_config(path: Path) -> None:
    from ffprobe.config.parsing import merge
    from ffprobe.config.preset_files import BASE_PRESET, read_preset, read_toml
    from ffprobe.config.resolve import resolve
    from ffprobe.plugin.registry import Registry

    resolve(merge(read_preset(BASE_PRESET), read_toml(path)), Registry())


def read_archive(path: Path) -> None:
    import ffprobe

    ffprobe.cached_images(path, 1 << 28)


READERS: dict[str, Callable[[Path], None]] = {
    "run": read_run,
    "partial": read_partial,
    "checkpoint": read_checkpoint,
    "trajectory": read_trajectory,
    "toml": read_config,
    "archive": read_archive,
}
NAMES = {
    "run": "x.h5",
    "partial": "x.h5.partial",
    "checkpoint": "x.checkpoint",
    "trajectory": "x.npz",
    "toml": "x.toml",
    "archive": "x.tar",
}


def child(folder: Path, first: int, last: int, seed: int) -> None:
    """Read the damaged files ``first`` to ``last - 1`` and print a line for each."""
    import warnings

    import torch

    from ffprobe.errors import FfprobeError

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    work = folder / f"work-{first}"
    work.mkdir(exist_ok=True)
    os.environ["FFPROBE_CACHE_DIR"] = str(work / "cache")
    for number in range(first, last):
        chance = random.Random(f"{seed}/{number}")
        kind = KINDS[number % len(KINDS)]
        path = work / (NAMES[kind] if number // len(KINDS) % 3 else os.fsdecode(b"\xff") + NAMES[kind])
        original = (folder / kind).read_bytes()
        if kind == "partial" and number // len(KINDS) % 4 == 0:
            path.write_bytes(original)
            exaggerated(path, chance)
        else:
            path.write_bytes(damaged(original, chance))
        print(f"{number} {kind} begins", flush=True)
        signal.alarm(SECONDS)
        try:
            READERS[kind](path)
            outcome = "read"
        except FfprobeError as error:
            outcome = "refused" if str(error).strip() else "refused without a message"
        except BaseException as error:
            outcome = f"escaped: {type(error).__name__}: {str(error)[:200]}"
        signal.alarm(0)
        print(f"{number} {kind} {outcome}", flush=True)


def main(files: int, seed: int) -> tuple[collections.Counter[str], list[str]]:
    """Damage and read ``files`` files; returns the counts of outcomes, and the failures."""
    count: collections.Counter[str] = collections.Counter()
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        originals(folder)
        first = 0
        while first < files:
            command = [
                sys.executable,
                __file__,
                "--child",
                name,
                "--first",
                str(first),
                "--files",
                str(files),
                "--seed",
                str(seed),
            ]
            done = subprocess.run(command, capture_output=True, text=True)
            current: Any = None
            for line in done.stdout.splitlines():
                number, kind, outcome = line.split(" ", 2)
                if outcome == "begins":
                    current = (int(number), kind)
                    continue
                current = None
                first = int(number) + 1
                count[f"{kind} {outcome.split(':')[0]}"] += 1
                if outcome not in ("read", "refused"):
                    failures.append(line)
            if done.returncode != 0:
                if current is None:
                    raise RuntimeError(done.stderr[-2000:])
                number, kind = current
                failures.append(f"{number} {kind} ended the process: {signal.Signals(-done.returncode).name}")
                count[f"{kind} ended the process"] += 1
                first = number + 1
    return count, failures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child")
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    if options.child:
        child(Path(options.child), options.first, options.files, options.seed)
    else:
        counts, wrong = main(options.files, options.seed)
        print(json.dumps({"counts": dict(sorted(counts.items())), "failures": wrong}, indent=2))
        sys.exit(bool(wrong))
