r"""The deterministic equivalent of ridge regression on random features, as a fixed point.

With kappa = alpha/(s q), D(kappa) the effective dimension and r, t the squared lengths of inputs
and weights, the two unknowns of the equivalent solve one scalar equation each,

.. math:: \mathbb{E}\frac{r}{s + r D/n} = 1, \qquad \mathbb{E}\frac{t}{q + t D/m} = 1,

so that everything is a function of kappa, and alpha = kappa s q grows with it. Nothing here divides
by s or q, which vanish without ridge at n <= m and m <= n.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import elementwise

from reluspec_lib import harmonics
from reluspec_lib._validation import Array

# Degrees from here on are summed by an integral over the degree, with Gregory's corrections.
_SUMMED = 256
_GREGORY = (1 / 2, -1 / 12, 1 / 24, -19 / 720, 3 / 160, -863 / 60480, 275 / 24192)
# Panels of the logarithm of the degree: their width, their nodes, and where the last one ends.
_PANEL, _NODES, _LAST = 0.25, 12, 1e13
# Exponents below this are nothing beside 1 in double precision.
_NEGLIGIBLE = -42.0


@dataclass(frozen=True)
class Spectrum:
    """The eigenvalues of all degrees, with their part of the trace as weights."""

    eigenvalues: Array
    traces: Array

    def dimension(self, kappa: Array) -> Array:
        """Return the effective dimension, the sum of N l/(l + kappa)."""
        D: Array = (1 / (self.eigenvalues + kappa[:, None])) @ self.traces
        return D

    def sums(self, kappa: Array) -> tuple[Array, Array, Array]:
        r"""Return the sums of N l/(l + kappa), N l^2/(l + kappa)^2 and N l/(l + kappa)^2."""
        inverse = 1 / (self.eigenvalues + kappa[:, None])
        first = inverse @ self.traces
        # Squares of the inverse may overflow, unless kappa is 0 and there are two functions.
        scale = np.where(kappa > 0, kappa, 1.0)
        third = (inverse * (scale[:, None] * inverse)) @ self.traces / scale
        return first, first - kappa * third, third


@functools.lru_cache(maxsize=32)
def spectrum(d: int) -> Spectrum:
    """Return the spectrum of the infinitely wide network as sums over it need it."""
    values, parts = levels(d, [0, 1, *range(2, _SUMMED, 2)] if d > 1 else [0, 1])
    if d == 1:
        return Spectrum(values, parts)
    # Sum of f over k, k + 2, ... = integral/2 + f/2 - (first difference)/12 + ...
    ends = np.zeros(len(_GREGORY))
    for order, coefficient in enumerate(_GREGORY):
        for j in range(order + 1):
            ends[j] += coefficient * (-1) ** (order - j) * math.comb(order, j)
    panels = math.ceil(math.log(_LAST / _SUMMED) / _PANEL)
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    logs = math.log(_SUMMED) + _PANEL * (np.arange(panels)[:, None] + (nodes + 1) / 2).ravel()
    between = np.exp(logs)
    far = np.concatenate([_SUMMED + 2.0 * np.arange(len(ends)), between])
    share = np.concatenate([ends, np.tile(weights, panels) * _PANEL / 4 * between])
    value, size = _far(d, far)
    # The factors overflow and underflow where their product does neither.
    part = np.exp(value + size)
    return Spectrum(np.concatenate([values, np.exp(value)]), np.concatenate([parts, share * part]))


def levels(d: int, degrees: Iterable[int]) -> tuple[Array, Array]:
    """Return eigenvalues, and eigenvalues times multiplicities, of any degrees."""
    degrees = list(degrees)
    known = {0: (harmonics.eigenvalue(d, 0),) * 2, 1: (0.25, d / 4)}
    if d > 1 and (most := max(degrees)) > 1:
        even = zip(*harmonics.even_degrees(d, most // 2), strict=True)
        known |= {2 * k: (float(value), float(part)) for k, (value, part) in enumerate(even, 1)}
    found = np.array([known.get(k, (0.0, 0.0)) for k in degrees])
    return found[:, 0], found[:, 1]


def _far(d: int, k: Array) -> tuple[Array, Array]:
    """Return the logarithms of eigenvalue and multiplicity at high even degrees, real ones too."""
    constant = math.log(harmonics.relu_coefficient(d, 0) * d / (2 * math.sqrt(math.pi)))
    constant += math.lgamma((d + 1) / 2)
    value = 2 * (constant - _log_gamma_ratio((k - 1) / 2, (d + 2) / 2))
    size = np.log(2 * k + d - 2) + _log_gamma_ratio(k + 1, d - 3) - math.lgamma(d - 1)
    return value, size


def _log_gamma_ratio(z: Array, a: float) -> Array:
    """Return log Gamma(z + a) - log Gamma(z) for large z, by Stirling's series."""
    top = z + a

    def rest(x: Array) -> Array:
        return 1 / (12 * x) - 1 / (360 * x**3) + 1 / (1260 * x**5) - 1 / (1680 * x**7)

    ratio: Array = a * np.log(z) + (top - 0.5) * np.log1p(a / z) - a + rest(top) - rest(z)
    return ratio


