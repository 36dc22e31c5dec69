r"""The Fisher information of the readout weights, for Gaussian inputs.

For y = f_v(x) + N(0, 1) with x ~ N(0, I_d), the Fisher information of v is the second moment of the
hidden features, J = E[X(x)^T X(x)]. Each entry is a Gaussian integral with a closed form, the
arc-cosine kernel of degree 1 of Cho and Saul (2009). Products with J run over tiles of its upper
triangle and never hold it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, DTypeLike
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

from reluspec_lib import groups
from reluspec_lib._threads import check_workers, run
from reluspec_lib._validation import (
    Array,
    as_floating,
    check_count,
    check_number,
    check_readout,
    check_weights,
)
from reluspec_lib.spectrum._kernel import (
    COEFFICIENTS,
    Kernel,
    Product,
    norms_and_directions,
    strips,
    tiles,
)

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

# Above this share of all eigenvalues a dense solver is the fastest, and up to this width it is
# faster than Lanczos.
_DENSE_SHARE = 0.3
_DENSE_WIDTH = 2000

# Two or three passes suffice; more than this means that the gap after the groups is missing.
_MOST_PASSES = 8

# Columns shorter than this, relative to the longest, change no eigenvalue by a rounding unit.
_SHORTEST = 2.0**-500

# Directions in which J is smaller than this, relative to its largest eigenvalue, leave the block:
# they cannot be told from dependent ones.
_DEPENDENT = 1e-8

# Sums of positive numbers are right to so many rounding units.
_SUM_UNITS = 64


def matrix(W: ArrayLike, *, dtype: DTypeLike | None = None, workers: int | None = None) -> Array:
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
        If ``W`` is not a finite (d, m) array or so large that J overflows, ``dtype`` is not a
        floating type of 32 or 64 bits, or ``workers`` is not an integer >= 1.

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
    kind = _check_dtype(W.dtype if dtype is None else dtype)
    m = W.shape[1]
    workers = check_workers(workers, strips(m))
    norms, directions = norms_and_directions(W.astype(np.result_type(W, kind), copy=False))
    longest, limit = float(norms.max()), math.sqrt(float(np.finfo(kind).max))
    if not longest < limit:
        raise ValueError(
            f"W must have columns shorter than {limit:.3g}, or J overflows in {kind}, got one of "
            f"length {longest:.3g}"
        )
    norms, directions = norms.astype(kind, copy=False), directions.astype(kind, copy=False)
    J = np.empty((m, m), kind)

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


def matvec(W: ArrayLike, V: ArrayLike, *, workers: int | None = None) -> Array:
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
        If a shape does not fit, an entry is not finite, the product overflows, or ``workers`` is
        not an integer >= 1.

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
    kind = np.result_type(W, V)
    with np.errstate(over="ignore", invalid="ignore"):
        product = Product(W.astype(kind, copy=False), check_workers(workers, strips(len(V))))
        result = product(V.reshape(len(V), -1).astype(kind, copy=False)).reshape(V.shape)
    if not np.isfinite(result).all():
        raise ValueError(f"W and V must be so small that J V does not overflow in {kind}")
    return result


class _Fisher(LinearOperator):  # type: ignore[misc]
    """J for the solvers of scipy: symmetric, and real though it takes complex vectors as well."""

    def __init__(self, W: Array, workers: int) -> None:
        super().__init__(W.dtype, (W.shape[1], W.shape[1]))
        self._weights, self._workers = W, workers
        self._products: dict[np.dtype[Any], Product] = {}

    def _matmat(self, V: Array) -> Array:
        V = np.asarray(V)
        if V.dtype.kind == "c":
            both = self._matmat(np.hstack([V.real, V.imag]))
            complex_: Array = both[:, : V.shape[1]] + 1j * both[:, V.shape[1] :]
            return complex_
        kind = np.dtype(np.result_type(self._weights, V))
        if kind not in self._products:
            self._products[kind] = Product(self._weights.astype(kind, copy=False), self._workers)
        return self._products[kind](V.astype(kind, copy=False))

    def _matvec(self, v: Array) -> Array:
        return self._matmat(np.reshape(v, (-1, 1))).reshape(np.shape(v))

    def _adjoint(self) -> _Fisher:
        return self

    def _transpose(self) -> _Fisher:
        return self


def operator(W: ArrayLike, *, workers: int | None = None) -> LinearOperator:
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
        Real and symmetric, its own adjoint and transpose; for any solver of scipy.sparse.linalg,
        with real or complex vectors. It can be pickled.

    Raises
    ------
    ValueError
        If ``W`` is not a finite (d, m) array or ``workers`` is not an integer >= 1.

    Examples
    --------
    >>> J = operator([[1.0, 0.0], [0.0, 1.0]])
    >>> (J @ [1.0, -1.0j]).round(4).tolist()
    [(0.5-0.1592j), (0.1592-0.5j)]
    """
    W = check_weights(W)
    return _Fisher(W, check_workers(workers, strips(W.shape[1])))


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
        If ``W`` is not a finite (d, m) array or so large that the trace overflows.

    Examples
    --------
    >>> trace([[3.0, 0.0], [4.0, 1.0]])
    13.0
    """
    W = check_weights(W)
    with np.errstate(over="ignore"):
        total = float(np.einsum("lj,lj->", W, W, dtype=np.float64) / 2)
    if not math.isfinite(total):
        raise ValueError(
            f"W must be so small that its squares add up, got an entry of size "
            f"{float(np.abs(W).max()):.3g}"
        )
    return total


def empirical(X: ArrayLike) -> Array:
    r"""Return the Fisher information of a finite sample, J_n = X^T X / n.

    Parameters
    ----------
    X : array_like, shape (n, m)
        Hidden features of n inputs.

    Returns
    -------
    J_n : ndarray, shape (m, m)
        Exactly symmetric, of rank at most min(n, m); dtype of ``X``.

    Raises
    ------
    ValueError
        If ``X`` is not a finite (n, m) array or so large that J_n overflows.

    Notes
    -----
    Source: section 6 of the paper, which compares its spectrum with that of J.
    """
    X = as_floating("X", X)
    if X.ndim != 2:
        raise ValueError(f"X must have shape (n, m), got shape {X.shape}")
    # Of one array with itself numpy takes the symmetric product of BLAS, at half the cost of a
    # general one; where the array lies in memory with gaps it does not.
    X = np.ascontiguousarray(X)
    with np.errstate(over="ignore", invalid="ignore"):
        J: Array = X.T @ X
    if not np.isfinite(np.diag(J)).all():
        raise ValueError(
            f"X must be so small that X^T X does not overflow in {X.dtype}, got an entry of size "
            f"{float(np.abs(X).max()):.3g}"
        )
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
        If ``W`` is not a finite (d, m) array, has a zero column, or is so large that J overflows.

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


@dataclass(frozen=True, eq=False, repr=False)
class Spectrum:
    """Leading eigenvalues of a Fisher information matrix, with a report on how they were found.

    Two of them are equal if all attributes are, arrays entry by entry.

    Attributes
    ----------
    eigenvalues : ndarray
        Shape (k,), in decreasing order, none negative.
    eigenvectors : ndarray or None
        Shape (m, k), orthonormal columns, if they were asked for.
    error : float
        Bound of the relative error of each eigenvalue; infinite if the last one cannot be told
        from 0.
    passes : int
        Products with J for the whole block of group vectors; 0 for the other solvers.
    solver : str
        "groups" (from the span of the group vectors), "dense" or "lanczos".
    """

    eigenvalues: Array
    eigenvectors: Array | None
    error: float
    passes: int
    solver: str

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Spectrum):
            return NotImplemented
        names = [field.name for field in fields(self)]
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in names)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        values = self.eigenvalues
        return (
            f"<Spectrum: {len(values)} eigenvalues from {values[0]:.6g} to {values[-1]:.6g}, "
            f"error {self.error:.2g}, solver {self.solver!r}, {self.passes} passes>"
        )


def spectrum(
    W: ArrayLike,
    k: int | None = None,
    *,
    vectors: bool = False,
    tolerance: float = 1e-9,
    workers: int | None = None,
) -> Spectrum:
    r"""Return the leading k eigenvalues of the Fisher information, without holding it.

    Parameters
    ----------
    W : array_like, shape (d, m)
        Hidden weights, any finite ones.
    k : int, optional
        How many eigenvalues, 1 to m; by default those of the three clusters, d(d+3)/2, or m if
        that is smaller.
    vectors : bool
        Return eigenvectors as well.
    tolerance : float
        Largest relative error of an eigenvalue; a smaller one takes more passes. Rounding may stop
        above it.
    workers : int, optional
        Number of threads; by default one per processor.

    Returns
    -------
    Spectrum
        Its ``solver`` says which of the three ways was taken, its ``error`` what was reached.

    Raises
    ------
    ValueError
        If ``W`` is not a finite (d, m) array or so large that an eigenvalue overflows, ``k`` is not
        in 1 ... m, or ``tolerance`` is not in (1e-15, 1).

    Notes
    -----
    W is scaled by a power of two first, and columns without length, which give zero eigenvalues,
    are set aside.

    The span of the group vectors is within O(1/sqrt(m)) of the leading eigenspace. From a block F
    that spans it, each pass takes Y = J F and the Nystrom approximation A = Y (F^T Y)^-1 Y^T of J
    and goes on with the eigenvectors Z of A; directions that depend on others leave the block. The
    error of the eigenvalues contracts per pass by the square of the ratio of the first eigenvalue
    left out to the last one kept. The first pass is in float32.

    *The error is bounded.* E = J - A is positive semidefinite with E F = 0. Its trace and a bound
    of the sum of its squared entries are known, hence a bound gamma of its norm: the largest of n
    numbers >= 0 with a given mean and mean square. With D = Z - F M for any M, E Z = E D. If gamma
    is below the k-th eigenvalue nu of A, counting eigenvalues by a Schur complement gives

    .. math:: 0 \le \lambda_i(J) - \lambda_i(A) \le \frac{\gamma \nu}{\nu - \gamma} \|D\|^2,
              \qquad i \le k.

    Where gamma is not, W is far from isotropic, and where k exceeds d(d+3)/2 there is no gap after
    the k-th eigenvalue. Then a dense solver takes over, or from 2000 units on Lanczos: its bound is
    the norm of the residuals of all pairs, and a second run on what is orthogonal to them looks for
    eigenvalues that the first may have passed over. The dense solver also has the cases where k or
    the block exceeds 0.3 m or Lanczos fails. To each bound comes an allowance for rounding.

    Examples
    --------
    >>> spectrum([[3.0, 0.0], [4.0, 0.0]]).eigenvalues.tolist()
    [12.5, 0.0]
    """
    weights: Array = check_weights(W).astype(np.float64, copy=False)
    d, m = weights.shape
    block = d * (d + 3) // 2
    k = min(block, m) if k is None else check_count("k", k)
    if k > m:
        raise ValueError(f"k must be an integer in 1 ... m = {m}, got {k}")
    tolerance = check_number("tolerance", tolerance)
    if not 1e-15 < tolerance < 1:
        raise ValueError(f"tolerance must be in (1e-15, 1), got {tolerance!r}")
    workers = check_workers(workers, strips(m))
    power = int(np.frexp(np.abs(weights).max())[1])
    weights = np.ldexp(weights, -power)
    long = np.abs(weights).max(axis=0) > _SHORTEST
    count = min(k, int(long.sum()))
    if count == 0:
        found = Spectrum(np.zeros(0), np.zeros((0, 0)), math.inf, 0, "dense")
    else:
        found = _solve(weights[:, long], count, block, vectors, tolerance, workers)
    return _restored(found, k, long, power, vectors)


def _solve(W: Array, k: int, block: int, vectors: bool, tolerance: float, workers: int) -> Spectrum:
    """Return the spectrum for columns that have a length."""
    m = W.shape[1]
    few = max(k, block) <= _DENSE_SHARE * m
    if few and k <= block:
        found = _group_spectrum(W, k, vectors, tolerance, workers)
        if found is not None:
            return found
    if few and m > _DENSE_WIDTH:
        return _lanczos_spectrum(W, k, vectors, tolerance, workers)
    return _dense_spectrum(W, k, vectors, workers)


def _restored(found: Spectrum, k: int, long: Array, power: int, vectors: bool) -> Spectrum:
    """Undo the scaling and add the zero eigenvalues of columns that were set aside."""
    count = len(found.eigenvalues)
    values, error = np.zeros(k), found.error
    with np.errstate(over="ignore", under="ignore"):
        values[:count] = np.ldexp(found.eigenvalues, 2 * power)
    if not np.isfinite(values).all():
        raise ValueError(f"W must be so small that J does not overflow, got entries of 2^{power}")
    if values[-1] < np.finfo(float).tiny:
        error = math.inf
    U = None
    if vectors:
        U = np.zeros((len(long), k))
        U[np.flatnonzero(long), :count] = found.eigenvectors
        U[np.flatnonzero(~long)[: k - count], np.arange(count, k)] = 1
    return Spectrum(values, U, error, found.passes, found.solver)


def _group_spectrum(
    W: Array, k: int, vectors: bool, tolerance: float, workers: int
) -> Spectrum | None:
    """Return the spectrum from the groups' span, or None if its error cannot be bounded."""
    m = W.shape[1]
    F = np.hstack([group.eigenvectors(W) for group in groups.ALL if group.size(len(W))])
    lengths = np.linalg.norm(F, axis=0)
    F = F[:, lengths > 0] / lengths[lengths > 0]
    passes, values = 0, np.zeros(0)
    for kind in (np.float32, np.float64):
        passes += 1
        Y = Product(W.astype(kind, copy=False), workers)(F.astype(kind, copy=False))
        kept, values, Z = _nystrom(F, Y.astype(np.float64, copy=False), float(np.finfo(kind).eps))
        if len(kept) == F.shape[1]:
            break  # otherwise rounding may have taken directions that are there
    product, size, last = Product(W, workers), None, math.inf
    while passes < _MOST_PASSES:
        passes, F = passes + 1, Z
        if size is None:
            Y, size = product.with_size(F)
        else:
            Y = product(F)
        kept, values, Z = _nystrom(F, Y, float(np.finfo(float).eps))
        if len(values) < k:
            return None
        largest = _largest_left_out(trace(W), size, values, m)
        if not largest < values[k - 1]:
            return None
        D = Z - F[:, kept] @ (F[:, kept].T @ Z)
        r = len(values)
        norm = scipy.linalg.eigvalsh(D.T @ D, subset_by_index=(r - 1, r - 1))[0]
        error = largest / (values[k - 1] - largest) * max(float(norm), 0.0)
        if error <= tolerance:
            error += _rounding(values, m) / values[k - 1]
            return Spectrum(values[:k], Z[:, :k] if vectors else None, error, passes, "groups")
        if error > last / 2:
            return None
        last = error
    return None


