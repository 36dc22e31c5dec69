r"""Spectra of simulated nonlinear random matrices, to be compared with their limit.

Y = f(WX + b 1^T) is drawn as in :mod:`reluspec_lib.proportional.resolvent`, with entries of W and X
from any law of mean 0 and variance 1, and the eigenvalues of M = (1/m) Y Y^T are computed from the
smaller of the two products of Y.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from reluspec_lib._validation import (
    Array,
    RandomSource,
    as_floating,
    check_count,
    check_number,
    check_rng,
)
from reluspec_lib.proportional._arguments import check_kinks, given_biases
from reluspec_lib.proportional._rows import rows

__all__ = [
    "LAWS",
    "eigenvalues",
    "kolmogorov_smirnov",
    "sample_entries",
    "simulate_spectrum",
]

# A law of entries takes a generator and a shape and returns independent entries.
Law = Callable[[np.random.Generator, tuple[int, ...]], Array]

_DEGREES = 3


def _sign(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.integers(0, 2, shape, dtype=np.int8) * 2.0 - 1.0


def _uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.uniform(-math.sqrt(3), math.sqrt(3), shape)


def _student(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.standard_t(_DEGREES, shape) / math.sqrt(_DEGREES / (_DEGREES - 2))


#: The laws that have a name, all of mean 0 and variance 1; Student's t has three degrees of freedom
#: and no fourth moment.
LAWS: dict[str, Law] = {
    "gaussian": lambda rng, shape: rng.standard_normal(shape),
    "sign": _sign,
    "uniform": _uniform,
    "student-t": _student,
}


def sample_entries(law: str | Law, shape: int | tuple[int, ...], rng: RandomSource) -> Array:
    """Return independent entries of a law.

    Parameters
    ----------
    law : str or callable
        "gaussian", "sign" (1 or -1 with equal chance), "uniform" or "student-t" (three degrees of
        freedom), each of mean 0 and variance 1; or a function of a generator and a shape.
    shape : int or tuple of int
        Shape of the array, without zeros.
    rng : numpy.random.Generator or seed
        Source of randomness.

    Returns
    -------
    ndarray of float64, shape ``shape``

    Raises
    ------
    ValueError
        If the law has no such name or does not return finite numbers of the shape, or a size is
        not a positive integer.

    Examples
    --------
    >>> sample_entries("sign", (2, 3), np.random.default_rng(1)).tolist()
    [[1.0, 1.0, -1.0], [-1.0, 1.0, 1.0]]
    """
    rng = check_rng(rng)
    sizes = shape if isinstance(shape, tuple) else (shape,)
    shape = tuple(check_count("shape", size) for size in sizes)
    return _draw(law, shape, rng)


def simulate_spectrum(
    activation: Callable[[Array], Array],
    n0: int,
    n1: int,
    m: int,
    rng: RandomSource,
    *,
    entries: str | Law = "gaussian",
    bias_std: float = 0.0,
    bias: ArrayLike | None = None,
    centred: bool = False,
    kinks: Sequence[float] = (),
) -> Array:
    r"""Return the eigenvalues of M = (1/m) Y Y^T for one draw of Y = f(WX + b 1^T).

    Parameters
    ----------
    activation : callable
        f: takes an ndarray, returns the values in the same shape.
    n0, n1, m : int
        Number of inputs, rows and columns: W is n1 x n0 and X is n0 x m.
    rng : numpy.random.Generator or seed
        Source of randomness.
    entries : str or callable
        Law of the entries of X and of sqrt(n0) W, as in :func:`sample_entries`.
    bias_std : float
        Standard deviation of the biases b_i, iid N(0, bias_std^2), one for each row.
    bias : array_like, optional
        Biases of the rows in place of their law, shape (n1,).
    centred : bool
        Whether to subtract from each row its mean E f(Z + b_i), Z standard Gaussian.
    kinks : sequence of float
        Where f is not smooth, besides 0; needed only for these means.

    Returns
    -------
    ndarray, shape (n1,), float64
        In increasing order, as from :func:`eigenvalues`.

    Raises
    ------
    ValueError
        If a size is not a positive integer, the law is unknown, f does not return finite real
        numbers in the shape of its argument, or both ways to give a bias are used.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> simulate_spectrum(np.tanh, 200, 3, 400, rng).round(3).tolist()
    [0.311, 0.395, 0.464]
    """
    n0, n1, m = check_count("n0", n0), check_count("n1", n1), check_count("m", m)
    if not callable(activation):
        raise ValueError(f"activation must be callable, got {activation!r}")
    places = check_kinks(kinks)
    rng = check_rng(rng)
    W = _draw(entries, (n1, n0), rng) / math.sqrt(n0)
    X = _draw(entries, (n0, m), rng)
    biases = _biases(n1, bias_std, bias, rng)
    Z = W @ X
    Z += biases[:, None]
    Y = as_floating("values of the activation", activation(Z)).astype(np.float64, copy=False)
    if Y.shape != (n1, m):
        raise ValueError(f"activation must keep the shape {(n1, m)}, got shape {Y.shape}")
    if centred:
        kinds, kind, counts = np.unique(biases, return_inverse=True, return_counts=True)
        Y = Y - rows(activation, kinds, counts / n1, places).mean[kind, None]
    return _squared_singular_values(Y)


def eigenvalues(Y: ArrayLike) -> Array:
    """Return the eigenvalues of M = (1/m) Y Y^T, the squared singular values of Y over m.

    Parameters
    ----------
    Y : array_like, shape (n1, m)
        Any real matrix.

    Returns
    -------
    ndarray, shape (n1,), float64
        In increasing order. Those that rank or rounding hides are exactly 0.

    Raises
    ------
    ValueError
        If ``Y`` is not a finite matrix, or an eigenvalue is too large for a float.

    Examples
    --------
    >>> eigenvalues([[3.0, 0.0], [0.0, 1.0], [0.0, 1.0]]).round(12).tolist()
    [0.0, 1.0, 4.5]
    """
    Y = as_floating("Y", Y).astype(np.float64, copy=False)
    if Y.ndim != 2:
        raise ValueError(f"Y must have shape (n1, m), got shape {Y.shape}")
    return _squared_singular_values(Y)


def kolmogorov_smirnov(
    eigenvalues: ArrayLike, cdf: Callable[[Array], ArrayLike], *, outliers: int = 0
) -> float:
    r"""Return the largest distance between the distribution of eigenvalues and a limit.

    .. math:: \sup_x \Big| \frac{1}{N} \#\{\lambda_i \le x\} - F(x) \Big|

    Parameters
    ----------
    eigenvalues : array_like, shape (n1,)
        In any order.
    cdf : callable
        F, such as ``RandomFeatures.cdf``; it may jump, for instance at 0.
    outliers : int
        How many of the largest eigenvalues are left out; N counts the others.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the eigenvalues are not a finite sequence, none is left, or F does not return finite
        real numbers, one for each point.

    Notes
    -----
    The supremum is reached at an eigenvalue or in the limit from below at one: in between only F
    moves. If F jumps elsewhere, it must be constant up to that jump from the eigenvalue below it.

    Examples
    --------
    >>> kolmogorov_smirnov([0.25, 0.5], lambda x: np.clip(x, 0, 1))
    0.5
    """
    values = as_floating("eigenvalues", eigenvalues).astype(np.float64, copy=False)
    outliers = check_count("outliers", outliers, 0)
    if values.ndim != 1 or len(values) <= outliers:
        raise ValueError(
            f"eigenvalues must have shape (n1,) with n1 > outliers = {outliers}, "
            f"got shape {values.shape}"
        )
    values = np.sort(values)[: len(values) - outliers]
    places, counts = np.unique(values, return_counts=True)
    above = np.cumsum(counts) / len(values)
    below = above - counts / len(values)
    if not callable(cdf):
        raise ValueError(f"cdf must be callable, got {cdf!r}")
    points = np.concatenate([places, np.nextafter(places, -np.inf)])
    limit = as_floating("values of cdf", cdf(points)).astype(np.float64, copy=False)
    if limit.shape != points.shape:
        raise ValueError(
            f"cdf must return one number for each of {len(points)} points, got shape {limit.shape}"
        )
    at, before = np.split(limit, 2)
    return float(max(np.abs(above - at).max(), np.abs(below - before).max()))


def _draw(law: str | Law, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return entries of a law, which may be a function that does not keep its promises."""
    if isinstance(law, str) and law in LAWS:
        law = LAWS[law]
    elif not callable(law):
        raise ValueError(f"entries must be one of {', '.join(LAWS)} or a function, got {law!r}")
    values = as_floating("entries", law(rng, shape)).astype(np.float64, copy=False)
    if values.shape != shape:
        raise ValueError(f"entries must have shape {shape}, got shape {values.shape}")
    return values