@dataclass(frozen=True)
class Law:
    """The law of a squared length over its mean, as nodes and weights."""

    nodes: Array
    weights: Array
    d: float

    def mean(self, values: Array) -> Array:
        """Return expectations of functions given at the nodes, along the last axis."""
        mean: Array = values @ self.weights
        return mean

    def solve(self, u: Array) -> Array:
        """Return y in [0, 1] with E[r/(y + r u)] = 1, 0 where u >= 1."""
        if len(self.nodes) == 1:
            rest: Array = np.maximum(1 - u, 0.0)
            return rest
        y = np.where(u >= 1, 0.0, 1.0)
        inside = (u > 0) & (u < 1)
        part = u[inside]
        # With y = z u the equation is E[z/(z + r)] = 1 - u; both sides as logits against log z
        # are nearly a straight line, on which Newton's method does not go astray.
        wanted = np.log1p(-part) - np.log(part)
        log_z = wanted.copy()
        for _ in range(60):
            z = np.exp(log_z)[:, None]
            left = self.mean(z / (z + self.nodes))
            right = self.mean(self.nodes / (z + self.nodes))
            slope = self.mean(z * self.nodes / (z + self.nodes) ** 2) / (left * right)
            step = (wanted - np.log(left) + np.log(right)) / slope
            log_z += step
            if not step.size or np.abs(step).max() < 1e-14 * max(1.0, np.abs(log_z).max()):
                break
        y[inside] = np.exp(log_z) * part
        return y


@functools.lru_cache(maxsize=32)
def law(d: float) -> Law:
    """Return the law of chi^2_d/d, by the trapezoidal rule in the logarithm; 1 for infinite d."""
    if math.isinf(d):
        return Law(np.ones(1), np.ones(1), d)
    a = d / 2
    # Beside 1/r the density decays like r^(a - 1) e^a; close to its mean like a Gaussian.
    low = (_NEGLIGIBLE - a) / max(a - 1, 0.5) if a < 200 else -14 / math.sqrt(a)
    high = math.log1p(90 / a) if a < 40 else 14 / math.sqrt(a)
    step = min(0.2, 0.4 / math.sqrt(a))
    logs = np.arange(math.floor(low / step), math.ceil(high / step) + 1) * step
    density = np.exp(a * (logs - np.expm1(logs)))
    return Law(np.exp(logs), density / density.sum(), d)


@dataclass(frozen=True)
class Problem:
    """What is to be learned: by which network, which target, with which noise."""

    d: int
    spectrum: Spectrum
    law: Law
    power: Mapping[int, float]
    noise: float


def no_ridge(spectrum: Spectrum, count: Array) -> Array:
    """Return the kappa at which the effective dimension is a count, 0 where it never is."""

    def excess(log_kappa: Array, count: Array) -> Array:
        difference: Array = spectrum.dimension(np.exp(log_kappa)) / count - 1
        return difference

    trace = float(spectrum.traces.sum())
    kappa = np.zeros_like(count)
    reached = np.isfinite(count)
    if len(spectrum.eigenvalues) == 2:  # two functions on two points
        reached &= count < 2
    low = np.full(reached.sum(), -600.0)
    high = np.log(2 * trace / count[reached])
    if reached.any():
        kappa[reached] = np.exp(_root(excess, low, high, count[reached]))
    # By rounding short of the count, no ridge would look like a small one.
    step = 2.0**-52
    while (short := reached & (spectrum.dimension(kappa) < count)).any():
        kappa[short] *= 1 - step
        step *= 2
    return kappa


