"""The simulation of a network against naive numpy, torch and the bare matrix product, in one run.

    .venv/bin/python -m benchmarks.forward

Takes about ten minutes and 7 GB. Every comparison is measured three times, in rounds over
all of them. Writes benchmarks/results/forward.json, which a page of the book shows. torch takes
part where it is installed.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.harness import Task, compare, extra_memory, store
from reluspec_lib import StreamedWeights, forward, forward_antithetic, groups

with contextlib.suppress(ImportError):
    import torch

ROUNDS = 3
TILE = 512  # larger ones make the bare product no faster


def data(d: int, m: int, n: int, K: int, dtype: type = np.float64) -> tuple[Any, Any, Any]:
    """Return inputs, hidden weights and readout weights, the same for every contestant."""
    rng = np.random.default_rng(d + m + n + K)
    return tuple(rng.standard_normal(shape, dtype) for shape in ((n, d), (d, m), (m, K)))


def bare(x: Any, W: Any) -> Task:
    """Return the product x W alone, tile by tile into a buffer that stays in the cache."""
    tile = np.empty((TILE, TILE), x.dtype)

    def task() -> None:
        for top in range(0, len(x), TILE):
            rows = x[top : top + TILE]
            for left in range(0, W.shape[1], TILE):
                columns = W[:, left : left + TILE]
                np.matmul(rows, columns, out=tile[: len(rows), : columns.shape[1]])

    return task


def both_bare(x: Any, W: Any, V: Any) -> Task:
    """Return both products alone, without anything in between."""
    tile, product = np.empty((TILE, TILE), x.dtype), np.empty((TILE, V.shape[1]), x.dtype)

    def task() -> None:
        for top in range(0, len(x), TILE):
            rows = x[top : top + TILE]
            for left in range(0, W.shape[1], TILE):
                columns = W[:, left : left + TILE]
                hidden = tile[: len(rows), : columns.shape[1]]
                np.matmul(rows, columns, out=hidden)
                np.matmul(hidden, V[left : left + TILE], out=product[: len(rows)])

    return task


def naive(x: Any, W: Any, V: Any) -> Task:
    """Return what one writes first; it holds the whole matrix of features, twice."""
    return lambda: np.maximum(x @ W, 0) @ V


def torch_naive(x: Any, W: Any, V: Any) -> Task:
    """Return the same in torch, in place."""
    a, b, c = (torch.from_numpy(array) for array in (x, W, V))
    return lambda: (a @ b).relu_() @ c


def torch_blocks(x: Any, W: Any, V: Any) -> Task:
    """Return torch over blocks of hidden units, as a user would cut them to save memory."""
    a, b, c = (torch.from_numpy(array) for array in (x, W, V))

    def task() -> Any:
        f = a.new_zeros(len(a), c.shape[1])
        for left in range(0, b.shape[1], 4 * TILE):
            hidden = a @ b[:, left : left + 4 * TILE]
            f += hidden.relu_() @ c[left : left + 4 * TILE]
        return f

    return task


def cases() -> list[tuple[dict[str, Any], Task, Task]]:
    """Return the comparisons: what they are, our side and the other."""
    found: list[tuple[dict[str, Any], Task, Task]] = []

    def add(case: str, against: str, ours: Task, other: Task, **sizes: Any) -> None:
        found.append(({"case": case, "against": against, **sizes}, ours, other))

    sizes = [
        (100, 10_000, 8000, 4, np.float64),
        (100, 100_000, 4000, 4, np.float64),
        (100, 100_000, 4000, 4, np.float32),
        (10, 10_000, 20_000, 4, np.float64),
        (10, 100_000, 4000, 4, np.float64),
        (10, 100_000, 4000, 4, np.float32),
        (10, 10_000, 20_000, 65, np.float64),
    ]
    for d, m, n, K, dtype in sizes:
        x, W, V = data(d, m, n, K, dtype)
        facts = {"d": d, "m": m, "n": n, "K": K, "dtype": dtype.__name__}

        def ours(x: Any = x, W: Any = W, V: Any = V) -> Any:
            return forward(x, W, V, workers=1)

        if K > 10:
            add("product", "both products", ours, both_bare(x, W, V), **facts)
        else:
            add("product", "x W", ours, bare(x, W), **facts)
        add("product", "naive numpy", ours, naive(x, W, V), **facts)
        if "torch" in globals():
            add("product", "torch", ours, torch_naive(x, W, V), **facts)
            add("product", "torch, in blocks", ours, torch_blocks(x, W, V), **facts)
    for d in (10, 100):
        x, W, V = data(d, 20_000, 8192, 4)
        facts = {"d": d, "m": 20_000, "n": 8192, "K": 4, "dtype": "float64"}

        def one(x: Any = x, W: Any = W, V: Any = V) -> Any:
            return forward(x, W, V, workers=1)

        def two(x: Any = x, W: Any = W, V: Any = V) -> Any:
            return forward(x, W, V, workers=2)

        def half(x: Any = x[:4096], W: Any = W, V: Any = V) -> Any:
            return forward_antithetic(x, W, V, workers=1)

        add("two workers", "one worker", two, one, **facts)
        add("antithetic", "as many inputs", half, one, **facts)
    return found


def compared() -> list[dict[str, Any]]:
    """Measure each comparison in each round."""
    todo = cases()
    figures: list[list[dict[str, float]]] = [[] for _ in todo]
    for round_ in range(ROUNDS):
        for k, (what, ours, other) in enumerate(todo):
            slow = what["against"] in ("naive numpy", "torch") and what["n"] * what["m"] > 3e8
            figures[k].append(compare(ours, other, 2 if slow else 5))
            print(round_, what, figures[k][-1]["ratio"], flush=True)
    rows = []
    for (what, ours, other), measured in zip(todo, figures, strict=True):
        row = {name: statistics.median(one[name] for one in measured) for name in measured[0]}
        row["ratios"] = [float(f"{one['ratio']:.3g}") for one in measured]
        row["memory"] = extra_memory(lambda ours=ours: ours)
        # torch cannot be used again in a process that was forked from one that used it.
        if not what["against"].startswith("torch"):
            row["other_memory"] = extra_memory(lambda other=other: other)
        rows.append(what | row)
    return rows


def growth() -> list[dict[str, Any]]:
    """Time the network as one size grows and the others stay."""
    rows = []
    start = {"d": 10, "m": 10_000, "n": 2000, "K": 4}
    for name, values in {
        "m": (1000, 3000, 10_000, 30_000, 100_000, 300_000),
        "n": (200, 600, 2000, 6000, 20_000, 60_000),
        "d": (3, 10, 30, 100, 300),
        "K": (1, 4, 16, 64, 256),
    }.items():
        for value in values:
            sizes = start | {name: value}
            x, W, V = data(**sizes)

            def task(x: Any = x, W: Any = W, V: Any = V) -> Any:
                return forward(x, W, V, workers=1)

            figures = compare(task, bare(x, W), 5)
            memory = extra_memory(lambda task=task: task)
            rows.append({"case": "growth", "against": "x W", "of": name, **sizes, **figures})
            rows[-1]["memory"] = memory
            print(rows[-1], flush=True)
    return rows


def widest() -> dict[str, Any]:
    """Time a network of ten million units, whose weights are generated on the way."""
    d, m, n = 10, 10_000_000, 1000
    rng = np.random.default_rng(1)
    W, x = StreamedWeights(d, m, rng), rng.standard_normal((n, d))

    def readout(weights: Any) -> Any:
        return np.hstack([group.eigenvectors(weights, [0]) for group in groups.ALL])

    def task() -> Any:
        return forward(x, W, readout)

    start = time.perf_counter()
    f = task()
    seconds = time.perf_counter() - start
    F = np.hstack([group.limit(x, [0]) for group in groups.ALL])
    error = float(np.abs(f - F).mean())
    figures = {"seconds": seconds, "error": error, "memory": extra_memory(lambda: task)}
    return {"case": "widest", "against": "", "d": d, "m": m, "n": n, "K": 4, **figures}


if __name__ == "__main__":
    # One thread for everyone but the rows that say otherwise.
    with threadpool_limits(1, user_api="blas"):
        if "torch" in globals():
            torch.set_num_threads(1)
        ROWS = growth()
        ROWS += compared()
    ROWS.append(widest())
    print(ROWS[-1])
    store("forward", ROWS)