def _nystrom(F: Array, Y: Array, unit: float) -> tuple[Array, Array, Array]:
    """Return the columns of F that count, and the eigenpairs of Y (F^T Y)^-1 Y^T, Y = J F."""
    compression = F.T @ Y
    compression = (compression + compression.T) / 2
    threshold = max(_DEPENDENT, 4 * unit) * compression.diagonal().max()
    # Cholesky with pivoting: what a column adds to those before it decides whether it stays.
    factor, order, rank, _ = scipy.linalg.lapack.dpstrf(compression, tol=threshold)
    kept = order[:rank] - 1
    B = scipy.linalg.solve_triangular(
        factor[:rank, :rank], Y[:, kept].T, trans="T", overwrite_b=True
    ).T
    values, rotation = scipy.linalg.eigh(B.T @ B)
    values, rotation = values[::-1], rotation[:, ::-1]
    return kept, values, B @ (rotation / np.sqrt(values))


def _largest_left_out(total: float, size: float, values: Array, m: int) -> float:
    """Return a bound of the norm of J - A, from traces and sums of squared entries.

    Of n numbers >= 0 with the mean a and the mean square b the largest is at most
    a + sqrt((n - 1) (b - a^2)).
    """
    n = m - len(values)
    slack = _SUM_UNITS * np.finfo(float).eps
    mean = (total * (1 + slack) - values.sum()) / n
    square = (size * (1 + slack) - (values**2).sum()) / n
    return float(mean + math.sqrt((n - 1) * max(square - mean**2, 0.0)))


