r"""The eigenvalues of a composed arc-cosine kernel, to rounding at every degree and dimension.

By Rodrigues' formula E[f(u_1) P_k(u_1)], u uniform on the sphere of R^d, is

    k! / (d (d + 2) ... (d + 2k - 2)) E[c_k(v_1)],    v uniform on the sphere of R^(d+2k),

where c_k(t) is the coefficient of order k of the Taylor series of f at t. No sum over an
oscillating polynomial is left, so that an eigenvalue far below the largest one keeps its digits.
The series of f = kappa o ... o kappa follows from that of the layer before by recurrences, whose
terms are all positive where t is.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy import special

from reluspec_lib import sphere
from reluspec_lib._validation import Array

__all__ = ["coefficients"]

# A panel of Gauss-Legendre in the latitude, with so many nodes, spans eight standard deviations of
# the weight that is left by Rodrigues' formula. Beyond the band that weight is below 1e-30.
_NODES = 32
_PANEL = 8.0
_BAND = 12.0


@functools.lru_cache(maxsize=32)
def coefficients(d: int, kmax: int, layers: int) -> Array:
    """Return E[kappa^(layers)(u_1) P_k(u_1)] divided by prod_{j<=k} j / ((d-3)/2 + j), d > 1.

    For the degrees 0 to kmax. The product, which may leave the range of floats, is left out.
    """
    latitude, lengths = _latitudes(d, kmax, layers)
    series = _compose(math.pi / 2 - latitude, np.cos(latitude) ** 2 / 2, kmax, layers)
    constant = math.exp(sphere.log_gamma_ratio((d - 1) / 2, 0.5)) / math.sqrt(math.pi)
    # At high dimension the power would multiply the rounding of a cosine that is nearly 1.
    small = np.abs(latitude) < 1
    logarithm = np.log(np.cos(latitude))
    logarithm[small] = np.log1p(-(np.sin(latitude[small]) ** 2)) / 2
    found = constant * (series @ (lengths * np.exp((d - 2) * logarithm)))
    found.flags.writeable = False
    return np.asarray(found)


def _latitudes(d: int, kmax: int, layers: int) -> tuple[Array, Array]:
    """Return nodes and weights on the latitudes, from -pi/2 to pi/2, where the weight is."""
    # At latitude b it is c_k(sin b) cos(b)^(d-2+2k), largest at sin b = k/(k+d), about.
    half = min(math.pi / 2, math.asin(kmax / (kmax + d)) + _BAND / math.sqrt(d))
    panels = 2 + math.ceil(half * math.sqrt(d + kmax) / _PANEL)
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    # Many layers send all angles but those of the order of 1/layers to 0: panels halve towards it.
    halvings = 0.5 ** np.arange(1, 1 + max(0, math.ceil(math.log2(layers / 64))))
    edges = half / panels * np.concatenate([np.arange(panels), panels - halvings, [panels]])
    sizes = np.diff(edges)[:, None]
    upper = (edges[:-1, None] + (nodes + 1) / 2 * sizes).ravel()
    lengths = (weights * sizes / 2).ravel()
    return np.concatenate([-upper, upper]), np.tile(lengths, 2)


def _compose(angle: Array, radius: Array, kmax: int, layers: int) -> Array:
    """Return the Taylor coefficients at cos(angle), times powers of the radius.

    Shape (kmax + 1, len(angle)), for kappa composed with itself so many times.
    """
    y = np.zeros((kmax + 1, len(angle)))
    y[0] = np.cos(angle)
    if kmax:
        y[1] = radius
    for _ in range(layers):
        # cos(angle) may be 1 to rounding, where 1 - cos(angle) is a small number.
        y = _kappa(y, angle)
        away = 2 * np.sin(angle / 2) ** 2
        # sin a - a cos a, without cancellation.
        away -= angle**2 * special.spherical_jn(1, angle) / math.pi
        angle = 2 * np.arcsin(np.sqrt(away / 2))
    return y


def _kappa(y: Array, angle: Array) -> Array:
    """Return the series of kappa(y) from that of y, whose first term is cos(angle)."""
    order, cosine, sine = len(y), np.cos(angle), np.sin(angle)
    j = np.arange(order)[:, None]
    slope = j * y  # of y, times the step
    square, root, first, value = (np.zeros_like(y) for _ in range(4))
    # 1 - y^2 and its inverse root, kappa'(y) = 1 - arccos(y)/pi, kappa(y).
    square[0], root[0], first[0] = sine**2, 1 / sine, 1 - angle / math.pi
    value[0] = (sine + (math.pi - angle) * cosine) / math.pi
    for n in range(1, order):
        square[n] = -np.einsum("jn,jn->n", y[: n + 1], y[n::-1])
        terms = (n - j[1 : n + 1] / 2) * square[1 : n + 1]
        root[n] = -np.einsum("jn,jn->n", terms, root[n - 1 :: -1]) / (n * square[0])
        first[n] = np.einsum("jn,jn->n", slope[1 : n + 1], root[n - 1 :: -1]) / (n * math.pi)
        value[n] = np.einsum("jn,jn->n", slope[1 : n + 1], first[n - 1 :: -1]) / n
    return value
