"""The Fisher matrix and its leading spectrum against general solvers, in one run.

    .venv/bin/python -m benchmarks.fisher [case ...]

Takes some four minutes and 2 GB, half of it for the solvers compared with. Writes
benchmarks/results/fisher.json, which a page of the book shows. Cases are ``matrix`` (with one
product), ``columns``, ``growth``, ``widest`` and ``spectrum``; given some, it measures only them
and leaves the other rows of the file as they are. scikit-learn takes part where it is installed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse.linalg

from benchmarks.harness import apart, compare, extra_memory, store
from reluspec_lib import fisher, groups, sample_weights

WORKERS = None  # one thread per processor, as the solvers compared with have
ROWS: list[dict[str, Any]] = []


def add(case: str, contestant: str, d: int, m: int, error: float, **figures: Any) -> None:
    """Record and print one row."""
    row = {"case": case, "against": contestant, "d": d, "m": m, "error": error, **figures}
    ROWS.append(row)
    print(row, flush=True)


def weights(d: int, m: int) -> Any:
    """Return hidden weights, the same for every contestant."""
    return sample_weights(d, m, np.random.default_rng(m + d))


def solvers(d: int, m: int, tolerance: float, names: tuple[str, ...], pairs: int) -> None:
    """Compare the leading d(d+3)/2 eigenvalues with those of these solvers.

    The first one is the reference for the error as well.
    """
    W, K = weights(d, m), d * (d + 3) // 2
    J, start = fisher.matrix(W), np.ones(m)
    block = groups.Basis(groups.ALL, d).eigenvectors(W)

    def eigsh(A: Any) -> Any:
        return scipy.sparse.linalg.eigsh(A, K, v0=start, return_eigenvectors=False)

    def lobpcg() -> Any:
        A = fisher.operator(W)
        return scipy.sparse.linalg.lobpcg(A, block, tol=1e-8, maxiter=40)[0]

    def randomized() -> Any:
        from sklearn.utils.extmath import randomized_svd

        return randomized_svd(J, K, n_iter=4, random_state=0)[1]

    others = {
        "eigvalsh": lambda: np.linalg.eigvalsh(J)[-K:],
        "eigsh, J given": lambda: eigsh(J),
        "eigsh from W": lambda: eigsh(fisher.operator(W)),
        "lobpcg from W": lobpcg,
        "randomized_svd, J given": randomized,
    }

    def ours() -> Any:
        return fisher.spectrum(W, tolerance=tolerance, workers=WORKERS)

    found = ours()
    common = {"passes": found.passes, "memory": extra_memory(lambda: ours)}
    reference: Any = None
    for name in names:
        results: list[Any] = []

        def other(name: str = name, results: list[Any] = results) -> None:
            results.append(others[name]())

        try:
            # Ours has run before, so a solver of minutes runs once.
            figures = compare(ours, other, pairs, warm_up=False)
        except ImportError:
            continue
        values = np.sort(results[-1])[::-1]
        reference = values if reference is None else reference
        error = float(np.abs(found.eigenvalues / reference - 1).max())
        figures["other_error"] = float(np.abs(values / reference - 1).max())
        add("spectrum", name, d, m, error, **common, **figures)


def spectrum() -> None:
    """Compare the leading spectrum with dense, iterative and random solvers."""
    solvers(10, 5000, 1e-9, ("eigvalsh", "eigsh from W"), 1)
    others = ("eigsh, J given", "lobpcg from W", "randomized_svd, J given")
    solvers(10, 10_000, 1e-9, others, 3)
    solvers(50, 5000, 1e-7, ("eigvalsh",), 1)


def matrix() -> None:
    """Compare the matrix, and one product with it, with the bare product W^T W."""
    d, m = 10, 5000
    W = weights(d, m)
    for workers in (1, 2):

        def ours(workers: int = workers) -> Any:
            return fisher.matrix(W, workers=workers)

        figures = compare(ours, lambda: W.T @ W, 9)
        memory = extra_memory(lambda ours=ours: ours) - m * m * 8 / 2**20
        add("matrix", "W^T W", d, m, 0.0, workers=workers, memory=memory, **figures)

        def product(workers: int = workers) -> Any:
            return fisher.matvec(W, W[0], workers=workers)

        figures = compare(product, lambda: W.T @ W, 9)
        memory = extra_memory(lambda product=product: product)
        add("matvec", "W^T W", d, m, 0.0, workers=workers, memory=memory, **figures)


def columns() -> None:
    """Time the product with J as the number of columns grows, on one thread."""
    d, m = 10, 5000
    W = weights(d, m)
    for k in (1, 4, 16, 64, 256, 1024):
        V = np.random.default_rng(k).standard_normal((m, k))

        def product(V: Any = V) -> Any:
            return fisher.matvec(W, V, workers=1)

        add("columns", "W^T W", d, m, 0.0, k=k, **compare(product, lambda: W.T @ W, 3))


def growth() -> None:
    """Time the leading spectrum as m and d grow, beside one product J v."""
    sizes = ((10, 2500), (10, 5000), (10, 10_000), (10, 20_000), (20, 10_000), (40, 10_000))
    for d, m in sizes:
        W = weights(d, m)

        def ours(W: Any = W) -> Any:
            return fisher.spectrum(W, tolerance=1e-7, workers=WORKERS)

        found, pairs = ours(), 3 if d * m <= 100_000 else 1

        def product(W: Any = W) -> Any:
            return fisher.matvec(W, W[0], workers=WORKERS)

        figures = compare(ours, product, pairs, warm_up=False)
        figures |= {"passes": found.passes, "memory": extra_memory(lambda ours=ours: ours)}
        add("growth", "one product J v", d, m, found.error, **figures)


def widest() -> None:
    """Time the leading spectrum where J itself would take 20 GB."""
    d, m = 10, 50_000
    W = weights(d, m)

    def ours() -> Any:
        return fisher.spectrum(W, tolerance=1e-6, workers=WORKERS)

    found, seconds, memory = apart(lambda: ours)
    figures = {"seconds": seconds, "memory": memory, "passes": found.passes}
    add("widest", "", d, m, found.error, **figures)


CASES: dict[str, Callable[[], None]] = {
    "matrix": matrix,
    "columns": columns,
    "growth": growth,
    "widest": widest,
    "spectrum": spectrum,
}


def main(arguments: list[str] | None = None) -> None:
    """Measure the cases named, or all, and store them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fisher")
    parser.add_argument("cases", nargs="*", help=", ".join(CASES))
    names = parser.parse_args(arguments).cases or list(CASES)
    if unknown := set(names) - set(CASES):
        parser.error(f"cases must be of {', '.join(CASES)}; got {', '.join(sorted(unknown))}")
    for name in names:
        CASES[name]()
    store("fisher", ROWS, kept=len(names) < len(CASES))


if __name__ == "__main__":
    main()
