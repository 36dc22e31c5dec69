r"""Inputs that are not standard Gaussian: what their law does to the Fisher information.

The functions that the group vectors learn do not depend on the law of the inputs; their inner
products, and with them the spectrum, do.

==================== =========================================================================
:func:`matrix`       J in closed form for x ~ N(mean, covariance)
:func:`norms`        squared norms of the limit functions for independent, alike coordinates
:func:`even_bound`   what no more than d + 1 eigenvalues exceed, and only one even function
:func:`turning`      how many units change sign on a sphere that is off the origin
==================== =========================================================================
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from reluspec_lib import groups
from reluspec_lib._validation import Array, as_floating, check_count, check_number, check_weights
from reluspec_lib.spectrum import fisher

__all__ = ["Norms", "even_bound", "matrix", "norms", "turning"]

# Rows of the matrix that are computed at once.
_ROWS = 128

# The normal distribution ends here in float64.
_FAR = 40.0

# Steps in log s of the integral over s in `norms`. Its integrand is analytic in a strip of height
# pi, where the trapezoidal rule of step h errs by about exp(-pi^2/h).
_LOG_STEPS = np.arange(-42.0, 42.0, 0.2)


class Norms(NamedTuple):
    """Squared norms of the limit functions, which are the limits of v^T J v."""

    norm: float
    coordinate: float
    square: float
    product: float


def matrix(
    W: ArrayLike, mean: ArrayLike | None = None, covariance: ArrayLike | None = None
) -> Array:
    r"""Return the Fisher information matrix for Gaussian inputs with any mean and covariance.

    .. math:: J_{ij} = (\mu_i \mu_j + \sigma_{ij})\, \Phi_2(h, k; \rho)
              + \mu_i \sigma_j\, \phi(k)\, \Phi\Big(\frac{h - \rho k}{\sqrt{1 - \rho^2}}\Big)
              + \mu_j \sigma_i\, \phi(h)\, \Phi\Big(\frac{k - \rho h}{\sqrt{1 - \rho^2}}\Big)
              + \frac{\sigma_i \sigma_j \sqrt{1 - \rho^2}}{2\pi}
              \exp\Big(-\frac{h^2 - 2 \rho h k + k^2}{2 (1 - \rho^2)}\Big)

    with the means :math:`\mu_i` of :math:`w_i \cdot x`, their covariances :math:`\sigma_{ij}`,
    correlations :math:`\rho` and deviations :math:`\sigma_i`, :math:`h = \mu_i/\sigma_i`,
    :math:`k = \mu_j/\sigma_j`, and the bivariate normal distribution function :math:`\Phi_2`.

    Parameters
    ----------
    W : array_like, shape (d, m)
        Hidden weights.
    mean : array_like, shape (d,), optional
        Mean of the inputs; 0 by default.
    covariance : array_like, shape (d, d), optional
        Symmetric and positive semidefinite; the identity by default.

    Returns
    -------
    J : ndarray, shape (m, m), float64
        Exactly symmetric.

    Raises
    ------
    ValueError
        If an argument has another shape, is not finite or so large that J overflows, or
        ``covariance`` is not symmetric or has a negative eigenvalue.

    Notes
    -----
    The error of an entry is of the order of the rounding of
    :math:`(|\mu_i| + \sigma_i)(|\mu_j| + \sigma_j)`, also where the entry itself is much smaller.
    Without a mean this is ``fisher.matrix`` of covariance^(1/2) W, which is much faster. Source:
    moments of a truncated bivariate normal law (Rosenbaum 1961); Owen (1956) for its distribution
    function.

    Examples
    --------
    >>> matrix([[1.0, 0.0], [0.0, 1.0]], mean=[1.0, 0.0]).round(4).tolist()
    [[1.9247, 0.4322], [0.4322, 0.5]]
    """
    W = check_weights(W).astype(np.float64, copy=False)
    d = len(W)
    spread = W if covariance is None else _root(covariance, d) @ W
    center = np.zeros(d) if mean is None else as_floating("mean", mean).astype(np.float64)
    if center.shape != (d,):
        raise ValueError(f"mean must have shape ({d},), got shape {center.shape}")
    if not center.any():
        return fisher.matrix(spread)
    return _off_centre(center @ W, spread)


def norms(d: int, values: ArrayLike, weights: ArrayLike | None = None) -> Norms:
    r"""Return the squared norms of the limit functions for inputs with alike coordinates.

    .. math:: \mathbb{E} F_0^2 = \lambda_0 s, \quad \mathbb{E} F_l^2 = \tfrac14 s, \quad
              \mathbb{E} F_g^2 = \big(1 + \tfrac d2 (1 - \beta)\big) \lambda_2 s, \quad
              \mathbb{E} F_{ab}^2 = \beta \lambda_2 s

    with :math:`s = \mathbb{E} x_1^2`, the exact eigenvalues :math:`\lambda_k`, and

    .. math:: \beta = \frac{d + 2}{s}\, \mathbb{E} \frac{x_1^2 x_2^2}{|x|^2} = \frac{d + 2}{s}
              \int_0^\infty \big(\mathbb{E}\, x_1^2 e^{-t x_1^2}\big)^2
              \big(\mathbb{E}\, e^{-t x_1^2}\big)^{d-2}\, dt .

    Parameters
    ----------
    d : int
        Input dimension, at least 2.
    values : array_like, shape (n,)
        Values of one coordinate: nodes of a quadrature rule, or a sample. The coordinates of an
        input are independent and all have this law.
    weights : array_like, shape (n,), optional
        Probabilities of the values, >= 0; they are divided by their sum. All alike by default.

    Returns
    -------
    Norms
        Named tuple of float, in the order of ``groups.ALL``.

    Raises
    ------
    ValueError
        If ``d`` is below 2, the shapes do not fit, a weight is negative, all values that have a
        weight are 0, or their squares leave the range of float64.

    Notes
    -----
    Where the coordinates are not symmetric, these are still the norms, but the functions need not
    be orthogonal. The square is computed from :math:`\tfrac12 \mathbb{E} (x_1^2 - x_2^2)^2/|x|^2`,
    which loses no digits where it is small. Source: this book.

    Examples
    --------
    >>> norms(10, [-1.0, 1.0]).square  # all |x_l| are alike
    0.0
    """
    d = check_count("d", d, 2)
    x = as_floating("values", values).astype(np.float64, copy=False)
    if x.ndim != 1:
        raise ValueError(f"values must have shape (n,), got shape {x.shape}")
    p = np.ones(len(x))
    if weights is not None:
        p = as_floating("weights", weights).astype(np.float64, copy=False)
    if p.shape != x.shape or (p < 0).any() or not p.any():
        raise ValueError(
            f"weights must be {len(x)} numbers >= 0, not all 0, got shape {p.shape} and "
            f"{p.min()} ... {p.max()}"
        )
    largest = np.abs(x).max(initial=0.0, where=p > 0)
    if not largest:
        raise ValueError("values must not all be 0")
    p = p / p.sum()
    squares = np.square(x / largest)
    mean_square = float(p @ squares)
    squares /= mean_square
    scale = mean_square * float(largest) * float(largest)
    if not 0 < scale < math.inf:
        raise ValueError(f"values must have squares in the range of float64, got up to {largest}")
    # From one of the values, so that the variance is exactly 0 where all squares are alike.
    origin = float(squares[np.argmax(p)])
    from_origin = squares - origin
    square = product = 0.0
    for step in _LOG_STEPS.tolist():
        s = math.exp(step)
        tilted = p * np.exp(-s * squares)
        mass, lost = float(tilted.sum()), float(p @ np.expm1(-s * squares))
        if not mass or lost <= -1:
            break
        shift = float(tilted @ from_origin) / mass
        variance = float(tilted @ np.square(from_origin - shift)) / mass
        # The power by its logarithm: for large d that of 1 + lost would amplify the rounding.
        density = 0.2 * s * math.exp(d * math.log1p(lost))
        square += density * variance
        product += density * (origin + shift) ** 2
    first, middle, third = (
        scale * group.eigenvalue(d) for group in (groups.NORM, groups.COORDINATE, groups.PRODUCT)
    )
    return Norms(first, middle, (d / 2 + 1) * third * square, (d + 2) * third * product)


def even_bound(covariance: ArrayLike) -> float:
    r"""Return a bound for all even eigenfunctions but the first, for laws with x and -x alike.

    .. math:: \mu_2 \le \frac14 \Big(1 - \frac2\pi\Big) \sigma_1

    with the largest eigenvalue :math:`\sigma_1` of :math:`\mathbb{E}\, x x^\top`. The coordinate
    along an eigenvector has exactly a quarter of its variance :math:`\sigma_l`: with
    :math:`\sigma_l > (1 - \frac2\pi) \sigma_1` it comes before all these. For every law, alike or
    not, at most d + 1 eigenvalues exceed the bound.

    Parameters
    ----------
    covariance : array_like, shape (d, d)
        Second moments of the inputs, symmetric and positive semidefinite.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If ``covariance`` is not square, symmetric and finite, or has a negative eigenvalue.

    Notes
    -----
    For infinitely many units. Source: this book.

    Examples
    --------
    >>> round(even_bound([[1.0, 0.0], [0.0, 1.0]]), 4)
    0.0908
    """
    return (1 - 2 / math.pi) / 4 * float(_spectrum(covariance, None)[0][-1])


def turning(r: int, radius: float, distance: float) -> float:
    r"""Return the probability that a unit is active on a part of a sphere only.

    .. math:: \mathbb{P}\Big( |u_0| < \frac{\text{radius}}{\sqrt{\text{radius}^2 +
              \text{distance}^2}} \Big), \qquad u \text{ uniform on } S^r \subset \mathbb{R}^{r+1}

    Parameters
    ----------
    r : int
        The sphere lies in an affine space of this dimension; 2 is a circle.
    radius : float
        Its radius, positive.
    distance : float
        How far that space is from the origin, with the centre as the nearest point; at least 0.

    Returns
    -------
    float
        Of the other units half are silent on the sphere and half are linear.

    Raises
    ------
    ValueError
        If an argument is not in its range.

    Examples
    --------
    >>> round(turning(2, 1.0, 3.0) ** 2, 12)
    0.1
    """
    r = check_count("r", r)
    radius = check_number("radius", radius, positive=True)
    distance = check_number("distance", distance, minimum=0.0)
    sine = radius / math.hypot(radius, distance)
    return float(special.betainc(0.5, r / 2, sine**2))


def _spectrum(covariance: ArrayLike, d: int | None) -> tuple[Array, Array]:
    """Return eigenvalues and eigenvectors of a covariance, or raise a ValueError."""
    S = as_floating("covariance", covariance).astype(np.float64, copy=False)
    size = len(S) if d is None and S.ndim else d
    if S.shape != (size, size):
        wanted = "(d, d)" if d is None else f"({d}, {d})"
        raise ValueError(f"covariance must have shape {wanted}, got shape {S.shape}")
    largest = float(np.abs(S).max())
    if np.abs(S - S.T).max() > 1e-10 * largest:
        raise ValueError(f"covariance must be symmetric, got an asymmetry of {abs(S - S.T).max()}")
    values, vectors = np.linalg.eigh(S / 2 + S.T / 2)
    if values[0] < -1e-10 * largest:
        raise ValueError(f"covariance must have eigenvalues >= 0, got {values[0]:.3g}")
    return np.maximum(values, 0), vectors


def _root(covariance: ArrayLike, d: int) -> Array:
    values, vectors = _spectrum(covariance, d)
    root: Array = (vectors * np.sqrt(values)) @ vectors.T
    return root


def _off_centre(means: Array, spread: Array) -> Array:
    """Return J from the means of w_i x, and vectors whose products are their covariances."""
    m = len(means)
    deviations = np.sqrt(np.einsum("lj,lj->j", spread, spread))
    if not (np.abs(means) + deviations).max() < 1e154:
        raise ValueError("W, mean and covariance must be so small that J does not overflow")
    # A unit without spread has a constant feature, as one whose mean is many deviations away.
    certain = deviations <= 1e-14 * np.abs(means)
    safe = np.where(certain, 1, deviations)
    h = np.where(certain, _FAR * np.sign(means), means / safe)
    directions = np.where(certain, 0, spread / safe)
    J = np.empty((m, m))
    for top in range(0, m, _ROWS):
        rows = slice(top, min(top + _ROWS, m))
        columns = slice(top, m)
        rho = np.clip(directions[:, rows].T @ directions[:, columns], -1, 1)
        sine = np.sqrt((1 - rho) * (1 + rho))
        a, b = h[rows, None], h[None, columns]
        with np.errstate(all="ignore"):
            # 0/0 only where both units change sign at one place; the term is then 0.
            first, second = (
                np.clip(np.nan_to_num(difference / sine, nan=0.0), -_FAR, _FAR)
                for difference in (a - rho * b, b - rho * a)
            )
        both = _both_positive(a, b, rho, first, second)
        product = means[rows, None] * means[None, columns]
        sizes = deviations[rows, None] * deviations[None, columns]
        block = (product + rho * sizes) * both
        block += means[rows, None] * deviations[None, columns] * _phi(b) * special.ndtr(first)
        block += means[None, columns] * deviations[rows, None] * _phi(a) * special.ndtr(second)
        block += sizes * sine * _phi(a) * _phi(second)
        # The tile on the diagonal is symmetric only up to rounding.
        height = rows.stop - top
        block[:, :height] = np.triu(block[:, :height]) + np.triu(block[:, :height], 1).T
        np.maximum(block, 0, out=block)
        J[rows, columns] = block
        J[columns, rows] = block.T
    # On the diagonal rho is 1 up to rounding, of which the sine would take the square root.
    diagonal = (means**2 + deviations**2) * special.ndtr(h) + means * deviations * _phi(h)
    np.fill_diagonal(J, np.maximum(diagonal, 0))
    return J


def _phi(z: Array) -> Array:
    density: Array = np.exp(-np.square(z) / 2) / math.sqrt(2 * math.pi)
    return density


def _both_positive(a: Array, b: Array, rho: Array, first: Array, second: Array) -> Array:
    """Return P(Z + a > 0, Z' + b > 0) for standard normal Z and Z' with correlation rho."""
    with np.errstate(all="ignore"):
        # Owen's T at the slopes of the two lines; where a mean is 0, the slope is infinite.
        at_a = special.owens_t(a, np.where(a == 0, np.copysign(np.inf, second), second / a))
        at_b = special.owens_t(b, np.where(b == 0, np.copysign(np.inf, first), first / b))
    apart = np.where((a * b < 0) | ((a * b == 0) & (a + b < 0)), 0.5, 0.0)
    both: Array = (special.ndtr(a) + special.ndtr(b)) / 2 - at_a - at_b - apart
    # Both means 0: the formula's limit.
    centred = (a == 0) & (b == 0)
    return np.where(centred, 0.25 + np.arcsin(rho) / (2 * math.pi), np.clip(both, 0, 1))