def kappa(problem: Problem, m: Array, n: Array, alpha: Array) -> Array:
    """Return the kappa that belongs to a ridge."""
    spectrum, law = problem.spectrum, problem.law
    fewest = np.minimum(m, n)
    found = no_ridge(spectrum, fewest)
    ridged = alpha > 0

    def excess(log_kappa: Array, m: Array, n: Array, alpha: Array) -> Array:
        value = np.exp(log_kappa)
        D = spectrum.dimension(value)
        return value / alpha * law.solve(D / m) * law.solve(D / n) - 1

    if ridged.any():
        m, n, alpha, lowest = m[ridged], n[ridged], alpha[ridged], found[ridged]
        trace = float(spectrum.traces.sum())
        # s, q <= 1, so that kappa >= alpha; where D is small beside m and n they are not small. A
        # little below, both hold whatever rounding did.
        low = np.log(np.maximum(lowest, alpha) * (1 - 1e-9))
        high = np.log(np.maximum(4 * trace / fewest[ridged], 16 * alpha)) + 4
        found[ridged] = np.exp(_root(excess, low, high, m, n, alpha))
    return found


def risks(problem: Problem, kappa: Array, m: Array, n: Array) -> list[Array]:
    """Return risk, its part without noise, effective dimension, and the risk at each degree."""
    spectrum, law, noise = problem.spectrum, problem.law, problem.noise
    D, D2, S1 = spectrum.sums(kappa)
    s, q = law.solve(D / n), law.solve(D / m)
    bare = law.nodes / (s[:, None] + law.nodes * (D / n)[:, None])
    omega = law.mean(bare**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        omega_1 = law.mean(bare**2 / law.nodes)
        # Without ridge at n <= m it is E[1/r], which d <= 2 does not have.
        omega_1 = np.where((s == 0) & (law.d <= 2), np.inf, omega_1)
        w = law.mean((law.nodes / (q[:, None] + law.nodes * (D / m)[:, None])) ** 2) / m
        # At kappa = 0 there is nothing left for it to pass on, and 1 - w D2 may be 0.
        passed = np.where(kappa > 0, w / (1 - w * D2), 0.0)
        mu = passed * S1
        tau = (D2 + kappa**2 * mu * S1) / n
        rest = 1 - omega * tau
        rest = np.where(rest > 1e-13, rest, 0.0)
    values, traces = levels(problem.d, problem.power)
    powers = np.array(list(problem.power.values()))
    kept = (kappa[:, None] / (values + kappa[:, None])) ** 2
    own = powers * kept
    lost = (own * values).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        base = own.sum(axis=1) + mu * lost
        bias = base / rest
        by_noise = noise**2 * omega_1 * tau if noise else np.zeros_like(base)
        risk = (base + by_noise) / rest
        # What errors of the other degrees and noise leave at a degree, through weights and samples.
        at = traces / (values + kappa[:, None]) ** 2
        through_weights = (passed * lost)[:, None] * at
        shares = at * (values + kappa[:, None] ** 2 * mu[:, None]) / n[:, None]
        charge = omega * risk + (noise**2 * omega_1 if noise else 0.0)
        parts = own + through_weights + shares * charge[:, None]
    return [risk, bias, D, *parts.T]


def _root(function: object, low: Array, high: Array, *arguments: Array) -> Array:
    """Return the roots of an increasing or decreasing function, one for each entry."""
    result = elementwise.find_root(
        function, (low, high), args=arguments, tolerances={"xatol": 1e-15, "xrtol": 1e-15}
    )
    if not result.success.all():
        raise ArithmeticError(
            f"the fixed point was not found for {int((~result.success).sum())} settings"
        )
    root: Array = result.x
    return root
