r"""What the bounds for the output need to know of one hidden unit's term in it.

Every entry of a group vector is v_j = q(w_j), with a linear form q(w) = a.w or q(w) = w.Aw/\|w\| of
a symmetric A. So the output is a mean over units of xi = q(g) ReLU(g.x), g standard Gaussian. All
moments of xi here are at \|x\| = 1, where x enters by its components in an eigenbasis of A.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from reluspec_lib import harmonics, sphere
from reluspec_lib._validation import Array
from reluspec_lib.groups import Form, Group

__all__ = ["Term", "check_group", "form_of"]

# Moments that enter one by one; those beyond are bounded together.
_MOMENTS = 64


def check_group(group: Group) -> Group:
    """Return ``group``, or raise a ValueError if it is none."""
    if not isinstance(group, Group):
        raise ValueError(f"group must be a Group such as groups.NORM, got {group!r}")
    return group


def form_of(group: Group, d: int, column: int) -> Form:
    """Return the form of a vector, or raise a ValueError if there is no such group or vector."""
    return check_group(group).form(d, column)


@dataclass(frozen=True)
class Term:
    """One unit's term, by its form in diagonal shape."""

    form: Form
    #: Eigenvalues of A, those outside of its block as one, in increasing order; or \|a\|.
    values: Array
    #: How often each occurs.
    counts: Array
    #: Eigenvectors of the block as columns; or a/\|a\|.
    basis: Array

    @classmethod
    def of(cls, form: Form) -> Term:
        """Diagonalise a form."""
        block, k = form.block, len(form.axes)
        if block.ndim == 1:
            length = float(np.linalg.norm(block))
            return cls(form, np.array([length]), np.ones(1), block[:, None] / length)
        values, basis = np.linalg.eigh(block)
        values, counts = values + form.multiple, np.ones(k)
        if k < form.d:
            values, counts = np.append(values, form.multiple), np.append(counts, form.d - k)
        return cls(form, values, counts, basis)

    @property
    def linear(self) -> bool:
        """Whether the form is linear."""
        return self.form.block.ndim == 1

    @property
    def d(self) -> int:
        """Input dimension."""
        return self.form.d

    @property
    def trace(self) -> float:
        """The trace of A."""
        return float(self.counts @ self.values)

    @property
    def squares(self) -> float:
        """The sum of the squares of all entries of A, or of a."""
        return float(self.counts @ self.values**2)

    @property
    def top(self) -> float:
        """The largest absolute value of an eigenvalue of A."""
        return float(np.abs(self.values).max())

    @property
    def size(self) -> float:
        """E q(g)^2, the limit of the squared norm of the vector."""
        if self.linear:
            return self.squares
        return (2 * self.squares + self.trace**2) / (self.d + 2)

    @property
    def power(self) -> float:
        """E F(x)^2 over standard Gaussian inputs."""
        if self.linear:
            return self.squares / 4
        of_norm = self.trace**2 / self.d
        total = of_norm * harmonics.eigenvalue(self.d, 0)
        if self.d > 1:
            total += (self.size - of_norm) * harmonics.eigenvalue(self.d, 2)
        return total

    @property
    def height(self) -> float:
        """A number h with E q^(2k) <= (2k - 1)!! h^(2k) for every k."""
        if self.linear:
            return float(self.values[0])
        mean = self.trace / self.d
        spread = float(self.counts @ (self.values - mean) ** 2)
        return abs(mean) * math.sqrt(self.d) + math.sqrt(spread)

    @property
    def largest(self) -> tuple[float, float]:
        """Largest second moment and largest variance of xi over all unit x."""
        if self.linear:
            return 1.5 * self.squares, 1.25 * self.squares
        # The second moment is a convex function of x.Ax between its extreme values, of which only
        # the chord is reached; the square of the limit comes off it.
        ends = np.array([self.values.min(), self.values.max()])
        second = self._second(ends, ends**2)
        limit = self._limit(ends)
        rise, slope = second[1] - second[0], limit[1] - limit[0]
        best = 0.0
        if slope:
            best = min(max((rise / (2 * slope) - limit[0]) / slope, 0.0), 1.0)
        variance = second[0] + best * rise - (limit[0] + best * slope) ** 2
        return float(second.max()), float(variance)

    def _second(self, first: Array, second: Array) -> Array:
        """Return E xi^2 from x.Ax and x.A^2 x."""
        trace, d = self.trace, self.d
        value: Array = trace**2 + 2 * self.squares + 4 * trace * first + 8 * second
        return value / (2 * (d + 4))

    def _limit(self, first: Array) -> Array:
        """Return F from x.Ax."""
        d = self.d
        return sphere.relu_mean(d) * (self.trace + d / (d + 1) * (first - self.trace / d))

    def moments(self, unit: Array) -> tuple[float, float]:
        """Return F and E xi^2 at a unit vector."""
        if self.linear:
            a, rho = float(self.values[0]), self._cosine(unit)
            return a * rho / 2, a * a * (0.5 + rho * rho)
        weights = self._weights(unit)
        first, second = self.values @ weights, self.values**2 @ weights
        return float(self._limit(first)), float(self._second(first, second))

    def _cosine(self, unit: Array) -> float:
        """Return the cosine of the angle between a and a unit vector."""
        return float(unit[self.form.axes] @ self.basis[:, 0])

    def _weights(self, unit: Array) -> Array:
        """Return the squared length of a unit vector in the space of each eigenvalue of A."""
        inside: Array = (unit[self.form.axes] @ self.basis) ** 2
        if len(inside) == len(self.values):
            return inside
        outside = np.delete(unit, self.form.axes)
        return np.append(inside, outside @ outside)

    def cumulants(self, unit: Array, steps: Array) -> Array:
        """Return bounds of log E exp(±step (xi - F)) at a unit vector, shape (2, steps).

        Exact for a linear form; infinite where no bound is known.
        """
        limit, second = self.moments(unit)
        if self.linear:
            a, rho = float(self.values[0]), self._cosine(unit)
            signed = a * np.array([steps, -steps])
            # The branch that contains 0 ends at 1/(1 + rho) and at -1/(1 - rho).
            inside = (signed * (1 + rho) < 1) & (signed * (1 - rho) > -1)
            exponent = -2 * signed * rho - signed**2 * (1 - rho**2)
            growth = np.expm1(-0.5 * np.log1p(np.where(inside, exponent, 0.0))) / 2
            exact = np.log1p(growth) - signed * rho / 2
            return np.where(inside, exact, np.inf)
        h = self.height
        inside = 2 * h * steps < 1
        step = np.where(inside, steps, 0.0)
        series = self.series(unit)
        powers = np.arange(3, len(series))
        higher = (self.top * step)[:, None] ** powers @ series[3:]
        ratio = 2 * h * step
        beyond = 0.75 * (h * step) ** 2 * ratio ** (_MOMENTS - 1) / (1 - ratio)
        # exp(-y) <= 1 - y + y^2/2 for y >= 0 needs no higher moments where xi has one sign.
        needed = np.array([self.values.max() > 0, self.values.min() < 0])[:, None]
        signed = limit * np.array([step, -step])
        bounds: Array = (
            np.log1p(signed + step**2 * second / 2 + needed * (higher + beyond)) - signed
        )
        return np.where(inside, bounds, np.inf)

    def series(self, unit: Array) -> Array:
        r"""Return upper bounds of E\|xi/top\|^k / k! at a unit vector, k = 0 ... 64.

        For quadratic forms; exact for even k, and between two of them by Lyapunov's inequality. No
        power of the size of the form enters, which might be no float.
        """
        scaled, weights = self.values / self.top, self._weights(unit)
        orders = np.arange(_MOMENTS + 1)
        powers = scaled[:, None] ** orders
        # Taylor coefficients of prod (1 - z a_i)^(-1/2) and of sum x_i^2 / (1 - z a_i).
        traces, image = self.counts @ powers, weights @ powers
        product = np.zeros(_MOMENTS + 1)
        product[0] = 1.0
        for n in range(1, _MOMENTS + 1):
            product[n] = traces[1 : n + 1] @ product[n - 1 :: -1] / (2 * n)
        logs = np.zeros(_MOMENTS + 1)
        power = product
        for n in range(2, _MOMENTS + 1, 2):
            power = np.convolve(power, image)[: _MOMENTS + 1]
            half = n // 2
            ratio = np.log(self.d + 2 * n + 2 * np.arange(half)).sum()
            logs[n] = math.log(max(float(power[n]), np.finfo(float).tiny)) - ratio
            logs[n] += special.gammaln(n + 1) - special.gammaln(half + 1)
            logs[n] += (half - 1) * math.log(2)
        odd = orders[1:-1:2]
        logs[odd] = (logs[odd - 1] + logs[odd + 1] + np.log((odd + 1) / odd)) / 2
        coefficients: Array = np.exp(logs)
        return coefficients
