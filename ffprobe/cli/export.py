"""``ffprobe export``: the trained network of a run as a file for programs without ffprobe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ffprobe.cli.completion import complete_evaluator, complete_run_file
from ffprobe.cli.console import Json, TrustRun, Verbose, finite, print_json, stderr, stdout

if TYPE_CHECKING:
    from ffprobe.inference.export import Export


def export(
    run: Annotated[
        Path,
        typer.Argument(help="A finished run file.", autocompletion=complete_run_file),
    ],
    to: Annotated[
        str, typer.Option(help="Format: safetensors (weights and config), onnx, or pt2 (torch.export).")
    ] = "safetensors",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File to write; by default the run file with the ending of the format."),
    ] = None,
    evaluator: Annotated[
        str,
        typer.Option(
            help="Evaluator of the scores, NAME or NAME:key=value,...; the evaluator of the run by default.",
            autocompletion=complete_evaluator,
        ),
    ] = "",
    data_dir: Annotated[str, typer.Option(help="Directory of the files of the data set, for the check.")] = "",
    images: Annotated[
        int, typer.Option(min=0, help="Maximum number of test images to check the file on (0: all).")
    ] = 1000,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    trust: TrustRun = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Export the trained network of a run: raw inputs (images from 0 to 255, values, tokens) to a score for each class.

    The file is reloaded and compared with the network on test images before it gets its name. For an evaluator that
    goes through the layers step by step (early-exit, candidates, propose), the goodness of every layer and label is
    exported instead of scores. Nothing is downloaded; without the data set, the check uses random images.

    Exit code 5: the reloaded file predicts other labels than the network.
    """
    from ffprobe.cli.slow import shown_if_slow
    from ffprobe.inference.export import export as export_run

    with shown_if_slow(f"Exporting {run} to {to}, and checking the file"):
        done = export_run(
            run,
            out,
            to=to,
            evaluator=evaluator,
            data_dir=data_dir,
            images=images,
            overwrite=overwrite,
            trust=trust,
        )
    if json:
        print_json(finite(_document(done)))
        return
    for sentence in _sentences(done):
        stdout().print(sentence)
    stderr().print(f"Wrote {done.path} ({_size(done.path)}).", soft_wrap=True)


def _document(done: Export) -> dict[str, Any]:
    return {
        "out": str(done.path),
        "format": done.format,
        "output": done.output,
        "evaluator": done.evaluator,
        "image_shape": list(done.shape),
        "classes": list(done.classes),
        "precision": done.precision,
        "bytes": done.path.stat().st_size,
        "checked_on": done.checked_on,
        "images": done.agreement.images,
        "largest_deviation": done.agreement.largest_deviation,
        "different_labels": done.agreement.different_labels,
        "ties": done.agreement.ties,
    }


def _sentences(done: Export) -> list[str]:
    from ffprobe.inference.export_formats import FORMATS

    shape, agreement = ", ".join(map(str, done.shape)), done.agreement
    scores = f"scores [N, {len(done.classes)}] by {done.evaluator}"
    result = scores if done.evaluator else f"the goodness of every layer [L, N, {len(done.classes)}]"
    inputs = {"pixels": "Images [N, {}], 0 to 255,", "values": "Values [N, {}]", "tokens": "Integer tokens [N, {}]"}
    what = f"{inputs[done.kind].format(shape)} to {result}"
    weights = "Weights by name, without the function that was checked: " if done.format == "safetensors" else ""
    ties = f" ({agreement.ties} more with tied scores)" if agreement.ties else ""
    return [
        f"{weights}{what[0].lower() + what[1:] if weights else what}.",
        f"Reloaded with {FORMATS[done.format].reader} and compared on {agreement.images} {done.checked_on}: largest "
        f"deviation {agreement.largest_deviation:.2g}, {agreement.different_labels} different labels{ties}.",
    ]


def _size(path: Path) -> str:
    size = path.stat().st_size
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
