"""``ffprobe run``: trains a network from plugins and records the run."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ffprobe.cli.completion import (
    complete_dataset,
    complete_plugin,
    complete_preset,
    complete_run_file,
    complete_setting,
)
from ffprobe.cli.console import Json, Verbose, finite, print_json, stderr, stdout
from ffprobe.display import duration, short_path
from ffprobe.errors import UsageError
from ffprobe.runtime.process_time import seconds_since_start

if TYPE_CHECKING:
    from ffprobe.cli.progress import Progress
    from ffprobe.config.settings import RunConfig
    from ffprobe.training.session import Session
    from ffprobe.training.trainer import Outcome

Words = list[str]
SECTIONS = {
    "Method": ("preset", "plugin", "set_", "config", "from_"),
    "Data": ("dataset", "data_dir", "download"),
    "Training": (
        "quick",
        "epochs",
        "batch_size",
        "learning_rate",
        "early_stop",
        "keep_best",
        "seed",
        "device",
        "precision",
        "compile_",
    ),
    "Run file": ("out", "overwrite", "resume", "allow_changes"),
}
"""The sections of the options in the help."""


def run(
    preset: Annotated[
        str,
        typer.Option(
            help="Name of a preset, such as vanilla-ff or trifecta; see ffprobe presets.",
            autocompletion=complete_preset,
        ),
    ] = "",
    plugin: Annotated[
        Words | None,
        typer.Option(
            "--plugin",
            "-p",
            help="Plugin: NAME, NAME:key=value,..., ./file.py, ./file.py:CLASS or module:attr; repeatable.",
            autocompletion=complete_plugin,
        ),
    ] = None,
    set_: Annotated[
        Words | None,
        typer.Option(
            "--set",
            "-s",
            help="Setting: key=value, such as network.width=0.25; repeatable.",
            autocompletion=complete_setting,
        ),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of options and settings.")] = None,
    from_: Annotated[
        Path | None,
        typer.Option("--from", help="Repeat the run that this run file contains.", autocompletion=complete_run_file),
    ] = None,
    dataset: Annotated[
        str,
        typer.Option("--dataset", "-d", help="Data set: digits, cifar10, images ...", autocompletion=complete_dataset),
    ] = "",
    data_dir: Annotated[
        str, typer.Option(help="Directory of the files of the data set; for images also an archive.")
    ] = "",
    download: Annotated[bool, typer.Option("--download", help="Download missing files of the data set.")] = False,
    epochs: Annotated[
        int | None, typer.Option("--epochs", "-e", help="Number of passes over the training images.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", "-b", help="Number of training images per step.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", "--lr", help="Learning rate of the optimizer.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random stream.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A small network for a few epochs, for a first look: seconds on digits.")
    ] = False,
    early_stop: Annotated[
        int | None,
        typer.Option(help="Stop after this many evaluations without a better validation accuracy.", min=0),
    ] = None,
    keep_best: Annotated[
        bool, typer.Option("--keep-best", help="Keep the weights of the epoch with the best validation accuracy.")
    ] = False,
    device: Annotated[str, typer.Option(help="Device: auto, cpu, cuda, cuda:1 ...")] = "",
    precision: Annotated[str, typer.Option(help="Precision of forward passes: auto, fp32, bf16 or fp64.")] = "",
    compile_: Annotated[str, typer.Option("--compile", help="torch.compile for each layer: auto, on or off.")] = "",
    out: Annotated[
        str,
        typer.Option(
            "--out",
            "-o",
            help="Run file to write; auto: the next free name.",
            metavar="PATH",
            autocompletion=complete_run_file,
        ),
    ] = "run.h5",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing run file.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume from the last checkpoint, or start if there is none.")
    ] = False,
    allow_changes: Annotated[
        bool,
        typer.Option("--allow-changes", help="Resume even if settings, data or versions changed; this is recorded."),
    ] = False,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust",
            help="Import the plugins that a run file or --config names as ./file.py or module:attr, and download if "
            "the run file says so.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the resolved config and exit.")] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Train a network from plugins and record the run in one file.

    Without options: Hinton's Forward-Forward on the digits of scikit-learn, recorded in run.h5. During training the
    file is named run.h5.partial, so run.h5 exists only if the run is finished.
    """
    from ffprobe.cli.announcement import expectation, first_line, second_line
    from ffprobe.config.options import RunOptions
    from ffprobe.store.names import AUTO, partial_of, run_file

    if resume and out == AUTO:
        raise UsageError("--resume needs the name of the run that goes on.", hint="For example --out run.h5.")
    path = run_file(out)
    complete = resume and not overwrite and path.exists() and not partial_of(path).exists()
    options = RunOptions(
        preset=preset,
        plugin=tuple(plugin or ()),
        set=tuple(set_ or ()),
        config=config,
        from_=from_,
        dataset=dataset,
        data_dir=data_dir,
        download=download,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        device=device,
        precision=precision,
        compile=compile_,
        early_stop=early_stop,
        keep_best=keep_best,
        quick=quick,
        trust=trust,
    )
    tells = not (dry_run or json or complete) and os.environ.get("RANK", "0") == "0"
    if tells:
        _tell(first_line(options, path, resume and partial_of(path).exists()), expectation(options))

    from ffprobe.api import configure, train
    from ffprobe.cli.progress import Progress
    from ffprobe.plugin.registry import Registry

    registry = Registry()
    resolved = configure(registry, options, resume_from=path if resume else None)
    if dry_run:
        _print_config(resolved, json)
        return
    if tells:
        _tell(second_line(resolved))
    progress = Progress(stderr(), Path(short_path(path)))
    outcome = train(
        resolved,
        registry,
        path,
        overwrite=overwrite,
        resume=resume,
        allow_changes=allow_changes,
        command=_command(),
        observers=[("progress", progress)],
        during=lambda session: _during(session, progress),
    )
    if outcome is None:  # another process is the main one
        return
    if complete:
        stderr().print(f"{short_path(path)} is already complete; nothing to resume.", markup=False)
    if json:
        print_json(finite(_document(outcome, resolved, path)))
    elif not complete:
        _print_outcome(outcome, path)


