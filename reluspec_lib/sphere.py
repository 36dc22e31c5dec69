"""The uniform distribution on the unit sphere S^{d-1}: marginal densities and moments.

The length and the direction u of a standard Gaussian vector in R^d are independent, and u is
uniform on the sphere. Every constant of the paper is a moment of u times a moment of the length.
All of them are ratios Gamma(x + s)/Gamma(x), evaluated here without the cancellation that a
difference of log-gammas suffers at large d.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from reluspec_lib._validation import Array, check_count, check_interval

__all__ = [
    "absolute_moment",
    "bivariate_density",
    "marginal_density",
    "relu_mean",
    "relu_moment",
]

# Coefficients B_2k / (2k (2k - 1)) of Stirling's series, k = 1, 2, ...; from this argument on, the
# first neglected term is below 1e-16.
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
_STIRLING_FROM = 10.0

# Up to this sum of dimension and powers, moments come from exact fractions.
_SMALL = 40

# Dimensions and powers above this are refused: half of a sum of some must stay a float.
_LARGEST = 10**300


def log_gamma_ratio(x: float, s: float) -> float:
    """Return log(Gamma(x + s) / Gamma(x)) to a few rounding units times s, x > 0, s >= 0.

    From Stirling's series of both terms, with their common large part cancelled by hand.
    """
    if x < _STIRLING_FROM:
        return math.lgamma(x + s) - math.lgamma(x)

    def tail(y: float) -> float:
        total, square = 0.0, (1 / y) ** 2
        for coefficient in reversed(_STIRLING):
            total = total * square + coefficient
        return total / y

    return (x + s - 0.5) * math.log1p(s / x) + s * math.log(x) - s + tail(x + s) - tail(x)


def _gamma_of_half(n: int) -> Fraction:
    """Return Gamma(n/2) for n >= 1, divided by the square root of pi where n is odd."""
    if n % 2 == 0:
        return Fraction(math.factorial(n // 2 - 1))
    return Fraction(math.factorial(n - 1), 4 ** (n // 2) * math.factorial(n // 2))


def _check_size(name: str, value: Any, minimum: int = 1) -> int:
    """Return a count that a float can hold, with room for what is done to it."""
    count = check_count(name, value, minimum)
    if count > _LARGEST:
        raise ValueError(f"{name} must be at most 10**300, got a larger integer")
    return count


def absolute_moment(d: int, powers: Sequence[int]) -> float:
    r"""Return the mixed absolute moment :math:`E |u_1|^{p_1} \cdots |u_r|^{p_r}`.

    .. math:: \frac{\Gamma(d/2)}{\Gamma((d+p)/2)}
              \prod_i \frac{\Gamma((p_i+1)/2)}{\Gamma(1/2)}, \qquad p = \sum_i p_i

    Parameters
    ----------
    d : int
        Dimension, from 1 to 10^300.
    powers : sequence of int
        Powers of the first r = len(powers) <= d coordinates, from 0 to 10^300.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If ``d`` or a power is not an integer in its range, or there are more powers than d.

    Notes
    -----
    Source: appendices A, F and G of the paper use the powers (1), (3) and (1, 2).

    Examples
    --------
    >>> round(absolute_moment(3, [2]), 12)
    0.333333333333
    """
    d = _check_size("d", d)
    try:
        powers = sorted(_check_size("powers", p, minimum=0) for p in powers)
    except TypeError:
        raise ValueError(f"powers must be a sequence of integers >= 0, got {powers!r}") from None
    if len(powers) > d:
        raise ValueError(f"powers must have at most d = {d} entries, got {len(powers)}")
    if d + sum(powers) <= _SMALL:
        # A fraction times a power of pi: the nearest float, up to the rounding of that power.
        total = sum(powers)
        moment = _gamma_of_half(d) / _gamma_of_half(d + total)
        roots = d % 2 - (d + total) % 2
        for p in powers:
            moment *= _gamma_of_half(p + 1)
            roots -= p % 2
        return float(moment) * math.pi ** (roots // 2)
    # The largest power p and the dimension d may change places: Gamma(d/2) Gamma((p+1)/2) is
    # symmetric in d and p + 1. Ratios with the smaller step are the more accurate ones.
    small, largest, total = powers[:-1], max(powers, default=0), sum(powers)
    if largest < d:
        log_moment = log_gamma_ratio(0.5, largest / 2) - log_gamma_ratio(d / 2, total / 2)
    else:
        step = (d - 1 + total - largest) / 2
        log_moment = log_gamma_ratio(0.5, (d - 1) / 2) - log_gamma_ratio((largest + 1) / 2, step)
    return math.exp(log_moment + sum(log_gamma_ratio(0.5, p / 2) for p in small))


def relu_moment(d: int, a: int, b: int = 0) -> float:
    r"""Return :math:`E[u_1^a u_2^b \mathrm{ReLU}(u_1)]` for u uniform on the sphere.

    Zero for odd b; for even b half the absolute moment with powers (a + 1, b).

    Parameters
    ----------
    d : int
        Dimension, from 1 to 10^300, and at least 2 where ``b > 0``.
    a, b : int
        Powers, from 0 to 10^300.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is not an integer in its range.

    Notes
    -----
    Source: appendices F and G of the paper, where T_11 = E[u_1^2 ReLU(u_1)] and
    T_12 = E[u_2^2 ReLU(u_1)].

    Examples
    --------
    >>> round(relu_moment(5, 2) / relu_moment(5, 0, 2), 12)
    2.0
    """
    a, b = _check_size("a", a, minimum=0), _check_size("b", b, minimum=0)
    d = _check_size("d", d, minimum=2 if b else 1)
    if b % 2:
        return 0.0
    return absolute_moment(d, (a + 1, b) if b else (a + 1,)) / 2


def relu_mean(d: int) -> float:
    r"""Return c_d, the mean of the ReLU of one coordinate of a uniform point on the sphere.

    .. math:: c_d = E[\mathrm{ReLU}(u_1)] = \frac{B(d/2, 1/2)}{2\pi}
              = \frac{\Gamma(d/2)}{2\sqrt{\pi}\,\Gamma((d+1)/2)}

    Parameters
    ----------
    d : int
        Dimension, from 1 to 10^300.

    Returns
    -------
    float
        Relative error below 1e-13.

    Raises
    ------
    ValueError
        If ``d`` is not an integer in its range.

    Notes
    -----
    Source: Theorem 3.1 (appendix A) of the paper.

    Examples
    --------
    >>> round(relu_mean(3), 12)
    0.25
    """
    return relu_moment(d, 0)


def marginal_density(d: int, t: ArrayLike) -> Array:
    r"""Return the density of one coordinate u_1 at t.

    .. math:: \frac{\Gamma(d/2)}{\sqrt{\pi}\,\Gamma((d-1)/2)} (1 - t^2)^{(d-3)/2}

    Parameters
    ----------
    d : int
        Dimension, from 2 (at d = 1 the coordinate is a random sign and has no density) to 10^300.
    t : array_like
        Points in [-1, 1].

    Returns
    -------
    ndarray of float64, shape of ``t``
        Infinite at ``t = 1`` and ``t = -1`` for d = 2.

    Raises
    ------
    ValueError
        If ``d`` is not an integer in its range or a point is outside [-1, 1].

    Notes
    -----
    Source: appendix A of the paper.

    Examples
    --------
    >>> marginal_density(3, [0.0, 0.9]).round(12).tolist()
    [0.5, 0.5]
    """
    d = _check_size("d", d, minimum=2)
    t = check_interval("t", t)
    # Where 1 - t^2 would lose digits it is taken apart into its factors.
    log_rest = np.where(np.abs(t) < 0.5, _log1p(-(t**2)), _log1p(-t) + _log1p(t))
    constant = math.exp(log_gamma_ratio((d - 1) / 2, 0.5)) / math.sqrt(math.pi)
    return constant * _power(log_rest, (d - 3) / 2)


def bivariate_density(d: int, s: ArrayLike, t: ArrayLike) -> Array:
    r"""Return the joint density of two coordinates (u_1, u_2) at (s, t).

    .. math:: \frac{d-2}{2\pi} (1 - s^2 - t^2)^{(d-4)/2} \quad \text{on the disc}

    Parameters
    ----------
    d : int
        Dimension, from 3 (at d = 2 the pair lies on the circle and has no density) to 10^300.
    s, t : array_like
        Points in [-1, 1], broadcast against each other.

    Returns
    -------
    ndarray of float64
        Zero outside the unit disc; infinite on its edge for d = 3.

    Raises
    ------
    ValueError
        If ``d`` is not an integer in its range or a coordinate is outside [-1, 1].

    Notes
    -----
    Source: equation (32), appendix G of the paper, after Song and Gupta (1997).

    Examples
    --------
    >>> bivariate_density(4, 0.0, [0.5, 1.0]).round(12).tolist()
    [0.318309886184, 0.318309886184]
    """
    d = _check_size("d", d, minimum=3)
    squares = check_interval("s", s) ** 2 + check_interval("t", t) ** 2
    density = (d - 2) / (2 * math.pi) * _power(_log1p(-np.minimum(squares, 1.0)), (d - 4) / 2)
    return np.where(squares <= 1, density, 0.0)


def _log1p(value: Array) -> Array:
    """Return log(1 + value), -inf without a warning at -1."""
    with np.errstate(divide="ignore"):
        return np.log1p(value)


def _power(logarithm: Array, exponent: float) -> Array:
    """Return exp(exponent * logarithm), and 1 where the exponent is 0 whatever the logarithm."""
    return np.exp(exponent * logarithm) if exponent else np.ones_like(logarithm)
