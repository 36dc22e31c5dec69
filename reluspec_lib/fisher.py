r"""The Fisher information of the readout weights, for Gaussian inputs.

For y = f_v(x) + N(0, 1) with x ~ N(0, I_d), the Fisher information of v is the second moment of the
hidden features, J = E[X(x)^T X(x)]. Each entry is a Gaussian integral with a closed form, the
arc-cosine kernel of degree 1 of Cho and Saul (2009). Products with J run over tiles of its upper
triangle and never hold it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, DTypeLike
from scipy.sparse.linalg import LinearOperator, eigsh

from reluspec_lib import groups
from reluspec_lib._kernel import COEFFICIENTS, Kernel, Product, norms_and_directions, strips, tiles
from reluspec_lib._threads import check_workers, run
from reluspec_lib._validation import Array, as_floating, check_count, check_readout, check_weights

__all__ = [
    "Spectrum",
    "empirical",
    "matrix",
    "matvec",
    "operator",
    "residual",
    "spectrum",
    "trace",
]

# Above this share of all eigenvalues a dense solver is the faster one.
_DENSE_SHARE = 0.3

# Two or three passes suffice; more than this means that the gap after the groups is missing.
_MOST_PASSES = 8


def matrix(W: ArrayLike, dtype: DTypeLike | None = None, workers: int | None = None) -> Array:
    r"""Return the Fisher information matrix J of the readout weights in closed form.

    .. math:: J_{ij} = \frac{|w_i| |w_j|}{2\pi}
              \big( \sin\theta_{ij} + (\pi - \theta_{ij}) \cos\theta_{ij} \big)

    where theta is the angle between the columns w_i and w_j of W.

    Parameters
    ----------
    W : array_like, shape (d, m)
        Hidden weights.
    dtype : dtype, optional
        float32 or float64; by default that of ``W``.
    workers : int, optional
        Number of threads; by default one per processor.

    Returns
    -------
    J : ndarray, shape (m, m)
        Exactly symmetric, positive semidefinite up to rounding. Zero in the rows and columns of
        units whose weights are zero. The same whatever the number of workers.

    Raises
    ------
    ValueError
        If ``W`` is not a finite (d, m) array, ``dtype`` is not a floating type of 32 or 64 bits, or
        ``workers`` is not an integer >= 1.

    Notes
    -----
    Beyond the result, memory is a copy of W and about 4 MiB per worker.
    Source: section 1 of the paper; Cho and Saul (2009) for the closed form.

    Examples
    --------
    >>> matrix([[1.0, 0.0], [0.0, 1.0]]).round(4).tolist()
    [[0.5, 0.1592], [0.1592, 0.5]]
    """
    W = check_weights(W)
    dtype = np.dtype(W.dtype if dtype is None else dtype)
    if dtype not in COEFFICIENTS:
        raise ValueError(f"dtype must be float32 or float64, got {dtype}")
    m = W.shape[1]
    workers = check_workers(workers, strips(m))
    norms, directions = norms_and_directions(W.astype(dtype, copy=False))
    J = np.empty((m, m), dtype)

    def fill(worker: int) -> None:
        kernel = Kernel(directions)
        for rows, columns in tiles(m, worker, workers):
            tile = kernel(rows, columns)
            tile *= norms[rows, None]
            tile *= norms[columns]
            if rows == columns:
                # The product of a tile with itself is symmetric only up to rounding.
                tile = np.triu(tile) + np.triu(tile, 1).T
            J[rows, columns] = tile
            J[columns, rows] = tile.T

    run(fill, workers)
    np.fill_diagonal(J, norms**2 / 2)
    return J


def matvec(W: ArrayLike, V: ArrayLike, workers: int | None = None) -> Array:
    """Return J V without ever holding the Fisher information matrix J.

    Parameters
    ----------
    W : array_like, shape (d, m)
        Hidden weights.
    V : array_like, shape (m, K) or (m,)
        Vectors to multiply.
    workers : int, optional
        Number of threads; by default one per processor.

    Returns
    -------
    JV : ndarray, shape of ``V``
        float32 if both arguments are, else float64. Different numbers of workers add up in a
        different order and agree to rounding.

    Raises
    ------
    ValueError
        If a shape does not fit, an entry is not finite or ``workers`` is not an integer >= 1.

    Notes
    -----
    Time grows like m^2 (K + 40), memory like m K per worker.

    Examples
    --------
    >>> matvec([[1.0, 0.0], [0.0, 1.0]], [1.0, -1.0]).round(4).tolist()
    [0.3408, -0.3408]
    """
    W = check_weights(W)
    V = check_readout(V, W.shape[1])
    dtype = np.result_type(W, V)
    product = Product(W.astype(dtype, copy=False), check_workers(workers, strips(len(V))))
    result = product(V.reshape(len(V), -1).astype(dtype, copy=False))
    return result.reshape(V.shape)


def operator(W: ArrayLike, workers: int | None = None) -> LinearOperator:
    """Return the Fisher information as a scipy LinearOperator that never holds the matrix.

    Parameters
    ----------
    W : array_like, shape (d, m)
        Hidden weights.
    workers : int, optional
        Number of threads; by default one per processor.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator, shape (m, m)
        Symmetric; for any solver of scipy.sparse.linalg.

    Raises
    ------
    ValueError
        If ``W`` is not a finite (d, m) array or ``workers`` is not an integer >= 1.
    """
    W = check_weights(W)
    m = W.shape[1]
    workers = check_workers(workers, strips(m))
    product = Product(W, workers)

    def apply(V: Array) -> Array:
        return product(V.reshape(m, -1).astype(W.dtype, copy=False)).reshape(V.shape)

    return LinearOperator((m, m), matvec=apply, matmat=apply, rmatvec=apply, dtype=W.dtype)


def trace(W: ArrayLike) -> float:
    r"""Return the trace of the Fisher information, half the squared norm of W.

    .. math:: \mathrm{tr}\, J = \frac12 \sum_j |W^{(j)}|^2

    Parameters
    ----------
    W : array_like, shape (d, m)
        Hidden weights.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If ``W`` is not a finite (d, m) array.

    Examples
    --------
    >>> trace([[3.0, 0.0], [4.0, 1.0]])
    13.0
    """
    W = check_weights(W)
    return float(np.einsum("lj,lj->", W, W, dtype=np.float64) / 2)


def empirical(X: ArrayLike) -> Array:
    r"""Return the Fisher information of a finite sample, J_n = X^T X / n.

    Parameters
    ----------
    X : array_like, shape (n, m)
        Hidden features of n inputs.

    Returns
    -------
    J_n : ndarray, shape (m, m)
        Symmetric, of rank at most min(n, m); dtype of ``X``.

    Raises
    ------
    ValueError
        If ``X`` is not a finite (n, m) array.

    Notes
    -----
    Source: section 6 of the paper, which compares its spectrum with that of J.
    """
    X = as_floating("X", X)
    if X.ndim != 2:
        raise ValueError(f"X must have shape (n, m), got shape {X.shape}")
    # numpy takes the symmetric product of BLAS for X^T X, at half the cost of a general one.
    J = X.T @ X
    J /= len(X)
    return J


def residual(W: ArrayLike) -> Array:
    r"""Return what equation (5) leaves out of J, with the exact eigenvalues.

    .. math:: R = J - \sum_{\text{groups}} \lambda \sum_v v v^\top

    Parameters
    ----------
    W : array_like, shape (d, m)
        Hidden weights without a zero column.

    Returns
    -------
    R : ndarray, shape (m, m)
        Positive semidefinite for every W: the part of J of even degree 4 and more.

    Raises
    ------
    ValueError
        If ``W`` is not a finite (d, m) array or has a zero column.

    Notes
    -----
    Source: equation (5) of the paper, with the exact eigenvalues in place of its approximations.
    """
    W = check_weights(W)
    R = matrix(W)
    for group in groups.ALL:
        if group.size(len(W)):
            V = group.eigenvectors(W)
            R -= group.eigenvalue(len(W)) * (V @ V.T)
    return R


@dataclass(frozen=True)
class Spectrum:
    """Leading eigenvalues of a Fisher information matrix, with a report on how they were found.

    Attributes
    ----------
    eigenvalues : ndarray
        Shape (k,), in decreasing order.
    eigenvectors : ndarray or None
        Shape (m, k), orthonormal columns, if they were asked for.
    error : float
        Estimate of the largest relative error of the eigenvalues; a rounding unit times the
        condition for a dense solver.
    passes : int
        Products with J for the whole block of group vectors; 0 for the other solvers.
    solver : str
        "groups" (Rayleigh-Ritz from the span of the group vectors), "dense" or "lanczos".
    """

    eigenvalues: Array
    eigenvectors: Array | None
    error: float
    passes: int
    solver: str


def spectrum(
    W: ArrayLike,
    k: int | None = None,
    *,
    vectors: bool = False,
    tolerance: float = 1e-9,
    workers: int | None = None,
) -> Spectrum:
    """Return the leading k eigenvalues of the Fisher information, without holding it.

    Parameters
    ----------
    W : array_like, shape (d, m)
        Hidden weights without a zero column.
    k : int, optional
        How many eigenvalues, 1 to m; by default those of the three clusters, d(d+3)/2, or m if
        that is smaller.
    vectors : bool
        Return eigenvectors as well.
    tolerance : float
        Largest relative error of an eigenvalue; a smaller one takes more passes.
    workers : int, optional
        Number of threads; by default one per processor.

    Returns
    -------
    Spectrum
        Its ``solver`` says which of the three ways was taken, its ``error`` what was reached.

    Raises
    ------
    ValueError
        If ``W`` is not a finite (d, m) array, or has a zero column where the group vectors are
        used, ``k`` is not in 1 ... m, or ``tolerance`` is not in (1e-15, 1).

    Notes
    -----
    The span of the group vectors is within O(1/sqrt(m)) of the leading eigenspace. From this
    block F, each pass takes Y = J F and the Nystrom approximation Y (F^T Y)^-1 Y^T of J, and goes
    on with its eigenvectors. The error of the eigenvalues contracts per pass by the square of the
    ratio of the first eigenvalue left out to the last one kept. The first pass is in float32.

    If k exceeds d(d+3)/2 there is no gap after the k-th eigenvalue, and Lanczos takes over, as it
    does where W is so far from isotropic that 8 passes do not reach the tolerance; if k or the
    block exceeds 0.3 m, a dense solver.
    """
    W = check_weights(W).astype(np.float64, copy=False)
    d, m = W.shape
    block = d * (d + 3) // 2
    k = min(block, m) if k is None else check_count("k", k)
    if k > m:
        raise ValueError(f"k must be an integer in 1 ... m = {m}, got {k}")
    if not 1e-15 < tolerance < 1:
        raise ValueError(f"tolerance must be in (1e-15, 1), got {tolerance!r}")
    workers = check_workers(workers, strips(m))
    if max(k, block) > _DENSE_SHARE * m:
        return _dense_spectrum(W, k, vectors, workers)
    if k > block:
        return _lanczos_spectrum(W, k, vectors, tolerance, workers)
    return _group_spectrum(W, k, vectors, tolerance, workers)


def _group_spectrum(W: Array, k: int, vectors: bool, tolerance: float, workers: int) -> Spectrum:
    F = np.hstack([group.eigenvectors(W) for group in groups.ALL if group.size(len(W))])
    gap_before, error = np.inf, np.inf
    for done in range(1, _MOST_PASSES + 1):
        F /= np.linalg.norm(F, axis=0)
        dtype = np.float32 if done == 1 else np.float64
        Y = Product(W.astype(dtype, copy=False), workers)(F.astype(dtype, copy=False))
        Y = Y.astype(np.float64, copy=False)
        compression = F.T @ Y
        compression = (compression + compression.T) / 2
        # Lower bounds of the eigenvalues: by Rayleigh-Ritz, and the sharper ones by Nystrom.
        ritz = scipy.linalg.eigh(compression, F.T @ F, eigvals_only=True)[::-1]
        F = scipy.linalg.solve_triangular(
            scipy.linalg.cholesky(compression), Y.T, trans="T", overwrite_b=True
        ).T
        values, rotation = scipy.linalg.eigh(F.T @ F)
        values, rotation = values[::-1], rotation[:, ::-1]
        gap = float(np.max(np.abs(values[:k] - ritz[:k]) / values[:k]))
        # The gap is the error of the Ritz values. It contracts from pass to pass by the square of
        # the factor by which the error of the Nystrom values is smaller; twice that is a bound.
        if done > 1:
            error = 2 * gap * min(1.0, np.sqrt(gap / gap_before))
            if error <= tolerance:
                break
        gap_before = gap
    else:
        return _lanczos_spectrum(W, k, vectors, tolerance, workers)
    found = F @ (rotation[:, :k] / np.sqrt(values[:k])) if vectors else None
    return Spectrum(values[:k], found, max(error, np.finfo(float).eps), done, "groups")


def _dense_spectrum(W: Array, k: int, vectors: bool, workers: int) -> Spectrum:
    m = W.shape[1]
    found = scipy.linalg.eigh(
        matrix(W, workers=workers),
        eigvals_only=not vectors,
        subset_by_index=(m - k, m - 1),
        overwrite_a=True,
    )
    values, U = found if vectors else (found, None)
    values, U = values[::-1], U if U is None else U[:, ::-1]
    return Spectrum(values, U, _dense_error(values), 0, "dense")


def _lanczos_spectrum(W: Array, k: int, vectors: bool, tolerance: float, workers: int) -> Spectrum:
    # A fixed starting vector: the result must not depend on a hidden source of randomness.
    start = np.random.default_rng(0).standard_normal(W.shape[1])
    found = eigsh(operator(W, workers), k, v0=start, tol=tolerance, return_eigenvectors=vectors)
    values, U = found if vectors else (found, None)
    order = np.argsort(values)[::-1]
    values, U = values[order], U if U is None else U[:, order]
    return Spectrum(values, U, max(tolerance, _dense_error(values)), 0, "lanczos")


def _dense_error(values: Array) -> float:
    """Return the relative error that rounding leaves in the smallest of these eigenvalues."""
    return float(np.finfo(values.dtype).eps * values[0] / max(values[-1], np.finfo(float).tiny))
