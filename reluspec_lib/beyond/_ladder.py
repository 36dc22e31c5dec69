"""The eigenvalues of an activation at one degree, for Gaussian inputs and on a sphere."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from reluspec_lib._validation import Array, as_floating, check_count, check_number
from reluspec_lib._values import ByValue
from reluspec_lib.beyond import _radial
from reluspec_lib.beyond._activation import Activation, Homogeneous
from reluspec_lib.beyond._named import named
from reluspec_lib.harmonics import _check_degree

__all__ = [
    "Ladder",
    "check_lengths",
    "checked",
    "eigenvalue",
    "ladder",
    "on_sphere",
    "over_lengths",
    "second_moment",
]

# Sizes of the Gauss rules that are compared.
_COUNTS = (32, 48, 96)
# Differences between two rules, relative to the root of the second moment for radial eigenvalues:
# enough, and the largest accepted.
_TOLERANCE = 1e-12
_ACCEPTED = 1e-6
# Radial eigenvalues below this are rounding.
_ROUNDING = 4e-15
_MOST_RUNGS = 12


@dataclass(frozen=True, eq=False, repr=False)
class Ladder(ByValue):
    """The eigenvalues that an activation has at one degree, largest first.

    Attributes
    ----------
    eigenvalues : ndarray
        Each belongs to ``harmonics.dimension(d, k)`` functions.
    radial : ndarray
        Eigenvalues of the radial operator, of either sign; their squares are ``eigenvalues``.
    error : float
        Estimate of how far ``radial`` is off: the difference of two rules, and rounding. At d = 1,
        near 1e-14, it was seen twenty times too small.
    """

    eigenvalues: Array
    radial: Array
    error: float
    _nodes: Array
    _functions: Array

    def functions(self, r: ArrayLike) -> Array:
        """Return the radial eigenfunctions of mean square 1 at lengths r: (rungs,) + r.shape.

        Of those of the same radial eigenvalue only the span is determined. They are continued from
        the nodes by interpolation.
        """
        from scipy.interpolate import BarycentricInterpolator

        lengths = check_lengths("r", r)
        found: Array = BarycentricInterpolator(self._nodes, self._functions.T)(lengths)
        return np.moveaxis(found, -1, 0)


def ladder(
    activation: Activation | str, d: int, k: int, rungs: int = 4, *, scale: float = 1.0
) -> Ladder:
    r"""Return the eigenvalues of the infinitely wide network at one degree.

    Squares of those of the radial operator with the kernel b_k(c r t) under the chi law, by the
    symmetric Nystrom method on the nodes of its Gauss rule.

    Parameters
    ----------
    activation, d, k
        As for :func:`coefficient`.
    rungs : int
        How many, from 1 to 12.
    scale : float
        c, positive.

    Returns
    -------
    Ladder
        In closed form for homogeneous activations, whose further rungs are 0. Else rules of 32, 48
        and 96 nodes are compared, the error is their difference, and what is below rounding is 0.

    Raises
    ------
    ValueError
        As :func:`radial`, or if two rules differ by more than 1e-6 of the
        root of the second moment.

    Examples
    --------
    >>> ladder("gelu", 10, 1, 2).eigenvalues.round(9).tolist()
    [0.25, 0.0]
    """
    act, d, k, scale = checked(activation, d, k, scale)
    rungs = check_count("rungs", rungs)
    if rungs > _MOST_RUNGS:
        raise ValueError(f"rungs must be an integer in 1 ... {_MOST_RUNGS}, got {rungs}")
    if isinstance(act, Homogeneous):
        return _one_rung(act, d, k, rungs, scale)
    size = math.sqrt(_radial.second_moment(act, d, scale))
    before, error = np.full(rungs, math.inf), math.inf
    for count in _COUNTS:
        t, weight = _radial.chi(d, count)
        root = np.sqrt(weight)
        found = _radial.coefficients(act, d, k, scale * np.outer(t, t))
        values, vectors = np.linalg.eigh(root[:, None] * found * root)
        order = np.argsort(-np.abs(values), kind="stable")[:rungs]
        values = values[order]
        error = float(np.abs(np.abs(values) - before).max())
        if error <= _TOLERANCE * size:
            break
        before = np.abs(values)
    if not error <= _ACCEPTED * size:
        raise ValueError(
            f"activation must be smooth between its kinks {act.kinks}; two rules for the radial "
            f"operator of degree {k} differ by {error:.2g}"
        )
    values[np.abs(values) <= _ROUNDING * size] = 0
    return Ladder(values**2, values, error + _ROUNDING * size, t, vectors[:, order].T / root)


def _one_rung(act: Homogeneous, d: int, k: int, rungs: int, scale: float) -> Ladder:
    """Return the ladder of a homogeneous activation, a single eigenvalue."""
    t, _ = _radial.chi(d, _COUNTS[0])
    square = _radial.length_moment(d, 2 * act.power)
    values, functions = np.zeros(rungs), np.zeros((rungs, len(t)))
    values[0] = _radial.homogeneous_coefficient(act, d, k) * scale**act.power * square
    functions[0] = t**act.power / math.sqrt(square)
    return Ladder(values**2, values, _ROUNDING * abs(values[0]), t, functions)


def eigenvalue(
    activation: Activation | str, d: int, k: int, rung: int = 0, *, scale: float = 1.0
) -> float:
    r"""Return an eigenvalue of the infinitely wide network.

    For a homogeneous activation of degree alpha it is (c^alpha E t^(2 alpha) b_k)^2 at rung 0, and
    0 at all others.

    Parameters
    ----------
    activation, d, k, scale
        As for :func:`ladder`.
    rung : int
        From 0, the largest of the degree, to 11.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        As :func:`ladder`.

    Examples
    --------
    >>> round(eigenvalue("relu", 3, 0), 12), round(eigenvalue("gelu", 3, 1), 9)
    (0.5625, 0.25)
    """
    rung = check_count("rung", rung, minimum=0)
    return float(ladder(activation, d, k, rung + 1, scale=scale).eigenvalues[rung])


def on_sphere(
    activation: Activation | str, d: int, k: int, *, radius: float | None = None, scale: float = 1.0
) -> float:
    r"""Return the eigenvalue of degree k for inputs that are uniform on a sphere.

    .. math:: \lambda_k = E[b_k(c\, \varrho\, t)^2]

    Parameters
    ----------
    activation, d, k, scale
        As for :func:`ladder`.
    radius : float, optional
        Radius of the sphere, positive; by default the root of d.

    Returns
    -------
    float
        One for each degree, whatever the activation.

    Raises
    ------
    ValueError
        As :func:`radial`.

    Examples
    --------
    >>> round(on_sphere("silu", 10, 1), 9)
    0.25
    """
    act, d, k, scale = checked(activation, d, k, scale)
    length = math.sqrt(d) if radius is None else check_number("radius", radius, positive=True)
    if isinstance(act, Homogeneous):
        unit = _radial.homogeneous_coefficient(act, d, k) * (scale * length) ** act.power
        return float(unit**2 * _radial.length_moment(d, 2 * act.power))
    pieces, length = any(act.kinks), scale * length

    def mean(count: int) -> float:
        if pieces:
            t, weight = _radial.chi_pieces(d, count, _radial.turns(act, length))
        else:
            t, weight = _radial.chi(d, count)
        return float(weight @ _radial.coefficients(act, d, k, length * t) ** 2)

    rules = _radial.PIECE_NODES if pieces else _COUNTS
    return float(agreed(mean, rules, _radial.second_moment(act, d, scale)))


def second_moment(activation: Activation | str, d: int, *, scale: float = 1.0) -> float:
    """Return E s(c g.x)^2, the sum of all eigenvalues with their multiplicities.

    Parameters
    ----------
    activation, d, scale
        As for :func:`ladder`.

    Returns
    -------
    float
        To about 13 digits; to ten for d = 1, where the law of g.x has a logarithm at 0.

    Raises
    ------
    ValueError
        As :func:`radial`.

    Examples
    --------
    >>> round(second_moment("relu", 10), 12)
    5.0
    """
    act, d, _, scale = checked(activation, d, 0, scale)
    return _radial.second_moment(act, d, scale)


def agreed(mean: Callable[[int], Array | float], rules: Sequence[int], size: float) -> Array:
    """Return a mean over the lengths of weights, given the size of a rule, once two rules agree."""
    before, error, found = np.array(math.inf), math.inf, np.zeros(1)
    for count in rules:
        found = np.asarray(mean(count))
        error = float(np.abs(found - before).max())
        allowed = max(size, float(np.abs(found).max()))
        if error <= _TOLERANCE * allowed:
            break
        before = found
    if not error <= _ACCEPTED * allowed:
        raise ValueError(
            "activation must be smooth between its kinks, and turn slowly at the lengths given; "
            f"two rules for the mean over the lengths of weights differ by {error:.2g}"
        )
    return found


def over_lengths(
    act: Activation, d: int, k: int, lengths: Array, power: float, size: float
) -> Array:
    """Return E[t^power b_k(length t)], t of the chi law, at these lengths."""
    if not any(act.kinks):

        def smooth(count: int) -> Array:
            t, weight = _radial.chi(d, count)
            found: Array = _radial.coefficients(act, d, k, lengths[..., None] * t)
            return found @ (weight * t**power)

        return agreed(smooth, _COUNTS, size)
    # A Gauss rule of the chi law would be good to a few digits only.
    apart, place = np.unique(lengths, return_inverse=True)
    found = np.empty(len(apart))
    for i, length in enumerate(apart.tolist()):
        rule = partial(_radial.against_first, act, d, k, power, length)
        found[i] = agreed(rule, _radial.PIECE_NODES, size)
    return found[place].reshape(lengths.shape)


def check_lengths(name: str, value: ArrayLike) -> Array:
    lengths = as_floating(name, value).astype(np.float64)
    if (lengths < 0).any():
        raise ValueError(f"{name} must be >= 0, got {lengths.min()}")
    return lengths


def checked(
    activation: Activation | str, d: int, k: int, scale: float
) -> tuple[Activation, int, int, float]:
    act, scale = named(activation), check_number("scale", scale, positive=True)
    d, k = _check_degree(d, k)
    _radial.check_growth(act, d, scale)
    moment = _radial.second_moment(act, d, scale)
    if not math.isfinite(moment):
        raise ValueError(f"scale must leave E sigma(scale g.x)^2 a float, got {scale:g}")
    return act, d, k, scale
