"""The third absolute moment of one unit's term, which the Berry-Esseen theorem asks for."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from reluspec_lib._validation import Array, check_count
from reluspec_lib.groups import Form, Group
from reluspec_lib.width._terms import Term, form_of

__all__ = ["third_moment"]

# Nodes in each of three angles. Where the limit is not 0 the integrand has a kink, of its second
# derivative.
_NODES = 40

# Beyond this multiple of 1/sqrt(d) from the equator the weight of the sphere is below 1e-31.
_BAND = 12.0


def third_moment(group: Group, d: int) -> float:
    r"""Return the constant of the Berry-Esseen theorem for a group of the paper.

    .. math:: \varrho = \frac{\mathbb{E} |\xi - F(x)|^3}{s^3(x)}, \qquad
              \sup_t \big|\mathbb{P}\big(\sqrt m\, (f_v(x) - F(x)) \le t\, s(x)\big) - \Phi(t)\big|
              \le \frac{0.4748\, \varrho}{\sqrt m}

    for the first vector of the group and an input x along an axis that this does not single out,
    with the term xi of one hidden unit.

    Parameters
    ----------
    group : Group
        A member of ``groups.ALL`` with a vector at this d.
    d : int
        Input dimension, at least 2, and 3 for squares and products.

    Returns
    -------
    float
        To about five digits.

    Raises
    ------
    ValueError
        If ``d`` is too small, or ``group`` is no group of the paper.

    Notes
    -----
    As d grows it tends to 1.985 for the norm, :math:`8 \sqrt2/\pi = 3.601` for a coordinate, which
    is its value at every d, 6.935 for a square and :math:`\sqrt2\,(8/\pi)^{3/2} = 5.747` for a
    product. The constant 0.4748 is that of Shevtsova (2011). Source: this book.

    Examples
    --------
    >>> from reluspec_lib import groups
    >>> round(third_moment(groups.COORDINATE, 10), 4)
    3.6013
    """
    d = check_count("d", d, 2)
    form = form_of(group, d, 0)
    if len(form.axes) > 2:
        raise ValueError(f"group must be one of groups.ALL, got {group!r}")
    if len(form.axes) >= d:
        raise ValueError(f"d must be larger, {group.name} singles out every axis at d = {d}")
    free = min(set(range(3)) - set(form.axes.tolist()))
    limit, second = Term.of(form).moments(np.eye(1, d, free)[0])
    total, weight = 0.0, 0.0
    for latitude, share in zip(*_rule(d - 2, _NODES), strict=True):
        points, weights = _circle(d, math.cos(latitude))
        theta = _entries(form, points) * math.sin(latitude)
        total += share * float(weights @ _cube(d, theta, limit))
        weight += share
    # Half of all units are silent at this input.
    mean = (total / weight + abs(limit) ** 3) / 2
    return float(mean / (second - limit**2) ** 1.5)


def _rule(d: float, nodes: int) -> tuple[Array, Array]:
    """Return angles from the equator up, and weights with the density cos^d, up to a factor."""
    points, weights = np.polynomial.legendre.leggauss(nodes)
    width = min(math.pi / 2, _BAND / math.sqrt(max(d, 1)))
    angles = width * (points + 1) / 2
    return angles, weights * np.cos(angles) ** d


def _circle(d: int, across: float) -> tuple[Array, Array]:
    """Return points (n, 2), at d = 2 (1, 1), and weights whose sum is 1.

    They are the first coordinates of a uniform point of a sphere of radius ``across`` in the d - 1
    dimensions across the input, around a quarter of a circle.
    """
    if d == 2:
        return np.array([[across]]), np.ones(1)
    polar, weights = _rule(d - 4, _NODES) if d > 3 else (np.array([math.pi / 2]), np.ones(1))
    weights = weights * np.sin(polar)
    around, shares = _rule(0, _NODES)
    circle = np.stack([np.cos(around), np.sin(around)], axis=1)
    points = across * (np.sin(polar)[:, None, None] * circle)
    total = np.outer(weights / weights.sum(), shares / shares.sum())
    return points.reshape(-1, 2), total.ravel()


def _entries(form: Form, points: Array) -> Array:
    """Return the form at unit vectors that begin with these coordinates on its axes."""
    part = points[:, : len(form.axes)]
    if form.block.ndim == 1:
        linear: Array = part @ form.block
        return linear
    quadratic: Array = form.multiple + np.einsum("ni,ij,nj->n", part, form.block, part)
    return quadratic


def _cube(d: int, theta: Array, limit: float) -> Array:
    r"""Return E\|s theta - limit\|^3 with s distributed as chi^2 with d degrees of freedom."""
    powers = np.cumprod([1.0, d, d + 2, d + 4])
    with np.errstate(divide="ignore", invalid="ignore"):
        cut = limit / theta
    total, beyond = np.zeros_like(theta), np.zeros_like(theta)
    for i in range(4):
        term = math.comb(3, i) * theta**i * (-limit) ** (3 - i) * powers[i]
        total += term
        beyond += term * special.gammaincc(d / 2 + i, np.maximum(cut, 0) / 2)
    # Beyond the cut s theta - limit has the sign of theta, before it the other one.
    cube: Array = np.sign(theta) * (2 * beyond - total)
    return np.where(theta != 0, cube, abs(limit) ** 3)
