"""Exports the trained network of a run for programs without ffprobe, and checks the file that it wrote."""

from __future__ import annotations

import contextlib
import copy
import os
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ffprobe.components.evaluator import Evaluator
from ffprobe.data.samples import Samples
from ffprobe.errors import CheckFailed, FfprobeError, FileError, UsageError, did_you_mean
from ffprobe.inference.export_check import Agreement, compare
from ffprobe.inference.export_formats import FORMATS, Format, export_failures
from ffprobe.inference.exported_function import ExportedFunction
from ffprobe.inference.images_to_predict import images_to_predict
from ffprobe.inference.loaded_predictor import LoadedPredictor, load_predictor
from ffprobe.inference.trained import Trained
from ffprobe.plugin.registry import Registry
from ffprobe.runtime.version import __version__
from ffprobe.store.hdf5_errors import file_error
from ffprobe.store.reader import RunFile, open_run

NOISE = 256
"""Random images that the check uses if the data set is not available."""


@dataclass(frozen=True)
class Export:
    """An exported network.

    Attributes:
        path: the file.
        format: ``safetensors``, ``onnx`` or ``pt2``.
        output: ``scores`` (``[N, K]``) or ``goodness`` (``[L, N, K]``) that the function computes from raw inputs:
            images ``[N, C, H, W]``, 0 to 255, values as they are stored, or tokens ``[N, T]``. A file of safetensors
            has no function; it was checked with this one.
        evaluator: name of the evaluator of the scores; empty for goodness.
        kind: what raw inputs are: ``pixels``, ``values`` or ``tokens``.
        shape: shape of one raw input.
        classes: class names, in the order of the scores.
        precision: ``fp32`` or ``fp64``, in which the function computes.
        checked_on: what the function was compared on: ``test images`` or samples, or random ones if the data set of
            the run is not available.
        agreement: how the reloaded file agrees with the network of the run.
    """

    path: Path
    format: str
    output: str
    evaluator: str
    kind: str
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    precision: str
    checked_on: str
    agreement: Agreement


def export(
    run: str | Path | RunFile,
    out: str | Path | None = None,
    *,
    to: str = "safetensors",
    evaluator: str = "",
    data_dir: str = "",
    images: int = 1000,
    overwrite: bool = False,
    trust: bool = False,
) -> Export:
    """Export the trained network of a finished run, as ``ffprobe export`` does.

    The file is reloaded, and its function is compared with the network on the run's test images before the file gets
    its name. bf16 runs are exported, and compared, in float32.

    Args:
        run: a run file, open (it stays open) or by its path.
        out: file to write; by default the run file with the ending of the format.
        to: ``safetensors``, ``onnx`` or ``pt2`` (torch.export).
        evaluator: ``NAME`` or ``NAME:key=value,...``; the run's own by default.
        data_dir: folder of the files of the data set.
        images: maximum number of test images to compare on; 0 for all.
        overwrite: replace an existing file.
        trust: import the plugins that the run file names as ``./file.py`` or ``module:attr``, and read the folder of
            the data set that it names. Without it, they are refused.

    Raises:
        UsageError: an unknown format, a library that is missing, an existing file, code in the run file without
            ``trust``, or an evaluator that does not fit the network.
        FileError: the run has not finished, or the file cannot be written.
        CheckFailed: the reloaded file predicts other labels; no file is left.
        FfprobeError: an operation of the network does not exist in the format.
    """
    form = _format(to)
    with nullcontext(run) if isinstance(run, RunFile) else open_run(run) as file:
        path = _target(file, out, form, overwrite)
        registry = Registry()
        loaded = load_predictor(file, registry, evaluator=evaluator, data_dir=data_dir, device="cpu", trust=trust)
        reader = _reader(loaded)
        trained = loaded.trained
        if trained.precision == "bf16":
            trained = replace(trained, precision="fp32", autocast=nullcontext)
        precision = "fp32" if form.single else trained.precision
        function = ExportedFunction(trained, reader)
        function = copy.deepcopy(function).float() if precision != trained.precision else function
        checked_on, pixels = _images(file, loaded, registry, images, bool(data_dir or trust))
        metadata = _metadata(file, trained, function, precision)
        agreement = _write(form, function, trained, reader, metadata, pixels, path)
    name = reader.name if reader else ""
    described = (function.output, name, trained.kind, trained.stored_shape, trained.classes, precision, checked_on)
    return Export(path, to, *described, agreement)


