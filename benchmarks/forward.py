"""The simulation of a network against the bare matrix product and other libraries, in one run.

    python -m benchmarks.forward

Takes about six minutes and 4 GB on two cores. Every comparison is measured three times, in rounds
over all of them, and the products once more with the BLAS of an older processor. Writes
benchmarks/results/forward.json, which a page of the book shows. jax, numba and torch take part
where they are installed (benchmarks/requirements.txt); the run says who is missing. Each has its
entry as its users would write it and one as fast as we could make it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from benchmarks.harness import Task, compare, extra_memory, seconds, store
from reluspec_lib import StreamedWeights, forward, forward_antithetic, groups

OTHERS = ("torch", "jax", "numba")
PRESENT = {name for name in OTHERS if importlib.util.find_spec(name) is not None}

ROUNDS = 3
TILES = ((512, 512), (480, 256), (240, 256), (240, 128))
# numba without BLAS would take minutes for all inputs.
FEW = 64


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Keep this process, and the threads that libraries start meanwhile, on one core."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        os.sched_setaffinity(0, allowed)


def fastest(tasks: list[Task]) -> Task:
    """Return the task that takes the least time, each tried twice after a warm-up."""
    for task in tasks:
        task()
    return min(tasks, key=lambda task: min(seconds(task) for _ in range(2)))


def data(d: int, m: int, n: int, K: int, dtype: type = np.float64) -> tuple[Any, Any, Any]:
    """Return inputs, hidden weights and readout weights, the same for every contestant."""
    rng = np.random.default_rng(d + m + n + K)
    return tuple(rng.standard_normal(shape, dtype) for shape in ((n, d), (d, m), (m, K)))


def bare(x: Any, W: Any, V: Any | None = None, shape: tuple[int, int] = TILES[0]) -> Task:
    """Return the product x W alone, or that with V as well, tile by tile into a buffer."""
    height, width = shape
    tile = np.empty(shape, x.dtype)
    outputs = np.empty((height, 0 if V is None else V.shape[1]), x.dtype)

    def task() -> None:
        for top in range(0, len(x), height):
            rows = x[top : top + height]
            for left in range(0, W.shape[1], width):
                columns = W[:, left : left + width]
                hidden = tile[: len(rows), : columns.shape[1]]
                np.matmul(rows, columns, out=hidden)
                if V is not None:
                    np.matmul(hidden, V[left : left + width], out=outputs[: len(rows)])

    return task


def best_bare(x: Any, W: Any, V: Any | None = None) -> Task:
    """Return the bare product in its best tile."""
    return fastest([bare(x, W, V, shape) for shape in TILES])


def naive(x: Any, W: Any, V: Any) -> Task:
    """Return what one writes first; it holds the whole matrix of features, twice."""
    return lambda: np.maximum(x @ W, 0) @ V


def torch_entries(x: Any, W: Any, V: Any) -> dict[str, Task]:
    """Return torch in one expression, in place, and over blocks of hidden units."""
    import torch

    torch.set_num_threads(1)
    a, b, c = (torch.from_numpy(array) for array in (x, W, V))

    def blocks() -> Any:
        f = a.new_zeros(len(a), c.shape[1])
        for left in range(0, b.shape[1], 2048):
            hidden = a @ b[:, left : left + 2048]
            f += hidden.relu_() @ c[left : left + 2048]
        return f

    return {"torch": lambda: (a @ b).relu_() @ c, "torch, in blocks": blocks}


def jax_entries(x: Any, W: Any, V: Any) -> dict[str, Task]:
    """Return jax in one expression, compiled, and in a scan over tiles of the best size."""
    import jax
    from jax import lax
    from jax import numpy as jnp

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")
    a, b, c = (jnp.asarray(array) for array in (x, W, V))
    plain = jax.jit(lambda a, b, c: jnp.maximum(a @ b, 0) @ c)

    def scan(height: int, width: int) -> Task:
        hidden = b.reshape(len(W), -1, width).transpose(1, 0, 2)
        readout = c.reshape(-1, width, V.shape[1])

        def rows(part: Any) -> Any:
            def step(f: Any, block: Any) -> tuple[Any, None]:
                return f + jnp.maximum(part @ block[0], 0) @ block[1], None

            start = jnp.zeros((len(part), V.shape[1]), x.dtype)
            return lax.scan(step, start, (hidden, readout))[0]

        run = jax.jit(lambda a: lax.map(rows, a.reshape(-1, height, len(W))))
        return lambda: run(a).block_until_ready()

    # Sizes that divide those of all cases.
    tiles = [(120, 500), (240, 250), (240, 500)]
    return {
        "jax": lambda: plain(a, b, c).block_until_ready(),
        "jax, lax.scan": fastest([scan(*tile) for tile in tiles]),
    }


@functools.cache
def compiled() -> tuple[Any, Any]:
    """Return numba's loops over everything, and those that clip and read a tile."""
    import numba

    @numba.njit(fastmath=True)
    def loops(x: Any, W: Any, V: Any) -> Any:
        f = np.zeros((len(x), V.shape[1]), x.dtype)
        for i in range(len(x)):
            for j in range(W.shape[1]):
                t = x.dtype.type(0)
                for k in range(len(W)):
                    t += x[i, k] * W[k, j]
                if t > 0:
                    for k in range(V.shape[1]):
                        f[i, k] += t * V[j, k]
        return f

    @numba.njit(fastmath=True)
    def read(hidden: Any, V: Any, f: Any) -> None:
        # One readout vector per row: the inner loop is one of vector instructions.
        zero = hidden.dtype.type(0)
        for i in range(hidden.shape[0]):
            for k in range(V.shape[0]):
                total = zero
                for j in range(hidden.shape[1]):
                    total += max(hidden[i, j], zero) * V[k, j]
                f[i, k] += total

    return loops, read


