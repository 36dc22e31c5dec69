"""What the law of f(WX + b 1^T) keeps of its activation: a few Gaussian integrals for every row."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from reluspec_lib._validation import Array, check_number
from reluspec_lib._values import ByValue
from reluspec_lib.proportional._arguments import given_biases

__all__ = ["Activation", "Rows", "check_std", "gaussian_biases", "relu", "rows", "rows_of"]

Activation = Callable[[Array], Array]

# Pieces of the quadrature reach as far as the weight of the Gaussian is a positive float, so that a
# row whose values are far out is found, and growth that the Gaussian does not bound is seen. They
# are longer where the weight is below 1e-31.
_RADIUS = 38.5
_ENDS = np.concatenate(
    [np.linspace(-_RADIUS, -12, 21), np.linspace(-12, 12, 49)[1:-1], np.linspace(12, _RADIUS, 21)]
)
_LAST = _ENDS[-2]
# The nodes on a piece give 15 digits of a function that varies on the scale of the piece. Pieces
# shrink towards a kink, for roots and logarithms there and for activations that nearly have one.
_NODES = 24
_FEWER_NODES = 16
_NEAR = np.outer([-1, 1], 0.2 / 4.0 ** np.arange(15)).ravel()

# Two quadratures that differ by more than this say that the activation is not smooth in the pieces;
# as much as this of the root mean square over all rows does not matter.
_SMOOTH = 1e-9
_NEGLIGIBLE = 1e-15
# The outermost pieces hold no more than this of the mean square, else there may be more beyond.
_TAIL = 1e-13

# What remains of an activation after its linear part, relative to its size, is rounding below this:
# more than one rounding of a float, since the activation may have lost digits by itself.
_ROUNDING = 2.0**-40
# A mean below this, relative to the whole, is rounding.
_MEAN_ROUNDING = 1e-13

# Variances in between lose no digits.
_LEAST, _LARGEST = 1e-300, 1e300

# Equally spaced nodes, which are as good as Gauss-Hermite for smooth functions, and sit where the
# weight is. Beyond this many standard deviations the weight is below 1e-13.
_LARGEST_STD = 1e4  # every unit of this takes 60 kinds of row
_REACH = 7.5
_FEWEST_BIASES = 257
_BIASES_PER_UNIT = 60


@dataclass(frozen=True, eq=False, repr=False)
class Rows(ByValue):
    """The kinds of row of Y that differ by their bias, with the Gaussian integrals of each.

    Attributes
    ----------
    weight : ndarray
        Shape (K,), the share of each kind; the sum is 1. Without a bias K = 1.
    mean : ndarray
        E f(Z + b), Z standard Gaussian.
    zeta : ndarray
        The squared linear coefficient (E[Z f(Z + b)])^2.
    noise : ndarray
        eta - zeta, with eta the variance of f(Z + b); 0 where it is too small to be told from
        rounding.
    hermite2, hermite4 : ndarray
        E[He_2(Z) f(Z + b)] and E[He_4(Z) f(Z + b)], He_k the Hermite polynomials; only the outlier
        depends on them.
    affine : bool
        Whether f(t) = a + c t: then no row has noise. For any other f every row has, however
        little.
    """

    weight: Array
    mean: Array
    zeta: Array
    noise: Array
    hermite2: Array
    hermite4: Array
    affine: bool

    def average(self, values: Array) -> float:
        """Return the mean over rows of values that belong to their kinds."""
        return float(self.weight @ values)


class _Integrals(NamedTuple):
    """The integrals of every row, of f divided by a scale of its own."""

    scale: Array
    mean: Array
    linear: Array
    square: Array
    noise: Array
    hermite2: Array
    hermite4: Array
    rounding: Array
    outside: Array


def relu(t: Array) -> Array:
    """Return the positive part of t, the activation whose Gaussian integrals have closed forms."""
    return np.maximum(t, 0)


def rows(activation: Activation, biases: Array, weight: Array, kinks: Sequence[float]) -> Rows:
    """Return the kinds of row of an activation, one for each bias."""
    if activation is relu:
        found, affine = np.array(_relu_integrals(biases)), False
    else:
        found, affine = _by_quadrature(activation, biases, weight, kinks)
    variance = float(weight @ (found[1] + found[2]))
    if affine and variance == 0:
        raise ValueError("activation must not be constant: it leaves no bulk")
    if not _LEAST < variance < _LARGEST:
        raise ValueError(
            f"activation must have a variance between {_LEAST:g} and {_LARGEST:g}, got values "
            f"with a variance of {variance:.3g}; scale it"
        )
    mean, zeta, noise, second, fourth = found
    return Rows(weight, mean, zeta, noise, second, fourth, affine)


def check_std(value: float) -> float:
    """Return a standard deviation of biases, or raise a ValueError."""
    std = check_number("bias_std", value)
    if not 0 <= std <= _LARGEST_STD:
        raise ValueError(f"bias_std must be from 0 to {_LARGEST_STD:g}, got {value!r}")
    return std


def rows_of(
    activation: Activation, std: float, bias: ArrayLike | None, kinks: Sequence[float]
) -> Rows:
    """Return the kinds of row for a law of the biases, or for biases that are given."""
    if not callable(activation):
        raise ValueError(f"activation must be callable, got {activation!r}")
    if bias is None:
        return rows(activation, *gaussian_biases(std), kinks)
    biases, counts = np.unique(given_biases(bias, std), return_counts=True)
    return rows(activation, biases, counts / counts.sum(), kinks)


def gaussian_biases(std: float) -> tuple[Array, Array]:
    """Return nodes and weights for biases of law N(0, std^2)."""
    count = max(_FEWEST_BIASES, 2 * math.ceil(_BIASES_PER_UNIT * std / 2) + 1) if std else 1
    nodes = np.linspace(-_REACH, _REACH, count) if std else np.zeros(1)
    weight = np.exp(-(nodes**2) / 2)
    return std * nodes, weight / weight.sum()


def _relu_integrals(b: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Return mean, zeta, noise, hermite2 and hermite4 for each bias."""
    density = np.exp(-b * b / 2) / math.sqrt(2 * math.pi)
    slope = special.ndtr(b)
    # ReLU(t) - t/2 = |t|/2 is even, so the noise is even in b. At -|b| all terms are multiples of
    # the density, whose rounding would not cancel, by Mills' ratio.
    size = np.abs(b)
    ratio = math.sqrt(math.pi / 2) * special.erfcx(size / math.sqrt(2))
    noise = density * ((1 + size * size) * ratio - size)
    noise -= (density * (1 - size * ratio)) ** 2 + (density * ratio) ** 2
    noise = np.maximum(noise, 0)
    mean = np.where(b < 0, density * (1 - size * ratio), b * slope + density)
    return mean, slope**2, noise, density, (b * b - 1) * density


