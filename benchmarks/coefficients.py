"""Funk-Hecke coefficients and eigenvalues of deeper networks against general quadrature.

    .venv/bin/python -m benchmarks.coefficients

Takes under a minute. Writes benchmarks/results/coefficients.json, which a page of the book shows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
from scipy import integrate, special

from benchmarks.harness import compare, store
from reluspec_lib import activations, depth
from reluspec_lib.beyond import _composed, _radial

Function = Callable[[Any], Any]

LAYERS = 3
SIZES = ((3, 4), (10, 4), (10, 40), (100, 4))  # dimension and degree


def by_scipy(function: Function, d: int, k: int) -> float:
    """Return E[function(u_1) P_k(u_1)] by scipy.integrate.quad."""
    order = d / 2 - 1
    constant = special.gamma(d / 2) / math.sqrt(math.pi) / special.gamma((d - 1) / 2)
    constant /= special.eval_gegenbauer(k, order, 1.0)

    def integrand(angle: float) -> float:
        t = math.cos(angle)
        zonal = special.eval_gegenbauer(k, order, t)
        return float(constant * function(t) * zonal * math.sin(angle) ** (d - 2))

    return float(integrate.quad(integrand, 0, math.pi, epsabs=1e-14, epsrel=1e-12, limit=500)[0])


def by_mpmath(function: Function, d: int, k: int) -> float:
    """Return E[function(u_1) P_k(u_1)] by mpmath.quad in 30 digits."""
    with mp.workdps(30):
        order = mp.mpf(d) / 2 - 1
        constant = mp.gamma(mp.mpf(d) / 2) / mp.sqrt(mp.pi) / mp.gamma(mp.mpf(d - 1) / 2)
        constant /= mp.gegenbauer(k, order, 1)

        def integrand(angle: Any) -> Any:
            t = mp.cos(angle)
            zonal = mp.gegenbauer(k, order, t)
            return constant * function(t) * zonal * mp.sin(angle) ** (d - 2)

        return float(mp.quad(integrand, [0, mp.pi / 2, mp.pi]))


def layered(t: Any, library: Any) -> Any:
    """Return the kernel of wide layers as it is written."""
    for _ in range(LAYERS):
        t = min(max(t, -1), 1)
        t = (library.sqrt(1 - t * t) + (library.pi - library.acos(t)) * t) / library.pi
    return t


# What a user would integrate, by either package.
INTEGRANDS: dict[str, dict[str, Function]] = {
    "coefficient of softplus": {
        "scipy": lambda t: np.logaddexp(0, t),
        "mpmath": lambda t: mp.log(1 + mp.exp(t)),
    },
    "eigenvalue of three layers": {
        "scipy": lambda t: layered(t, math),
        "mpmath": lambda t: layered(t, mp),
    },
}
SOLVERS: dict[str, Callable[[Function, int, int], float]] = {
    "scipy": by_scipy,
    "mpmath": by_mpmath,
}


def library(case: str, d: int, k: int) -> float:
    """Return the same by the library, without anything that an earlier call left."""
    for module in (_radial, _composed, depth):
        for function in vars(module).values():
            if hasattr(function, "cache_clear"):
                function.cache_clear()
    if case == "coefficient of softplus":
        return float(activations.coefficient("softplus", d, k))
    return depth.eigenvalue(d, k, LAYERS) * 2 / d


def main() -> None:
    """Time the library against both and store the results."""
    rows: list[dict[str, Any]] = []
    for case, integrands in INTEGRANDS.items():
        for d, k in SIZES:
            for solver, pairs in (("scipy", 9), ("mpmath", 1)):

                def ours(case: str = case, d: int = d, k: int = k) -> float:
                    return library(case, d, k)

                def theirs(
                    solver: str = solver, function: Any = integrands[solver], d: int = d, k: int = k
                ) -> float:
                    return SOLVERS[solver](function, d, k)

                # Measured against the largest coefficient, as the library promises its digits.
                difference = abs(theirs() - ours()) / abs(library(case, d, 0))
                row = {"case": case, "d": d, "k": k, "solver": solver, "difference": difference}
                rows.append(row | compare(ours, theirs, pairs))
                print(rows[-1], flush=True)
    store("coefficients", rows)


if __name__ == "__main__":
    main()
