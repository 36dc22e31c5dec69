"""A sweep on threads, processes and Dask against the same sweep in this process.

    .venv/bin/python -m benchmarks.executors

Takes some two minutes. Writes benchmarks/results/executors.json, which a page of the book shows.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from distributed import Client, LocalCluster

from benchmarks.harness import Task, compare, store
from reluspec_lib import groups, simulate

# Draws of about 0.3, 2 and 40 ms, so many that a sweep takes some tenths of a second.
SIZES = (
    {"d": 5, "m": 1000, "n": 20, "draws": 1000},
    {"d": 10, "m": 10_000, "n": 100, "draws": 120},
    {"d": 100, "m": 20_000, "n": 200, "draws": 16},
)


def sweep(sizes: dict[str, Any], executor: Executor | None = None) -> Task:
    """Return a sweep, the same numbers for every contestant."""
    return lambda: simulate.mae(
        **sizes,
        groups=groups.ALL,
        rng=np.random.default_rng(1),
        executor=executor,
        progress=False,
    )


@contextmanager
def dask(workers: int) -> Iterator[Executor]:
    """Give the executor of a cluster of processes on this machine."""
    with ExitStack() as stack:
        cluster = stack.enter_context(
            LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
        )
        client = stack.enter_context(Client(cluster))
        # By default Dask may hand out a result that it still has from the run before.
        yield client.get_executor(pure=False)


def processes(workers: int) -> ProcessPoolExecutor:
    """Return a pool of fresh processes, the only kind that every system has."""
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


EXECUTORS: dict[str, Callable[[int], Any]] = {
    "threads": ThreadPoolExecutor,
    "processes": processes,
    "Dask": dask,
}


def main() -> None:
    """Measure every executor with every number of workers and store the results."""
    rows = []
    for name, make in EXECUTORS.items():
        for workers in range(1, multiprocessing.cpu_count() + 1):
            start = time.perf_counter()
            with make(workers) as executor:
                # The first tasks wait for the workers to import the library.
                simulate.mae(2, 1, 1, [groups.NORM], workers, 1, executor=executor, progress=False)
                begin = time.perf_counter() - start
                for sizes in SIZES:
                    figures = compare(sweep(sizes, executor), sweep(sizes), 5)
                    row = {"case": "sweep", "executor": name, "workers": workers, **sizes}
                    rows.append(row | figures | {"start": begin})
                    print(rows[-1], flush=True)
    store("executors", rows)


if __name__ == "__main__":
    main()