def _by_quadrature(
    f: Activation, biases: Array, weight: Array, kinks: Sequence[float]
) -> tuple[Array, bool]:
    """Return mean, zeta, noise, hermite2 and hermite4 for each bias, and whether f is affine."""
    fine = _integrals(f, biases, kinks, _NODES)
    with np.errstate(over="ignore", under="ignore"):
        _check_accuracy(biases, weight, fine, _integrals(f, biases, kinks, _FEWER_NODES), kinks)
        found = fine.scale * np.stack(
            [fine.mean, fine.linear, np.sqrt(fine.noise), fine.hermite2, fine.hermite4]
        )
        found[1:3] **= 2
    return found, not fine.noise.any() and _is_affine(f, kinks)


def _is_affine(f: Activation, kinks: Sequence[float]) -> bool:
    """Tell whether f has no noise around its kinks, where rows with large biases do not see it."""
    try:
        return not _integrals(f, np.array(kinks), kinks, _NODES).noise.any()
    except ValueError:
        return False


def _check_accuracy(
    biases: Array, weight: Array, fine: _Integrals, coarse: _Integrals, kinks: Sequence[float]
) -> None:
    """Compare two quadratures, and look for an end, relative to each row or to the whole."""
    unit = np.maximum(fine.scale, coarse.scale)
    # Where a row is 0 there is nothing to compare, in any unit.
    unit[unit == 0] = 1
    one, other = fine.scale / unit, coarse.scale / unit
    size, tolerance = one * np.sqrt(fine.square), np.maximum(_SMOOTH, fine.rounding)
    negligible = _NEGLIGIBLE * np.max(np.sqrt(weight * fine.square) * fine.scale) / unit
    wrong = ~(one**2 * fine.outside <= _TAIL * size**2 + negligible**2)
    if wrong.any():
        k = int(wrong.argmax())
        raise ValueError(
            "activation must grow so slowly that E f(Z)^2 is finite and lies within "
            f"{_RADIUS:g} standard deviations{f' of the bias {biases[k]:g}' if biases[k] else ''}; "
            f"a share of {fine.outside[k] / fine.square[k]:.2g} lies at the ends of that range"
        )
    for found, again, scale, least in (
        (one * fine.mean, other * coarse.mean, size, negligible),
        (one * fine.linear, other * coarse.linear, size, negligible),
        (size**2, other**2 * coarse.square, size**2, negligible**2),
    ):
        wrong = ~(np.abs(found - again) <= tolerance * scale + least)
        if wrong.any():
            k = int(wrong.argmax())
            places = ", ".join(f"{kink:g}" for kink in kinks)
            raise ValueError(
                f"activation must be smooth between its kinks, named so far: {places}; two "
                f"quadratures of one Gaussian integral, divided by {unit[k]:.3g}, give "
                f"{found[k]:.10g} and {again[k]:.10g}"
            )


