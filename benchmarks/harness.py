"""Comparisons that hold on a noisy machine: alternated runs, ratios pair by pair, peak memory.

Two commands are timed in turn, A B A B ..., and the figure quoted is the median of the ratios A/B
of neighbours, so that a drift of the machine's speed cancels. Memory is measured in a process of
its own for each contestant, as the rise of its high-water mark.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import platform
import statistics
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"

Task = Callable[[], Any]


def seconds(task: Task) -> float:
    """Return the wall time of one run."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def compare(task: Task, other: Task, pairs: int = 5, warm_up: bool = True) -> dict[str, float]:
    """Time two tasks in turn and return medians of both times and of the ratio first/second."""
    if warm_up:
        seconds(task)
    times = [(seconds(task), seconds(other)) for _ in range(pairs)]
    ratios = sorted(first / second for first, second in times)
    return {
        "seconds": statistics.median(first for first, _ in times),
        "other_seconds": statistics.median(second for _, second in times),
        "ratio": statistics.median(ratios),
        "ratio_min": ratios[0],
        "ratio_max": ratios[-1],
        "pairs": pairs,
    }


def _high_water() -> float:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def _measure(pipe: Any, prepare: Callable[[], Task]) -> None:
    task = prepare()
    # Memory that the parent freed but kept must not serve the task for nothing.
    ctypes.CDLL(None).malloc_trim(0)
    # Writing 5 there makes the high-water mark start again from what is in use now.
    Path("/proc/self/clear_refs").write_text("5")
    before, start = _high_water(), time.perf_counter()
    result = task()
    pipe.send((result, time.perf_counter() - start, _high_water() - before))


def apart(prepare: Callable[[], Task]) -> tuple[Any, float, float]:
    """Return a task's result, its seconds and its MiB beyond the inputs, from a fresh process."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=_measure, args=(there, prepare))
    process.start()
    there.close()
    found: tuple[Any, float, float] = here.recv()
    process.join()
    return found


def extra_memory(prepare: Callable[[], Task]) -> float:
    """Return the MiB that a task needs beyond its inputs, in a fresh process (Linux only)."""

    def without_result() -> Task:
        task = prepare()

        def run() -> None:
            task()

        return run

    return apart(without_result)[2]


def machine() -> dict[str, Any]:
    """Return what the results depend on: processor, Python and library versions."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    packages = ("numpy", "scipy", "scikit-learn", "torch", "jax", "numba")
    versions = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "processor": model,
        "cores": multiprocessing.cpu_count(),
        "python": platform.python_version(),
        "versions": versions,
    }


def store(name: str, rows: list[dict[str, Any]], kept: bool = False) -> None:
    """Write results with the machine they come from, rounded to the digits that mean something.

    With ``kept`` the stored rows of other cases stay; they must be from the same processor.
    """

    def rounded(value: Any) -> Any:
        return float(f"{value:.3g}") if isinstance(value, float) else value

    RESULTS.mkdir(exist_ok=True)
    path, here = RESULTS / f"{name}.json", machine()
    rows = [{key: rounded(value) for key, value in row.items()} for row in rows]
    if kept:
        stored, measured = json.loads(path.read_text()), {row["case"] for row in rows}
        if stored["machine"]["processor"] != here["processor"]:
            raise ValueError(
                f"rows of {stored['machine']['processor']} cannot be kept: measure all"
            )
        rows = [row for row in stored["rows"] if row["case"] not in measured] + rows
    path.write_text(json.dumps({"machine": here, "rows": rows}, indent=1) + "\n")
