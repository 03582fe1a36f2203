"""``ffprobe predict``: ask the trained network of a run about images."""

from __future__ import annotations

import csv
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ffprobe.cli.console import Json, Verbose, finite, print_json, stderr, stdout

if TYPE_CHECKING:
    from ffprobe.components.evaluator import Evaluator
    from ffprobe.config.settings import RunConfig
    from ffprobe.data.images import Images
    from ffprobe.inference.predictor import Predictions
    from ffprobe.inference.trained import Trained
    from ffprobe.plugin.registry import Registry
    from ffprobe.store.reader import RunFile

REPEATS = 3
"""How often each side of a comparison is timed; the median counts."""


class Split(StrEnum):
    """Which images of a data set."""

    test = "test"
    validation = "validation"
    train = "train"


def predict(
    run: Annotated[Path, typer.Argument(help="A finished run file.")],
    evaluator: Annotated[
        str, typer.Option(help="How to read the prediction, NAME or NAME:key=value,...; the run's own unless given.")
    ] = "",
    dataset: Annotated[str, typer.Option(help="The data set; the run's own unless given.")] = "",
    data_dir: Annotated[str, typer.Option(help="Where its files lie.")] = "",
    split: Annotated[Split, typer.Option(help="Which of its images.")] = Split.test,
    images: Annotated[int, typer.Option(min=0, help="The first so many; 0 for all.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
    compare: Annotated[bool, typer.Option("--compare", help="Time a full sweep of the same images beside it.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write the predictions to this CSV file.")] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Predict images with the network of a run, rebuilt from the run file alone.

    The images are normalized as the run's own were. An evaluator that has something to choose chooses it on the run's
    validation set. A full sweep lets every label through every layer; propose, candidates and early-exit need far less.
    """
    import torch

    from ffprobe.inference.images_to_predict import images_to_predict
    from ffprobe.inference.trained import rebuild
    from ffprobe.network.multiply_adds import multiply_adds
    from ffprobe.plugin.registry import Registry
    from ffprobe.store.reader import open_run

    registry = Registry()
    with open_run(run) as file:
        config = _config(file, registry, evaluator, dataset, data_dir)
        trained = rebuild(file, config, registry, device)
        asked = images_to_predict(file, config, registry, split.value, images)
        reader = _calibrated(file, config, registry)
    found, times = _predict(trained, asked, reader, registry, compare)
    right = found.labels == asked.labels
    weights = torch.tensor(multiply_adds(trained.network, trained.shape), dtype=torch.float64)
    passes = trained.network.classes if trained.network.form == "pair" else 1
    adds = float((torch.tensor(found.evaluations) * weights).sum()) / len(asked)
    document: dict[str, Any] = {
        "run": str(run),
        "dataset": config.slots["dataset"].component.name,
        "split": split.value,
        "images": len(asked),
        "evaluator": config.slots["evaluator"].to_dict(),
        "chosen": {k: v for k, v in reader.chosen.items() if not isinstance(v, torch.Tensor)},
        "accuracy": float(right.double().mean()),
        "accuracy_se": float((right.double().var(correction=0) / len(right)).sqrt()),
        "layer_evaluations_per_image": sum(found.evaluations) / len(asked),
        "full_sweep_layer_evaluations": passes * trained.network.depth,
        "multiply_adds_per_image": adds,
        "full_sweep_multiply_adds": passes * float(weights.sum()),
        "images_per_second": len(asked) / median(times["own"]),
        "device": str(trained.device),
        "precision": trained.precision,
        "threads": torch.get_num_threads(),
    }
    if compare:
        document |= _comparison(times, times["labels"], asked, right)
    if out:
        _write(out, found, asked)
    if json:
        print_json(finite(document))
    else:
        _print(document)
    if out:
        stderr().print(f"{out} written.", markup=False)


def _config(file: RunFile, registry: Registry, evaluator: str, dataset: str, data_dir: str) -> RunConfig:
    """The run's config, with what the command line says over it; probes and observers stay away."""
    from ffprobe.config.parsing import merge
    from ffprobe.config.resolve import picks, resolve
    from ffprobe.errors import UsageError

    table: dict[str, Any] = {**file.config, "probes": [], "observers": []}
    for word, kind in ((evaluator, "evaluator"), (dataset, "dataset")):
        if not word:
            continue
        picked = picks([word], registry)
        if set(picked) != {kind}:
            offers = ", ".join(sorted(picked)) or "nothing"
            raise UsageError(f"{word!r} is no {kind}; it fills the slot {offers}.")
        if kind == "dataset":
            table["data"] = {**table.get("data", {}), "dir": ""}
        table = merge(table, picked)
    if data_dir:
        table = merge(table, {"data": {"dir": str(Path(data_dir).expanduser().resolve())}})
    return resolve(table, registry)


def _calibrated(file: RunFile, config: RunConfig, registry: Registry) -> Evaluator:
    from ffprobe.analysis.evaluators.calibrating import read_calibration
    from ffprobe.components.evaluator import Evaluator
    from ffprobe.plugin.error_attribution import attribute_errors

    reader: Evaluator = config.slots["evaluator"].build()
    if type(reader).calibrate is not Evaluator.calibrate:
        with attribute_errors(registry, "calibrating the evaluator"):
            reader.calibrate(read_calibration(file, "pre" if "activations" in reader.needs else ""))
    return reader


def _predict(
    trained: Trained, images: Images, reader: Evaluator, registry: Registry, compare: bool
) -> tuple[Predictions, dict[str, Any]]:
    """The predictions, and seconds of each repeat; with ``compare`` those of a full sweep, in turns."""
    import torch
    from rich.progress import Progress

    from ffprobe.inference.predictor import FullSweep, predict
    from ffprobe.plugin.error_attribution import attribute_errors

    repeats = REPEATS if compare else 1
    sweeps = {"own": reader, **({"full": FullSweep()} if compare else {})}
    times: dict[str, Any] = {name: [] for name in sweeps}
    console = stderr()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("predicting", total=len(images) * repeats * len(sweeps))
        with attribute_errors(registry, "reading predictions"):
            if compare:  # the first pass through a network pays for much that no later one does
                for one in sweeps.values():
                    predict(trained, images.subset(torch.arange(min(len(images), 64))), one)
            for turn in range(repeats):
                for name, one in list(sweeps.items())[:: -1 if turn % 2 else 1]:
                    done = predict(trained, images, one, lambda count: bar.advance(task, count))
                    times[name].append(done.seconds)
                    if name == "own":
                        found = done
                    else:
                        times["labels"] = done.labels
    return found, times


def _comparison(times: dict[str, Any], labels: Any, images: Images, right: Any) -> dict[str, Any]:
    from ffprobe.analysis.measures.paired import accuracy_gain

    full = labels == images.labels
    gain, error = accuracy_gain(full, right)
    seconds = {name: median(times[name]) for name in ("own", "full")}
    return {
        "compared_with": "a full sweep: every label through every layer, the last layer decides",
        "seconds": seconds["own"],
        "full_sweep_seconds": seconds["full"],
        "times_faster": seconds["full"] / seconds["own"],
        "repeats": REPEATS,
        "full_sweep_accuracy": float(full.double().mean()),
        "accuracy_gain_points": gain,
        "accuracy_gain_se": error,
    }


def _write(path: Path, found: Predictions, images: Images) -> None:
    from ffprobe.errors import FileError

    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["index", "predicted", "true", "margin"])
            rows = zip(found.labels.tolist(), images.labels.tolist(), found.margins.tolist(), strict=True)
            for index, (predicted, true, margin) in enumerate(rows):
                lead = "" if margin == float("inf") else margin
                writer.writerow([index, images.classes[predicted], images.classes[true], lead])
    except OSError as error:
        raise FileError(f"The predictions cannot be written: {error.strerror}.", where=str(path)) from error


def _print(document: dict[str, Any]) -> None:
    from rich.table import Table

    d = document
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_row("images", f"{d['images']} of {d['dataset']}, {d['split']}")
    settings = ", ".join(f"{k}={v}" for k, v in d["evaluator"].items() if k not in ("name", "plugin"))
    facts.add_row("evaluator", f"{d['evaluator']['name']}  ({settings})" if settings else d["evaluator"]["name"])
    for name, value in d["chosen"].items():
        facts.add_row(f"  {name}", _short(value))
    facts.add_row("accuracy", f"{100 * d['accuracy']:.2f} ± {100 * d['accuracy_se']:.2f} %", style="bold")
    for key, unit in (("layer_evaluations", "layer evaluations"), ("multiply_adds", "multiply-adds")):
        own, full = d[f"{key}_per_image"], d[f"full_sweep_{key}"]
        share = f"{full / own:.2f} times fewer than the {_number(full)} of a full sweep" if own else ""
        facts.add_row(unit, f"{_number(own)} an image, {share}")
    facts.add_row("speed", f"{d['images_per_second']:.0f} images/s on {d['device']}, {d['precision']}")
    if "times_faster" in d:
        facts.add_row(
            "full sweep",
            f"{d['full_sweep_seconds']:.2f} s against {d['seconds']:.2f} s: {d['times_faster']:.2f} times faster"
            f" (medians of {d['repeats']}, in turns)",
        )
        facts.add_row(
            "  its accuracy",
            f"{100 * d['full_sweep_accuracy']:.2f} %; gained {d['accuracy_gain_points']:+.2f} ±"
            f" {d['accuracy_gain_se']:.2f} points on the same images",
        )
    stdout().print(facts)


def _number(value: float) -> str:
    return f"{value:.4g}" if value < 1e4 else f"{value:.3e}"


def _short(value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    return ", ".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in values)
