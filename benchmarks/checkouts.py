"""``python -m benchmarks.checkouts OTHER``: whether training became slower than in another checkout.

Each checkout trains with its own ``.venv``, in turn, so that what else the machine does reaches both.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from ffprobe.runtime.processor import processor_model

RUN = "run --preset trifecta --dataset {dataset} {data} --epochs {epochs} --batch-size 128 --precision fp32 --overwrite"
SETTINGS = ("network.width=0.25", "training.max_images=4000", "training.num_evaluations=1", "probes=[]")
READ = (
    "import ffprobe, json, sys\nwith ffprobe.open(sys.argv[1]) as run:\n"
    "    print(json.dumps(run.read('metrics/images_per_second').tolist()))"
)


def rate(checkout: Path, command: list[str], out: Path) -> float:
    """Training images per second of one run, the median of its epochs but the first."""
    python = str(checkout / ".venv" / "bin" / "python")
    subprocess.run(
        [python, "-m", "ffprobe", *command, "--out", str(out)], check=True, capture_output=True, cwd=checkout
    )
    read = subprocess.run([python, "-c", READ, str(out)], check=True, capture_output=True, text=True, cwd=checkout)
    return median(json.loads(read.stdout)[1:])


def main(
    other: Annotated[Path, typer.Argument(help="A checkout of an earlier state, with its .venv.")],
    dataset: Annotated[str, typer.Option(help="Data set.")] = "fashion-mnist",
    data_dir: Annotated[str, typer.Option(help="Folder of its files.")] = "",
    epochs: Annotated[int, typer.Option(help="Epochs of each run; the first is not counted.")] = 4,
    rounds: Annotated[int, typer.Option(help="Runs of each checkout.")] = 7,
) -> None:
    """Train the same run in both checkouts in turn; the ratio of their medians, and of each round."""
    data = f"--data-dir {data_dir}" if data_dir else ""
    words = RUN.format(dataset=dataset, data=data, epochs=epochs).split()
    words += [word for setting in SETTINGS for word in ("--set", setting)]
    here = Path.cwd()
    rates: dict[str, list[float]] = {"here": [], "other": []}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds):
            for name, checkout in list({"here": here, "other": other.resolve()}.items())[:: -1 if turn % 2 else 1]:
                rates[name].append(rate(checkout, words, Path(folder) / f"{name}.h5"))
            print(
                f"round {turn + 1}: here {rates['here'][-1]:.0f}, other {rates['other'][-1]:.0f} images/s", flush=True
            )
    ratios = [a / b for a, b in zip(rates["here"], rates["other"], strict=True)]
    ratio = median(rates["here"]) / median(rates["other"])
    print(
        f"{processor_model()}: here over other {ratio:.3f} (medians of {rounds}), "
        f"median ratio of a round {median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}"
    )


if __name__ == "__main__":
    typer.run(main)
