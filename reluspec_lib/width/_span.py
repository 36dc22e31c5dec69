r"""Bounds for the span of the group vectors as leading eigenspace of J, at one W or in probability.

J = V diag(lambda) V^T + R exactly, for every W. All that is random here is how far the matrix V of
the group vectors is from orthonormal, and how large R is.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg
from scipy.sparse.linalg import LinearOperator, eigsh

from reluspec_lib import groups, harmonics
from reluspec_lib._validation import Array, check_count, check_number, check_weights
from reluspec_lib.spectrum import fisher
from reluspec_lib.width._means import higher_degrees

__all__ = [
    "check_probability",
    "davis_kahan",
    "gram_bounds",
    "remainder_bound",
    "sandwich",
]

# Up to this width a dense solver is the faster one for a single eigenvalue.
_DENSE_WIDTH = 500

# How far below its largest value, as a power of e, a free parameter is looked for, and at how many
# values; three times, each time closer.
_RANGE = 60.0
_TRIALS = 61


def gram_bounds(d: int, m: int, probability: float = 0.95) -> tuple[float, float]:
    r"""Return bounds for the eigenvalues of V^T V that hold with a given probability.

    Parameters
    ----------
    d, m : int
        Input dimension and width.
    probability : float
        Smallest probability, over W, that both bounds hold, between 0 and 1.

    Returns
    -------
    lower, upper : float
        Bounds of the smallest and largest eigenvalue; 0 where nothing is known from below.

    Raises
    ------
    ValueError
        If an argument is not in its range.

    Notes
    -----
    The matrix moment generating function of one unit is a multiple of the identity,

    .. math:: \mathbb{E} \exp(\theta q q^\top) = \varphi(\theta) I, \qquad \varphi(\theta)
              = 1 + \frac1K \Big(\big(1 - 2 \theta K/d\big)^{-d/2} - 1\Big),

    so that the Laplace transform method for matrices (Tropp 2012, Theorem 3.6) needs no truncation:
    :math:`\sigma_{\max} \le (\log \varphi(\theta) + \frac1m \log \frac{2K}{1-p})/\theta` for every
    theta, with the best theta here, and likewise from below.

    Examples
    --------
    >>> lower, upper = gram_bounds(10, 10_000)
    >>> round(lower, 2), round(upper, 2)
    (0.68, 1.37)
    """
    d, m = check_count("d", d), check_count("m", m)
    K = d * (d + 3) // 2
    price = math.log(2 * K / (1 - check_probability(probability))) / m

    def growth(theta: float) -> float:
        with np.errstate(over="ignore"):
            return math.log1p(float(np.expm1(-d / 2 * math.log1p(-2 * theta * K / d))) / K)

    largest = d / (2 * K)
    upper = _least(lambda theta: (growth(theta) + price) / theta, largest)
    lower = -_least(lambda theta: (growth(-theta) + price) / theta, largest * math.exp(_RANGE / 2))
    return max(lower, 0.0), upper


def remainder_bound(d: int, m: int, probability: float = 0.95) -> float:
    r"""Return a bound for the largest eigenvalue of R that holds with a given probability.

    Parameters
    ----------
    d, m : int
        Input dimension and width.
    probability : float
        Smallest probability, over W, that the bound holds, between 0 and 1.

    Returns
    -------
    float
        Bound for the norm of what the groups leave out of J.

    Raises
    ------
    ValueError
        If an argument is not in its range.

    Notes
    -----
    By Markov's inequality for :math:`\operatorname{tr}(e^{\theta R} - I)`, whose mean is at most

    .. math:: \sum_{l \ge 4} N(d, l) \Big(\big(1 + \lambda_l h(\theta/m)\big)^m - 1\Big), \qquad
              h(\theta) = \frac{(1 - \theta(1 - s))^{-d/2} - 1}{(1 - s) d/2},

    by the subadditivity of matrix cumulants (Tropp 2012, Lemma 3.4), for the best theta.

    Examples
    --------
    >>> 2e-4 < remainder_bound(10, 10_000) < 3e-4
    True
    """
    d, m = check_count("d", d), check_count("m", m)
    allowed = 1 - check_probability(probability)
    multiplicities, eigenvalues, traces = higher_degrees(d)
    if not len(traces):
        return 0.0
    missing = 1 - harmonics.share(d, 2)
    trace = missing * d / 2
    left = max(trace - float(traces.sum()), 0.0)

    def bound(theta: float) -> float:
        with np.errstate(over="ignore"):
            h = float(np.expm1(-d / 2 * math.log1p(-theta * missing / m))) / trace
            total = float(multiplicities @ np.expm1(m * np.log1p(eigenvalues * h)))
            # Every eigenvalue beyond the last one counted is below it.
            total += m * h * left * float(np.exp(m * eigenvalues[-1] * h))
        return math.log1p(total / allowed) / theta if total < math.inf else math.inf

    return _least(bound, m / missing)


def sandwich(W: ArrayLike) -> tuple[Array, Array]:
    r"""Return bounds for the leading eigenvalues of J that hold for this W, whatever its law.

    .. math:: \lambda_i\, \sigma_{\min}(V^\top V) \le \lambda_i(J) \le
              \lambda_i\, \sigma_{\max}(V^\top V) + |R|, \qquad i \le K = \frac{d(d+3)}{2}

    Parameters
    ----------
    W : array_like, shape (d, m)
        Hidden weights with E W_lj^2 = 1/m.

    Returns
    -------
    lower, upper : ndarray, shape (min(K, m),), float64
        Bounds of the eigenvalues in decreasing order.

    Raises
    ------
    ValueError
        If ``W`` is not a finite (d, m) array or has a zero column.

    Notes
    -----
    Ostrowski's theorem for J - R, Weyl's for R, which is positive semidefinite. At m < K the lower
    bound is 0.

    Examples
    --------
    >>> from reluspec_lib import fisher, sample_weights
    >>> W = sample_weights(3, 400, np.random.default_rng(0))
    >>> lower, upper = sandwich(W)
    >>> values = np.linalg.eigvalsh(fisher.matrix(W))[::-1][:9]
    >>> bool((lower <= values).all() and (values <= upper).all())
    True
    """
    V, eigenvalues, W = _group_vectors(W)
    gram = linalg.eigvalsh(V.T @ V)
    count = min(V.shape)
    smallest = max(float(gram[0]), 0.0) if count == V.shape[1] else 0.0
    leading = eigenvalues[:count]
    return smallest * leading, float(gram[-1]) * leading + _remainder_norm(W, V, eigenvalues)


def davis_kahan(W: ArrayLike) -> float:
    r"""Return a bound for the angle between the span of the groups and the leading eigenspace.

    .. math:: \sin \theta_{\max} \le \frac{|(I - QQ^\top)\, R\, Q|}
              {\lambda_{\min}(Q^\top J Q) - |R|}

    with an orthonormal basis Q of the span of all d(d+3)/2 group vectors.

    Parameters
    ----------
    W : array_like, shape (d, m)
        Hidden weights with E W_lj^2 = 1/m.

    Returns
    -------
    float
        Bound for the sine of the largest principal angle, at most 1.

    Raises
    ------
    ValueError
        If ``W`` is not a finite (d, m) array or has a zero column.

    Notes
    -----
    The theorem of Davis and Kahan (1970), for this W and no other.

    Examples
    --------
    >>> from reluspec_lib import sample_weights
    >>> davis_kahan(sample_weights(3, 2000, np.random.default_rng(0))) < 0.02
    True
    """
    V, eigenvalues, W = _group_vectors(W)
    if V.shape[0] < V.shape[1]:
        return 1.0
    Q, _ = linalg.qr(V, mode="economic")
    image = fisher.matvec(W, Q)
    inside = Q.T @ image
    outside = image - Q @ inside
    gap = float(linalg.eigvalsh(inside)[0]) - _remainder_norm(W, V, eigenvalues)
    return min(float(linalg.norm(outside, 2)) / gap, 1.0) if gap > 0 else 1.0


def check_probability(value: float) -> float:
    """Return ``value`` as a float strictly between 0 and 1, or raise a ValueError."""
    probability = check_number("probability", value)
    if not 0 < probability < 1:
        raise ValueError(f"probability must be between 0 and 1, got {value!r}")
    return probability


def _least(function: Callable[[float], float], largest: float) -> float:
    """Return about the least value of a function on (0, largest), each value a valid bound."""
    lower, upper = math.log(largest) - _RANGE, math.log(largest) - 1e-6
    for _ in range(3):
        exponents = np.linspace(lower, upper, _TRIALS)
        values = [function(math.exp(exponent)) for exponent in exponents]
        best = int(np.argmin(values))
        lower, upper = exponents[max(best - 1, 0)], exponents[min(best + 1, _TRIALS - 1)]
    return min(values)


def _group_vectors(W: ArrayLike) -> tuple[Array, Array, Array]:
    """Return all group vectors and their eigenvalues, in decreasing order, and W in float64."""
    W = check_weights(W).astype(np.float64, copy=False)
    d = len(W)
    basis = groups.Basis(groups.ALL, d)
    return basis.eigenvectors(W), basis.eigenvalues, W


def _remainder_norm(W: Array, V: Array, eigenvalues: Array) -> float:
    """Return the largest eigenvalue of R = J - V diag(eigenvalues) V^T, not less."""
    m = W.shape[1]
    if m <= _DENSE_WIDTH:
        R = fisher.matrix(W) - (V * eigenvalues) @ V.T
        return max(float(linalg.eigvalsh(R, subset_by_index=[m - 1, m - 1])[0]), 0.0)

    J = fisher.operator(W)

    def apply(x: Array) -> Array:
        product: Array = J @ x - V @ (eigenvalues * (V.T @ x))
        return product

    R = LinearOperator((m, m), matvec=apply, dtype=np.float64)
    # Any start serves; this one is the same on every run.
    start = np.random.default_rng(0).standard_normal(m)
    (value,), vector = eigsh(R, k=1, which="LA", v0=start, tol=1e-6)
    # What is left of the equation bounds how far the eigenvalue can be.
    return float(value + linalg.norm(apply(vector[:, 0]) - value * vector[:, 0]))
