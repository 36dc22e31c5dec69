r"""The radial operators of an activation: one for each degree of the harmonics.

The operator psi -> E[psi(g) s(g.x)] takes rho(|g|) Y(g/|g|), Y of degree k, to R(|x|) Y(x/|x|) with
R(r) = E[rho(t) b_k(r t)], t the length of a standard Gaussian vector. So on each degree it is the
symmetric kernel b_k(r t) on the half line with the chi law.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy import linalg, special

from reluspec_lib import harmonics, sphere
from reluspec_lib._validation import Array
from reluspec_lib.beyond._activation import Activation, Homogeneous

__all__ = [
    "PIECE_NODES",
    "against_first",
    "check_growth",
    "chi",
    "chi_pieces",
    "coefficients",
    "homogeneous_coefficient",
    "length_moment",
    "second_moment",
    "turns",
]

# Beyond this multiple of 1/sqrt(d) from the equator the weight of the sphere is below 1e-31.
_BAND = 12.0
# Gauss-Legendre on pieces of the latitude; pieces shrink towards the equator, where an activation
# of a long pre-activation turns, and towards kinks.
_NODES = 24
_PIECES = 6
_PHASE = 18.0
_NEAR = np.outer([-1, 1], 0.5 / 4.0 ** np.arange(9)).ravel()
# How many values are held at once.
_BLOCK = 1 << 21

# The chi law is discretised on this many points, within this distance of the root of d.
_FINE = 400
_REACH = 9.0
# Or in pieces, smaller near places where what is averaged is not smooth, with so many nodes each.
_CHI_PIECES = 10
_AT_TURN = np.outer([-1, 1], 8.0 ** -np.arange(10)).ravel()
_TO_ZERO = 0.25 ** np.arange(14)
_FAR = 12.0
PIECE_NODES = (10, 14)

# The law of g.x falls like exp(-|t|): what it gives beyond is below the smallest float.
_FARTHEST = 600.0
_GROWTH_PIECES = 120
_TAIL = 1e-12


def length_moment(d: int, power: float) -> float:
    """Return E t^power, t the length of a standard Gaussian vector in R^d."""
    return math.exp(power / 2 * math.log(2) + sphere.log_gamma_ratio(d / 2, power / 2))


def homogeneous_coefficient(activation: Homogeneous, d: int, k: int) -> float:
    r"""Return b_k(1) by b_{k+2} = (alpha - k) / (alpha + k + d) b_k, from the degrees 0 and 1."""
    alpha, odd = activation.power, k % 2
    power = alpha + odd
    b = sphere.log_gamma_ratio(0.5, power / 2) - sphere.log_gamma_ratio(d / 2, power / 2)
    steps = np.arange(odd, k, 2)
    ratio = float(np.prod((alpha - steps) / (alpha + steps + d)))
    return (activation.odd if odd else activation.even) * math.exp(b) * ratio


def coefficients(activation: Activation, d: int, k: int, s: Array) -> Array:
    """Return b_k at these lengths s >= 0 of the pre-activation."""
    if isinstance(activation, Homogeneous):
        values: Array = homogeneous_coefficient(activation, d, k) * s**activation.power
        return values
    flat, found = np.unique(s, return_inverse=True)
    turning = any(activation.kinks)
    result = np.empty(len(flat))
    if not turning:
        u, weight = _latitudes(d, k, ())
        step = max(1, _BLOCK // len(u))
        for start in range(0, len(flat), step):
            part = flat[start : start + step]
            result[start : start + step] = _values(activation, part[:, None] * u) @ weight
    else:
        for i, length in enumerate(flat.tolist()):
            places = tuple(kink / length for kink in activation.kinks) if length else ()
            u, weight = _latitudes(d, k, tuple(p for p in places if abs(p) < 1))
            result[i] = _values(activation, length * u) @ weight
    return result[found].reshape(s.shape)


def _values(activation: Activation, t: Array) -> Array:
    with np.errstate(all="ignore"):
        values = np.asarray(activation(t))
    fits = values.shape == t.shape and values.dtype.kind in "biuf"
    if not (fits and np.isfinite(values).all()):
        raise ValueError(
            f"activation must return finite real numbers in the shape of its argument {t.shape}, "
            f"got {'shape ' + str(values.shape) if not fits else 'entries that are not finite'}"
        )
    return values


@lru_cache(maxsize=64)
def _latitudes(d: int, k: int, kinks: tuple[float, ...]) -> tuple[Array, Array]:
    """Return nodes of u_1 and their weights times P_k, pieces ending at 0 and at these kinks."""
    if d == 1:
        u = np.array([-1.0, 1.0])
        return u, 0.5 * harmonics.zonal(d, k, u)
    width = min(math.pi / 2, _BAND / math.sqrt(d))
    pieces = 2 * (_PIECES + math.ceil(k * width / _PHASE))
    places = np.arcsin(np.array([0.0, *kinks]))
    near = np.concatenate([places, np.add.outer(places, width * _NEAR).ravel()])
    ends = np.concatenate([np.linspace(-width, width, pieces + 1), near[np.abs(near) < width]])
    ends = np.unique(ends)
    points, gauss = np.polynomial.legendre.leggauss(_NODES)
    half = np.diff(ends)[:, None] / 2
    latitude = (ends[:-1, None] + half * (1 + points)).ravel()
    constant = math.exp(sphere.log_gamma_ratio((d - 1) / 2, 0.5)) / math.sqrt(math.pi)
    weight = constant * (half * gauss).ravel() * np.cos(latitude) ** (d - 2)
    u = np.sin(latitude)
    return u, weight * harmonics.zonal(d, k, u)


@lru_cache(maxsize=32)
def chi(d: int, count: int) -> tuple[Array, Array]:
    """Return the nodes and weights of the Gauss rule of the chi law with d degrees of freedom.

    Lanczos on a fine discretisation gives its orthogonal polynomials, and the eigenvalues of their
    recurrence the nodes.
    """
    points, gauss = np.polynomial.legendre.leggauss(_FINE)
    low, high = max(0.0, math.sqrt(d) - _REACH), math.sqrt(d) + _REACH
    t = low + (high - low) * (1 + points) / 2
    mass = gauss * _chi_density(d, t)
    mass /= mass.sum()
    diagonal, beside = np.empty(count), np.empty(count)
    before, current = np.zeros_like(t), np.sqrt(mass)
    basis = np.empty((count, len(t)))
    for n in range(count):
        basis[n] = current
        diagonal[n] = current @ (t * current)
        following = (t - diagonal[n]) * current - (beside[n - 1] if n else 0.0) * before
        # Once more against all, or rounding brings the first ones back.
        following -= basis[: n + 1].T @ (basis[: n + 1] @ following)
        beside[n] = math.sqrt(following @ following)
        before, current = current, following / beside[n]
    nodes, vectors = linalg.eigh_tridiagonal(diagonal, beside[:-1])
    return nodes, vectors[0] ** 2


def turns(activation: Activation, length: float) -> Array:
    """Return where b_k(length t) is not smooth, as it reaches a kink there, and places around."""
    kinks = np.unique(np.abs([kink for kink in activation.kinks if kink]))
    places: Array = np.add.outer(kinks / length, np.append(_AT_TURN, 0.0)).ravel()
    return places


def chi_pieces(d: int, nodes: int, near: Array) -> tuple[Array, Array]:
    """Return nodes and weights of the chi law on pieces, some of which end at these places."""
    low, high = max(0.0, math.sqrt(d) - _REACH), math.sqrt(d) + _REACH
    ends = np.concatenate([np.linspace(low, high, _CHI_PIECES + 1), near])
    ends = np.unique(np.clip(ends, low, high))
    points, gauss = np.polynomial.legendre.leggauss(nodes)
    half = np.diff(ends)[:, None] / 2
    t = (ends[:-1, None] + half * (1 + points)).ravel()
    weight = (half * gauss).ravel() * _chi_density(d, t)
    return t, weight / weight.sum()


def against_first(
    activation: Activation, d: int, k: int, power: float, length: float, nodes: int
) -> float:
    r"""Return E[t^a b_k(length t)] as a mean over the first coordinate z of the hidden weight.

    With t^2 = z^2 + s^2, s of the chi law with d - 1 degrees of freedom, it is E[s(length z) H(z)]
    with H(z) = E[t^a P_k(z/t)]. Pieces in z end at the kinks, those in both shrink towards 0.
    """
    places = np.array([0.0, *activation.kinks]) / length if length else np.zeros(1)
    near = np.add.outer(places[np.abs(places) <= _FAR], np.append(_AT_TURN, 0.0)).ravel()
    ends = np.unique(np.clip(np.append(np.linspace(-_FAR, _FAR, 25), near), -_FAR, _FAR))
    points, gauss = np.polynomial.legendre.leggauss(nodes)
    half = np.diff(ends)[:, None] / 2
    z = (ends[:-1, None] + half * (1 + points)).ravel()
    weight = (half * gauss).ravel() * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    s, mass = chi_pieces(d - 1, nodes, _TO_ZERO) if d > 1 else (np.zeros(1), np.ones(1))
    t = np.hypot(z[:, None], s)
    H = (t**power * harmonics.zonal(d, k, np.clip(z[:, None] / t, -1, 1))) @ mass
    return float(_values(activation, length * z) @ (weight * H))


def _chi_density(d: int, t: Array) -> Array:
    """Return the density of the chi law, up to its constant."""
    density: Array = np.exp((d - 1) * np.log(t / math.sqrt(d)) - (t * t - d) / 2)
    return density


@lru_cache(maxsize=64)
def second_moment(activation: Activation, d: int, scale: float) -> float:
    """Return E s(scale g.x)^2, g and x standard Gaussian in R^d."""
    if isinstance(activation, Homogeneous):
        alpha = activation.power
        square = activation.even**2 + activation.odd**2
        unit = length_moment(d, 2 * alpha) * length_moment(1, 2 * alpha)
        with np.errstate(over="ignore"):
            return float(square * unit * np.float64(scale) ** (2 * alpha))
    return _product_moment(activation, d, scale, 2)[0]


@lru_cache(maxsize=64)
def check_growth(activation: Activation, d: int, scale: float) -> None:
    """Raise a ValueError where E s(scale g.x)^4 is not finite."""
    if not isinstance(activation, Homogeneous):
        _, share = _product_moment(activation, d, scale, 4)
        if not share <= _TAIL:
            raise ValueError(
                "activation must have a finite fourth moment E s(g.x)^4, g and x standard Gaussian "
                f"in R^{d}, with the pre-activation times {scale:g}; got a share of {share:.2g} of "
                "it at the ends of the range"
            )


def _product_moment(
    activation: Activation, d: int, scale: float, power: int
) -> tuple[float, float]:
    r"""Return E s(scale T)^power and the share at the ends of the range, for T = g.x.

    T has the density \|t\|^nu K_nu(\|t\|) / (sqrt(pi) 2^nu Gamma(d/2)), nu = (d - 1)/2.
    """
    order = (d - 1) / 2
    farthest = _FARTHEST + d
    kinks = np.array([0.0, *activation.kinks]) / scale
    spread = np.add.outer(kinks, np.outer([-1, 1], 4.0 ** np.arange(-12, 3)).ravel()).ravel()
    grid = np.linspace(-farthest, farthest, 2 * _GROWTH_PIECES + 1)
    bulk = math.sqrt(d) * np.linspace(-12, 12, 49)
    ends = np.concatenate([grid, bulk, kinks, spread])
    ends = np.unique(ends[np.abs(ends) <= farthest])
    points, gauss = np.polynomial.legendre.leggauss(_NODES)
    half = np.diff(ends)[:, None] / 2
    t = (ends[:-1, None] + half * (1 + points)).ravel()
    size = np.abs(t)
    density = order * np.log(size / 2) + _log_bessel(order, size)
    density -= math.lgamma(d / 2) + math.log(math.pi) / 2
    with np.errstate(all="ignore"):
        values = np.abs(np.asarray(activation(scale * t), dtype=np.float64))
        logarithm = power * np.log(values) + density + np.log((half * gauss).ravel())
    logarithm[np.isnan(logarithm)] = -math.inf if np.isfinite(values).all() else math.inf
    top = float(logarithm.max())
    if top == -math.inf:  # the function 0
        return 0.0, 0.0
    if not math.isfinite(top):
        return math.inf, 1.0
    parts = np.exp(logarithm - top)
    share = float(parts[size > farthest * (1 - 1 / _GROWTH_PIECES)].sum() / parts.sum())
    with np.errstate(over="ignore"):
        return float(np.exp(top) * parts.sum()), share


def _log_bessel(order: float, t: Array) -> Array:
    """Return log K_order(t), by Debye's expansion where K overflows (at large orders)."""
    with np.errstate(all="ignore"):
        logarithm: Array = np.log(special.kve(order, t)) - t
    far = ~np.isfinite(logarithm)
    if far.any():
        z = t[far] / order
        root = np.sqrt(1 + z * z)
        p = 1 / root
        first = (3 * p - 5 * p**3) / 24
        second = (81 * p**2 - 462 * p**4 + 385 * p**6) / 1152
        third = (30375 * p**3 - 369603 * p**5 + 765765 * p**7 - 425425 * p**9) / 414720
        series = 1 - first / order + second / order**2 - third / order**3
        exponent = root + np.log(z) - np.log1p(root)
        logarithm[far] = np.log(series) + np.log(math.pi / (2 * order * root)) / 2
        logarithm[far] -= order * exponent
    return logarithm
