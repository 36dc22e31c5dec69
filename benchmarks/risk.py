"""A learning curve of a thousand points by ``risk.Ridge`` against general solvers of scipy.

    .venv/bin/python -m benchmarks.risk

Takes some two minutes. Writes benchmarks/results/risk.json, which a page of the book shows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from benchmarks.harness import compare, store
from reluspec_lib import harmonics, risk

Array = NDArray[np.float64]

POWER, NOISE, UNITS = {0: 0.3, 1: 0.4, 2: 0.2, 4: 0.1}, 0.3, 100
SAMPLES = np.geomspace(8, 10_000, 1000).round()
# Degrees beyond carry less than 1e-9 of what a point at these ridges sums.
DEGREES = [0, 1, *range(2, 1001, 2)]


class Written:
    """The equations as they are written, in two unknowns, as a user would hand them to scipy."""

    def __init__(self, d: int) -> None:
        nodes, weights = special.roots_genlaguerre(60, d / 2 - 1)
        self.r, self.weights = 2 * nodes / d, weights / weights.sum()
        self.values = np.array([harmonics.eigenvalue(d, k) for k in DEGREES])
        self.sizes = np.array([float(harmonics.dimension(d, k)) for k in DEGREES])
        self.powers = np.array([POWER.get(k, 0.0) for k in DEGREES])

    def improved(self, qs: Array, n: float, alpha: float) -> Array:
        """Return the right sides of the equations for q and s."""
        q, s = qs
        trace = (self.sizes * self.values / (s * q * self.values + alpha)).sum()
        units = self.weights @ (self.r / (1 + self.r * s * trace / UNITS))
        inputs = self.weights @ (self.r / (1 + self.r * q * trace / n))
        return np.array([units, inputs])

    def risk(self, qs: Array, n: float, alpha: float) -> float:
        """Return the risk that belongs to a solution."""
        q, s = qs
        H = 1 / (s * q * self.values + alpha)
        trace = (self.sizes * self.values * H).sum()
        w = self.weights @ (self.r / (1 + self.r * s * trace / UNITS)) ** 2
        a1 = (self.sizes * self.values * H**2).sum() / UNITS
        a2 = (self.sizes * self.values**2 * H**2).sum() / UNITS
        slope = w * s * a1 / (1 - w * s**2 * a2)
        each = (s * q * self.values * H) ** 2 + alpha**2 * s * slope * self.values * H**2
        tau = each @ self.sizes / (n * s**2)
        seen = 1 + self.r * q * trace / n
        omega, omega_1 = self.weights @ (self.r / seen) ** 2, self.weights @ (self.r / seen**2)
        bias = alpha**2 * self.powers @ (H**2 * (1 + s * slope * self.values))
        return float((bias + NOISE**2 * tau * omega_1) / (1 - omega * tau))


def by_root(written: Written, n: float, alpha: float) -> Array:
    """Solve by scipy.optimize.root, in logarithms, which keep both unknowns positive."""

    def residual(logs: Array) -> Array:
        qs = np.exp(logs)
        return written.improved(qs, n, alpha) / qs - 1

    found = optimize.root(residual, [-0.5, -0.5], tol=1e-13)
    if not found.success:
        raise ArithmeticError(found.message)
    solution: Array = np.exp(found.x)
    return solution


def by_fixed_point(written: Written, n: float, alpha: float) -> Array:
    """Solve by scipy.optimize.fixed_point."""
    solution: Array = optimize.fixed_point(
        written.improved, [0.6, 0.6], (n, alpha), xtol=1e-13, maxiter=2000
    )
    return solution


SOLVERS: dict[str, Callable[[Written, float, float], Array]] = {
    "root": by_root,
    "fixed_point": by_fixed_point,
}


# Pairs of runs; the fixed point is slow.
CASES = ((10, 1e-2, {"root": 3, "fixed_point": 1}), (10, 1e-4, {"root": 3}))


def curve(d: int, alpha: float, solver: str) -> Array:
    """Return the risks at all numbers of samples, NaN where the solver gives up."""
    written, risks = Written(d), []
    for n in SAMPLES.tolist():
        try:
            with np.errstate(all="ignore"):
                risks.append(written.risk(SOLVERS[solver](written, n, alpha), n, alpha))
        except (ArithmeticError, RuntimeError):
            risks.append(math.nan)
    return np.array(risks)


def main() -> None:
    """Time the library against each solver and store the results."""
    rows: list[dict[str, Any]] = []
    for d, alpha, solvers in CASES:

        def ours(d: int = d, alpha: float = alpha) -> Array:
            found: Array = risk.Ridge(d, UNITS, SAMPLES, alpha, power=POWER, noise=NOISE).risk
            return found

        for solver, pairs in solvers.items():
            theirs = curve(d, alpha, solver)
            begin = time.process_time()
            gap = np.abs(theirs / ours() - 1)
            used = time.process_time() - begin
            row = {"case": "ridge", "d": d, "alpha": alpha, "solver": solver, "points": len(gap)}
            row |= {
                "failures": int(np.isnan(gap).sum()),
                "difference": float(np.nanmax(gap)),
                "cpu_seconds": used,
            }
            rows.append(row | compare(ours, lambda s=solver: curve(d, alpha, s), pairs))  # type: ignore[misc]  # noqa: B023
            print(rows[-1], flush=True)
    store("risk", rows)


if __name__ == "__main__":
    main()
