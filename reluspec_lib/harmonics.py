r"""Spherical harmonics of every degree, and the spectrum of the infinitely wide network.

The operator (T psi)(x) = E_g[psi(g) ReLU(g.x)], g standard Gaussian in R^d, maps the function
\|g\| Y(g/\|g\|) to d b_k \|x\| Y(x/\|x\|) for every spherical harmonic Y of degree k (Funk-Hecke).
The Fisher information seen from weight space and the kernel seen from function space both have
the eigenvalues d^2 b_k^2, with the dimension of the space of harmonics as multiplicity.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from reluspec_lib import sphere
from reluspec_lib._validation import Array, check_count, check_interval

__all__ = ["dimension", "eigenvalue", "funk_hecke", "relu_coefficient", "share", "zonal"]

# Beyond this multiple of 1/sqrt(d) from the equator the weight of the sphere is below 1e-31.
_BAND = 12.0

# Quadrature over the latitude goes by Gauss-Legendre on panels. A rule with 32 nodes integrates a
# harmonic of degree k to rounding over a panel of up to 24/k, on which its phase turns by 24.
_NODES = 32
_PHASE = 24.0
_FEWEST_PANELS = 6


def _check_degree(d: int, k: int) -> tuple[int, int]:
    """Return d and k as ints, or raise a ValueError if there is no harmonic of degree k."""
    d, k = check_count("d", d), check_count("k", k, minimum=0)
    if d == 1 and k > 1:
        raise ValueError(f"k must be 0 or 1 at d = 1, where the sphere is two points, got {k}")
    return d, k


def dimension(d: int, k: int) -> int:
    r"""Return the dimension of the space of spherical harmonics of degree k on S^{d-1}.

    .. math:: N(d, k) = \binom{d+k-1}{k} - \binom{d+k-3}{k-2}

    Parameters
    ----------
    d : int
        Dimension, at least 1.
    k : int
        Degree, at least 0.

    Returns
    -------
    int
        Exact; 0 where there are none (d = 1, k >= 2).

    Raises
    ------
    ValueError
        If an argument is not an integer in its range.

    Notes
    -----
    At degrees 0, 1 and 2 these are the sizes of the paper's groups: 1, d and d(d+1)/2 - 1.

    Examples
    --------
    >>> [dimension(10, k) for k in range(3)]
    [1, 10, 54]
    """
    d, k = check_count("d", d), check_count("k", k, minimum=0)
    return math.comb(d + k - 1, k) - (math.comb(d + k - 3, k - 2) if k >= 2 else 0)


def zonal(d: int, k: int, t: ArrayLike) -> Array:
    r"""Return the zonal polynomial P_k of degree k in dimension d, with P_k(1) = 1.

    The Gegenbauer polynomial :math:`C_k^{(d-2)/2}` divided by its value at 1 (Legendre at d = 3,
    Chebyshev at d = 2), by its recurrence

    .. math:: (k + d - 2)\, P_{k+1}(t) = (2k + d - 2)\, t\, P_k(t) - k\, P_{k-1}(t)

    Parameters
    ----------
    d : int
        Dimension, at least 1; at d = 1 there are only the degrees 0 and 1.
    k : int
        Degree, at least 0.
    t : array_like
        Points in [-1, 1].

    Returns
    -------
    ndarray of float64, shape of ``t``

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Notes
    -----
    The recurrence is stable on [-1, 1]. For a unit vector e, the function u -> P_k(u.e) is the
    spherical harmonic of degree k that is symmetric around e.

    Examples
    --------
    >>> zonal(3, 2, [0.0, 1.0]).tolist()
    [-0.5, 1.0]
    """
    d, k = _check_degree(d, k)
    t = check_interval("t", t)
    before, current = np.ones_like(t), t.copy()
    if k == 0:
        return before
    for j in range(1, k):
        before, current = current, ((2 * j + d - 2) * t * current - j * before) / (j + d - 2)
    return current


def relu_coefficient(d: int, k: int) -> float:
    r"""Return the Funk-Hecke coefficient b_k of the ReLU.

    .. math:: b_k = E[\mathrm{ReLU}(u_1) P_k(u_1)], \qquad b_0 = c_d, \quad b_1 = \frac{1}{2d},
              \quad b_{k+2} = -\frac{k-1}{k+d+1}\, b_k \ (k \text{ even}), \quad
              b_k = 0 \ (k \ge 3 \text{ odd})

    Parameters
    ----------
    d : int
        Dimension, at least 1; at d = 1 there are only the degrees 0 and 1.
    k : int
        Degree, at least 0.

    Returns
    -------
    float
        Relative error below 1e-12 for d and k up to 10^4, where the value is not subnormal (above
        2.3e-308 in size); 0 where it underflows.

    Raises
    ------
    ValueError
        If an argument is not an integer in its range.

    Notes
    -----
    Source: Theorems 3.1, 3.2 and 3.5 of the paper are the degrees 0, 1 and 2.

    Examples
    --------
    >>> relu_coefficient(3, 0), relu_coefficient(3, 1), relu_coefficient(3, 3)
    (0.25, 0.16666666666666666, 0.0)
    """
    d, k = _check_degree(d, k)
    return 1 / (2 * d) if k == 1 else sphere.relu_mean(d) * _ratio(d, k)


def _ratio(d: int, k: int) -> float:
    """Return b_k / b_0 for a degree other than 1."""
    if k % 2:
        return 0.0
    steps = np.arange(0.0, k, 2)
    return float(np.prod((1 - steps) / (steps + float(d) + 1)))


def eigenvalue(d: int, k: int) -> float:
    r"""Return the eigenvalue of degree k of the infinitely wide network, d^2 b_k^2.

    Its multiplicity is ``dimension(d, k)``. Degrees 0, 1 and 2 are the paper's three clusters.

    Parameters
    ----------
    d, k : int
        As for :func:`relu_coefficient`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is not an integer in its range.

    Notes
    -----
    Over even k it decays like k^-(d+2), and the sum with multiplicities is d/2.

    Examples
    --------
    >>> round(eigenvalue(3, 0), 12), round(eigenvalue(3, 1), 12)
    (0.5625, 0.25)
    """
    d, k = _check_degree(d, k)
    # At degree 1 it is 1/4, but d times a rounded 1/(2d) is not 1/2 at every d.
    return 0.25 if k == 1 else (d * sphere.relu_mean(d) * _ratio(d, k)) ** 2


def share(d: int, kmax: int) -> float:
    r"""Return the share of the trace of the Fisher information in the degrees 0 to kmax.

    .. math:: \frac{2}{d} \sum_{k=0}^{k_{\max}} N(d, k)\, d^2 b_k^2

    Parameters
    ----------
    d : int
        Dimension, at least 1.
    kmax : int
        Largest degree counted, at least 0.

    Returns
    -------
    float
        In (0, 1); for every W of finite width the same share holds for the sums of group vectors.

    Raises
    ------
    ValueError
        If an argument is not an integer in its range.

    Notes
    -----
    At ``kmax = 2`` it decreases in d to 1/2 + 3/(2 pi) = 0.9774..., the paper's 97.7 %.

    Examples
    --------
    >>> round(share(10, 2), 5)
    0.98393
    """
    d, kmax = check_count("d", d), check_count("kmax", kmax, minimum=0)
    lowest = 2 * d * sphere.relu_mean(d) ** 2
    total = lowest + (0.5 if kmax >= 1 else 0.0)
    if d == 1 or kmax < 2:
        return total
    if kmax < 4:
        return total + lowest * dimension(d, 2) * _ratio(d, 2) ** 2
    _, traces = even_degrees(d, kmax // 2)
    return total + 2 / d * float(traces.sum())


def even_degrees(d: int, count: int) -> tuple[Array, Array]:
    """Return lambda and N lambda of the degrees 2, 4, ..., 2 count, for d > 1.

    N overflows and lambda underflows where their product does neither: both go by their ratios.
    """
    k = np.arange(2.0, 2 * count, 2)
    steps = ((k - 1) / (k + d + 1)) ** 2
    growth = (2 * k + d + 2) / (2 * k + d - 2) * (k + d - 2) / (k + 1) * (k + d - 1) / (k + 2)
    first = eigenvalue(d, 2)
    values = first * np.cumprod(np.concatenate([[1.0], steps]))
    return values, dimension(d, 2) * first * np.cumprod(np.concatenate([[1.0], growth * steps]))


def funk_hecke(s: Callable[[Array], Array], d: int, k: int) -> float:
    r"""Return the Funk-Hecke coefficient E[s(u_1) P_k(u_1)] of an activation, by quadrature.

    Parameters
    ----------
    s : callable
        Activation: takes an ndarray of points in [-1, 1], returns the values in the same shape.
        It may have a kink or a jump at 0 and must be smooth elsewhere.
    d : int
        Dimension, at least 1; at d = 1 there are only the degrees 0 and 1.
    k : int
        Degree, at least 0.

    Returns
    -------
    float
        Absolute error, relative to the largest value of ``s``, about 1e-15 for k up to 100 and
        below 1e-13 for k up to 5000.

    Raises
    ------
    ValueError
        If an integer is out of range, or ``s`` gives a wrong shape or a number that is not finite.

    Notes
    -----
    Gauss-Legendre on panels of the latitude, on each side of the equator apart; the cost grows as
    k^2. For a positively homogeneous activation of degree 1 the eigenvalues are d^2 times the
    squares of these coefficients.

    Examples
    --------
    >>> round(funk_hecke(lambda t: np.maximum(t, 0), 5, 1), 12)
    0.1
    """
    d, k = _check_degree(d, k)
    if d == 1:
        points, weights = np.array([-1.0, 1.0]), np.array([0.5, 0.5])
    else:
        latitude, lengths = _latitudes(min(math.pi / 2, _BAND / math.sqrt(d)), k)
        # Density of the latitude: the marginal density of u_1 = sin(latitude) times cos(latitude).
        constant = math.exp(sphere.log_gamma_ratio((d - 1) / 2, 0.5)) / math.sqrt(math.pi)
        half = constant * lengths * np.cos(latitude) ** (d - 2)
        points = np.concatenate([-np.sin(latitude[::-1]), np.sin(latitude)])
        weights = np.concatenate([half[::-1], half])
    values = np.asarray(s(points))
    if values.dtype.kind not in "biuf":
        raise ValueError(f"s must return real numbers, got an array of dtype {values.dtype}")
    if values.shape != points.shape or not np.isfinite(values).all():
        raise ValueError(
            f"s must return finite numbers in the shape of its argument {points.shape}, "
            f"got shape {values.shape}"
        )
    return float((weights * values) @ zonal(d, k, points))


@functools.cache
def _panel() -> tuple[Array, Array]:
    """Return nodes and weights of a panel [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return (nodes + 1) / 2, weights / 2


def _latitudes(width: float, k: int) -> tuple[Array, Array]:
    """Return nodes and weights on [0, width] that resolve a harmonic of degree k."""
    panels = _FEWEST_PANELS + math.ceil(k * width / _PHASE)
    nodes, weights = _panel()
    starts = np.arange(panels)[:, None]
    size = width / panels
    return ((starts + nodes) * size).ravel(), np.tile(weights * size, panels)