def _format(name: str) -> Format:
    if name == "torchscript":
        raise UsageError(
            "torch has deprecated TorchScript, and its tracer does not accept these networks.",
            hint="Use --to pt2, the format of torch.export, which replaces it, or --to onnx.",
        )
    if name not in FORMATS:
        raise UsageError(f"There is no format {name!r}.", hint=f"{did_you_mean(name, FORMATS)} {', '.join(FORMATS)}.")
    FORMATS[name].require()
    return FORMATS[name]


def _target(file: RunFile, out: str | Path | None, form: Format, overwrite: bool) -> Path:
    path = Path(out).expanduser() if out else Path(file.path).with_suffix(form.suffix)
    if path.is_dir() or not path.parent.is_dir():
        what = "The export cannot replace a directory." if path.is_dir() else "There is no such directory."
        raise FileError(what, where=str(path if path.is_dir() else path.parent), hint="Choose another path with --out.")
    if path.exists() and not overwrite:
        raise UsageError(f"{path} already exists.", hint="Use --overwrite to replace it, or another --out.")
    return path


def _reader(loaded: LoadedPredictor) -> Evaluator | None:
    """The evaluator whose scores are exported.

    Returns:
        None for an evaluator that drops labels or images on its way through the layers: what it computes depends on the
        images. The goodness of every layer is exported then.
    """
    network, evaluator = loaded.trained.network, loaded.evaluator
    if network.form == "pair" and not network.shows_label and (evaluator.reads_goodness or evaluator.stepwise):
        raise UsageError(
            f"No label enters this network, so the evaluator {evaluator.name!r} has no goodness to compare.",
            hint="Use --evaluator one-pass, which reads the layers' activations.",
        )
    return None if evaluator.stepwise else evaluator


def _images(file: RunFile, loaded: LoadedPredictor, registry: Registry, count: int, named: bool) -> tuple[str, Samples]:
    """What the inputs of the check are, and the inputs; nothing is downloaded, and no folder is read unasked."""
    trained = loaded.trained
    noun = "images" if trained.kind == "pixels" else "samples"
    if named or not file.config.get("data", {}).get("dir"):
        with contextlib.suppress(FfprobeError):
            return f"test {noun}", images_to_predict(file, loaded.config, registry, "test", count)
    generator = torch.Generator().manual_seed(0)
    size = (NOISE, *trained.stored_shape)
    if trained.kind == "values":
        by_channel = (-1, *[1] * (len(trained.shape) - 1))
        mean, std = (
            torch.tensor([float(v) for v in values]).view(by_channel) for values in (trained.mean, trained.std)
        )
        inputs = mean + std * torch.randn(size, generator=generator)
    else:
        most = 256 if trained.kind == "pixels" else trained.shape[0]
        inputs = torch.randint(most, size, generator=generator, dtype=trained.stored_dtype)
    return f"random {noun}", trained.samples(inputs)


def _metadata(file: RunFile, trained: Trained, function: ExportedFunction, precision: str) -> dict[str, Any]:
    """What a reader of the file needs to use it: plain values."""
    config = {key: value for key, value in file.config.items() if key != "data"}  # folders of this machine
    return {
        "ffprobe_version": __version__,
        "output": function.output,
        "evaluator": function.evaluator.name if function.evaluator else "",
        "precision": precision,
        "classes": list(trained.classes),
        "input_kind": trained.kind,
        "image_shape": [int(side) for side in trained.shape],
        "image_mean": [float(value) for value in trained.mean],
        "image_std": [float(value) for value in trained.std],
        "config": config,
    }


def _write(
    form: Format,
    function: ExportedFunction,
    trained: Trained,
    evaluator: Evaluator | None,
    metadata: dict[str, Any],
    images: Samples,
    path: Path,
) -> Agreement:
    """Write the file under another name, reload and check it, then give it its name."""
    new = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        form.write(function, trained.stored_shape, metadata, new)
        with export_failures(form.suffix):
            agreement = compare(form.read(new, function), trained, evaluator, images)
        if agreement.different_labels:
            raise CheckFailed(
                f"The exported network predicts another label for {agreement.different_labels} of {agreement.images} "
                f"images; the largest deviation is {agreement.largest_deviation:.3g}.",
                where=str(path),
                hint="No file was written. Use --to safetensors, which stores the weights and the config.",
            )
        os.replace(new, path)
    except OSError as error:
        raise file_error(error, path, "The export could not be written") from error
    finally:
        new.unlink(missing_ok=True)
    return agreement
