"""``python -m benchmarks.gpu``: measure one CUDA GPU in under ten minutes; ``--device cpu --quick`` tests the code.

The page has no such numbers until it was run on a GPU. CUDA graphs are those of torch.compile's mode
``reduce-overhead``, which records the pass of each layer and replays it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

import ffprobe
from benchmarks.harness import RESULTS, Measurement, compare, keep, quartiles
from benchmarks.prepared import prepared, random_images
from ffprobe.data.loader import Loader
from ffprobe.network.multiply_adds import multiply_adds


def correctness(device: str, quick: bool) -> Measurement:
    """Compare losses and weights after three steps: fp32 on the CPU, fp32 and bf16 on the device."""
    size: dict[str, Any] = {"width": 0.05 if quick else 0.5, "batch": 8 if quick else 64}
    ends = {}
    for where, precision in (("cpu", "fp32"), (device, "fp32"), (device, "bf16")):
        experiment, x, labels, _ = prepared(**size, device=where, precision=precision)
        wrong = (labels + 1) % 10  # the same negatives on every device
        object.__setattr__(experiment.setup, "negatives", _fixed(wrong.to(where)))
        x = x.to(where, memory_format=torch.channels_last)
        losses = [u.loss.cpu() for n in range(3) for u in experiment.learner.step(x, labels.to(where), n, 0)]
        ends[where, precision] = torch.stack(losses).float(), experiment.network.layer(0).weight.detach().float().cpu()
    measurement = Measurement("gpu-correctness", f"Three steps of tff-s on {device} against fp32 on the CPU.")
    for precision, bound in (("fp32", 1e-3), ("bf16", 5e-2)):
        (loss, weight), (own, other) = ends["cpu", "fp32"], ends[device, precision]
        measurement.promise(
            f"{precision}: largest difference of a loss", float((own - loss).abs().max()), bound, "at most"
        )
        measurement.facts[f"{precision}: largest difference of a weight of the first layer"] = float(
            (other - weight).abs().max()
        )
    return measurement


def _fixed(labels: torch.Tensor) -> Any:
    class Fixed:
        needs_goodness = False
        gives = "labels"

        def __call__(self, *arguments: Any) -> torch.Tensor:
            return labels

    return Fixed()


def throughput(network: str, device: str, quick: bool, rounds: int) -> Measurement:
    """Measure eager steps, compiled steps and CUDA graphs, and their share of the GPU's matrix-product rate."""
    width, batch = (0.05, 4) if quick else (1.0, 512)
    ways: dict[str, Callable[[], None]] = {}
    for way in ("eager",) if quick else ("eager", "compiled", "CUDA graphs"):
        config: dict[str, Any] = {"network": {"name": network, "width": width}, "device": device}
        experiment, x, labels, _ = prepared(batch=batch, **config)
        for i in range(experiment.network.depth if way != "eager" else 0):
            experiment.network.layer(i).compile(mode="default" if way == "compiled" else "reduce-overhead")
        ways[way] = _steps(experiment, x.to(device, memory_format=torch.channels_last), labels.to(device), quick)
    dtype = torch.bfloat16 if experiment.precision == "bf16" else torch.float32
    side = 256 if quick else 8192
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    ways["matrix product"] = lambda: [a @ b for _ in range(10)] and None
    count = 2 if quick else 20
    name = f"gpu-throughput-{network}"
    question = f"{count} steps of {network}, width {width:g}, 3x32x32, {batch} + {batch} rows, {experiment.precision}."
    measurement = compare(name, question, ways, baseline="eager", rounds=rounds)
    rate = 10 * 2 * side**3 / quartiles(measurement.seconds.pop("matrix product"))[1]
    del measurement.ratios["matrix product"]
    # forward pass, gradients of weights and inputs, for positives and negatives, in every layer
    operations = 3 * 2 * 2 * batch * count * sum(multiply_adds(experiment.network, (3, 32, 32)))
    for way, seconds in measurement.seconds.items():
        middle = quartiles(seconds)[1]
        measurement.facts[f"{way}: images a second"] = batch * count / middle
        measurement.facts[f"{way}: share of the measured matrix rate"] = operations / middle / rate
    measurement.facts["matrix product (TFLOP/s)"] = rate / 1e12
    return measurement