def _squared_singular_values(Y: Array) -> Array:
    """Return the eigenvalues of Y Y^T / m in increasing order."""
    n1, m = Y.shape
    # Products of entries may leave the range of floats where the eigenvalues do not.
    size = float(np.abs(Y).max()) or 1.0
    scaled = Y / size
    found = np.linalg.eigvalsh((scaled @ scaled.T if n1 <= m else scaled.T @ scaled) / m)
    found = np.concatenate([np.zeros(n1 - len(found)), found])
    rounding = max(n1, m) * np.finfo(np.float64).eps * found[-1]
    found[found <= rounding] = 0.0
    with np.errstate(over="ignore", under="ignore"):
        found = size * found * size
    if not np.isfinite(found[-1]):
        raise ValueError(
            f"Y must have eigenvalues that a float holds, got entries up to {size:.3g}"
        )
    return found


def _biases(n1: int, bias_std: float, bias: ArrayLike | None, rng: np.random.Generator) -> Array:
    """Return the biases of the rows."""
    std = check_number("bias_std", bias_std)
    if std < 0:
        raise ValueError(f"bias_std must be at least 0, got {bias_std!r}")
    if bias is None:
        return std * rng.standard_normal(n1) if std else np.zeros(n1)
    given = given_biases(bias, std)
    if given.shape != (n1,):
        raise ValueError(f"bias must have shape (n1,) = ({n1},), got shape {given.shape}")
    return given
