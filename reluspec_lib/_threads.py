"""Threads for the tiled products: numpy releases Python's lock inside each tile."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from threading import Event, Lock, local
from typing import Any, TypeVar

from threadpoolctl import OpenBLASController, ThreadpoolController

from reluspec_lib._validation import check_count

__all__ = ["check_stop", "check_workers", "run", "single"]

Result = TypeVar("Result")

# The event that a thread of `run` has to heed.
_current = local()


class _Stopped(Exception):
    """What ends the threads that have not failed, after another one or the caller has."""


def check_workers(workers: int | None, pieces: int) -> int:
    """Return the number of threads for work in so many pieces; None asks for all processors."""
    if workers is None:
        available = getattr(os, "sched_getaffinity", None)
        workers = len(available(0)) if available else os.cpu_count() or 1
    return min(check_count("workers", workers), pieces)


def check_stop() -> None:
    """End this thread if its work is no longer wanted; to be called once in each tile."""
    stop: Event | None = getattr(_current, "stop", None)
    if stop is not None and stop.is_set():
        raise _Stopped


def run(task: Callable[[int], Result], workers: int) -> list[Result]:
    """Return task(0), ..., task(workers - 1), each in a thread of its own.

    If one fails, or the caller is interrupted, the others end with the tile that they are at.
    """
    with _one_blas_thread:
        if workers == 1:
            return [task(0)]
        stop = Event()

        def start(worker: int) -> Result:
            _current.stop = stop
            with _one_blas_thread:
                return task(worker)

        with ThreadPoolExecutor(workers) as pool:
            try:
                futures = [pool.submit(start, worker) for worker in range(workers)]
                _wait(futures)
            finally:
                # Whatever ended the wait: where all went well nothing is left to stop.
                stop.set()
        failures = [error for future in futures if (error := future.exception()) is not None]
        # Those that were stopped have nothing to tell.
        for failure in sorted(failures, key=lambda error: isinstance(error, _Stopped)):
            raise failure
        return [future.result() for future in futures]


def _wait(futures: list[Future[Result]]) -> None:
    """Wait until all are done or one has failed."""
    while True:
        # A signal just before a wait without an end would be heeded after the work.
        done, others = wait(futures, timeout=1, return_when=FIRST_EXCEPTION)
        if not others or any(future.exception() for future in done):
            return


def single(wanted: bool = True) -> AbstractContextManager[None]:
    """Return a context in which BLAS starts no threads, or one that changes nothing.

    For loops of small products: each would wait for threads that have nothing to do, the longer the
    busier the machine is.
    """
    return _one_blas_thread if wanted else nullcontext()


class _OneBlasThread:
    """Keeps BLAS from starting threads of its own, so that threads count once.

    As a rule the limit belongs to the process. Callers overlap, so the first one in sets it and the
    last one out restores what was there. Where BLAS is built with OpenMP it belongs to a thread,
    and each one sets and restores its own.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._callers = 0
        self._limit: Any = None
        self._controller: Any = None
        self._of_threads = False

    def __enter__(self) -> None:
        with self._lock:
            # Looking the libraries up takes a millisecond, so it is done once.
            if self._controller is None:
                self._controller = ThreadpoolController()
                layers = {library.get("threading_layer") for library in self._controller.info()}
                self._of_threads = "openmp" in layers
            if self._of_threads:
                limits = _current.__dict__.setdefault("limits", [])
                limits.append(self._controller.limit(limits=1, user_api="blas"))
                return
            self._callers += 1
            if self._callers == 1:
                _free_control()
                self._limit = self._controller.limit(limits=1, user_api="blas")

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            if self._of_threads:
                _current.limits.pop().restore_original_limits()
                return
            self._callers -= 1
            if not self._callers:
                _free_control()
                self._limit.restore_original_limits()
                _free_control()


def _free_control() -> None:
    """Let any thread set the limits: new threadpoolctl obeys only the first one that did."""
    clear = getattr(OpenBLASController, "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)


_one_blas_thread = _OneBlasThread()
