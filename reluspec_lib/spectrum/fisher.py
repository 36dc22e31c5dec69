r"""The Fisher information of the readout weights, for Gaussian inputs.

For y = f_v(x) + N(0, 1) with x ~ N(0, I_d), the Fisher information of v is the second moment of the
hidden features, J = E[X(x)^T X(x)]. Each entry is a Gaussian integral with a closed form, the
arc-cosine kernel of degree 1 of Cho and Saul (2009). Products with J run over tiles of its upper
triangle and never hold it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from scipy.sparse.linalg import LinearOperator

from reluspec_lib import groups
from reluspec_lib._threads import check_workers
from reluspec_lib._validation import (
    Array,
    as_floating,
    check_count,
    check_dtype,
    check_number,
    check_readout,
    check_weights,
)
from reluspec_lib.spectrum._kernel import Operator, Product, half_squares, second_moments, strips
from reluspec_lib.spectrum._leading import Spectrum, leading

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


def matrix(
    W: ArrayLike,
    *,
    activation: Any = None,
    dtype: DTypeLike | None = None,
    workers: int | None = None,
) -> Array:
    r"""Return the Fisher information matrix J of the readout weights in closed form.

    .. math:: J_{ij} = \frac{|w_i| |w_j|}{2\pi}
              \big( \sin\theta_{ij} + (\pi - \theta_{ij}) \cos\theta_{ij} \big)

    where theta is the angle between the columns w_i and w_j of W.

    Parameters
    ----------
    W : array_like, shape (d, m)
        Hidden weights.
    activation : optional
        In place of the ReLU, one of :mod:`reluspec_lib.beyond.activations`.
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
    Beyond the result, memory is a copy of W and about 2 MiB per worker.
    Source: section 1 of the paper; Cho and Saul (2009) for the closed form.

    Examples
    --------
    >>> matrix([[1.0, 0.0], [0.0, 1.0]]).round(4).tolist()
    [[0.5, 0.1592], [0.1592, 0.5]]
    """
    W = check_weights(W)
    kind = check_dtype("dtype", W.dtype if dtype is None else dtype)
    return second_moments(W, activation, kind, check_workers(workers, strips(W.shape[1])))


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
    product = Product(W.astype(kind, copy=False), check_workers(workers, strips(len(V))))
    return product(V.reshape(len(V), -1).astype(kind, copy=False)).reshape(V.shape)


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
    return Operator(W, check_workers(workers, strips(W.shape[1])))


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
        total = half_squares(W)
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
    d, m = W.shape
    basis = groups.Basis(groups.ALL, d)
    V = basis._eigenvectors(W)
    V *= np.sqrt(basis.eigenvalues).astype(V.dtype)
    R = second_moments(W, None, W.dtype, check_workers(None, strips(m)))
    R -= V @ V.T
    return R


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
    W is scaled by a power of two first; columns without length give zeros and are set aside.

    The span of the group vectors is within O(1/sqrt(m)) of the leading eigenspace. From a block F
    that spans it, each pass takes Y = J F and the Nystrom approximation A = Y (F^T Y)^-1 Y^T of J
    and goes on with the eigenvectors Z of A; directions that depend on others leave the block. Per
    pass the error falls by the square of the ratio of the first eigenvalue left out to the last one
    kept. The first pass is in float32, as is the next if two would follow, and these go on with the
    span of (J - c) F: c, half the eigenvalue left out at isotropic W, quarters the error, nearly.

    *The error is bounded.* E = J - A is positive semidefinite with E F = 0. Its trace and a bound
    of the sum of its squared entries are known, hence a bound gamma of its norm: the largest of n
    numbers >= 0 with a given mean and mean square. With D = Z - F M for any M, E Z = E D. If gamma
    is below the k-th eigenvalue nu of A, counting eigenvalues by a Schur complement gives

    .. math:: 0 \le \lambda_i(J) - \lambda_i(A) \le \frac{\gamma \nu}{\nu - \gamma} \|D\|^2,
              \qquad i \le k.

    Where gamma is not, W is far from isotropic, and where k exceeds d(d+3)/2 there is no gap after
    the k-th eigenvalue. Then a dense solver takes over, or above 2000 units Lanczos: its bound is
    the norm of the residuals of all pairs, and a second run on what is orthogonal to them looks for
    eigenvalues that the first may have passed over. The dense solver also has the cases where k or
    the block exceeds 0.3 m or Lanczos fails. To each bound comes an allowance for rounding.

    Examples
    --------
    >>> spectrum([[3.0, 0.0], [4.0, 0.0]]).eigenvalues.tolist()
    [12.5, 0.0]
    """
    W = check_weights(W)
    d, m = W.shape
    k = min(d * (d + 3) // 2, m) if k is None else check_count("k", k)
    if k > m:
        raise ValueError(f"k must be an integer in 1 ... m = {m}, got {k}")
    tolerance = check_number("tolerance", tolerance)
    if not 1e-15 < tolerance < 1:
        raise ValueError(f"tolerance must be in (1e-15, 1), got {tolerance!r}")
    workers = check_workers(workers, strips(m))
    return leading(W.astype(np.float64, copy=False), k, vectors, tolerance, workers)
