"""``ffprobe predict``: predicts images with the trained network of a run."""

from __future__ import annotations

import csv
import shlex
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ffprobe.cli.completion import complete_dataset, complete_evaluator, complete_run_file
from ffprobe.cli.console import Json, TrustRun, Verbose, finite, print_json, stderr, stdout

if TYPE_CHECKING:
    from ffprobe.components.evaluator import Evaluator
    from ffprobe.data.samples import Samples
    from ffprobe.inference.predictor import Predictions
    from ffprobe.inference.trained import Trained
    from ffprobe.plugin.registry import Registry

REPEATS = 3
"""Number of timings of each side of a comparison; the median is reported."""


class Split(StrEnum):
    """A part of a data set."""

    test = "test"
    validation = "validation"
    train = "train"


def predict(
    run: Annotated[Path, typer.Argument(help="A finished run file.", autocompletion=complete_run_file)],
    evaluator: Annotated[
        str,
        typer.Option(
            help="Evaluator, NAME or NAME:key=value,...; the evaluator of the run by default.",
            autocompletion=complete_evaluator,
        ),
    ] = "",
    dataset: Annotated[
        str, typer.Option(help="Data set; the data set of the run by default.", autocompletion=complete_dataset)
    ] = "",
    data_dir: Annotated[str, typer.Option(help="Directory of the files of the data set.")] = "",
    download: Annotated[bool, typer.Option("--download", help="Download missing files of the data set.")] = False,
    split: Annotated[Split, typer.Option(help="Part of the data set to predict.")] = Split.test,
    images: Annotated[int, typer.Option(min=0, help="Number of images, from the first one (0: all).")] = 0,
    device: Annotated[str, typer.Option(help="Device: auto, cpu, cuda, cuda:1 ...")] = "auto",
    compare: Annotated[
        bool, typer.Option("--compare", help="Also time a full scan over the same images, for comparison.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write the predictions to this CSV file.")] = None,
    trust: TrustRun = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Predict images with the trained network of a run; the run file contains all that is needed.

    Images are normalized as in the run. Evaluators with parameters to tune are calibrated on the validation set of the
    run. A full scan evaluates every label in every layer; propose, candidates and early-exit need far fewer
    evaluations. Cost is counted in multiply-adds; the number of layer evaluations is secondary.
    """
    import torch

    from ffprobe.errors import UsageError
    from ffprobe.inference.images_to_predict import images_to_predict
    from ffprobe.inference.loaded_predictor import load_predictor
    from ffprobe.network.multiply_adds import multiply_adds
    from ffprobe.plugin.registry import Registry
    from ffprobe.store.reader import open_run

    registry = Registry()
    with open_run(run) as file:
        loaded = load_predictor(
            file,
            registry,
            evaluator=evaluator,
            dataset=dataset,
            data_dir=data_dir,
            device=device,
            download=download,
            trust=trust,
        )
        recorded = str(file.config.get("data", {}).get("dir", ""))
        if recorded and not (data_dir or dataset or trust):
            raise UsageError(
                f"The run file names a directory for its data set, which is not read unasked: {recorded}.",
                where=str(run),
                hint=f"Add --data-dir {shlex.quote(recorded)}, or another directory, or --trust.",
            )
        selected = images_to_predict(file, loaded.config, registry, split.value, images)
    trained, reader, config = loaded.trained, loaded.evaluator, loaded.config
    predictions, times = _predict(trained, selected, reader, registry, compare)
    right = predictions.labels == selected.labels
    weights = torch.tensor(multiply_adds(trained.network, trained.shape), dtype=torch.float64)
    passes = trained.network.passes_per_image
    adds = float((torch.tensor(predictions.evaluations) * weights).sum()) / len(selected)
    full = passes * float(weights.sum())
    document: dict[str, Any] = {
        "run": str(run),
        "dataset": config.slots["dataset"].component.name,
        "split": split.value,
        "images": len(selected),
        "unit": selected.noun.removesuffix("s"),
        "evaluator": config.slots["evaluator"].to_dict(),
        "chosen": {k: v for k, v in reader.chosen.items() if not isinstance(v, torch.Tensor)},
        "accuracy": float(right.double().mean()),
        "undecided": int((predictions.labels < 0).sum()),
        "accuracy_se": float((right.double().var(correction=0) / len(right)).sqrt()),
        "multiply_adds_per_image": adds,
        "full_scan_multiply_adds": full,
        "times_fewer_multiply_adds": full / adds if adds else None,
        "layer_evaluations_per_image": sum(predictions.evaluations) / len(selected),
        "full_scan_layer_evaluations": passes * trained.network.depth,
        "images_per_second": len(selected) / median(times["own"]),
        "device": str(trained.device),
        "precision": trained.precision,
        "threads": torch.get_num_threads(),
    }
    if compare:
        document |= _comparison(times, times["labels"], times["same"], selected, right)
    if out:
        _write(out, predictions, selected)
    if json:
        print_json(finite(document))
    else:
        _print(document)
    if out:
        stderr().print(f"Wrote {out}.", markup=False)


def _predict(
    trained: Trained, images: Samples, reader: Evaluator, registry: Registry, compare: bool
) -> tuple[Predictions, dict[str, Any]]:
    """The predictions and the seconds of each repeat; with ``compare``, also those of a full scan, alternating."""
    import torch
    from rich.progress import Progress

    from ffprobe.inference.predictor import FullScan, predict
    from ffprobe.plugin.error_attribution import attribute_errors

    repeats = REPEATS if compare else 1
    evaluators = {"own": reader, **({"full": FullScan()} if compare else {})}
    times: dict[str, Any] = {name: [] for name in evaluators}
    console = stderr()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("predicting", total=len(images) * repeats * len(evaluators))
        with attribute_errors(registry, "reading predictions"):
            if compare:  # warm-up: the first forward pass of a network has one-time costs
                for evaluator in evaluators.values():
                    predict(trained, images.subset(torch.arange(min(len(images), 64))), evaluator)
            for turn in range(repeats):
                for name, evaluator in list(evaluators.items())[:: -1 if turn % 2 else 1]:
                    done = predict(trained, images, evaluator, lambda count: bar.advance(task, count))
                    times[name].append(done.seconds)
                    if name == "own":
                        predictions = done
                    else:
                        full = done
    if compare:
        times["labels"], times["same"] = full.labels, _is_same(predictions, full)
    return predictions, times


def _is_same(own: Predictions, full: Predictions) -> bool:
    """Whether the evaluator is the full scan itself: the same work in each layer, the same labels and margins."""
    import torch

    return (
        own.evaluations == full.evaluations
        and torch.equal(own.labels, full.labels)
        and torch.allclose(own.margins, full.margins, rtol=1e-4, equal_nan=True)
    )


def _comparison(times: dict[str, Any], labels: Any, same: bool, images: Samples, right: Any) -> dict[str, Any]:
    from ffprobe.analysis.measures.paired import accuracy_gain

    full = labels == images.labels
    gain, error = accuracy_gain(full, right)
    if same:  # both sides timed the same computation: their difference is noise, so the timings are pooled
        times = {**times, **dict.fromkeys(("own", "full"), times["own"] + times["full"])}
    seconds = {name: median(times[name]) for name in ("own", "full")}
    return {
        "compared_with": "a full scan: every label in every layer, the last layer decides",
        "same_evaluator": same,
        "seconds": seconds["own"],
        "full_scan_seconds": seconds["full"],
        "times_faster": seconds["full"] / seconds["own"],
        "repeats": REPEATS,
        "full_scan_accuracy": float(full.double().mean()),
        "accuracy_gain_points": gain,
        "accuracy_gain_se": error,
    }


def _write(path: Path, predictions: Predictions, images: Samples) -> None:
    from ffprobe.display import csv_cell
    from ffprobe.errors import FileError

    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["index", "predicted", "true", "margin"])
            rows = zip(predictions.labels.tolist(), images.labels.tolist(), predictions.margins.tolist(), strict=True)
            for index, (predicted, true, margin) in enumerate(rows):
                lead = "" if margin == float("inf") else margin
                name = images.classes[predicted] if predicted >= 0 else ""  # no prediction: tied scores or NaN
                writer.writerow([index, csv_cell(name), csv_cell(images.classes[true]), lead])
    except OSError as error:
        raise FileError(f"The predictions could not be written: {error.strerror}.", where=str(path)) from error


def _print(document: dict[str, Any]) -> None:
    from rich.table import Table

    d = document
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_row(f"{d['unit']}s", f"{d['images']} of {d['dataset']}, {d['split']}")
    settings = ", ".join(f"{k}={v}" for k, v in d["evaluator"].items() if k not in ("name", "plugin"))
    facts.add_row("evaluator", f"{d['evaluator']['name']}  ({settings})" if settings else d["evaluator"]["name"])
    for name, value in d["chosen"].items():
        facts.add_row(f"  {name}", _short(value))
    facts.add_row("accuracy", f"{100 * d['accuracy']:.2f} ± {100 * d['accuracy_se']:.2f} %", style="bold")
    if d["undecided"]:
        facts.add_row("undecided", f"{d['undecided']} {d['unit']}s with tied or NaN scores, counted as wrong")
    for key, unit in (("multiply_adds", "multiply-adds"), ("layer_evaluations", "  layer evaluations")):
        own, full = d[f"{key}_per_image"], d[f"full_scan_{key}"]
        share = f"{full / own:.2f} times fewer than the {_number(full)} of a full scan" if own else ""
        facts.add_row(unit, f"{_number(own)} per {d['unit']}, {share}")
    facts.add_row("speed", f"{d['images_per_second']:.0f} {d['unit']}s/s on {d['device']}, {d['precision']}")
    if d.get("same_evaluator"):
        facts.add_row("full scan", f"{d['seconds']:.2f} s: the evaluator is the full scan itself, 1.00 times as fast")
    elif "times_faster" in d:
        facts.add_row(
            "full scan",
            f"{d['full_scan_seconds']:.2f} s against {d['seconds']:.2f} s: {d['times_faster']:.2f} times faster"
            f" (medians of {d['repeats']}, alternating)",
        )
    if "times_faster" in d:
        facts.add_row(
            "  its accuracy",
            f"{100 * d['full_scan_accuracy']:.2f} %; gain {d['accuracy_gain_points']:+.2f} ±"
            f" {d['accuracy_gain_se']:.2f} points on the same images",
        )
    stdout().print(facts)


def _number(value: float) -> str:
    return f"{value:.4g}" if value < 1e4 else f"{value:.3e}"


def _short(value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    return ", ".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in values)
