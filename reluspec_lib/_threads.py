"""Threads for the tiled products: numpy releases the lock inside each tile."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from reluspec_lib._validation import check_count

__all__ = ["check_workers", "run"]

Result = TypeVar("Result")

_CONTROLLER: list[Any] = []


def check_workers(workers: int | None, pieces: int) -> int:
    """Return the number of threads for work in so many pieces; None asks for all processors."""
    if workers is None:
        available = getattr(os, "sched_getaffinity", None)
        workers = len(available(0)) if available else os.cpu_count() or 1
    return min(check_count("workers", workers), pieces)


def run(task: Callable[[int], Result], workers: int) -> list[Result]:
    """Return task(0), ..., task(workers - 1), each in a thread of its own."""
    if workers == 1:
        return [task(0)]
    with _single_threaded_blas(), ThreadPoolExecutor(workers) as pool:
        return list(pool.map(task, range(workers)))


@contextmanager
def _single_threaded_blas() -> Iterator[None]:
    """Keep BLAS from starting threads of its own beside ours, where threadpoolctl is installed."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        yield
        return
    # Looking the libraries up takes a millisecond, so it is done once.
    if not _CONTROLLER:
        _CONTROLLER.append(ThreadpoolController())
    with _CONTROLLER[0].limit(limits=1, user_api="blas"):
        yield
