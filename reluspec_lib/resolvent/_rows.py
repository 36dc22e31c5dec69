"""What the law of f(WX + b 1^T) keeps of its activation: a few Gaussian integrals for every row."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from reluspec_lib._validation import Array

__all__ = ["Activation", "Rows", "gaussian_biases", "relu", "rows"]

Activation = Callable[[Array], Array]

# Pieces of the quadrature: beyond this radius the weight of the Gaussian is below 1e-31, and the
# nodes on a piece give 15 digits of a function that varies on the scale of a piece.
_RADIUS = 12.0
_PIECE = 0.5
_NODES = 24
# Pieces become shorter towards a kink, for activations that only come close to having one there.
_NEAR = np.array([-0.2, -0.08, -0.03, -0.01, 0.0, 0.01, 0.03, 0.08, 0.2])

# Two quadratures that differ by more than this say that the activation is not smooth in the pieces.
_SMOOTH = 1e-9

# A mean below this, relative to the whole, is rounding; so is a part of the variance.
_ROUNDING = 1e-13

# Biases: equally spaced nodes, which are as good as Gauss-Hermite for smooth functions, and sit
# where the weight is. Beyond this many standard deviations the weight is below 1e-13.
_REACH = 7.5
_FEWEST_BIASES = 257
_BIASES_PER_UNIT = 60


@dataclass(frozen=True)
class Rows:
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
        eta - zeta, with eta the variance of f(Z + b).
    hermite2, hermite4 : ndarray
        E[He_2(Z) f(Z + b)] and E[He_4(Z) f(Z + b)], He_k the Hermite polynomials; only the outlier
        depends on them.
    """

    weight: Array
    mean: Array
    zeta: Array
    noise: Array
    hermite2: Array
    hermite4: Array

    def average(self, values: Array) -> float:
        """Return the mean over rows of values that belong to their kinds."""
        return float(self.weight @ values)


def relu(t: Array) -> Array:
    """Return the positive part of t, the activation whose Gaussian integrals have closed forms."""
    return np.maximum(t, 0)


def rows(activation: Activation, biases: Array, weight: Array, kinks: Sequence[float]) -> Rows:
    """Return the kinds of row of an activation, one for each bias."""
    if activation is relu:
        mean, zeta, noise, second, fourth = _relu_integrals(biases)
    else:
        found = [_integrals(activation, float(bias), kinks) for bias in biases]
        mean, zeta, noise, second, fourth = np.array(found).T
    if not (weight @ (zeta + noise) > 0):
        raise ValueError("activation must not be constant: it leaves no bulk")
    return Rows(weight, mean, zeta, noise, second, fourth)


def gaussian_biases(std: float) -> tuple[Array, Array]:
    """Return nodes and weights for biases of law N(0, std^2)."""
    count = max(_FEWEST_BIASES, 2 * math.ceil(_BIASES_PER_UNIT * std / 2) + 1) if std else 1
    nodes = np.linspace(-_REACH, _REACH, count) if std else np.zeros(1)
    weight = np.exp(-(nodes**2) / 2)
    return std * nodes, weight / weight.sum()


def _relu_integrals(b: Array) -> tuple[Array, Array, Array, Array, Array]:
    density = np.exp(-(b**2) / 2) / math.sqrt(2 * math.pi)
    zeta = special.ndtr(b) ** 2
    # ReLU(t) - t/2 = |t|/2 is even, so the noise is even in b; at -|b| its terms are small.
    below = -np.abs(b)
    tail = special.ndtr(below)
    mean = below * tail + density
    noise = (1 + below**2) * tail + below * density - mean**2 - tail**2
    return b * special.ndtr(b) + density, zeta, np.maximum(noise, 0), density, (b**2 - 1) * density


def _integrals(f: Activation, b: float, kinks: Sequence[float]) -> tuple[float, ...]:
    """Return mean, zeta, noise, hermite2 and hermite4 of f(Z + b) by quadrature between kinks."""
    z, weight, values = _sample(f, b, kinks, _NODES)
    mean, linear, square = (float(weight @ g) for g in (values, z * values, values**2))
    coarse_z, coarse_weight, coarse = _sample(f, b, kinks, _NODES - 8)
    size = math.sqrt(square)
    for fine, rough, scale in (
        (mean, coarse_weight @ coarse, size),
        (linear, coarse_weight @ (coarse_z * coarse), size),
        (square, coarse_weight @ coarse**2, square),
    ):
        if not abs(rough - fine) <= _SMOOTH * scale:
            places = ", ".join(f"{kink:g}" for kink in kinks)
            raise ValueError(
                f"activation must be smooth between its kinks, named so far: {places}; two "
                f"quadratures of one Gaussian integral give {fine:.10g} and {rough:.10g}"
            )
    remainder = values - mean - linear * z
    noise = float(weight @ remainder**2)
    least = _ROUNDING * (linear**2 + noise) + (_ROUNDING / 10 * mean) ** 2
    return (
        0.0 if abs(mean) <= _ROUNDING * size else mean,
        0.0 if linear**2 <= least else linear**2,
        0.0 if noise <= least else noise,
        float((weight * (z**2 - 1)) @ remainder),
        float((weight * (z**4 - 6 * z**2 + 3)) @ remainder),
    )


def _sample(
    f: Activation, b: float, kinks: Sequence[float], nodes: int
) -> tuple[Array, Array, Array]:
    """Return Gauss-Legendre nodes of the standard Gaussian with their weights, and f(z + b)."""
    ends = np.arange(-_RADIUS, _RADIUS + _PIECE, _PIECE)
    near = np.add.outer(np.asarray(kinks) - b, _NEAR).ravel()
    ends = np.union1d(ends, near[np.abs(near) < _RADIUS])
    points, gauss = np.polynomial.legendre.leggauss(nodes)
    half = np.diff(ends)[:, None] / 2
    z = (ends[:-1, None] + half * (1 + points)).ravel()
    weight = (half * gauss).ravel() * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    values = np.asarray(f(z + b))
    if values.shape != z.shape or values.dtype.kind not in "biuf" or not np.isfinite(values).all():
        finite = values.dtype.kind in "biuf" and bool(np.isfinite(values).all())
        raise ValueError(
            f"activation must return finite real numbers in the shape of its argument {z.shape}, "
            f"got shape {values.shape}{'' if finite else ' with entries that are not finite'}"
        )
    return z, weight, values.astype(np.float64)