def _tell(*sentences: str) -> None:
    console = stderr()
    for sentence in filter(None, sentences):
        console.print(sentence, soft_wrap=not console.is_terminal)  # a line of a log is never wrapped


def _command() -> str:
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes == 1:
        return shlex.join(["ffprobe", *sys.argv[1:]])
    here = os.environ.get("LOCAL_WORLD_SIZE", str(processes))
    return shlex.join(["torchrun", "--nproc-per-node", here, "-m", "ffprobe", *sys.argv[1:]])


@contextmanager
def _during(session: Session, progress: Progress) -> Iterator[None]:
    """Signals stop the run after the batch; the main process shows its progress."""
    from ffprobe.cli.signals import stopping_on_signals

    with stopping_on_signals(session.trainer.stop_after_batch):
        if session.recorder is None:
            yield
            return
        if session.state:
            stderr().print(f"Resuming after epoch {session.state['progress']['epoch']}.", markup=False)
        with progress:
            yield


def _document(outcome: Outcome, config: RunConfig, out: Path) -> dict[str, Any]:
    return {
        "out": str(out),
        "validation_accuracy": outcome.validation_accuracy,
        "test_accuracy": outcome.test_accuracy,
        "model_validation_accuracy": outcome.model_validation_accuracy,
        "model_test_accuracy": outcome.model_test_accuracy,
        "seconds": outcome.seconds,
        "total_seconds": seconds_since_start(),
        "images_per_second": outcome.images_per_second,
        "config": config.to_dict(),
    }


def _percent(value: float | None) -> str:
    return "–" if value is None or value != value else f"{100 * value:.2f} %"


def _print_outcome(outcome: Outcome, out: Path) -> None:
    from rich.table import Table

    table = Table("layer", box=None, pad_edge=False)
    table.add_column("validation", justify="right")
    table.add_column("test", justify="right")
    tests: list[Any] = list(outcome.test_accuracy) or [None] * len(outcome.validation_accuracy)
    for index, (validation, test) in enumerate(zip(outcome.validation_accuracy, tests, strict=True), 1):
        table.add_row(str(index), _percent(validation), _percent(test))
    table.add_row(
        "model", _percent(outcome.model_validation_accuracy), _percent(outcome.model_test_accuracy), style="bold"
    )
    stdout().print(table)
    from ffprobe.analysis.runs.diagnosis import diagnose
    from ffprobe.cli.findings import print_findings
    from ffprobe.store.reader import open_run

    console = stderr()
    with open_run(out) as run:
        print_findings(console, diagnose(run))
    name = shlex.quote(short_path(out))
    took = f"Wrote {name} in {duration(seconds_since_start())}."
    console.print(f"{took} Next: ffprobe view {name}, or ffprobe report {name}", soft_wrap=True)


def _print_config(config: RunConfig, as_json: bool) -> None:
    document = config.to_dict()
    if as_json:
        print_json(document)
        return
    from rich.table import Table

    table = Table("setting", "value", box=None, pad_edge=False)
    add: Callable[..., None] = table.add_row
    for key, value in document.items():
        if isinstance(value, dict):
            name = value.get("name")
            add(key, str(name) if name else "", style="bold")
            for inner, setting in value.items():
                if inner != "name":
                    add(f"  {key}.{inner}", str(setting))
        elif key in ("probes", "observers"):
            add(key, ", ".join(entry if isinstance(entry, str) else entry["name"] for entry in value) or "none")
        else:
            add(key, str(value))
    stdout().print(table)
