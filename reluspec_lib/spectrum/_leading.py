"""How the leading eigenvalues of the Fisher information are found, and their error bounded."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

from reluspec_lib import groups, harmonics
from reluspec_lib._validation import Array
from reluspec_lib._values import ByValue
from reluspec_lib.spectrum._kernel import Product, assembled, half_squares

__all__ = ["Spectrum", "leading"]

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

# Columns of a product in float32 that add less than this to those before them are taken for
# rounding, and so are columns that are shorter, relative to the longest. Those of the second pass
# are nearly eigenvectors, as short as their eigenvalues.
_BLURRED = 1e-3
_SHORTEST_COLUMNS = (1e-3, 1e-4)

# Sums of positive numbers are right to so many rounding units.
_SUM_UNITS = 64


@dataclass(frozen=True, eq=False, repr=False)
class Spectrum(ByValue):
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

    def __repr__(self) -> str:
        values = self.eigenvalues
        return (
            f"<Spectrum: {len(values)} eigenvalues from {values[0]:.6g} to {values[-1]:.6g}, "
            f"error {self.error:.2g}, solver {self.solver!r}, {self.passes} passes>"
        )


def leading(W: Array, k: int, vectors: bool, tolerance: float, workers: int) -> Spectrum:
    """Return the leading k eigenvalues for weights in double precision, any finite ones."""
    largest = np.abs(W).max(axis=0)
    power = int(np.frexp(largest.max())[1])
    long = np.ldexp(largest, -power) > _SHORTEST
    count = min(k, int(long.sum()))
    found = Spectrum(np.zeros(0), np.zeros((0, 0)), math.inf, 0, "dense")
    if count:
        found = _solve(np.ldexp(W, -power)[:, long], count, vectors, tolerance, workers)
    # The scaling is undone, and the zero eigenvalues of columns that were set aside are added.
    values, U, error = np.zeros(k), None, found.error
    with np.errstate(over="ignore", under="ignore"):
        values[:count] = np.ldexp(found.eigenvalues, 2 * power)
    if not np.isfinite(values).all():
        raise ValueError(f"W must be so small that J does not overflow, got entries of 2^{power}")
    if values[-1] < np.finfo(float).tiny:
        error = math.inf
    if vectors:
        U = np.zeros((len(long), k))
        U[np.flatnonzero(long), :count] = found.eigenvectors
        U[np.flatnonzero(~long)[: k - count], np.arange(count, k)] = 1
    return Spectrum(values, U, error, found.passes, found.solver)


def _solve(W: Array, k: int, vectors: bool, tolerance: float, workers: int) -> Spectrum:
    """Return the spectrum for columns that have a length."""
    (d, m), found = W.shape, None
    block = d * (d + 3) // 2
    if max(k, block) <= _DENSE_SHARE * m:
        if k <= block:
            found = _from_groups(W, k, vectors, tolerance, workers)
        if found is None and m > _DENSE_WIDTH:
            found = _from_lanczos(W, k, tolerance, workers)
    return found or _from_all(W, k, vectors, workers)


def _from_groups(
    W: Array, k: int, vectors: bool, tolerance: float, workers: int
) -> Spectrum | None:
    """Return the spectrum from the groups' span, or None if its error cannot be bounded."""
    (d, m), passes, size, last = W.shape, 0, 0.0, math.inf
    F = groups.Basis(groups.ALL, d)._eigenvectors(W)
    lengths = np.linalg.norm(F, axis=0)
    F = F[:, lengths > 0] / lengths[lengths > 0]
    single = Product(W.astype(np.float32), workers)
    # A pass in float64 costs twice as much as one in float32.
    for shortest in _SHORTEST_COLUMNS:
        rounded, passes = F.astype(np.float32), passes + 1
        found = _filtered(d, F, single(rounded), shortest)
        if found is None:
            # Rounding may have taken directions that are there.
            _, B, _, rotation, _ = _nystrom(F, Product(W, workers)(F))
            passes, F = passes + 1, B @ rotation
            break
        error = _foreseen(d, F, rounded.T @ found.astype(np.float32))
        F = found
        if k > F.shape[1] or error <= tolerance:
            break
    product = Product(W, workers)
    while passes < _MOST_PASSES:
        passes += 1
        Y, size = (product(F), size) if size else product.with_size(F)
        kept, B, values, rotation, overlap = _nystrom(F, Y)
        if len(values) < k:
            break
        largest = _largest_left_out(half_squares(W), size, values, m)
        if not largest < values[k - 1]:
            break
        # How far the span has moved: the largest eigenvalue of D^T D.
        blur = _rounding(values, m) / values[-1] + np.linalg.norm(F.T @ F - np.eye(F.shape[1]))
        if blur <= tolerance / 8:
            change = blur + 1 - _extreme(overlap.T @ overlap, 0)
        else:
            D = B @ rotation - F[:, kept] @ overlap
            change = _extreme(D.T @ D, len(values) - 1)
        error = largest / (values[k - 1] - largest) * max(change, 0.0)
        if error <= tolerance:
            error += _rounding(values, m) / values[k - 1]
            Z = B @ rotation[:, :k] if vectors else None
            return Spectrum(values[:k], Z, error, passes, "groups")
        if error > last / 2:
            break
        last, F = error, B @ rotation
    return None


