r"""Finite width with guarantees: bounds and exact means that hold at every width, for every group.

The theorems of the paper are limits in probability, one input at a time. Here stands what holds for
the network at hand: how far a group vector is from an eigenvector of the Fisher information, how
far the output is from its limit at one input and at all inputs at once, and how wide a network must
be. Nothing is asymptotic unless it says so.

========================================= ======================================================
:func:`residual`, :func:`leakage`         one group vector as an eigenvector, exact means
:func:`orthonormality`                    all group vectors as an orthonormal family, exact mean
:func:`sandwich`, :func:`davis_kahan`     eigenvalues and eigenspace, for a W at hand
:func:`gram_bounds`,                      the same with a given probability
:func:`remainder_bound`
:func:`span_angle`                        the angle between the spaces, first order in 1/m
:func:`uniform_bound`                     the output at all inputs of a ball, on average
:func:`tail`, :func:`third_moment`        the output at one input
:func:`width_for`                         the width for an error
========================================= ======================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from reluspec_lib._validation import Array, check_count, check_inputs, check_number
from reluspec_lib.groups import Group
from reluspec_lib.width import fluctuations
from reluspec_lib.width._means import leakage, orthonormality, residual, span_angle
from reluspec_lib.width._span import (
    check_probability,
    davis_kahan,
    gram_bounds,
    remainder_bound,
    sandwich,
)
from reluspec_lib.width._terms import Term, check_group, form_of
from reluspec_lib.width._third import third_moment

__all__ = [
    "davis_kahan",
    "gram_bounds",
    "leakage",
    "orthonormality",
    "remainder_bound",
    "residual",
    "sandwich",
    "span_angle",
    "tail",
    "third_moment",
    "uniform_bound",
    "width_for",
]

_KINDS = ("expected", "pointwise", "uniform")

# Steps that the Chernoff bound tries, around the best one for a Gaussian; each gives a bound.
_STEPS = np.geomspace(1 / 50, 50, 241)


def uniform_bound(d: int, m: int, radius: float = 1.0) -> float:
    r"""Return a bound for the largest error over a ball of inputs, on average over W.

    .. math:: \mathbb{E} \sup_{|x| \le r} |f_v(x) - F(x)| \le 4 r \sqrt{\frac{d+2}{m}}

    for every vector of the paper's groups.

    Parameters
    ----------
    d, m : int
        Input dimension and width.
    radius : float
        Radius r of the ball, positive.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is not in its range.

    Notes
    -----
    By symmetrisation and contraction. The variance of the supremum is at most r^2 (d+2)/m, which
    gives :math:`(4 + c)\, r \sqrt{(d+2)/m}` with a probability of at least c^2/(1 + c^2).
    Source: this book.

    Examples
    --------
    >>> uniform_bound(14, 10_000)
    0.16
    """
    d, m = check_count("d", d), check_count("m", m)
    return 4 * check_number("radius", radius, positive=True) * math.sqrt((d + 2) / m)


def tail(
    group: Group, x: ArrayLike, m: int, t: float, columns: Sequence[int] | None = None
) -> Array:
    r"""Return a bound for the probability that the output at an input is off by more than t.

    .. math:: \mathbb{P}\big(|f_v(x) - F(x)| > t\big) \le \min\Big(\frac{s^2(x)}{m t^2},\;
              \sum_{\pm} \min_{\ell} e^{m (\psi_\pm(\ell) - \ell t)}\Big)

    with the variance s^2 and the logarithms :math:`\psi_\pm` of the moment generating function of
    one unit's term, less its mean, and of its negative.

    Parameters
    ----------
    group : Group
        Any group, also one made from a form.
    x : array_like, shape (n, d) or (d,)
        Inputs.
    m : int
        Width.
    t : float
        Error, at least 0.
    columns : sequence of int, optional
        Which vectors of the group, as positions in ``labels(d)``; all by default.

    Returns
    -------
    p : ndarray, shape (n, size) or (size,), float64
        Bounds in [0, 1], each valid at every width.

    Raises
    ------
    ValueError
        If an argument is not in its range, or the group has no such vector.

    Notes
    -----
    For a linear form :math:`\psi` is exact. For a quadratic one it is bounded by the exact even
    moments up to 64, by Lyapunov's inequality between them, and by a bound of Bernstein's kind for
    the rest: with the form's height h, :math:`E|\xi|^k \le \frac{k!}{2} \frac{3 h^2}{2}
    (2h)^{k-2}`. Source: this book.

    Examples
    --------
    >>> from reluspec_lib import groups
    >>> tail(groups.COORDINATE, [1.0, 0.0], 1000, 0.12).round(3)
    array([0.008, 0.   ])
    """
    x, m = check_inputs(x), check_count("m", m)
    t = check_number("t", t)
    if t < 0:
        raise ValueError(f"t must be at least 0, got {t}")
    rows = np.atleast_2d(x).astype(np.float64)
    d = rows.shape[1]
    chosen = check_group(group)._positions(d, columns)
    p = np.empty((len(rows), len(chosen)))
    for position, column in enumerate(chosen):
        term = Term.of(form_of(group, d, int(column)))
        for i, row in enumerate(rows):
            p[i, position] = _tail(term, row, m, t)
    return p if x.ndim == 2 else p[0]


def width_for(
    group: Group,
    d: int,
    error: float,
    probability: float = 0.95,
    kind: str = "expected",
    *,
    guarantee: bool = True,
) -> int:
    r"""Return the width from which on the error is small, with a guarantee or in practice.

    The error is a fraction of the size of the limit, its root mean square over inputs,
    :math:`\sqrt{\mathbb{E} F(x)^2} = \sqrt{\lambda}` for x ~ N(0, I_d) and the paper's groups.

    ``"expected"``
        The mean absolute error, over W and x ~ N(0, I_d), is at most this.
    ``"pointwise"``
        For every input of length up to :math:`\sqrt d`, the error at it is at most this, with the
        given probability over W.
    ``"uniform"``
        With the given probability over W, the error is at most this at all these inputs at once.

    Parameters
    ----------
    group : Group
        A group with a vector at this d; of a group made from forms, its first vector.
    d : int
        Input dimension.
    error : float
        Largest error allowed, such as 0.01 for one per cent.
    probability : float
        Between 0 and 1; of no matter for ``"expected"``.
    kind : {"expected", "pointwise", "uniform"}
    guarantee : bool
        True for a width at which a theorem promises the error at every greater width too. False for
        the width at which the central limit theorem has it; there is no such for ``"uniform"``.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    ValueError
        If an argument is not in its range, the limit is 0, or no width can be had in practice.

    Notes
    -----
    The guarantees are Jensen's inequality with the exact mean square, the better of Chebyshev's and
    Bernstein's inequality with constants for all inputs, and Cantelli's inequality with
    :func:`uniform_bound`. Source: this book.

    Examples
    --------
    >>> from reluspec_lib import groups
    >>> width_for(groups.COORDINATE, 10, 0.01)
    230000
    >>> width_for(groups.COORDINATE, 10, 0.01, guarantee=False) < 146_000
    True
    """
    d, error = check_count("d", d), check_number("error", error, positive=True)
    probability = check_probability(probability)
    if kind not in _KINDS:
        raise ValueError(f"kind must be one of {', '.join(_KINDS)}, got {kind!r}")
    term = Term.of(form_of(group, d, 0))
    if not term.power:
        raise ValueError(f"group must have a limit that is not 0, got {group!r}")
    allowed = error * math.sqrt(term.power)
    if kind == "expected":
        mean_square = (d + 2) / 2 * term.size - term.power
        if not guarantee:
            mean_square = fluctuations.expected_mae(group, d, 1) ** 2
        width = mean_square / allowed / allowed
    elif kind == "pointwise":
        t, (_, variance) = allowed / math.sqrt(d), term.largest
        if guarantee:
            chebyshev = variance / t / t / (1 - probability)
            width = min(chebyshev, math.log(2 / (1 - probability)) / _rate(term, t))
        else:
            width = variance * (float(special.ndtri((1 + probability) / 2)) / t) ** 2
    elif guarantee:
        factor = 4 + math.sqrt(probability / (1 - probability))
        width = d * (d + 2) * term.size * (factor / allowed) ** 2
    else:
        raise ValueError(
            "guarantee must be True for kind 'uniform': the largest error of a wide network over a "
            "ball has no closed form; simulate it at one width, it falls as 1/sqrt(m)"
        )
    if not math.isfinite(width):
        raise ValueError(f"error must be larger, no float holds the width for {error}")
    return max(math.ceil(width), 1)


def _tail(term: Term, x: Array, m: int, t: float) -> float:
    """Return the bound for one input and one form."""
    largest = float(np.abs(x).max(initial=0.0))
    length = largest * float(np.linalg.norm(x / largest)) if largest else 0.0
    if not length or not term.size:
        return 0.0
    unit, error = x / length, t / length
    limit, second = term.moments(unit)
    variance = second - limit**2
    if not error:
        return 1.0
    if not math.isfinite(error):
        return 0.0
    bounds = term.cumulants(unit, error / variance * _STEPS) - error / variance * _STEPS * error
    chernoff = float(np.exp(m * bounds.min(axis=1)).sum())
    return min(1.0, variance / m / error / error, chernoff)


def _rate(term: Term, t: float) -> float:
    """Return r > 0 such that an error above t has a probability <= 2 exp(-m r) at all unit x."""
    h, (second, variance) = term.height, term.largest
    best = 0.0
    # Of xi itself, and of xi less its mean, whose moments are at most 2^k times as large.
    for square, cubic, pole in ((second, 0.75 * h**2, 2 * h), (variance, 3 * h**2, 4 * h)):
        step = t / square * _STEPS
        step = step[pole * step < 1]
        if len(step):
            growth = square / 2 + cubic * pole * step / (1 - pole * step)
            best = max(best, float((step * t - step**2 * growth).max()))
    return best
