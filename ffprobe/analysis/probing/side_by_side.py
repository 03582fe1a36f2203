"""Work that is done at once by several threads, each with its share of the cores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Outcome = TypeVar("Outcome")


def side_by_side(jobs: Sequence[Callable[[], Outcome]]) -> list[Outcome]:
    """The outcome of every job, in order; as many at once as torch uses threads.

    For numpy's linear algebra on matrices too small for one product to keep several cores busy: while jobs run side by
    side, each product keeps to its share of the threads.
    """
    import torch
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    workers = min(threads, len(jobs))
    if workers < 2:
        return [job() for job in jobs]
    with threadpool_limits(max(1, threads // workers), "blas"), ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda job: job(), jobs))