def numba_entries(x: Any, W: Any, V: Any) -> dict[str, Task]:
    """Return numba in one loop over everything, and around the product of BLAS, tile by tile."""
    loops, read = compiled()
    columns = np.ascontiguousarray(V.T)

    def tiled(height: int, width: int) -> Task:
        tile = np.empty((height, width), x.dtype)

        def task() -> Any:
            f = np.zeros((len(x), V.shape[1]), x.dtype)
            for top in range(0, len(x), height):
                rows = slice(top, min(top + height, len(x)))
                for left in range(0, W.shape[1], width):
                    part = slice(left, min(left + width, W.shape[1]))
                    hidden = tile[: rows.stop - top, : part.stop - left]
                    np.matmul(x[rows], W[:, part], out=hidden)
                    read(hidden, np.ascontiguousarray(columns[:, part]), f[rows])
            return f

        return task

    few = x[:FEW]
    return {
        "numba": lambda: loops(few, W, V),
        "numba, around BLAS": fastest([tiled(*tile) for tile in TILES]),
    }


ENTRIES = {"torch": torch_entries, "jax": jax_entries, "numba": numba_entries}
SIZES = (
    (100, 10_000, 1920, 4, np.float64),
    (100, 100_000, 240, 4, np.float64),
    (100, 100_000, 240, 4, np.float32),
    (10, 10_000, 4800, 4, np.float64),
    (10, 100_000, 960, 4, np.float64),
    (10, 100_000, 960, 4, np.float32),
    (10, 10_000, 4800, 65, np.float64),
)

# What a comparison is, our side and the other.
Comparison = tuple[dict[str, Any], Task, Task]


def products(case: str, wanted: tuple[str, ...]) -> list[Comparison]:
    """Return the comparisons of the network with the bare product and those wanted."""
    found: list[Comparison] = []
    for d, m, n, K, dtype in SIZES:
        x, W, V = data(d, m, n, K, dtype)
        facts = {"case": case, "d": d, "m": m, "n": n, "K": K, "dtype": dtype.__name__}

        def ours(x: Any = x, W: Any = W, V: Any = V) -> Any:
            return forward(x, W, V, workers=1)

        def ours_few(x: Any = x[:FEW], W: Any = W, V: Any = V) -> Any:
            return forward(x, W, V, workers=1)

        others = {"both products": best_bare(x, W, V)} if K > 10 else {"x W": best_bare(x, W)}
        if "numpy" in wanted:
            others["naive numpy"] = naive(x, W, V)
        for name in wanted:
            if name in PRESENT:
                others |= ENTRIES[name](x, W, V)
        expected = ours()
        for against, task in others.items():
            what, mine = facts | {"against": against}, ours
            if against == "numba":
                what, mine = what | {"inputs": FEW}, ours_few
            if against not in ("x W", "both products"):
                result = np.asarray(task()).reshape(-1, K)
                scale = np.abs(expected).max() * (1e-3 if dtype is np.float32 else 1e-9)
                np.testing.assert_allclose(result, expected[: len(result)], rtol=0, atol=scale)
            found.append((what, mine, task))
    return found


