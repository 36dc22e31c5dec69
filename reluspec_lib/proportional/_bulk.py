"""The bulk of the spectrum: all solvers, with eigenvalues in the units of the caller."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from reluspec_lib._validation import Array
from reluspec_lib._values import ByValue
from reluspec_lib.proportional._descent import Descent
from reluspec_lib.proportional._fixed_point import FixedPoint
from reluspec_lib.proportional._layers import Layers
from reluspec_lib.proportional._quartic import Quartic
from reluspec_lib.proportional._rows import Rows

__all__ = ["Bulk", "ConvergenceError", "Solution"]

# A linear part or a noise below this share of the variance is left out of the equations: it moves
# no eigenvalue that can be told from zero.
_INVISIBLE = 1e-13

_METHODS = ("quartic", "fixed-point", "layers")

# Points times kinds of row that the fixed point holds at once: 256 KiB for each of its arrays, so
# that they stay in the processor's cache.
_CHUNK = 2**14

# Without a quartic the edges are looked for on a grid over so many decades, more finely where there
# may be gaps, then by repeated refinement.
_EDGE_DECADES = 14
_EDGE_GRID = (300, 800)
_EDGE_ROUNDS = 10
_EDGE_POINTS = 16

# The cumulative distribution is integrated on so many nodes, which crowd at the edges with this
# power, and must find the whole mass up to this error; each first without, then with bias.
_CDF_NODES = (4097, 2049)
_CDF_POWER = 6
_CDF_ERROR = (1e-6, 2e-3)


class ConvergenceError(RuntimeError):
    """The equations were not solved to the accuracy that was asked for."""


@dataclass(frozen=True, eq=False, repr=False)
class Solution(ByValue):
    """Stieltjes transforms with a report on how they were found.

    Attributes
    ----------
    stieltjes : ndarray
        Of the bulk of M = (1/m) Y Y^T, in the shape of z.
    companion : ndarray
        Of the bulk of (1/m) Y^T Y, which has the same eigenvalues but for zeros.
    residual : float
        Largest relative error with which the equations are satisfied.
    steps : int
        Largest number of steps that a point took; 0 for the roots of the quartic.
    method : str
        "quartic", "fixed-point" or "layers".
    """

    stieltjes: Array
    companion: Array
    residual: float
    steps: int
    method: str


class Bulk:
    """The equations of one model; there is a quartic where the rows are all of one kind.

    With several layers, of ratios n0/n_l up to the last, or inputs whose covariance has a spectrum,
    numbers with weights, there is a chain of equations instead.
    """

    def __init__(
        self,
        rows: Rows,
        eta: float,
        phi: float,
        psis: Sequence[float],
        spectrum: Array | None = None,
    ) -> None:
        self.eta, self.phi, self.psi, self.affine = eta, phi, psis[-1], rows.affine
        # All solvers work with the eigenvalues in units of eta.
        parts = np.stack([rows.zeta, rows.noise]) / eta
        zeta, noise = parts * (parts @ rows.weight > _INVISIBLE)[:, None]
        self._linear = not noise.any()
        self._chunk = max(1, _CHUNK // len(rows.weight))
        alpha, gamma = 1 / self.psi, phi / self.psi
        self.equations: Descent = FixedPoint(zeta, noise, rows.weight, alpha, gamma)
        self.quartic, self.method = None, "fixed-point"
        # What can be small in a product without noise: the number of inputs that vary, and widths.
        self._ranks = [phi, *(phi / psi for psi in psis)]
        if spectrum is not None or len(psis) > 1:
            sigma, weight = np.ones((2, 1)) if spectrum is None else spectrum
            self._ranks[0] *= float(weight[sigma > 0].sum())
        # Without a linear part the last layer sees noise, whatever came before.
        if zeta.any() and (spectrum is not None or len(psis) > 1):
            z, e = float(zeta[0]), float(noise[0])
            self._chunk = max(1, _CHUNK // len(sigma))
            self.equations = Layers(z, e, phi, self._ranks[1:], sigma, weight)
            self.method = "layers"
        elif len(rows.weight) == 1:
            z, e = float(zeta[0]), float(noise[0])
            self.quartic = Quartic(z, e, alpha, gamma, closed=self._closed())
            self.method = "quartic"
        # No eigenvalue lies above.
        self._bound = 1.01 * self.equations.bound()

    def check_method(self, method: str) -> str:
        """Return the name of a solver that this model has."""
        if method not in _METHODS:
            raise ValueError(f"method must be one of {', '.join(_METHODS)}, got {method!r}")
        possible = [self.method] if self.quartic is None else ["quartic", "fixed-point"]
        if method not in possible:
            raise ValueError(f"method must be {' or '.join(possible)} for this model, got {method}")
        return method

    def solve(
        self, z: Array, method: str, tolerance: float = 1e-11, most_steps: int = 5000
    ) -> Solution:
        """Return the solution at z of any shape with Im z >= 0."""
        flat = z.ravel() / self.eta
        if method == "quartic" and self.quartic is not None:
            s, h, residual, steps = self.quartic.solve(flat)
        else:
            found = [
                self.equations.solve(flat[k : k + self._chunk], tolerance, most_steps)
                for k in range(0, len(flat), self._chunk)
            ]
            s, h, residual, steps = (np.concatenate(parts) for parts in zip(*found, strict=True))
        worst = int(np.argmax(np.where(np.isnan(residual), np.inf, residual)))
        if not residual[worst] <= tolerance:
            raise ConvergenceError(
                f"the {method} solver did not converge at z = {flat[worst] * self.eta:.6g} after "
                f"{steps[worst]} steps: residual {residual[worst]:.3g}, allowed {tolerance:.3g}"
            )
        return Solution(
            (-h / flat / self.eta).reshape(z.shape),
            (s / self.eta).reshape(z.shape),
            float(residual[worst]),
            int(steps.max()),
            method,
        )

    def density(self, x: Array, method: str) -> Array:
        """Return the density at real points of any shape, 0 up to 0."""
        result = np.zeros(x.shape)
        with np.errstate(over="ignore", under="ignore"):
            scaled = x / self.eta
        inside = (scaled > 0) & (scaled <= self._bound)
        if inside.any():
            result[inside] = self._density(scaled[inside], method) / self.eta
        return result

    def _density(self, x: Array, method: str) -> Array:
        """Return the density at real x > 0, eigenvalues in units of eta."""
        if method == "quartic" and self.quartic is not None:
            density = self.quartic.density(x)
            doubtful = np.isnan(density)
            if doubtful.any():
                density[doubtful] = self._density(x[doubtful], "fixed-point")
            return density
        g = self.solve(x * self.eta + 0j, method).stieltjes * self.eta
        # Where a density is not there, rounding leaves one next to nothing.
        return np.where(g.imag > 1e-7 * np.pi * np.abs(g), g.imag / np.pi, 0.0)

    @cached_property
    def support(self) -> Array:
        """The intervals outside which the density is zero, shape (k, 2)."""
        if self.quartic is not None:
            edges = self.quartic.intervals(self._bound, lambda x: self._density(x, "quartic"))
            if not edges.size:
                raise ConvergenceError(
                    "no edge of the support was found: the sizes are too far apart for the quartic"
                )
            return edges * self.eta
        gaps = self.method == "layers"
        grid = self._bound * np.logspace(-_EDGE_DECADES, 0, _EDGE_GRID[gaps])
        # A support that lies between two points of the grid holds the mean of all that is not 0.
        grid = np.union1d(grid, 1 / (1 - self.atom(visible=True)))
        inside = self._density(grid, self.method) > 0
        if not inside.any():
            raise ConvergenceError("no point of the support was found")
        # The first points inside of every interval, and the last ones.
        first = np.flatnonzero(np.diff(inside, prepend=False) & inside)
        last = np.flatnonzero(inside & ~np.append(inside[1:], False))
        lower = [self._edge(grid[k], grid[k - 1]) if k else 0.0 for k in first]
        upper = [self._edge(grid[k], grid[k + 1]) for k in last]
        if self._closed():
            lower[0] = 0.0
        edges = np.array([lower, upper]).T
        return (edges if gaps else np.array([[edges[0, 0], edges[-1, 1]]])) * self.eta

    def _edge(self, inside: float, outside: float) -> float:
        """Return the edge between a point of the support and one outside, in units of eta."""
        for _ in range(_EDGE_ROUNDS):
            grid = np.linspace(inside, outside, _EDGE_POINTS)
            empty = int(np.flatnonzero(self._density(grid, self.method) == 0)[0])
            inside, outside = grid[empty - 1], grid[empty]
        return float((inside + outside) / 2)

    def cdf(self, points: Array) -> Array:
        """Return the cumulative distribution function at real points of any shape."""
        at_zero, below, pieces = self._masses
        result = np.where(points < 0, 0.0, np.where(points > 0, below, at_zero))
        for lower, upper, mass in pieces:
            inside = np.clip(points, lower, upper)
            share = np.log(inside / lower) / math.log(upper / lower) if lower else inside / upper
            result += mass(special.betaincinv(_CDF_POWER, _CDF_POWER, np.clip(share, 0, 1)))
        return np.clip(result, 0, 1)

    @cached_property
    def _masses(self) -> tuple[float, float, list[tuple[float, float, Callable[[Array], Array]]]]:
        """The mass at zero, that of all that is nearly zero, and intervals of the rest.

        An interval has the integral of the density over shares of it.
        """
        # Here and not above: nothing else needs it, and it takes a good part of the import's time.
        from scipy.interpolate import CubicSpline

        biased, support = self.method == "fixed-point", self.support
        t = np.linspace(0, 1, _CDF_NODES[biased])
        share = special.betainc(_CDF_POWER, _CDF_POWER, t[1:-1])
        crowding = (t * (1 - t))[1:-1] ** (_CDF_POWER - 1) / special.beta(_CDF_POWER, _CDF_POWER)
        last = support[-1, 1] * 10.0**-_EDGE_DECADES
        if biased or (self.method == "layers" and support[0, 0] < last):
            # Rows of every size, or many factors: what lies below the last decade is taken as a
            # whole.
            support = np.maximum(support, last)
            below = self._mass_below(*support[[0, -1], [0, 1]].tolist())
            at_zero = below if biased else self.atom(visible=True)
        else:
            at_zero = below = self.atom(visible=True)
        total, pieces = below, []
        for lower, upper in support.tolist():
            if lower > 0:
                # Logarithms, since there may be eigenvalues of all sizes.
                inner = lower * (upper / lower) ** share
                slope = inner * math.log(upper / lower)
            else:
                inner, slope = upper * share, upper
            values = np.zeros_like(t)
            values[1:-1] = self.density(inner, self.method) * crowding * slope
            mass = CubicSpline(t, values).antiderivative()
            pieces.append((lower, upper, mass))
            total += float(mass(1.0))
        if not abs(total - 1) <= _CDF_ERROR[biased]:
            raise ConvergenceError(f"the density integrates, with the atom, to {total:.8f}, not 1")
        return at_zero, below, pieces

    def _mass_below(self, x: float, upper: float) -> float:
        """Return the mass of the eigenvalues below x, from the transform on the line above x."""
        # The real part of 1/(w - x - iy) integrates over y > 0 to pi/2 times the sign of w - x.
        log_y, step = np.linspace(math.log(x) - 25, math.log(upper) + 25, 1000, retstep=True)
        y = np.exp(log_y)
        g = self.solve(x + 1j * y, self.method).stieltjes
        return float(0.5 - (g.real * y).sum() * step / np.pi)

    def atom(self, *, visible: bool = False) -> float:
        """Return the mass at zero, or that of all eigenvalues that cannot be told from it."""
        width = self._ranks[-1]
        smallest = min(1.0, width)
        if self._linear if visible else self.affine:
            smallest = min(smallest, *self._ranks)
        return 1 - min(1.0, smallest / width)

    def _closed(self) -> bool:
        """Tell whether there is no gap at zero.

        Among m and n0, n1, ... (without noise), or m and the last of them (with), the two smallest
        are equal. Equal sizes give ratios that are equal as floats as well.
        """
        if not self._linear:
            return self.phi == self.psi
        one, other = sorted([1.0, *self._ranks])[:2]
        return one == other