def _integrals(f: Activation, biases: Array, kinks: Sequence[float], nodes: int) -> _Integrals:
    """Return the Gaussian integrals of f(Z + b) for each bias b."""
    found = [_integrals_of_row(f, float(bias), kinks, nodes) for bias in biases]
    return _Integrals(*np.array(found).T)


def _integrals_of_row(
    f: Activation, b: float, kinks: Sequence[float], nodes: int
) -> tuple[float, ...]:
    """Return the Gaussian integrals of f(Z + b) by quadrature between kinks."""
    z, root, values, rounding = _sample(f, b, kinks, nodes)
    # With the root of the weight on each factor nothing underflows that matters.
    part = values * root
    scale = float(np.abs(part).max())
    # The integrals of the zero function have no unit.
    part /= scale or 1.0
    square = float(part @ part)
    outside = part[np.abs(z) > _LAST]
    mean, linear = float(part @ root), float(part @ (z * root))
    square_z = z * z
    remainder = part - mean * root - linear * z * root
    noise, size = float(remainder @ remainder), math.sqrt(square)
    return (
        scale,
        0.0 if abs(mean) <= _MEAN_ROUNDING * size else mean,
        0.0 if abs(linear) <= rounding * size else linear,
        square,
        0.0 if noise <= (rounding * size) ** 2 else noise,
        float(remainder @ ((square_z - 1) * root)),
        float(remainder @ ((square_z * (square_z - 6) + 3) * root)),
        rounding,
        float(outside @ outside),
    )


@cache
def _legendre(nodes: int) -> tuple[Array, Array]:
    """Return the points and weights of Gauss and Legendre on [-1, 1]."""
    points, weights = np.polynomial.legendre.leggauss(nodes)
    return points, weights


def _sample(
    f: Activation, b: float, kinks: Sequence[float], nodes: int
) -> tuple[Array, Array, Array, float]:
    """Return Gauss-Legendre nodes z for the standard Gaussian with the roots of their weights.

    With them f(z + b) and how much of its size may be rounding.
    """
    places = np.asarray(kinks) - b
    near = np.concatenate([places, np.add.outer(places, _NEAR).ravel()])
    ends = np.unique(np.concatenate([_ENDS, near[np.abs(near) < _RADIUS]]))
    points, gauss = _legendre(nodes)
    half = np.diff(ends)[:, None] / 2
    z = (ends[:-1, None] + half * (1 + points)).ravel()
    root = np.sqrt(half * gauss).ravel() * np.exp(-z * z / 4) / (2 * math.pi) ** 0.25
    # Far out an activation may overflow on its way to a finite value.
    with np.errstate(all="ignore"):
        values = np.asarray(f(z + b))
    finite = values.dtype.kind in "biuf" and bool(np.isfinite(values).all())
    if values.shape != z.shape or not finite:
        raise ValueError(
            f"activation must return finite real numbers in the shape of its argument {z.shape}, "
            f"got shape {values.shape}{'' if finite else ' with entries that are not finite'}"
        )
    rounding = _ROUNDING
    if values.dtype.kind == "f":
        rounding = max(rounding, 32 * float(np.finfo(values.dtype).eps))
    return z, root, values.astype(np.float64, copy=False), rounding