def shared() -> list[Comparison]:
    """Return the comparisons of the network with itself."""
    found: list[Comparison] = []

    for d in (10, 100):
        x, W, V = data(d, 20_000, 3840, 4)
        facts = {"d": d, "m": 20_000, "n": 3840, "K": 4, "dtype": "float64"}

        def one(x: Any = x, W: Any = W, V: Any = V) -> Any:
            return forward(x, W, V, workers=1)

        def two(x: Any = x, W: Any = W, V: Any = V) -> Any:
            return forward(x, W, V, workers=2)

        def half(x: Any = x[:1920], W: Any = W, V: Any = V) -> Any:
            return forward_antithetic(x, W, V, workers=1)

        found.append(({"case": "two workers", "against": "one worker", **facts}, two, one))
        found.append(({"case": "antithetic", "against": "as many inputs", **facts}, half, one))
    return found


def compared(todo: list[Comparison], rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Measure each comparison in each round."""
    figures: list[list[dict[str, float]]] = [[] for _ in todo]
    for round_ in range(rounds):
        for k, (what, ours, other) in enumerate(todo):
            slow = what["against"] in ("naive numpy", "torch", "jax", "numba")
            figures[k].append(compare(ours, other, 2 if slow else 3))
            print(round_, what, figures[k][-1]["ratio"], file=sys.stderr, flush=True)
    rows = []
    for (what, ours, other), measured in zip(todo, figures, strict=True):
        row = {name: statistics.median(one[name] for one in measured) for name in measured[0]}
        row["ratios"] = [float(f"{one['ratio']:.3g}") for one in measured]
        # Libraries with threads cannot be used in a process that was forked from one that did.
        if not what["against"].startswith(OTHERS):
            row["memory"] = extra_memory(lambda ours=ours: ours)
            row["other_memory"] = extra_memory(lambda other=other: other)
        rows.append(what | row)
    return rows


def architecture() -> str:
    """Return the processor that numpy's BLAS has chosen its routines for."""
    return str(next(iter(threadpool_info()), {}).get("architecture", ""))


def in_other_arithmetic() -> list[dict[str, Any]]:
    """Compare the products in a process whose BLAS has the routines of an older processor."""
    other = "Sandybridge" if architecture() == "Haswell" else "Haswell"
    found = subprocess.run(
        [sys.executable, "-m", "benchmarks.forward", "--products"],
        env=os.environ | {"OPENBLAS_CORETYPE": other},
        stdout=subprocess.PIPE,
        check=True,
    )
    rows: list[dict[str, Any]] = json.loads(found.stdout)
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

            figures = compare(task, best_bare(x, W), 5)
            memory = extra_memory(lambda task=task: task)
            rows.append({"case": "growth", "against": "x W", "of": name, **sizes, **figures})
            rows[-1]["memory"] = memory
            print(rows[-1], file=sys.stderr, flush=True)
    return rows + exponents(rows)


def exponents(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Fit the time to a power of each size, over the three largest ones."""
    found = []
    for name in "mndK":
        last = [row for row in rows if row["of"] == name][-3:]
        sizes, times = ([row[key] for row in last] for key in (name, "seconds"))
        power = float(np.polyfit(np.log(sizes), np.log(times), 1)[0])
        found.append({"case": "exponent", "against": "", "of": name, "exponent": power})
        found[-1] |= {"smallest": sizes[0], "largest": sizes[-1]}
    return found


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


def main() -> None:
    """Measure everything, or only the products, which then go to the standard output."""
    if "--products" in sys.argv:
        case = f"product, {architecture()}"
        with one_core():
            print(json.dumps(compared(products(case, ()))))
        return
    for name in OTHERS:
        if name not in PRESENT:
            print(f"{name} is not installed and takes no part", file=sys.stderr)
    # One core for everyone but the rows that say otherwise. Nobody has started threads yet.
    with one_core():
        rows = growth()
    with threadpool_limits(1, user_api="blas"):
        rows += compared(shared())
    rows.append(widest())
    with one_core():
        rows += compared(products("product", ("numpy", *OTHERS)))
    rows += in_other_arithmetic()
    store("forward", rows)


if __name__ == "__main__":
    main()
