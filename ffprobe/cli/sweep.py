"""``ffprobe sweep GRID.toml``: many runs, each an ordinary ``ffprobe run`` with a file of its own."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ffprobe.cli.console import Json, Verbose, print_json, stderr, stdout

if TYPE_CHECKING:
    from ffprobe.sweep.plan import PlannedRun
    from ffprobe.sweep.sweep import Progress


def sweep(
    grid: Annotated[Path, typer.Argument(help="A TOML file: what every run has, and where they differ.")],
    out: Annotated[
        Path | None, typer.Option(help="Directory for the run files; the grid's own `out`, else its name.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value over what the grid says of every run: epochs=5, network.width=0.25."),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="A part of the grid: AXIS=POINT or AXIS=POINT,POINT, such as seed=0.")
    ] = None,
    executor: Annotated[
        str, typer.Option(help="Where the runs are worked off: local, slurm, ray, or NAME:key=value,...")
    ] = "local",
    jobs: Annotated[int, typer.Option(min=0, help="So many at a time; 0: as many as the named GPUs take, or one.")] = 0,
    gpus: Annotated[str, typer.Option(help="CUDA devices to share out, such as 0,1.")] = "",
    jobs_per_gpu: Annotated[int, typer.Option(min=1, help="How many runs share one GPU.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Train every run of a grid; finished files are skipped, unfinished ones gone on with.

    The whole grid is checked before anything starts. A run that fails is reported at the end, with its log, and
    stops no other. Call it again after an interruption: it does what is left.
    """
    from ffprobe.cli.signals import interrupted_by_signals
    from ffprobe.components.executor import ResourceLimits
    from ffprobe.config.parsing import parse_plugin
    from ffprobe.config.resolve import validate
    from ffprobe.config.settings import Choice
    from ffprobe.plugin.registry import Registry
    from ffprobe.sweep.grid import read_grid
    from ffprobe.sweep.plan import left_to_do, plan
    from ffprobe.sweep.sweep import sweep as work_off

    registry = Registry()
    read = read_grid(grid, set_ or ()).only(only or ())
    where = out or Path(read.out or grid.stem)
    share = ResourceLimits(jobs, tuple(filter(None, gpus.split(","))), jobs_per_gpu)
    name, settings = parse_plugin(executor)
    component: Any = registry.component("executor", name)
    chosen = Choice(component, validate(component.Params, settings, f"executor {name!r}")).build()
    planned = plan(read, where, registry)
    if dry_run:
        _print_plan(planned, json)
        return
    from ffprobe.cli.sweep_view import SweepView

    began = time.monotonic()
    todo = left_to_do(planned)
    where.mkdir(parents=True, exist_ok=True)
    with SweepView(stderr(), planned) as view, interrupted_by_signals():
        progress = work_off(todo, chosen, share, view.tell)
    _finish(planned, progress, time.monotonic() - began, where, json)


def _print_plan(planned: Sequence[PlannedRun], as_json: bool) -> None:
    if as_json:
        print_json([_entry(run) for run in planned])
        return
    for run in planned:
        stdout().print(_command(run), markup=False, soft_wrap=True)
    counts = ", ".join(f"{sum(r.standing == s for r in planned)} {s}" for s in ("new", "begun", "running", "finished"))
    stderr().print(f"{len(planned)} runs: {counts}.", markup=False)


def _command(run: PlannedRun) -> str:
    return shlex.join(["ffprobe", *run.job.command])


def _entry(run: PlannedRun) -> dict[str, Any]:
    return {"name": run.job.name, "standing": run.standing, "out": str(run.job.out), "command": _command(run)}


def _finish(planned: Sequence[PlannedRun], progress: Progress, seconds: float, where: Path, as_json: bool) -> None:
    """Say what became of the runs; exit 1 when one failed."""
    from ffprobe.errors import FfprobeError
    from ffprobe.sweep.plan import refreshed
    from ffprobe.sweep.sweep import reason

    now = refreshed(planned)
    failed = progress.of("failed")
    if as_json:
        entries = [_entry(run) for run in now]
        bad = [{"name": e.job.name, "why": e.why, "log": str(e.job.log), "says": reason(e.job.log)} for e in failed]
        print_json({"out": str(where), "seconds": seconds, "runs": entries, "failed": bad})
    done = sum(run.standing == "finished" for run in now)
    skipped = sum(run.standing == "finished" for run in planned)
    told = f"{done} of {len(now)} runs are finished in {where}"
    told += f", {skipped} of them before" if skipped else ""
    elsewhere = sum(run.standing == "running" for run in planned)
    told += f"; {elsewhere} were in another process's work and left alone" if elsewhere else ""
    stderr().print(f"{told}. {seconds:.0f} s.", markup=False, soft_wrap=not stderr().is_terminal)
    if failed:
        for event in failed:
            stderr().print(f"{event.job.name} failed ({event.why}): {reason(event.job.log)}", markup=False)
            stderr().print(f"  its log: {event.job.log}", markup=False, soft_wrap=True)
        raise FfprobeError(
            f"{len(failed)} of {len(progress.jobs)} runs failed.",
            hint=f"Read the logs; {shlex.join(['ffprobe', *sys.argv[1:]])} tries them again.",
        )
