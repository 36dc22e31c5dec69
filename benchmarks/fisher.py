"""The Fisher matrix and its leading spectrum against general solvers, in one run.

    .venv/bin/python -m benchmarks.fisher

Takes some ten minutes and 4 GB, most of it for the solvers compared with. Writes
benchmarks/results/fisher.json, which a page of the book shows. scikit-learn and threadpoolctl take
part where they are installed.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import scipy.sparse.linalg

from benchmarks.harness import compare, extra_memory, store
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


def leading(d: int, m: int, tolerance: float, pairs: int) -> None:
    """Compare the leading d(d+3)/2 eigenvalues."""
    W, K = weights(d, m), d * (d + 3) // 2
    J = fisher.matrix(W)
    dense = np.ones(K)
    start = np.ones(m)

    def ours() -> Any:
        return fisher.spectrum(W, tolerance=tolerance, workers=WORKERS)

    found = ours()
    common = {"passes": found.passes, "memory": extra_memory(lambda: ours)}

    def eigsh() -> Any:
        return scipy.sparse.linalg.eigsh(J, K, v0=start, return_eigenvectors=False)

    def eigvalsh() -> None:
        # It is the reference as well, and so slow that it runs once.
        dense[:] = np.linalg.eigvalsh(J)[::-1][:K]

    figures = compare(ours, eigvalsh, 1)
    error = float(np.abs(found.eigenvalues / dense - 1).max())
    add("spectrum", "eigvalsh", d, m, error, **common, **figures)
    if d > 10:
        return
    add("spectrum", "eigsh, J given", d, m, error, **common, **compare(ours, eigsh, pairs))

    def eigsh_from_weights() -> Any:
        A = fisher.operator(W)
        return scipy.sparse.linalg.eigsh(A, K, v0=start, return_eigenvectors=False)

    figures = compare(ours, eigsh_from_weights, 1)
    add("spectrum", "eigsh from W", d, m, error, **common, **figures)
    block = groups.Basis(groups.ALL, d).eigenvectors(W)

    def lobpcg() -> Any:
        return scipy.sparse.linalg.lobpcg(fisher.operator(W), block, tol=1e-8, maxiter=40)

    add("spectrum", "lobpcg from W", d, m, error, **common, **compare(ours, lobpcg, pairs))
    try:
        from sklearn.utils.extmath import randomized_svd
    except ImportError:
        return

    def randomized() -> Any:
        return randomized_svd(J, K, n_iter=4, random_state=0)

    difference = float(np.abs(randomized()[1] / dense - 1).max())
    figures = compare(ours, randomized, pairs)
    add("spectrum", "randomized_svd, J given", d, m, error, **common, **figures)
    ROWS[-1]["other_error"] = difference


def matrix(d: int, m: int) -> None:
    """Compare the matrix with the bare product W^T W."""
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


def columns(d: int, m: int) -> None:
    """Time the product with J as the number of columns grows, on one thread."""
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

        found = ours()
        figures = compare(ours, lambda W=W: fisher.matvec(W, W[0]), 3)
        memory = extra_memory(lambda ours=ours: ours)
        figures |= {"passes": found.passes, "memory": memory}
        add("growth", "one product J v", d, m, found.error, **figures)


def widest() -> None:
    """Time the leading spectrum where J itself would take 80 GB."""
    W = weights(10, 100_000)

    def ours() -> Any:
        return fisher.spectrum(W, tolerance=1e-6, workers=WORKERS)

    start = time.perf_counter()
    found = ours()
    figures = {"seconds": time.perf_counter() - start, "memory": extra_memory(lambda: ours)}
    add("widest", "", 10, 100_000, found.error, passes=found.passes, **figures)


if __name__ == "__main__":
    matrix(10, 5000)
    columns(10, 5000)
    growth()
    widest()
    leading(10, 10_000, 1e-9, 3)
    leading(50, 10_000, 1e-7, 1)
    store("fisher", ROWS)
