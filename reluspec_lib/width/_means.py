r"""How far the group vectors are from orthonormal eigenvectors of J: means over the hidden weights.

With the matrix V of all group vectors, J = V diag(lambda) V^T + R exactly, for every W, where R is
positive semidefinite and holds the even degrees from 4 on.
"""

from __future__ import annotations

import math

import numpy as np

from reluspec_lib import harmonics
from reluspec_lib._validation import Array, check_count
from reluspec_lib.groups import Group
from reluspec_lib.width._terms import Term, form_of

__all__ = ["higher_degrees", "leakage", "orthonormality", "residual", "span_angle"]

# Even degrees from 4 on that are summed one by one; what is left of the trace is known exactly.
_DEGREES = 400


def residual(group: Group, d: int, m: int, column: int = 0) -> float:
    r"""Return how far a group vector is from an eigenvector of J, on average over W.

    .. math:: \mathbb{E} |Jv - \lambda v|^2 = \frac{m-1}{m^2} \Big(\frac{d+2}{d} \sum_k N(d, k)
              \lambda_k^2 - \lambda^2\Big) + \frac{1}{m^2} \Big(\big(\tfrac{d+2}{2} - \lambda\big)^2
              + \tfrac{d+2}{2}\Big)

    for a vector of unit norm in the limit, times that norm squared for others.

    Parameters
    ----------
    group : Group
        A group with a vector at this d and one eigenvalue.
    d, m : int
        Input dimension and width.
    column : int
        Which vector of the group; all vectors of the paper's groups have the same residual.

    Returns
    -------
    float
        Exact at every width; divided by the square of the eigenvalue it is relative.

    Raises
    ------
    ValueError
        If an integer is out of its range, or the group has no such vector or no eigenvalue.

    Notes
    -----
    Source: this book.

    Examples
    --------
    >>> from reluspec_lib import groups
    >>> d, m = 10, 14_641
    >>> relative = residual(groups.PRODUCT, d, m) / groups.PRODUCT.eigenvalue(d) ** 2
    >>> round(math.sqrt(relative), 1)
    1.2
    """
    d, m = check_count("d", d), check_count("m", m)
    term = Term.of(form_of(group, d, column))
    degree, value = group.degree, group.eigenvalue(d)
    # The square of the eigenvalue itself leaves the sum before it is large against the rest.
    rest = [harmonics.dimension(d, k) - (k == degree) for k in range(3)]
    others = math.fsum(rest[k] * harmonics.eigenvalue(d, k) ** 2 for k in range(3) if rest[k])
    _, eigenvalues, traces = higher_degrees(d)
    others += float(traces @ eigenvalues)
    between = (d + 2) / d * others + 2 / d * value**2
    within = ((d + 2) / 2 - value) ** 2 + (d + 2) / 2
    return term.size * ((1 - 1 / m) * between + within / m) / m


def leakage(d: int, m: int) -> float:
    r"""Return what a group vector meets of the part of J that the groups leave out.

    .. math:: \mathbb{E}\, v^\top R\, v = (1 - s(d))\, \frac{d+2}{2m}

    with the share s(d) of the trace in the degrees 0 to 2.

    Parameters
    ----------
    d, m : int
        Input dimension and width.

    Returns
    -------
    float
        Exact at every width, the same for all vectors of the paper's groups.

    Raises
    ------
    ValueError
        If an argument is not an integer >= 1.

    Notes
    -----
    R is J less the group vectors' part with the exact eigenvalues. Source: this book.

    Examples
    --------
    >>> round(leakage(10, 1000) / leakage(10, 10_000), 12)
    10.0
    """
    d, m = check_count("d", d), check_count("m", m)
    return (1 - harmonics.share(d, 2)) * (d + 2) / (2 * m)


def orthonormality(d: int, m: int) -> float:
    r"""Return how far all group vectors together are from orthonormal, on average over W.

    .. math:: \mathbb{E} |V^\top V - I|_F^2 = \frac1m \Big(K^2 \big(1 + \tfrac2d\big) - K\Big),
              \qquad K = \frac{d(d+3)}{2}

    Parameters
    ----------
    d, m : int
        Input dimension and width.

    Returns
    -------
    float
        Exact at every width.

    Raises
    ------
    ValueError
        If an argument is not an integer >= 1.

    Notes
    -----
    Source: this book.

    Examples
    --------
    >>> orthonormality(10, 1000)
    5.005
    """
    d, m = check_count("d", d), check_count("m", m)
    K = d * (d + 3) // 2
    # In integers up to the division, so that nothing cancels.
    return K * (K * (d + 2) - d) / (d * m)


def span_angle(d: int, m: int) -> float:
    r"""Return how far the span of the groups is from the leading eigenspace, to first order in 1/m.

    .. math:: \mathbb{E} \sum_i \sin^2 \theta_i \approx \frac1m \Big(1 + \frac2d\Big)
              \sum_{k \le 2} \sum_{l \ge 4} N(d, k) N(d, l)
              \Big(\frac{\lambda_l}{\lambda_k - \lambda_l}\Big)^2

    with the principal angles between the two spaces of dimension d(d+3)/2.

    Parameters
    ----------
    d, m : int
        Input dimension and width.

    Returns
    -------
    float
        The first order; the next is smaller by about N(d, 4)/m.

    Raises
    ------
    ValueError
        If an argument is not an integer >= 1.

    Notes
    -----
    Source: this book, by perturbation theory.

    Examples
    --------
    >>> round(1000 * span_angle(10, 1000), 3)
    1.532
    """
    d, m = check_count("d", d), check_count("m", m)
    multiplicities, eigenvalues, _ = higher_degrees(d)
    total = 0.0
    for k in range(3 if d > 1 else 0):
        ratios = eigenvalues / (harmonics.eigenvalue(d, k) - eigenvalues)
        total += harmonics.dimension(d, k) * float(multiplicities @ ratios**2)
    return (1 + 2 / d) * total / m


def higher_degrees(d: int) -> tuple[Array, Array, Array]:
    """Return N, lambda and N lambda of the even degrees from 4 on; none at d = 1."""
    if d == 1:
        return np.empty(0), np.empty(0), np.empty(0)
    eigenvalues, traces = (part[1:] for part in harmonics.even_degrees(d, _DEGREES + 1))
    kept = eigenvalues > np.finfo(float).tiny
    eigenvalues, traces = eigenvalues[kept], traces[kept]
    return traces / eigenvalues, eigenvalues, traces
