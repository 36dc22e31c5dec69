r"""The risk of gradient flow on a sample, from the equivalent of ridge regression at two ridges.

The readout of the flow is a contour integral over readouts of ridge regression at complex ridges,
:math:`v_t = \frac{1}{2 \pi i} \int \frac{e^{t \alpha}}{\alpha} v(\alpha)\, d\alpha`, around the
negative axis. So its risk is a double integral over the mean product of the errors at two ridges.
That product has the equivalent of the risk with each square taken apart into its two factors.
"""

from __future__ import annotations

import math

import numpy as np

from reluspec_lib._validation import Array
from reluspec_lib.learning import _equivalent
from reluspec_lib.learning._equivalent import Problem

__all__ = ["risks"]

# Nodes of the contour, of which half have a positive imaginary part: Weideman and Trefethen's
# parabola, with an error of 2.85^-32.
_CONTOUR = 32
# The first point on the way to a ridge lies so far out, relative to the scale of the features, that
# kappa is the ridge there; steps towards it, and Newton steps at each.
_FAR, _WAY, _NEWTON = 1e4, 40, 50
_CONVERGED = 1e-13


def risks(problem: Problem, m: float, n: float, times: Array) -> Array:
    """Return the mean excess risk of the flow at positive times."""
    theta = math.pi * (np.arange(0, _CONTOUR, 2) + 1) / _CONTOUR
    path = _CONTOUR * (0.1309 - 0.1194 * theta**2 + 0.25j * theta)
    weights = _CONTOUR * (-0.2388 * theta + 0.25j) * (2 * math.pi / _CONTOUR) / (2j * math.pi)
    weights = weights * np.exp(path) / path
    points = _solved(problem, m, n, (path / times[:, None]).ravel())
    rows = (part.reshape(len(times), -1) for part in points)
    return np.array([_at(problem, m, n, weights, *row) for row in zip(*rows, strict=True)])


def _solved(problem: Problem, m: float, n: float, alpha: Array) -> tuple[Array, Array, Array]:
    """Return kappa, s and q at complex ridges, by Newton's method on the way in from infinity."""
    values, traces = problem.spectrum.eigenvalues, problem.spectrum.traces
    nodes, weights = problem.law.nodes, problem.law.weights
    scale = values[0] + traces.sum() / min(m, n)
    ratio = np.maximum(_FAR * scale / np.abs(alpha), 1.0)
    kappa, s, q = alpha * ratio, np.ones_like(alpha), np.ones_like(alpha)
    for place in np.linspace(1, 0, _WAY):
        target = alpha * ratio**place
        for _ in range(_NEWTON):
            inverse = 1 / (values + kappa[:, None])
            D, slope = inverse @ traces, -(inverse**2) @ traces
            steps = []
            for y, count in ((s, n), (q, m)):
                x = nodes / (y[:, None] + nodes * (D / count)[:, None])
                # The equation of y, its derivative, and that by kappa.
                steps.append((x @ weights - 1, -(x**2) @ (weights / nodes),
                              -(x**2) @ weights * slope / count))  # fmt: skip
            (f, f_s, f_k), (g, g_q, g_k) = steps
            error = kappa * s * q - target - kappa * (q * f / f_s + s * g / g_q)
            change = -error / (s * q - kappa * (q * f_k / f_s + s * g_k / g_q))
            s, q = s - (f + f_k * change) / f_s, q - (g + g_k * change) / g_q
            kappa = kappa + change
            if np.abs(change / kappa).max() < _CONVERGED:
                break
        else:
            raise ArithmeticError(f"the fixed point was not found for m = {m}, n = {n}")
    return kappa, s, q


def _at(
    problem: Problem, m: float, n: float, weights: Array, kappa: Array, s: Array, q: Array
) -> float:
    """Return the risk at one time from the nodes of its contour in the upper half plane."""
    kappa, s, q, weights = (np.concatenate([a, a.conj()]) for a in (kappa, s, q, weights))
    spectrum, law, noise = problem.spectrum, problem.law, problem.noise
    inverse = 1 / (spectrum.eigenvalues + kappa[:, None])
    D = inverse @ spectrum.traces
    first = (inverse * spectrum.traces) @ inverse.T
    second = (inverse * (spectrum.traces * spectrum.eigenvalues)) @ inverse.T
    by_sample = law.nodes / (s[:, None] + law.nodes * (D / n)[:, None])
    by_unit = law.nodes / (q[:, None] + law.nodes * (D / m)[:, None])
    omega = (by_sample * law.weights) @ by_sample.T
    omega_1 = (by_sample * (law.weights / law.nodes)) @ by_sample.T
    w = (by_unit * law.weights) @ by_unit.T / m
    mu = w * first / (1 - w * second)
    tau = (second + np.outer(kappa, kappa) * mu * first) / n
    values, _ = _equivalent.levels(problem.d, problem.power)
    powers = np.array(list(problem.power.values()))
    kept = kappa[:, None] / (values + kappa[:, None])
    base = (kept * powers) @ kept.T + mu * ((kept * (powers * values)) @ kept.T)
    products = (base + noise**2 * omega_1 * tau) / (1 - omega * tau)
    return float((weights @ products @ weights).real)
