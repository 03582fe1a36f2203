"""``ffprobe sweep GRID.toml``: trains all runs of a grid, each with ``ffprobe run`` and its own run file."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ffprobe.cli.completion import complete_executor, complete_setting
from ffprobe.cli.console import Json, Verbose, finite, print_json, stderr, stdout
from ffprobe.cli.sweep_ranking import print_ranking

if TYPE_CHECKING:
    from ffprobe.sweep.grid import Grid
    from ffprobe.sweep.plan import PlannedRun
    from ffprobe.sweep.ranking import RankedTrial
    from ffprobe.sweep.sweep import Progress


def sweep(
    grid: Annotated[Path, typer.Argument(help="TOML file with the common options of all runs and the axes.")],
    out: Annotated[
        Path | None, typer.Option(help="Directory for the run files; `out` of the grid or the grid's name by default.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="key=value for all runs, such as epochs=5 or network.width=0.25; repeatable.",
            autocompletion=complete_setting,
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Restrict an axis: AXIS=POINT or AXIS=POINT,POINT; repeatable.")
    ] = None,
    executor: Annotated[
        str,
        typer.Option(
            help="Executor that starts the runs: local, slurm, ray, or NAME:key=value,...",
            autocompletion=complete_executor,
        ),
    ] = "local",
    jobs: Annotated[
        int, typer.Option(min=0, help="Maximum number of concurrent runs (0: one per GPU slot, or 1 without GPUs).")
    ] = 0,
    gpus: Annotated[str, typer.Option(help="CUDA devices for the runs, such as 0,1.")] = "",
    jobs_per_gpu: Annotated[int, typer.Option(min=1, help="Number of concurrent runs per GPU.")] = 1,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Import the plugins that the grid or its files name as ./file.py or module:attr."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and exit.")] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Train all runs of a grid or a search; skip finished runs and resume unfinished ones.

    The whole grid is validated before the first run starts. A failed run does not stop the others; it is reported at
    the end, with its log. After an interruption, the same command continues with the remaining runs.
    """
    from ffprobe.cli.signals import interrupted_by_signals
    from ffprobe.components.executor import ResourceLimits
    from ffprobe.config.parsing import assignments, parse_plugin
    from ffprobe.config.resolve import validate
    from ffprobe.config.settings import Choice
    from ffprobe.config.trust import code_in
    from ffprobe.errors import FileError, UsageError
    from ffprobe.plugin.registry import Registry
    from ffprobe.sweep.grid import read_grid
    from ffprobe.sweep.plan import LOGS, left_to_do, plan
    from ffprobe.sweep.run_search import example, run_search
    from ffprobe.sweep.study import Study
    from ffprobe.sweep.sweep import sweep as run_sweep

    registry = Registry()
    read = read_grid(grid, set_ or ()).only(only or ())
    directory = out or Path(read.out or grid.stem)
    limits = ResourceLimits(jobs, tuple(filter(None, gpus.split(","))), jobs_per_gpu)
    name, settings = parse_plugin(executor)
    component: Any = registry.component("executor", name)
    chosen = Choice(component, validate(component.Params, settings, f"executor {name!r}")).build()
    named = code_in(assignments(set_ or ()))
    search = read.search if read.search and read.search.method == "optuna" else None

    def planned_in(folder: Path, cells: Grid) -> list[PlannedRun]:
        return plan(cells, folder, registry, trust=trust, named=named)

    # nothing of an Optuna search is known yet, so one trial drawn at random is checked
    planned = planned_in(directory / "example" if search else directory, example(read, search) if search else read)
    if directory.exists() and not directory.is_dir():
        hint = "Choose another directory with --out."
        raise UsageError("The output directory of the sweep is a file.", where=str(directory), hint=hint)
    if dry_run:
        _print_plan(planned, json)
        return
    from ffprobe.cli.sweep_view import SweepView

    began = time.monotonic()
    try:
        (directory / LOGS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"The output directory could not be created: {error.strerror}."
        raise FileError(what, where=str(directory), hint="Choose another directory with --out.") from error
    if search:
        each = len(planned)
        study, plan_trials = Study(search, directory), partial(planned_in, directory)
        with SweepView(stderr(), [], search.trials * each) as view, interrupted_by_signals():

            def round_view(runs: Sequence[PlannedRun], ended: int) -> Callable[..., None]:
                view.begin_round(ended * each + sum(run.status == "finished" for run in runs))
                return view.update

            planned, rounds = run_search(read, search, study, plan_trials, chosen, limits, round_view)
    else:
        with SweepView(stderr(), planned) as view, interrupted_by_signals():
            rounds = [run_sweep(left_to_do(planned), chosen, limits, view.update)]
    _finish(planned, rounds, time.monotonic() - began, directory, json, read.search is not None)


def _print_plan(planned: Sequence[PlannedRun], as_json: bool) -> None:
    if as_json:
        print_json([_entry(run) for run in planned])
        return
    for run in planned:
        stdout().print(_command(run), markup=False, soft_wrap=True)
    states = ("new", "unfinished", "running", "finished")
    counts = ", ".join(f"{sum(run.status == state for run in planned)} {state}" for state in states)
    stderr().print(f"{len(planned)} runs: {counts}.", markup=False)


def _command(run: PlannedRun) -> str:
    return shlex.join(["ffprobe", *run.job.command])


def _entry(run: PlannedRun) -> dict[str, Any]:
    return {"name": run.job.name, "status": run.status, "out": str(run.job.out), "command": _command(run)}


def _finish(
    planned: Sequence[PlannedRun], rounds: Sequence[Progress], seconds: float, out: Path, as_json: bool, is_search: bool
) -> None:
    """Print the results of the sweep.

    Raises:
        FfprobeError: a run failed.
    """
    from ffprobe.errors import FfprobeError
    from ffprobe.sweep.plan import refreshed
    from ffprobe.sweep.ranking import rank_trials
    from ffprobe.sweep.sweep import reason

    now = refreshed(planned)
    failed, ranked = (
        [event for progress in rounds for event in progress.of("failed")],
        rank_trials(now) if is_search else [],
    )
    if as_json:
        entries = [_entry(run) for run in now]
        bad = [{"name": e.job.name, "why": e.why, "log": str(e.job.log), "error": reason(e.job.log)} for e in failed]
        document = {"out": str(out), "seconds": seconds, "runs": entries, "failed": bad}
        print_json(document | ({"trials": [finite(t.to_dict()) for t in ranked]} if is_search else {}))
    elif ranked:
        print_ranking(ranked)
    message = _search_counts(ranked, rounds, out) if is_search else _counts(planned, now, out)
    stderr().print(f"{message}. {seconds:.0f} s.", markup=False, soft_wrap=not stderr().is_terminal)
    if failed:
        for event in failed:
            stderr().print(f"{event.job.name} failed ({event.why}): {reason(event.job.log)}", markup=False)
            stderr().print(f"  log: {event.job.log}", markup=False, soft_wrap=True)
        raise FfprobeError(
            f"{len(failed)} of {sum(len(progress.jobs) for progress in rounds)} runs failed.",
            hint=f"Read the logs, then run {shlex.join(['ffprobe', *sys.argv[1:]])} to try them again.",
        )


def _counts(planned: Sequence[PlannedRun], now: Sequence[PlannedRun], out: Path) -> str:
    finished = sum(run.status == "finished" for run in now)
    skipped = sum(run.status == "finished" for run in planned)
    message = f"{finished} of {len(now)} runs in {out} are finished"
    message += f", {skipped} of them already before this sweep" if skipped else ""
    elsewhere = sum(run.status == "running" for run in planned)
    return message + (f"; skipped {elsewhere} that another process is writing" if elsewhere else "")


def _search_counts(ranked: Sequence[RankedTrial], rounds: Sequence[Progress], out: Path) -> str:
    given_up = sum(progress.counts()["stopped"] for progress in rounds)
    message = f"{len(ranked)} trials in {out} have a result"
    return message + (f"; {given_up} were given up early, and their files are unfinished" if given_up else "")