def _dense_spectrum(W: Array, k: int, vectors: bool, workers: int) -> Spectrum:
    m = W.shape[1]
    found = scipy.linalg.eigh(
        matrix(W, workers=workers),
        eigvals_only=not vectors,
        subset_by_index=(m - k, m - 1),
        overwrite_a=True,
    )
    values, U = found if vectors else (found, None)
    values, U = np.maximum(values[::-1], 0), U if U is None else U[:, ::-1]
    return Spectrum(values, U, _relative(_rounding(values, m), values), 0, "dense")


def _lanczos_spectrum(W: Array, k: int, vectors: bool, tolerance: float, workers: int) -> Spectrum:
    m, J = W.shape[1], operator(W, workers=workers)
    # Fixed starting vectors: the result must not depend on a hidden source of randomness.
    first, *others = np.random.default_rng(0).standard_normal((_MOST_PASSES, m))
    try:
        # The residuals count relative to the last eigenvalue, the solver takes each to its own.
        Q = eigsh(J, k, v0=first, tol=tolerance * 1e-4)[1]
        for start in others:
            values, Q, R = _ritz(J, Q, k)
            outside = LinearOperator((m, m), matvec=_outside(J, Q), dtype=np.float64)
            value, found = eigsh(outside, 1, v0=start, tol=1e-6)
            if value[0] <= values[-1] + _rounding(values, m):
                break
            Q = np.hstack([Q, found])
        else:
            return _dense_spectrum(W, k, vectors, workers)
    except ArpackError:
        return _dense_spectrum(W, k, vectors, workers)
    error = _relative(float(np.linalg.norm(R)) + _rounding(values, m), values)
    return Spectrum(np.maximum(values, 0), Q if vectors else None, error, 0, "lanczos")


