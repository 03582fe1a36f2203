"""Peak memory of every analysis of recorded activations on a large run file, each in a separate process.

The real writer creates the file: two layers of ``rows x units`` activations (coarse numbers, so that they compress) and
small images. The measure is ``ru_maxrss``, the largest resident set of the process, including libraries.

    python tests/stress/big_activations.py --rows 60000 --units 2048
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CLASSES, IMAGE, HELD = 10, 16, 0.25
ANALYSES = ("probes", "representations", "similarity", "information")
LAYERS = ("0", "1")


def write(path: Path, rows: int, units: int) -> None:
    """A finished run with ``rows x units`` activations per layer, recorded after epoch 1."""
    from ffprobe.store.schema import ActivationRecord, RunMetadata, run_schema
    from ffprobe.store.writer import RunWriter

    random = np.random.default_rng(0)
    labels = random.integers(0, CLASSES, rows)
    held = np.arange(rows) >= round((1 - HELD) * rows)
    recorded = [("input", "pre", IMAGE), *((layer, "pre", units) for layer in LAYERS)]
    metadata = RunMetadata(
        layers=LAYERS,
        classes=tuple(str(k) for k in range(CLASSES)),
        validation=4,
        test=0,
        weights={},
        activations=tuple(ActivationRecord(layer, stage, n, (n,), "none") for layer, stage, n in recorded),
        activation_samples=(int((~held).sum()), int(held.sum())),
        attributes={"config_json": json.dumps({"seed": 0}), "run_id": "big", "dataset_sha256": "0"},
    )
    with RunWriter.create(path, run_schema(metadata)) as writer:
        writer.put("activations/true_label", labels)
        writer.put("activations/held_out", held.astype(int))
        writer.put("activations/source_index", np.arange(rows))
        for layer, stage, n in recorded:
            x = np.empty((rows, n), np.float32)
            centres = random.normal(size=(CLASSES, n)).astype(np.float32)
            for start in range(0, rows, 4096):
                part = labels[start : start + 4096]
                noise = random.standard_normal((len(part), n), dtype=np.float32)
                x[start : start + 4096] = np.maximum(np.round(0.15 * centres[part] + noise), 0)
            writer.append(f"activations/{layer}/{stage}", {"activation": x, "epoch": 1})
        writer.append("metrics", {"epoch": 1})
        writer.commit()
        writer.finish()


def measure(path: Path, name: str) -> dict[str, float]:
    """Run an analysis in a new process: its peak memory in bytes and its time in seconds."""
    command = [sys.executable, __file__, "--analyze", name, "--file", str(path)]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return {**json.loads(done.stdout), "seconds": round(time.perf_counter() - started, 1)}


def answer(path: Path, name: str) -> dict[str, float]:
    """In the child process: analyze with the default settings; also measures the peak before anything is read."""
    import sklearn.linear_model  # noqa: F401  (a library, which linear probes import when they are fitted)
    import torch

    import ffprobe
    from ffprobe.plugin.registry import Registry

    torch.set_num_threads(1)
    probe = Registry().component("probe", name)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with ffprobe.open(path) as run:
        rows = probe(probe.Params()).analyze([run]).to_dict()["rows"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"peak_bytes": 1024 * peak, "libraries_bytes": 1024 * before, "rows": len(rows)}


def main(rows: int, units: int, names: tuple[str, ...] = ANALYSES) -> dict[str, dict[str, float]]:
    """Measure each analysis on a file of that size, which is deleted afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "big.h5"
        subprocess.run(
            [sys.executable, __file__, "--write", "--file", str(path), "--rows", str(rows), "--units", str(units)],
            check=True,
        )
        results = {}
        for name in names:
            results[name] = measure(path, name)
            print(name, results[name], file=sys.stderr, flush=True)
        return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--units", type=int, default=2048)
    parser.add_argument("--names", nargs="*", default=list(ANALYSES))
    parser.add_argument("--file", type=Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--analyze")
    options = parser.parse_args()
    if options.write:
        write(options.file, options.rows, options.units)
    elif options.analyze:
        print(json.dumps(answer(options.file, options.analyze)))
    else:
        print(json.dumps(main(options.rows, options.units, tuple(options.names)), indent=2))
