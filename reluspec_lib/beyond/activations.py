r"""Any activation: limits, spectrum and Fisher information beside those of the ReLU.

The network is f_v(x) = m^(-1/2) sum_j v_j s(c g_j.x), with g_j and the inputs standard Gaussian in
R^d, and c the *scale* of the pre-activation. The spherical harmonics serve every activation s. On
degree k its operator acts on functions of the length alone, as the radial kernel b_k(c r t); the
eigenvalues of the Fisher information are the squares of the radial ones. If s is positively
homogeneous, as the ReLU is, every degree has one of them, else a ladder.

An activation is one of this module, its name, an :class:`Activation` made of a function and its
kinks, or a function that is smooth except at 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from reluspec_lib._forms import Group
from reluspec_lib._validation import Array, check_inputs, check_interval, check_number
from reluspec_lib.beyond import _radial
from reluspec_lib.beyond._activation import Activation, Homogeneous
from reluspec_lib.beyond._ladder import (
    Ladder,
    check_lengths,
    checked,
    eigenvalue,
    ladder,
    on_sphere,
    over_lengths,
    second_moment,
)
from reluspec_lib.beyond._named import (
    absolute,
    cos,
    erf,
    gelu,
    identity,
    leaky,
    named,
    relu,
    relu_power,
    sign,
    silu,
    sin,
    softplus,
    step,
    tanh,
)
from reluspec_lib.harmonics import _check_degree

__all__ = [
    "Activation",
    "Ladder",
    "absolute",
    "coefficient",
    "cos",
    "eigenvalue",
    "erf",
    "gelu",
    "identity",
    "kernel",
    "ladder",
    "leaky",
    "limit",
    "named",
    "on_sphere",
    "radial",
    "relu",
    "relu_power",
    "second_moment",
    "sign",
    "silu",
    "sin",
    "softplus",
    "step",
    "tanh",
]


def coefficient(activation: Activation | str, d: int, k: int, s: ArrayLike = 1.0) -> Array | float:
    r"""Return the Funk-Hecke coefficient of an activation at length s of the pre-activation.

    .. math:: b_k(s) = E[\sigma(s u_1) P_k(u_1)]

    Parameters
    ----------
    activation : Activation or str
    d, k : int
        Dimension and degree; at d = 1 there are only the degrees 0 and 1.
    s : array_like
        Lengths, 0 or more.

    Returns
    -------
    float or ndarray, shape of ``s``
        For a homogeneous activation of degree alpha exactly b_k(1) s^alpha; else by quadrature on
        pieces that end at the kinks, to about 1e-14 of the largest value.

    Raises
    ------
    ValueError
        If an argument is not as described, or the activation returns something else than finite
        numbers in the shape of its argument.

    Examples
    --------
    >>> round(coefficient("relu", 5, 1), 12), round(coefficient("step", 3, 1), 12)
    (0.1, 0.25)
    """
    d, k = _check_degree(d, k)
    lengths = check_lengths("s", s)
    found = _radial.coefficients(named(activation), d, k, lengths)
    return found if found.ndim else float(found)


def radial(
    activation: Activation | str,
    d: int,
    k: int,
    r: ArrayLike,
    *,
    power: float = 1.0,
    scale: float = 1.0,
) -> Array | float:
    r"""Return the radial part of the limit of a readout \|g\|^power Y_k(g/\|g\|).

    .. math:: R(r) = E[t^a\, b_k(c\, r t)], \qquad
              E[|g|^a\, Y_k(g/|g|)\, \sigma(c\, g \cdot x)] = R(|x|)\, Y_k(x/|x|)

    with t of the chi law with d degrees of freedom.

    Parameters
    ----------
    activation, d, k
        As for :func:`coefficient`.
    r : array_like
        Lengths of inputs, 0 or more.
    power, scale : float
        a from 0 to 20, and c > 0.

    Returns
    -------
    float or ndarray, shape of ``r``

    Raises
    ------
    ValueError
        As :func:`coefficient`, or if E sigma(c g.x)^4 is not finite.

    Examples
    --------
    >>> round(radial("gelu", 10, 1, 3.0), 9)  # half of r
    1.5
    """
    act, d, k, scale = checked(activation, d, k, scale)
    lengths, power = check_lengths("r", r), check_number("power", power, minimum=0)
    if power > 20:
        raise ValueError(f"power must be from 0 to 20, got {power:g}")
    if isinstance(act, Homogeneous):
        unit = _radial.homogeneous_coefficient(act, d, k) * scale**act.power
        found = unit * _radial.length_moment(d, power + act.power) * lengths**act.power
    else:
        size = math.sqrt(_radial.length_moment(d, 2 * power) * second_moment(act, d, scale=scale))
        found = over_lengths(act, d, k, scale * lengths, power, size)
    return found if np.ndim(found) else float(found)


def limit(
    activation: Activation | str,
    group: Group,
    x: ArrayLike,
    columns: Sequence[int] | None = None,
    *,
    scale: float = 1.0,
) -> Array:
    r"""Return the functions that the vectors of a group have as limits with this activation.

    .. math:: m^{-1/2} \sum_j v_j\, \sigma(c\, g_j \cdot x) \to R(|x|)\, Y(x/|x|)
              \quad \text{for } v_j = m^{-1/2} |g_j|\, Y(g_j/|g_j|)

    Parameters
    ----------
    activation, scale
        As for :func:`ladder`.
    group : Group
        A group of one degree, such as those of ``groups.ALL``.
    x : array_like, shape (n, d) or (d,)
    columns : sequence of int, optional
        Positions of the vectors wanted; by default all.

    Returns
    -------
    ndarray, shape (n, K) or (K,)
        For the ReLU at scale 1 that is ``group.limit(x)``.

    Raises
    ------
    ValueError
        If ``group`` has no single degree, or as :func:`radial`.

    Examples
    --------
    >>> from reluspec_lib import groups
    >>> limit("softplus", groups.COORDINATE, [2.0, -1.0, 0.0]).round(9).tolist()
    [1.0, -0.5, 0.0]
    """
    if not isinstance(group, Group) or group.degree is None:
        raise ValueError(f"group must be a group of one degree, got {group!r}")
    x = check_inputs(x)
    points = np.atleast_2d(x).astype(np.float64)
    lengths = np.sqrt(np.einsum("nl,nl->n", points, points))
    directions = points / np.where(lengths > 0, lengths, 1)[:, None]
    directions[lengths == 0, 0] = 1
    d, k = points.shape[1], group.degree
    unit = radial(relu, d, k, 1.0)
    factor = np.asarray(radial(activation, d, k, lengths, scale=scale)) / unit
    F = group.limit(directions, columns) * factor[:, None]
    return F if x.ndim == 2 else F[0]


def kernel(activation: Activation | str, a: ArrayLike, b: ArrayLike, rho: ArrayLike) -> Array:
    r"""Return E[s(a X) s(b Y)], X and Y standard Gaussian with correlation rho.

    Parameters
    ----------
    activation : Activation or str
    a, b : array_like
        Lengths, 0 or more.
    rho : array_like
        Correlations in [-1, 1], broadcast with the lengths.

    Returns
    -------
    ndarray of float64
        In closed form for homogeneous activations, gelu, erf, cos and sin. Else to 1e-9 of the root
        of the two second moments (7e-9 was seen for exp(0.23 t^2), near the fastest growth that is
        accepted), by a Hermite series with a bounded remainder, or by quadrature in the plane where
        the series is too slow.

    Raises
    ------
    ValueError
        If an argument is not as described, or the activation grows too fast or is not smooth
        between its kinks.

    Examples
    --------
    >>> kernel("erf", 1.0, 1.0, [0.0, 1.0]).round(6).tolist()
    [0.0, 0.464559]
    """
    a, b = check_lengths("a", a), check_lengths("b", b)
    a, b, rho = np.broadcast_arrays(a, b, check_interval("rho", rho))
    entries = named(activation).cross(np.concatenate([a.ravel(), b.ravel()])[None, :])
    i = np.arange(a.size)
    found = entries(i, i + a.size, rho.ravel(), 1 - np.abs(rho.ravel()))
    moments: Array = found.reshape(a.shape)
    return moments
