"""Threads for the tiled products: results in order, failures, interruptions, BLAS on one thread."""

import os
import threading
import time
from concurrent.futures import wait

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from reluspec_lib import _threads


def blas():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_the_order_of_the_workers(workers):
    def task(worker):
        time.sleep(0.002 * (workers - worker))
        return worker, threading.get_ident()

    found = _threads.run(task, workers)
    assert [worker for worker, _ in found] == list(range(workers))
    assert (found[0][1] == threading.get_ident()) == (workers == 1)


def test_all_workers_run_at_once_however_many_they_are():
    workers = (os.cpu_count() or 1) + 8
    together = threading.Barrier(workers)
    _threads.run(lambda worker: together.wait(60), workers)


def test_older_versions_of_threadpoolctl_will_do(monkeypatch):
    _threads._free_control()
    monkeypatch.setattr(_threads, "OpenBLASController", object)
    with threadpool_limits(2, user_api="blas"):
        before = blas()
        assert _threads.run(lambda worker: blas(), 1) == [[1] * len(before)]
        assert blas() == before


def test_the_limit_is_set_by_the_first_caller_and_restored_by_the_last():
    one = _threads._OneBlasThread()
    with threadpool_limits(2, user_api="blas"):
        before = blas()
        with one:
            with one:
                assert blas() == [1] * len(before)
            assert blas() == [1] * len(before)
        assert blas() == before


def test_a_context_of_one_thread_for_loops_that_want_it():
    with threadpool_limits(2, user_api="blas"):
        before = blas()
        with _threads.single():
            assert blas() == [1] * len(before)
        for wanted, limits in ((True, [1] * len(before)), (False, before)):
            with _threads.single(wanted):
                assert blas() == limits
            assert blas() == before


class Failed(Exception):
    pass


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_failure_stops_the_others_and_is_what_the_caller_sees(failing):
    stopped = []

    def task(worker):
        if worker == failing:
            raise Failed(worker)
        try:
            for _ in range(5000):
                time.sleep(0.001)
                _threads.check_stop()
        except BaseException:
            stopped.append(worker)
            raise

    with pytest.raises(Failed, match=str(failing)):
        _threads.run(task, 3)
    assert sorted(stopped) == sorted({0, 1, 2} - {failing})
    # The next run is not stopped by what happened to this one, nor is the caller's thread.
    assert _threads.run(lambda worker: _threads.check_stop(), 2) == [None, None]
    _threads.check_stop()


def test_an_interruption_of_the_caller_stops_the_threads(monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    ended = []

    def task(worker):
        try:
            for _ in range(5000):
                time.sleep(0.001)
                _threads.check_stop()
        except _threads._Stopped:
            ended.append(worker)
            raise

    with monkeypatch.context() as patch:
        patch.setattr(_threads, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            _threads.run(task, 2)
    assert sorted(ended) == [0, 1]


def test_the_caller_wakes_up_while_it_waits_to_heed_signals(monkeypatch):
    calls, leave = [], threading.Event()

    def shorter(futures, timeout, return_when):
        calls.append(timeout)
        if len(calls) == 3:
            leave.set()
        return wait(futures, timeout=0.01, return_when=return_when)

    def task(worker):
        # The first one is done long before the others.
        assert not worker or leave.wait(60)
        if worker == 2:
            raise KeyError(worker)
        return worker

    monkeypatch.setattr(_threads, "wait", shorter)
    assert _threads.run(task, 2) == [0, 1]
    assert len(calls) >= 3
    assert set(calls) == {1}
    with pytest.raises(KeyError):
        _threads.run(task, 3)


@pytest.mark.parametrize("workers", [1, 3])
def test_blas_has_one_thread_inside_and_what_it_had_outside(workers):
    with threadpool_limits(2, user_api="blas"):
        before = blas()
        assert before
        for limits in _threads.run(lambda worker: blas(), workers):
            assert limits == [1] * len(before)
        assert blas() == before
        with pytest.raises(Failed):
            _threads.run(lambda worker: exec("raise Failed", {"Failed": Failed}), workers)
        assert blas() == before


def test_overlapping_callers_restore_once_all_are_done():
    with threadpool_limits(2, user_api="blas"):
        before, inside, leave = blas(), threading.Event(), threading.Event()

        def first(worker):
            inside.set()
            assert leave.wait(60)

        thread = threading.Thread(target=_threads.run, args=(first, 1))
        thread.start()
        assert inside.wait(60)
        _threads.run(lambda worker: None, 1)
        assert blas() == [1] * len(before)
        leave.set()
        thread.join(60)
        assert blas() == before


def test_a_limit_set_in_another_thread_counts_too():
    found = []
    with threadpool_limits(2, user_api="blas"):
        before = blas()

        def caller():
            found.append(_threads.run(lambda worker: blas(), 2))

        thread = threading.Thread(target=caller)
        thread.start()
        thread.join(60)
        assert found == [2 * [[1] * len(before)]]
        assert blas() == before
    with threadpool_limits(1, user_api="blas"):
        assert blas() == [1] * len(before)


class OfThreads:
    """A controller that limits BLAS and nothing else, each thread for itself."""

    layer = "openmp"

    def __init__(self):
        self.here = threading.local()

    def info(self):
        return [{"threading_layer": self.layer}, {"user_api": "openmp"}]

    def count(self):
        return getattr(self.here, "count", 8)

    def limit(self, limits, user_api=None):
        assert user_api == "blas"
        limiter = type("Limiter", (), {})()
        before = self.count()
        limiter.restore_original_limits = lambda: setattr(self.here, "count", before)
        self.here.count = limits
        return limiter


def test_libraries_other_than_blas_keep_their_threads(monkeypatch):
    controller, one = OfThreads(), _threads._OneBlasThread()
    controller.layer = "pthreads"
    monkeypatch.setattr(_threads, "ThreadpoolController", lambda: controller)
    with one:  # limits that do not say that they are for BLAS are refused
        assert controller.count() == 1
    assert controller.count() == 8


def test_limits_of_threads_are_set_and_restored_by_each(monkeypatch):
    controller, one = OfThreads(), _threads._OneBlasThread()
    monkeypatch.setattr(_threads, "_one_blas_thread", one)
    monkeypatch.setattr(_threads, "ThreadpoolController", lambda: controller)
    assert _threads.run(lambda worker: controller.count(), 3) == [1, 1, 1]
    assert controller.count() == 8
    nested = _threads.run(lambda worker: _threads.run(lambda inner: controller.count(), 1), 1)
    assert nested == [[1]]
    assert controller.count() == 8


def test_the_number_of_workers_is_that_of_processors_and_of_pieces(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
    assert _threads.check_workers(None, 100) == 3
    assert _threads.check_workers(None, 2) == 2
    assert _threads.check_workers(7, 100) == 7
    assert _threads.check_workers(7, 4) == 4
    assert _threads.check_workers(1, 1) == 1
    # A system that does not say which processors are ours.
    monkeypatch.delattr(os, "sched_getaffinity")
    for count, expected in ((4, 4), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda count=count: count)
        assert _threads.check_workers(None, 100) == expected


@pytest.mark.parametrize("value", [0, -1, 1.5, "2", True])
def test_wrong_numbers_of_workers_are_refused(value):
    with pytest.raises(ValueError, match=r"^workers must be an integer >= 1, got "):
        _threads.check_workers(value, 4)
