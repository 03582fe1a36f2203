"""``ffprobe run``: train out of plugins, record into a run file."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ffprobe.cli.console import Json, Verbose, finite, print_json, stderr, stdout

if TYPE_CHECKING:
    from ffprobe.components.process_group import ProcessGroup
    from ffprobe.config.settings import RunConfig
    from ffprobe.plugin.registry import Registry
    from ffprobe.training.trainer import Outcome

Words = list[str]


def run(
    preset: Annotated[str, typer.Option(help="A named config: vanilla-ff, trifecta.")] = "",
    plugin: Annotated[
        Words | None, typer.Option(help="NAME, NAME:key=value,..., ./file.py or module:attr; repeatable.")
    ] = None,
    set_: Annotated[
        Words | None, typer.Option("--set", help="key=value, such as network.width=0.25; repeatable.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A TOML file of settings.")] = None,
    from_: Annotated[Path | None, typer.Option("--from", help="Repeat the run recorded in this file.")] = None,
    dataset: Annotated[str, typer.Option(help="The data set: digits, cifar10, images ...")] = "",
    data_dir: Annotated[str, typer.Option(help="Where its files lie: a folder, or an archive for images.")] = "",
    download: Annotated[bool, typer.Option("--download", help="Fetch missing files of the data set.")] = False,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    seed: Annotated[int | None, typer.Option(help="Root of every random stream.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "",
    precision: Annotated[str, typer.Option(help="auto, fp32 or bf16.")] = "",
    compile_: Annotated[str, typer.Option("--compile", help="torch.compile for each layer: auto, on or off.")] = "",
    out: Annotated[Path, typer.Option(help="The run file.")] = Path("run.h5"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing run file.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last committed epoch; begin if there is none.")
    ] = False,
    allow_changes: Annotated[
        bool, typer.Option("--allow-changes", help="Go on although settings, data or versions changed; recorded.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the resolved config and stop.")] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Train a network out of plugins and record the run into one file.

    Without any option: Forward-Forward as Hinton wrote it, on the digits that scikit-learn ships, into run.h5. While it
    goes on the file is called run.h5.partial, so run.h5 exists exactly when the run finished.
    """
    from ffprobe.config.options import RunOptions, recorded_config
    from ffprobe.config.resolve import resolve
    from ffprobe.distributed.processes import joined
    from ffprobe.plugin.registry import Registry
    from ffprobe.store.names import partial_of
    from ffprobe.training.session import refuse_unless_resumable

    registry, unfinished = Registry(), partial_of(out)
    if resume and not dry_run and out.exists():
        stderr().print(f"{out} is finished; there is nothing to go on with.", markup=False)
        return
    options = RunOptions(
        *(preset, tuple(plugin or ()), tuple(set_ or ()), config, from_, dataset, data_dir, download),
        *(epochs, batch_size, seed, device, precision, compile_),
    )
    begun = recorded_config(unfinished) if resume and unfinished.exists() else None
    resolved = resolve(options.table(registry, begun), registry)
    if dry_run:
        _print_config(resolved, json)
        return
    with joined(resolved.settings.device) as process_group:
        if process_group.is_main:
            refuse_unless_resumable(out, resume, overwrite)
        outcome = _train(
            resolved, registry, out, process_group, overwrite=overwrite, resume=resume, allow_changes=allow_changes
        )
        if not process_group.is_main:
            return
    if json:
        print_json(finite(_document(outcome, resolved, out)))
    else:
        _print_outcome(outcome, out)


def _train(config: RunConfig, registry: Registry, out: Path, process_group: ProcessGroup, **how: bool) -> Outcome:
    from ffprobe.cli.progress import Progress
    from ffprobe.cli.signals import stopping_on_signals
    from ffprobe.training.session import Session

    program = ["ffprobe"]
    if process_group.size > 1:
        here = os.environ.get("LOCAL_WORLD_SIZE", str(process_group.size))
        program = ["torchrun", "--nproc-per-node", here, "-m", "ffprobe"]
    command = shlex.join([*program, *sys.argv[1:]])
    progress = Progress(stderr())
    watching = [("progress", progress)]
    session = Session(config, registry, out, command=command, observers=watching, process_group=process_group, **how)
    if not process_group.is_main:
        with stopping_on_signals(session.trainer.stop_after_batch):
            return session.run()
    if session.state:
        stderr().print(f"Going on after epoch {session.state['progress']['epoch']}.", markup=False)
    with progress, stopping_on_signals(session.trainer.stop_after_batch):
        return session.run()


def _document(outcome: Outcome, config: RunConfig, out: Path) -> dict[str, Any]:
    return {
        "out": str(out),
        "validation_accuracy": outcome.validation_accuracy,
        "test_accuracy": outcome.test_accuracy,
        "model_validation_accuracy": outcome.model_validation_accuracy,
        "model_test_accuracy": outcome.model_test_accuracy,
        "seconds": outcome.seconds,
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
    stderr().print(f"{out} written in {outcome.seconds:.0f} s.", markup=False)


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
        elif key == "probes":
            add(key, ", ".join(entry["name"] for entry in value) or "none")
        else:
            add(key, str(value))
    stdout().print(table)