def _ritz(J: LinearOperator, Q: Array, k: int) -> tuple[Array, Array, Array]:
    """Return the k leading Ritz pairs from the span of Q, and their residuals."""
    Q = np.linalg.qr(Q)[0]
    Y = J @ Q
    values, rotation = scipy.linalg.eigh((Q.T @ Y + Y.T @ Q) / 2)
    values, rotation = values[::-1][:k], rotation[:, ::-1][:, :k]
    return values, Q @ rotation, Y @ rotation - Q @ rotation * values


def _outside(J: LinearOperator, Q: Array) -> Any:
    """Return the product with J on what is orthogonal to Q."""

    def apply(v: Array) -> Array:
        v = v.ravel()
        w = J @ (v - Q @ (Q.T @ v))
        result: Array = w - Q @ (Q.T @ w)
        return result

    return apply


def _rounding(values: Array, m: int) -> float:
    """Return what rounding may have done to an eigenvalue, in J and in a solver."""
    return float((16 + math.sqrt(m)) * np.finfo(float).eps * values[0])


def _relative(error: float, values: Array) -> float:
    """Return an absolute error relative to the smallest eigenvalue."""
    return error / float(values[-1]) if values[-1] > error else math.inf


def _check_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    try:
        kind = np.dtype(dtype)
    except TypeError:
        kind = np.dtype(object)
    if kind not in COEFFICIENTS:
        raise ValueError(f"dtype must be float32 or float64, got {dtype!r}")
    return kind