def _extreme(square: Array, index: int) -> float:
    """Return the eigenvalue of a symmetric matrix with this index, in increasing order."""
    return float(scipy.linalg.eigvalsh(square, subset_by_index=(index, index))[0])


def _filtered(d: int, F: Array, Y: Array, shortest: float) -> Array | None:
    """Return an orthonormal basis of the span of (J - c) F, Y = J F, or None if columns depend.

    Half the largest eigenvalue left out as the shift c halves the part of those eigenvectors once
    more. It is foreseen from isotropic weights; a wrong one costs time only.
    """
    Y = Y.astype(np.float64)
    largest = _left_out(d, len(F)) * float(np.einsum("jk,jk->k", F, Y).min())
    Y -= largest / 2 * F
    lengths = np.linalg.norm(Y, axis=0)
    if lengths.min() < shortest * lengths.max():
        return None
    Y /= lengths
    try:
        root = scipy.linalg.cholesky(Y.T @ Y)
    except scipy.linalg.LinAlgError:
        return None
    if root.diagonal().min() < _BLURRED:
        return None
    basis: Array = scipy.linalg.solve_triangular(root, Y.T, trans="T", overwrite_b=True).T
    return basis


def _nystrom(F: Array, Y: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Return the columns of F that count, B, and eigenvalues of A = B B^T = Y (F^T Y)^-1 Y^T.

    Y is J F. The fourth, ``rotation``, makes the eigenvectors, B @ rotation; last comes the product
    of the columns that count and the eigenvectors.
    """
    compression = F.T @ Y
    compression = (compression + compression.T) / 2
    threshold = _DEPENDENT * compression.diagonal().max()
    # Cholesky with pivoting: what a column adds to those before it decides whether it stays.
    factor, order, rank, _ = scipy.linalg.lapack.dpstrf(compression, tol=threshold)
    kept = order[:rank] - 1
    B = scipy.linalg.solve_triangular(
        factor[:rank, :rank], Y[:, kept].T, trans="T", overwrite_b=True
    ).T
    values, rotation = scipy.linalg.eigh(B.T @ B)
    values, rotation = values[::-1], rotation[:, ::-1]
    rotation /= np.sqrt(values)
    # With F^T Y = R^T R and B = Y R^-1, F^T B is R^T.
    return kept, B, values, rotation, np.triu(factor[:rank, :rank]).T @ rotation


def _left_out(d: int, m: int) -> float:
    """Return the largest eigenvalue left out, relative to the last one kept, in isotropic weights.

    It is that of degree 4 with the spread of a random matrix.
    """
    if d == 1:
        return 0.0
    ratio = harmonics.eigenvalue(d, 4) / harmonics.eigenvalue(d, 2)
    return ratio * (1 + math.sqrt(harmonics.dimension(d, 4) / m)) ** 2


def _foreseen(d: int, F: Array, overlap: Array) -> float:
    """Return about the error bound after one more pass, given the overlap of F with its result.

    That is for isotropic weights. A wrong guess costs time only.
    """
    if d == 1:
        return 0.0
    ratio = harmonics.eigenvalue(d, 4) / harmonics.eigenvalue(d, 2)
    dimension = harmonics.dimension(d, 4)
    # The root of the sum of the squared eigenvalues left out bounds them.
    size = ratio * math.sqrt(dimension) * math.hypot(1, math.sqrt(dimension / len(F)))
    # By the largest angle between the spans of F, which is not orthonormal, and of the result.
    root = np.linalg.cholesky(F.T @ F)
    cosines = scipy.linalg.solve_triangular(root, overlap, lower=True)
    change = 1 - _extreme(cosines.T @ cosines, 0)
    return size * (_left_out(d, len(F)) / 2) ** 2 * max(change, 0.0)


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


def _from_all(W: Array, k: int, vectors: bool, workers: int) -> Spectrum:
    m = W.shape[1]
    found = scipy.linalg.eigh(
        assembled(W, W.dtype, workers),
        eigvals_only=not vectors,
        subset_by_index=(m - k, m - 1),
        overwrite_a=True,
    )
    values, U = found if vectors else (found, None)
    values, U = np.maximum(values[::-1], 0), U if U is None else U[:, ::-1]
    return Spectrum(values, U, _relative(_rounding(values, m), values), 0, "dense")


def _from_lanczos(W: Array, k: int, tolerance: float, workers: int) -> Spectrum | None:
    """Return the spectrum by Lanczos, or None if that fails."""
    m, product = W.shape[1], Product(W, workers)
    # Fixed starting vectors: the result must not depend on a hidden source of randomness.
    first, *others = np.random.default_rng(0).standard_normal((_MOST_PASSES, m))
    try:
        # The residuals count relative to the last eigenvalue, the solver takes each to its own.
        Q = eigsh(_outside(product, np.empty((m, 0))), k, v0=first, tol=tolerance * 1e-4)[1]
        for start in others:
            values, Q, R = _ritz(product, Q, k)
            value, found = eigsh(_outside(product, Q), 1, v0=start, tol=1e-6)
            if value[0] <= values[-1] + _rounding(values, m):
                error = _relative(float(np.linalg.norm(R)) + _rounding(values, m), values)
                return Spectrum(np.maximum(values, 0), Q, error, 0, "lanczos")
            Q = np.hstack([Q, found])
    except ArpackError:
        pass
    return None


def _ritz(product: Product, Q: Array, k: int) -> tuple[Array, Array, Array]:
    """Return the k leading Ritz pairs from the span of Q, and their residuals."""
    Q = np.linalg.qr(Q)[0]
    Y = product(Q)
    values, rotation = scipy.linalg.eigh((Q.T @ Y + Y.T @ Q) / 2)
    values, rotation = values[::-1][:k], rotation[:, ::-1][:, :k]
    return values, Q @ rotation, Y @ rotation - Q @ rotation * values


def _outside(product: Product, Q: Array) -> LinearOperator:
    """Return J on what is orthogonal to the columns of Q."""

    def apply(v: Array) -> Array:
        v = v.reshape(-1, 1)
        w = product(v - Q @ (Q.T @ v))
        result: Array = w - Q @ (Q.T @ w)
        return result

    return LinearOperator((len(Q), len(Q)), matvec=apply, dtype=np.float64)


def _rounding(values: Array, m: int) -> float:
    """Return what rounding may have done to an eigenvalue, in J and in a solver.

    Where columns of W repeat, so do the errors of a sum of m terms, and do not average out.
    """
    return float((16 + m) * np.finfo(float).eps * values[0])


def _relative(error: float, values: Array) -> float:
    """Return an absolute error relative to the smallest eigenvalue."""
    return error / float(values[-1]) if values[-1] > error else math.inf
