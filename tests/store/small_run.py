"""A small deterministic run with every kind of array, for tests and the child processes that they kill."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from ffprobe.errors import FileError
from ffprobe.store.schema import ActivationRecord, Dimension, RunMetadata, Schema, Variable, run_schema
from ffprobe.store.writer import RunWriter

LAYERS = ("first", "zweite Schicht")
STEPS = 7
"""Steps in an epoch."""


def facts(**changes: object) -> RunMetadata:
    """Layers, classes, validation and test images, weights, activations and a probe."""
    fields: dict[str, object] = {
        "layers": LAYERS,
        "classes": ("cat", "dog", "Füchse"),
        "validation": 20,
        "test": 5,
        "weights": {
            "first.weight": ((4, 3), "f4"),
            "first.bias": ((4,), "f4"),
            "norm.num_batches_tracked": ((), "i8"),
            "scale": ((2,), "f8"),
        },
        "activations": (
            ActivationRecord("first", "pre", 6, (6,), "none"),
            ActivationRecord("first", "post", 6, (6,), "none"),
        ),
        "activation_samples": (5, 3),
        "probes": {
            "sparsity": [
                Variable(
                    "zeros",
                    ("moment", "layer"),
                    "i4",
                    long_name="units that are zero",
                    attributes={"threshold": 0.5, "of": ["a", "b"], "n": 3},
                    dimensions=(
                        Dimension("moment", None, "i8", units="step", long_name="when"),
                        Dimension("layer", 2, "str", LAYERS, long_name="layer"),
                    ),
                ),
                Variable("levels", ("level",), dimensions=(Dimension("level", 3, "f4", (0.5, 1.0, 2.0)),)),
            ]
        },
        "attributes": {"config_json": '{"epochs": 3}', "plugins": ["olu", "symba"], "seed": 7, "none_of_them": []},
    }
    return RunMetadata(**(fields | changes))  # type: ignore[arg-type]


def schema() -> Schema:
    """The layout of the small run."""
    return run_schema(facts())


def epoch_rows(epoch: int) -> dict[str, np.ndarray]:
    """The rows that the small run records in an epoch (from 0), by path; ``steps`` arrays have one row per step."""
    random = np.random.default_rng(epoch)
    return {
        "metrics/loss": random.random(2, "f4"),
        "metrics/wall_time": random.random(),
        "steps/loss": random.random((STEPS, 2), "f4"),
        "evaluation/goodness": random.random((2, 20, 3), "f4"),
        "activations/first/pre/activation": random.random((8, 6), "f4"),
        "probes/sparsity/zeros": random.integers(0, 99, 2, "i4"),
    }


def write_epoch(writer: RunWriter, epoch: int) -> int:
    """Append one epoch's rows and commit."""
    rows = epoch_rows(epoch)
    writer.append("metrics", {"epoch": epoch + 1, "loss": rows["metrics/loss"], "wall_time": rows["metrics/wall_time"]})
    writer.extend("steps", {"loss": rows["steps/loss"]})
    for path in ("evaluation/goodness", "activations/first/pre/activation", "probes/sparsity/zeros"):
        group, _, name = path.rpartition("/")
        own = {"epoch": epoch + 1} if not group.startswith("probes") else {}
        writer.append(group, {name: rows[path], **own})
    writer.log(epoch * STEPS, f"epoch {epoch} begins")
    return writer.commit()


def check_epochs(run: object, count: int) -> None:
    """Assert that a RunFile contains exactly the first ``count`` epochs, bit for bit."""
    assert run.epochs == count  # type: ignore[attr-defined]
    read = {path: run.read(path) for path in epoch_rows(0)}  # type: ignore[attr-defined]
    labels = run.read("metrics/epoch")  # type: ignore[attr-defined]
    assert labels.tolist() == list(range(1, count + 1))
    assert run.read("steps/step").tolist() == list(range(count * STEPS))  # type: ignore[attr-defined]
    for epoch in range(count):
        for path, expected in epoch_rows(epoch).items():
            found = read[path][epoch * STEPS : (epoch + 1) * STEPS] if path == "steps/loss" else read[path][epoch]
            np.testing.assert_array_equal(found, expected, err_msg=f"{path} in epoch {epoch}")
    assert [text for _, text in run.messages()] == [f"epoch {e} begins" for e in range(count)]  # type: ignore[attr-defined]


def write_until_stopped(path: Path, limit: int | None) -> None:
    """Write epochs forever and print each commit; on a FileError print it and exit with its code."""
    if limit is not None:
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        with RunWriter.create(path, schema()) as writer:
            epoch = 0
            while True:
                write_epoch(writer, epoch)
                epoch += 1
                print(epoch, flush=True)
    except FileError as error:
        print(f"FileError {error}", flush=True)
        sys.exit(4)


if __name__ == "__main__":
    write_until_stopped(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