def _steps(experiment: Any, x: torch.Tensor, labels: torch.Tensor, quick: bool) -> Callable[[], None]:
    count = iter(range(10**9))

    def steps() -> None:
        for _ in range(2 if quick else 20):
            torch.compiler.cudagraph_mark_step_begin()
            for _ in experiment.learner.step(x, labels, next(count), 0):
                pass

    return steps


def loading(device: str, quick: bool, rounds: int) -> Measurement:
    """Measure batches with a random crop and rotation of each image."""
    images = random_images(256 if quick else 50_000, 0)
    streams = [torch.Generator().manual_seed(n) for n in range(2)]
    loader = Loader(
        images, 128, torch.device(device), shuffle_generator=streams[0], augment_generator=streams[1], shift=4,
        degrees=15.0,
    )  # fmt: skip

    def epoch() -> None:
        for _ in loader:
            pass

    measurement = compare(
        "gpu-loader", "An epoch of batches, augmented.", {"loader": epoch}, baseline="loader", rounds=rounds
    )
    measurement.facts["images a second"] = len(images) / quartiles(measurement.seconds["loader"])[1]
    return measurement


def training(device: str, quick: bool, data: Path | None, minutes: float) -> Measurement:
    """Train tff-s for as many epochs as fit into the time: one epoch is timed first."""
    if data is None:
        what = ["--dataset", "digits", "--set", "network=tiny", "--batch-size", "32"]
    else:
        what = ["--dataset", "images", "--data-dir", str(data), "--batch-size", "128" if quick else "512"]
    what += ["--preset", "trifecta", "--device", device, "--set", "training.num_evaluations=1", "--set", "probes=[]"]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        _train(what, 1, Path(folder) / "one.h5")
        seconds = time.perf_counter() - began
        count = 2 if quick else max(2, int(60 * minutes / seconds))
        began = time.perf_counter()
        _train(what, count, Path(folder) / "run.h5")
        seconds = time.perf_counter() - began
        with ffprobe.open(Path(folder) / "run.h5") as run:
            accuracy = (run.read("test/goodness")[-1].argmax(axis=1) == run.read("test/true_label")).mean()
    what_of = "tiny on digits" if data is None else f"tff-s on {data.name}"
    measurement = Measurement("gpu-training", f"A run of {what_of}, {count} epochs.")
    measurement.facts = {
        "accuracy on the test images, last layer (%)": 100 * float(accuracy),
        "seconds": seconds,
        "run": "ffprobe run " + " ".join(Path(w).name if Path(w).is_absolute() else w for w in what),
    }
    return measurement


def _train(what: list[str], epochs: int, out: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "ffprobe", "run", *what, "--epochs", str(epochs), "--out", str(out)],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def main(
    device: Annotated[str, typer.Option(help="cuda, or cpu to test the code.")] = "cuda",
    quick: Annotated[bool, typer.Option("--quick", help="Small and short: tests the code, measures no speed.")] = False,
    data: Annotated[Path | None, typer.Option(help="CIFAR-10 as pictures; digits by default.")] = None,
    minutes: Annotated[float, typer.Option(help="Training time in minutes.")] = 4.0,
    rounds: Annotated[int, typer.Option(help="Number of measured rounds.")] = 5,
    json: Annotated[Path, typer.Option(help="Directory for the measurements.")] = RESULTS,
) -> None:
    """Measure correctness, throughput, the loader, and one real run."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise typer.BadParameter("there is no CUDA GPU; use --device cpu --quick to test the code.")
    keep(correctness(device, quick), json)
    for network in ("tff-s", "tff-d"):
        keep(throughput(network, device, quick, rounds), json)
    keep(loading(device, quick, rounds), json)
    keep(training(device, quick, data, minutes), json)


if __name__ == "__main__":
    typer.run(main)
