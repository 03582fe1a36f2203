"""Independent CPU jobs side by side in threads, each held to one thread of linear algebra."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ffprobe.analysis.runs.progress import report_progress

Outcome = TypeVar("Outcome")


def run_in_threads(jobs: Sequence[Callable[[], Outcome]], doing: str = "") -> list[Outcome]:
    """Run jobs in as many threads as torch uses, and return their results in order.

    While the jobs run, the BLAS and OpenMP libraries of the process are held to one thread. A matrix product with a few
    classes on one side is too thin to keep several cores busy, and with more threads it may even become slower; many
    fits side by side keep all cores busy. Results therefore do not depend on the number of threads.

    Args:
        jobs: functions without arguments; for a speed-up they must release the interpreter lock, as numpy's products
            do.
        doing: what a job does, for the progress: ``linear classifier`` is shown as ``linear classifier 3 of 12``.
    """
    import torch
    from threadpoolctl import threadpool_limits

    workers = max(1, min(torch.get_num_threads(), len(jobs)))
    outcomes = []
    with threadpool_limits(1), ThreadPoolExecutor(workers) as pool:
        for outcome in pool.map(lambda job: job(), jobs):
            outcomes.append(outcome)
            if doing:
                report_progress(f"{doing} {len(outcomes)} of {len(jobs)}")
    return outcomes
